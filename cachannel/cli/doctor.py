"""``cachannel doctor``: why a PV does not connect."""

from __future__ import annotations

import os
import platform
import socket
import struct
import time
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import click

from cachannel import __version__, _shadows
from cachannel._native import ffi, lib
from cachannel.cli.info import describe, dotted
from cachannel.cli.options import CONTEXT_SETTINGS, Settings, common, settings
from cachannel.cli.work import Session, out, print_json
from cachannel.engine import Channel
from cachannel.errors import describe as say
from cachannel.protocol.settings import DEFAULTS, ClientSettings

__all__ = ["Answer", "advice", "ask", "command", "run"]

_SEARCH, _VERSION, _MINOR = 6, 0, 13
_HEADER: Final = struct.Struct(">HHHHII")
_ROUNDS: Final = 5
_WELL: Final = "all is well"


@click.command("doctor", context_settings=CONTEXT_SETTINGS, short_help="Explain connections.")
@click.argument("names", nargs=-1, required=True, metavar="PV...")
@common
def command(names: tuple[str, ...]) -> int:
    """Explain why PVs do or do not connect.

    Shows the libca in use, another CaChannel that hides this one, the settings in force and where
    they come from, the addresses that are searched, whether a repeater runs, every server that
    answers for a PV, and for a connected PV the version of the protocol and the time of a round
    trip. The last line of a PV says in a sentence what is wrong.
    """
    return run(names, settings("doctor"))


class Answer(NamedTuple):
    """An answer to a search; `seconds` after it was sent, `minor` the protocol's version."""

    name: str
    address: tuple[str, int]
    seconds: float
    minor: int


def ask(
    names: Sequence[str], wait: float, addresses: Sequence[tuple[str, int]]
) -> tuple[list[Answer], list[str]]:
    """Search for PVs with our own datagrams, so that every answer is seen.

    Args:
        names: names of PVs.
        wait: seconds.
        addresses: (host, port) pairs that the datagrams go to.

    Returns:
        The answers, and what went wrong while sending.
    """
    answers: list[Answer] = []
    faults: list[str] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        start = time.monotonic()
        for cid, name in enumerate(names):
            data = os.fsencode(name) + b"\0"
            data += bytes(-len(data) % 8)
            message = _HEADER.pack(_VERSION, 0, 0, _MINOR, 0, 0)
            message += _HEADER.pack(_SEARCH, len(data), 5, _MINOR, cid, cid) + data
            for address in addresses:
                try:
                    asking.sendto(message, address)
                except OSError as exc:
                    fault = "cannot send to {}:{}: {}".format(*address, exc.strerror)
                    if fault not in faults:
                        faults.append(fault)
        while (left := start + wait - time.monotonic()) > 0:
            asking.settimeout(left)
            try:
                data, sender = asking.recvfrom(65536)
            except OSError:
                break
            took = time.monotonic() - start
            for cid, address, minor in parse(data, sender[0]):
                if cid < len(names):
                    answers.append(Answer(names[cid], address, took, minor))
    return answers, faults


def parse(data: bytes, sender: str) -> list[tuple[int, tuple[str, int], int]]:
    """Find the answers in a datagram: number, address, minor version of the protocol."""
    found = []
    offset = 0
    while offset + _HEADER.size <= len(data):
        command, size, port, _, ip, cid = _HEADER.unpack_from(data, offset)
        offset += _HEADER.size
        if command == _SEARCH:
            host = sender if ip == 0xFFFFFFFF else socket.inet_ntoa(ip.to_bytes(4, "big"))
            has_version = 2 <= size <= len(data) - offset
            minor = int.from_bytes(data[offset : offset + 2], "big") if has_version else 0
            found.append((cid, (host, port), minor))
        offset += size
    return found


def has_repeater(port: int) -> bool:
    """Tell whether something has the repeater's port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
        try:
            trial.bind(("", port))
        except OSError:
            return True
    return False


def library_file() -> str:
    """Name the file that libca was loaded from; "" if the system does not tell."""
    buffer = ffi.new("char[]", 4096)
    return os.fsdecode(ffi.string(buffer)) if lib.cc_library_path(buffer, 4096) else ""


def advice(state: str, answers: Sequence[Answer], addresses: Sequence[Any]) -> str:
    """Say in one sentence what is wrong, or that nothing is."""
    servers = sorted({answer.address for answer in answers})
    if len(servers) > 1:
        shown = ", ".join(f"{host}:{port}" for host, port in servers)
        return f"several servers have this name, and it is chance which one is used: {shown}"
    if state == "connected":
        return _WELL
    if servers:
        host, port = servers[0]
        return (f"{host}:{port} answers the search, but no TCP connection to it can be made: "
                "is a firewall in between?")  # fmt: skip
    if not addresses:
        return "there is no address to search at: set EPICS_CA_ADDR_LIST"
    return (
        "no server answered: is the IOC running, is the name right, and do the addresses above "
        "reach its network?"
    )


def examine(
    session: Session,
    name: str,
    channel: Channel,
    answers: list[Answer],
    addresses: Sequence[tuple[str, int]],
) -> dict[str, Any]:
    """Collect what there is to know about one PV."""
    found = describe(name, channel)
    if found["state"] == "connected":
        found["address"] = dotted(found["host"])
        info = ffi.new("cc_channel_info *")
        if lib.cc_channel_info_get(channel.id, info) == 1 and info.minor_protocol:
            found["protocol"] = f"4.{info.minor_protocol}"
        if "no read" not in found["access"]:
            best = round_trip(channel, session.settings.wait)
            found["round_trip_ms"] = None if best is None else round(1e3 * best, 3)
    found["answers"] = [
        {
            "server": "{}:{}".format(*answer.address),
            "ms": round(1e3 * answer.seconds, 3),
            "protocol": f"4.{answer.minor}",
        }
        for answer in answers
    ]
    found["verdict"] = advice(found["state"], answers, addresses)
    if session.bad is not None and session.bad[0] == name:
        found["verdict"] = f"libca refuses the name: {say(session.bad[1])}"
    elif found["verdict"] == _WELL and "no read" in found["access"]:
        found["verdict"] = "connected, but the server's access security lets nobody here read it"
    return found


def round_trip(channel: Channel, wait: float) -> float | None:
    """Measure the quickest of a few reads, in seconds; None when one is not answered."""
    best = None
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        _, request = channel.get(0, 1)
        if request is None or not request.wait(wait or None):
            return None
        took = time.perf_counter() - start
        best = took if best is None else min(best, took)
    return best


def run(names: tuple[str, ...], wanted: Settings) -> int:
    """Print settings, answers and advice. Returns the exit status."""
    values, addresses, malformed = ClientSettings.from_environment()
    here: dict[str, Any] = {
        "cachannel": __version__,
        "protocol": ffi.string(lib.ca_version()).decode(),
        "libca": {"file": library_file(), "epics": ffi.string(lib.cc_epics_version()).decode()},
        "shadowed": _shadows.find(),
        "python": platform.python_version(),
        "settings": {
            name: {
                "value": values[name],
                "set": bool(os.environ.get(name))
                and not (name in malformed and values[name] == DEFAULTS[name]),
            }
            for name in sorted(values)
        },
        "name_servers": os.environ.get("EPICS_CA_NAME_SERVERS", "").split(),
        "searched": ["{}:{}".format(*address) for address in addresses],
        "repeater": has_repeater(values["EPICS_CA_REPEATER_PORT"]),
    }
    # Asked before libca connects, and with an end of its own: duplicates may answer late.
    answers, faults = ask(names, min(wanted.wait or 1.0, 1.0), addresses)
    here["faults"] = [*malformed.values(), *faults]
    with Session(names, wanted) as session:
        session.wait()
        reports = [
            examine(session, name, channel, [a for a in answers if a.name == name], addresses)
            for name, channel in zip(names, session.channels, strict=True)
        ]
    if wanted.as_json:
        for report in reports:
            print_json(report | {"client": here})
    else:
        _show(here, reports)
    return int(any(report["verdict"] != _WELL for report in reports))


def _show(here: dict[str, Any], reports: list[dict[str, Any]]) -> None:
    out(f"cachannel {here['cachannel']}, CA protocol {here['protocol']}, Python {here['python']}")
    out("libca           {file} (EPICS {epics})".format(**here["libca"]))
    if sentence := _shadows.describe(here["shadowed"]):
        out(f"CaChannel       {sentence}")
    out("settings")
    for name, setting in here["settings"].items():
        origin = "environment" if setting["set"] else "default"
        out(f"    {name:<28}{setting['value']!s:<24}({origin})")
    out("searched at     " + (", ".join(here["searched"]) or "nowhere"))
    if here["name_servers"]:
        out("name servers    " + ", ".join(here["name_servers"]))
    out("repeater        " + ("running" if here["repeater"] else
        "none: beacons do not arrive, and restarted servers are found late"))  # fmt: skip
    for fault in here["faults"]:
        out(f"fault           {fault}")
    for report in reports:
        out(f"\n{report['name']}")
        for key, value in report.items():
            if key == "answers":
                for answer in value:
                    out(f"    {'answered by':<18}{answer['server']} after {answer['ms']} ms, "
                        f"CA {answer['protocol']}")  # fmt: skip
            elif key not in ("name", "verdict") and value is not None:
                out(f"    {key.replace('_', ' '):<18}{value}")
        out(f"    {'verdict':<18}{report['verdict']}")
