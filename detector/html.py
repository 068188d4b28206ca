"""Escaped HTML of single values: for notebooks, the service and the report."""
