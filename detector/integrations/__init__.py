"""Adapters that bring the detector into tools which moderators and archivists already run.

Each module speaks one tool's own interface. None is imported by the others, and none loads torch
by itself: a tool's process either asks a running `detector serve` (`endpoint`), or loads the
model when the first image comes. The tool's own packages are imported where they are used.
"""
