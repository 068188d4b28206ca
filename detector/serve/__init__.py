"""The HTTP service: one image or many to findings, for tools that speak HTTP.

A request passes `guard` (identity, limits, slow clients), `bodies` (what was sent), `engine`
(decoding in worker processes, one CNN thread that batches across requests) and `shapes` (the
answer). Only `schemas` and `app` know pydantic and FastAPI, which the extra "serve" brings.
"""
