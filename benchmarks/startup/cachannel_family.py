"""CaChannel, the original or this package's."""

import sys
import time

started = time.perf_counter()
import CaChannel  # noqa: E402 - the import is what is timed

imported = time.perf_counter()
channel = CaChannel.CaChannel(sys.argv[1])
channel.searchw()
print(imported - started, channel.getw())
