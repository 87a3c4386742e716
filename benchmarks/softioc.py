"""A Channel Access IOC out of epicscorelibs, run as a script by `benchmarks.ioc`.

`python -m epicscorelibs.ioc` would do as well, but it also starts a pvAccess server, which
listens on every interface. This one loads the record types only.

Ends when standard input does, so it cannot outlive the benchmark.
"""

import os
import sys

from epicscorelibs.ioc import start_ioc

if __name__ == "__main__":
    start_ioc(dbs=[(path, "") for path in sys.argv[1:]])
    sys.stdin.read()
    # IOC threads are running; leave without tearing the libraries down around them.
    os._exit(0)
