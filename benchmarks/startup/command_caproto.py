"""The program caproto-get."""

import sys
import time

started = time.perf_counter()
from caproto.commandline.get import main  # noqa: E402 - the import is what is timed

imported = time.perf_counter()
sys.stdout.write(f"{imported - started} ")
sys.argv[:] = ["caproto-get", "--no-repeater", "-t", sys.argv[1]]
main()
