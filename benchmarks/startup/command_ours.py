"""The program `cachannel get`."""

import sys
import time

started = time.perf_counter()
from cachannel.__main__ import main  # noqa: E402 - the import is what is timed
from cachannel.cli.get import run  # noqa: E402, F401

imported = time.perf_counter()
sys.stdout.write(f"{imported - started} ")
sys.exit(main(["get", "-t", sys.argv[1]]))
