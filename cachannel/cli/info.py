"""``cachannel info`` and ``cachannel search``."""

from __future__ import annotations

from typing import Any

from cachannel._native import lib
from cachannel.cli.main import print_json
from cachannel.cli.work import capacity, connect, default_wait, fail, missing, out
from cachannel.protocol.dbr import LAYOUTS
from cachannel.threading.client import PV, Context

__all__ = ["run", "run_search"]

_STATES = {0: "never connected", 1: "previously connected", 2: "connected", 3: "closed"}
_ACCESS = {0: "no read, no write", 1: "read, no write", 2: "no read, write", 3: "read, write"}


def describe(pv: PV) -> dict[str, Any]:
    """Return what is known about a PV."""
    native = pv._native_type()
    manager = pv.circuit_manager
    host = "<disconnected>" if manager is None else "{}:{}".format(*manager.circuit.address)
    return {
        "name": pv.name,
        "state": _STATES.get(lib.cc_state(pv._id), "closed"),
        "host": host,
        "access": _ACCESS[int(pv.access_rights or 0)],
        "type": "<disconnected>" if native is None else LAYOUTS[native].name,
        "count": capacity(pv) if pv.connected else 0,
    }


def run(names: tuple[str, ...], options: dict[str, Any]) -> int:
    """Print what PVs are. Returns the exit status."""
    wait = default_wait() if options["wait"] is None else options["wait"]
    with Context() as context:
        pvs = connect(context, names, wait, options["priority"])
        lost = missing(pvs)
        for pv in pvs:
            found = describe(pv)
            if options["as_json"]:
                print_json(found)
                continue
            field = found["type"].replace("DBR_", "DBF_")
            rows = (
                ("State", found["state"]), ("Host", found["host"]), ("Access", found["access"]),
                ("Native data type", field), ("Request type", found["type"]),
                ("Element count", found["count"]),
            )  # fmt: skip
            out("\n".join([pv.name, *(f"    {label + ':':<18}{value}" for label, value in rows)]))
        return int(bool(lost))


def run_search(names: tuple[str, ...], options: dict[str, Any]) -> int:
    """Print which server has each PV. Returns the exit status."""
    wait = default_wait() if options["wait"] is None else options["wait"]
    status = 0
    with Context() as context:
        for pv in connect(context, names, wait, options["priority"]):
            manager = pv.circuit_manager
            if manager is None:
                status = 1
            if options["as_json"]:
                address = None if manager is None else "{}:{}".format(*manager.circuit.address)
                print_json({"name": pv.name, "address": address})
            elif manager is None:
                fail(f"{pv.name}: not found within {wait:g} s")
            else:
                out("{} {}:{}".format(pv.name, *manager.circuit.address))
    return status
