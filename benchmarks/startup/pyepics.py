"""pyepics."""

import sys
import time

started = time.perf_counter()
import epics  # noqa: E402 - the import is what is timed

imported = time.perf_counter()
print(imported - started, epics.caget(sys.argv[1]))
