"""The HTTP service: one image or many to findings, for tools that speak HTTP."""
