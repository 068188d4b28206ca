"""What the exit code of every `detector` command means; others script against these numbers."""

from __future__ import annotations

OK = 0
FLAGGED = 1
USAGE = 2
SOME_FAILED = 3
INTERNAL = 70  # EX_SOFTWARE; an uncaught exception must not look like FLAGGED
INTERRUPTED = 130
BROKEN_PIPE = 141

EPILOG = """\
exit codes:
  0    done; nothing flagged, or no --fail-on given
  1    something was flagged, and --fail-on asked to be told
  2    wrong usage, or the command could not run: no model, a store that cannot be opened
  3    done, but some files could not be scored (1 comes first when both hold)
  70   a fault in this program; the traceback is on stderr
  130  stopped by Ctrl-C or SIGTERM; everything finished is saved
"""
