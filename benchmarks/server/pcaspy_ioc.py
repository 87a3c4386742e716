"""The IOC under measurement on pcaspy: ``python pcaspy_ioc.py pcaspy MODE``."""

import sys
import time

from pcaspy import Driver, SimpleServer

MODE = sys.argv[2]
pvdb = {f"pv{n}": {"type": "float", "value": float(n)} for n in range(10_000)}
pvdb["scalar"] = {"type": "float", "value": 1.5}
pvdb["hooked"] = {"type": "float", "value": 0.0}
pvdb["array"] = {"type": "float", "count": 1_000_000, "value": [0.5] * 1_000_000}


class BenchDriver(Driver):
    """Accepts what is written."""

    def write(self, reason, value):
        self.setParam(reason, value)
        return True


server = SimpleServer()
server.createPV("", pvdb)
driver = BenchDriver()
period = {"posts": 0.1, "fanout": 0.01}.get(MODE)
names = [f"pv{n}" for n in range(1000)] if MODE == "posts" else ["scalar"]
turn, due = 0, time.monotonic()
while True:
    if period is None:
        server.process(0.1)
        continue
    server.process(max(0.0, due - time.monotonic()))
    if time.monotonic() >= due:
        due += period
        turn += 1
        for name in names:
            driver.setParam(name, float(turn))
        driver.updatePVs()
