"""Coverage-guided fuzzing of everything that reads a file: the decoders' gates and all channels.

`target.check` is what must hold for any bytes; `tests/test_fuzz.py` holds it for the kept corpus,
and `python -m tests.fuzz` looks for bytes for which it does not hold.

Last long run (November 2026, atheris 3.0.0, Python 3.11): `python -m tests.fuzz --minutes 62
--corpus FOLDER`, begun again in the same folder whenever libFuzzer reached its memory limit (six
times; its own memory grows, that of `target.check` does not: 1,200 inputs left it at 90 MB). In 62
minutes of a busy machine it ran 111,093 inputs; its corpus grew from 118 to 516 inputs, and what
they cover from 1,996 to 2,157 places of the code. No input broke a promise, and what it called out
of memory passes `target.check`.
"""
