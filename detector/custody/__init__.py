"""Recomputes what a report claims, and signs it."""
