"""The folder that auto-archiver loads as a module; imports nothing until it does."""
