"""cothread."""

import sys
import time

started = time.perf_counter()
from cothread.catools import caget  # noqa: E402 - the import is what is timed

imported = time.perf_counter()
print(imported - started, caget(sys.argv[1]))
