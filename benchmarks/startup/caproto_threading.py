"""caproto's threading client."""

import sys
import time

started = time.perf_counter()
from caproto.threading.client import Context  # noqa: E402 - the import is what is timed

imported = time.perf_counter()
(pv,) = Context().get_pvs(sys.argv[1])
print(imported - started, pv.read().data[0])
