"""Create, monitor and disconnect 1,000 PVs of `epics_compat` again and again; nothing may grow.

    python tests/soak/compat_soak.py SECONDS

Not part of the test run. Starts an IOC of its own on loopback. Ends with 1 if memory, threads,
channels, subscriptions or open files have grown after the first tenth of the time.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.ioc import SoftIoc

COUNT = 1000
ALLOWED_BYTES = 6_000_000


def state() -> dict[str, int]:
    """Count what may grow."""
    from cachannel._native import ffi, lib

    gc.collect()
    counts = ffi.new("cc_counts *")
    lib.cc_get_counts(counts)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return {
        "resident": pages * os.sysconf("SC_PAGE_SIZE"),
        "channels": counts.channels,
        "subscriptions": counts.subscriptions,
        "requests": counts.requests,
        "threads": threading.active_count(),
        "files": len(os.listdir("/proc/self/fd")),
        "objects": len(gc.get_objects()),
    }


def one_round() -> None:
    """Create the PVs, wait for an event of each, put to some, and disconnect them."""
    import epics_compat as epics

    events: list[int] = []
    pvs = [
        epics.PV(f"soak:{i}", callback=lambda **kw: events.append(kw["count"]))
        for i in range(COUNT)
    ]
    for pv in pvs:
        if not pv.wait_for_connection(20):
            raise RuntimeError(f"{pv.pvname} did not connect")
    deadline = time.monotonic() + 20
    while len(events) < COUNT:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{len(events)} of {COUNT} events")
        time.sleep(0.002)
    for pv in pvs[::100]:
        if pv.put(time.time(), wait=True) != 1:
            raise RuntimeError(f"put to {pv.pvname}")
    for pv in pvs:
        pv.disconnect()


def main(seconds: float) -> int:
    """Run for so long. Returns the exit code."""
    records = (f'record(ao, "soak:{i}") {{ field(VAL, "{i}") }}\n' for i in range(COUNT))
    with SoftIoc(["".join(records)]) as ioc:
        os.environ.update(ioc.env)
        os.environ["CACHANNEL_REPEATER"] = "NO"
        began = time.monotonic()
        rounds, early = 0, {}
        while (passed := time.monotonic() - began) < seconds:
            if not early and passed > seconds / 10:
                early = state()
                print(f"{passed:6.0f} s {rounds:6d} rounds {early}", flush=True)
            one_round()
            rounds += 1
        late = state()
        print(f"{passed:6.0f} s {rounds:6d} rounds {late}", flush=True)
        grown = [
            name
            for name in ("threads", "files", "subscriptions", "requests")
            if late[name] > early[name]
        ]
        if late["resident"] - early["resident"] > ALLOWED_BYTES:
            grown.append("resident")
        if late["channels"] > max(early["channels"], COUNT):
            grown.append("channels")
        print("grown:", ", ".join(grown) or "nothing", flush=True)
        return 1 if grown else 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1])))
