"""``cachannel doctor``: why a PV does not connect."""

from __future__ import annotations

import os
import socket
import struct
import time
from typing import Any

from cachannel.cli.info import describe
from cachannel.cli.main import print_json
from cachannel.cli.work import connect, default_wait, out
from cachannel.protocol.settings import get_client_address_list, get_environment_variables
from cachannel.threading.client import Context

__all__ = ["run"]

_SEARCH, _VERSION = 6, 0


def ask(names: tuple[str, ...], wait: float) -> list[tuple[str, tuple[str, int], float, int]]:
    """Search for PVs with our own datagrams.

    Returns:
        For each answer the name, the address of the server, the seconds it took, and the minor
        version of its protocol.
    """
    answers = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        start = time.monotonic()
        for cid, name in enumerate(names):
            data = name.encode() + b"\0"
            data += bytes(-len(data) % 8)
            message = struct.pack(">HHHHII", _VERSION, 0, 0, 13, 0, 0)
            message += struct.pack(">HHHHII", _SEARCH, len(data), 5, 13, cid, cid) + data
            for address in get_client_address_list():
                try:
                    asking.sendto(message, address)
                except OSError:
                    continue
        while (left := start + wait - time.monotonic()) > 0:
            asking.settimeout(left)
            try:
                data, sender = asking.recvfrom(65536)
            except OSError:
                break
            offset = 0
            while offset + 16 <= len(data):
                command, size, port, _, ip, cid = struct.unpack_from(">HHHHII", data, offset)
                if command == _SEARCH and cid < len(names):
                    host = sender[0] if ip == 0xFFFFFFFF else socket.inet_ntoa(ip.to_bytes(4))
                    version = struct.unpack_from(">H", data, offset + 16)[0] if size >= 2 else 0
                    took = time.monotonic() - start
                    answers.append((names[cid], (host, port), took, version))
                offset += 16 + size
    return answers


def repeater_state(port: int) -> str:
    """Tell whether something has the repeater's port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
        try:
            trial.bind(("", port))
        except OSError:
            return "running"
    return "none: beacons do not arrive, and restarted servers are found late"


def advice(found: dict[str, Any], answers: list[Any], addresses: list[Any]) -> str:
    """Say in one sentence what is wrong, or that nothing is."""
    servers = {answer[1] for answer in answers}
    if len(servers) > 1:
        shown = ", ".join(f"{host}:{port}" for host, port in sorted(servers))
        return f"several servers have this name: {shown}"
    if found["state"] == "connected":
        return "all is well"
    if servers:
        host, port = next(iter(servers))
        return f"{host}:{port} answers the search, but no connection to it can be made (firewall?)"
    if not addresses:
        return "there is no address to search at: set EPICS_CA_ADDR_LIST"
    return (
        "no server answered: is the IOC running, is the name right, and do the addresses above "
        "reach its network?"
    )


def run(names: tuple[str, ...], options: dict[str, Any]) -> int:
    """Print settings, answers and advice. Returns the exit status."""
    wait = default_wait() if options["wait"] is None else options["wait"]
    settings = get_environment_variables()
    addresses = get_client_address_list()
    repeater = repeater_state(settings["EPICS_CA_REPEATER_PORT"])
    answers = ask(names, min(wait, 1.0))
    with Context() as context:
        start = time.monotonic()
        pvs = connect(context, names, wait, options["priority"])
        took = time.monotonic() - start
        reports = []
        for pv in pvs:
            mine = [answer for answer in answers if answer[0] == pv.name]
            found = describe(pv)
            if pv.connected:
                start = time.monotonic()
                pv.read()
                found["round_trip_ms"] = round(1e3 * (time.monotonic() - start), 3)
                found["protocol"] = f"4.{pv.circuit_manager.server_protocol_version}"
                if all(other.connected for other in pvs):
                    found["connected_within_ms"] = round(1e3 * took, 1)
            found["answers"] = [
                {
                    "server": f"{host}:{port}",
                    "ms": round(1e3 * seconds, 3),
                    "protocol": f"4.{minor}",
                }
                for _, (host, port), seconds, minor in mine
            ]
            found["verdict"] = advice(found, mine, addresses)
            reports.append(found)
    if options["as_json"]:
        for found in reports:
            print_json(found)
    else:
        _show(settings, addresses, repeater, reports)
    return int(any(found["verdict"] != "all is well" for found in reports))


def _show(
    settings: dict[str, Any], addresses: list[Any], repeater: str, reports: list[dict[str, Any]]
) -> None:
    out("settings")
    for name in sorted(settings):
        if name.startswith("EPICS_CA_"):
            origin = "environment" if os.environ.get(name) else "default"
            out(f"    {name:<28}{settings[name]!s:<24}({origin})")
    out("searched at   " + (", ".join(f"{host}:{port}" for host, port in addresses) or "nowhere"))
    out(f"repeater      {repeater}")
    for found in reports:
        out("")
        out(found["name"])
        for key, value in found.items():
            if key == "answers":
                for answer in value:
                    out(f"    {'answered by':<20}{answer['server']} after {answer['ms']} ms, "
                        f"CA {answer['protocol']}")  # fmt: skip
            elif key not in ("name", "verdict"):
                out(f"    {key.replace('_', ' '):<20}{value}")
        out(f"    {'verdict':<20}{found['verdict']}")
