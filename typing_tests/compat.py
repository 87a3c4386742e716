"""A pyepics program to a type checker."""

from typing import Any

import epics_compat as epics
from epics_compat import PV, Device, Motor, caget, caget_many, camonitor, caput, get_pv


def changed(pvname: str = "", value: Any = None, **keywords: Any) -> None:
    """Take a change."""
    print(pvname, value, keywords.get("units"))


def use_it() -> None:
    """Read, write and follow PVs."""
    pv = PV("catest", callback=changed)
    pv.wait_for_connection(timeout=1.0)
    print(pv.get(), pv.put(1.0, wait=True), pv.info)
    print(caget("catest"), caput("catest", 1.0), caget_many(["catest", "calong"]))
    camonitor("catest")
    get_pv("catest").disconnect()
    Device("ca", attrs=("test",)).get("test")
    Motor("motor").move(1.0)
    epics.ca.poll()
    epics.poll(1.0e-4, 1.0)
