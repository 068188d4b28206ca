"""Adapters for moderation and archiving tools; each imports its tool only when used."""
