"""Coverage-guided fuzzing of everything that reads a file: the decoders' gates and all channels.

`target.check` is what must hold for any bytes; `tests/test_fuzz.py` holds it for the kept corpus,
and `python -m tests.fuzz` looks for bytes for which it does not hold.
"""
