"""``cachannel info`` and ``cachannel search``."""

from __future__ import annotations

import sys
from typing import Any, Final

import click

from cachannel._native import lib
from cachannel.cli.formats import dbr_name, field_type, table
from cachannel.cli.options import (
    CONTEXT_SETTINGS,
    Settings,
    base_option,
    common,
    given,
    settings,
    warn,
)
from cachannel.cli.readings import decode_name
from cachannel.cli.work import Session, out, print_json
from cachannel.engine import Channel
from cachannel.protocol.settings import ClientSettings

__all__ = ["command", "describe", "run", "run_search", "search_command"]

_STATES: Final = ("never connected", "previously connected", "connected", "closed")
_NOWHERE: Final = "<disconnected>"
_OTHERS: Final = 0.5
"""Seconds that all servers of a name have to answer a search."""


@click.command("info", context_settings=CONTEXT_SETTINGS, short_help="Show what PVs are.")
@click.argument("names", nargs=-1, metavar="PV...")
@base_option(
    "-s",
    "level",
    metavar="LEVEL",
    help="Print the state of libca instead, in more detail with a higher level.",
)
@base_option("-n", "unused", is_flag=True, hidden=True)
@common
def command(names: tuple[str, ...]) -> int:
    """Show where PVs are and what they are, as cainfo does."""
    wanted = settings("info")
    level = 0
    for key, text in given():
        if key == "level":
            try:
                level = int(text)
            except ValueError:
                warn(f"'{text}' is not a valid interest level - ignored. "
                     "('cachannel info -h' for help.)")  # fmt: skip
    if not names and not level:
        raise click.UsageError("Missing argument 'PV...'.")
    return run(names, wanted, level)


@click.command("search", context_settings=CONTEXT_SETTINGS, short_help="Show which server has PVs.")
@click.argument("names", nargs=-1, required=True, metavar="PV...")
@common
def search_command(names: tuple[str, ...]) -> int:
    """Show which servers have each PV: a line with name and address for each server.

    If several servers answer for a name, each has its line, first the server that this client
    connected to; a warning on standard error says that there are several. Names that are not
    found are told on standard error, and the exit status is 1 then.
    """
    return run_search(names, settings("search"))


def describe(name: str, channel: Channel) -> dict[str, Any]:
    """Return what is known about a PV, with the keys of the JSON output."""
    info = channel.info()
    connected = info.state == 2
    read, write = ("" if info.read_access else "no "), ("" if info.write_access else "no ")
    return {
        "name": name,
        "state": _STATES[info.state],
        "host": channel.host_name(),
        "access": f"{read}read, {write}write",
        "native_type": field_type(info.field_type) if connected else None,
        "request_type": dbr_name(info.field_type) if connected else None,
        "count": info.element_count if connected else 0,
    }


def run(names: tuple[str, ...], wanted: Settings, level: int = 0) -> int:
    """Print what PVs are. Returns the exit status."""
    with Session(names, wanted) as session:
        complete = session.connect()
        if not complete and not wanted.as_json and not wanted.on_terminal:
            return 1
        if level:
            session.context.on_message(sys.stdout.write)
            # As in base, a level below 0 is the highest one.
            highest = 2**31 - 1
            lib.cc_context_show(session.context.id, min(level if level > 0 else highest, highest))
            session.context.deliver()
            return 0
        for name, channel in zip(names, session.channels, strict=True):
            found = describe(name, channel)
            if wanted.as_json:
                if found["host"] == _NOWHERE:
                    found["host"] = None
                print_json(found | {"name": decode_name(name)})
                continue
            if found["native_type"] is None:
                out(table(name, [("State", found["state"])]))
                continue
            labels = ("State", "Host", "Access", "Native data type", "Request type",
                      "Element count")  # fmt: skip
            texts = [str(value) for value in list(found.values())[1:]]
            out(table(name, list(zip(labels, texts, strict=True))))
    return int(not complete)


def run_search(names: tuple[str, ...], wanted: Settings) -> int:
    """Print which servers have each PV. Returns the exit status."""
    from cachannel.cli.doctor import ask

    status = 0
    with Session(names, wanted) as session:
        # libca connects to the first server that answers; only our own search sees the others,
        # which may answer late. A name server, which is asked by TCP, is seen by libca alone.
        _, addresses, malformed = ClientSettings.from_environment()
        answers, faults = ask(names, min(wanted.wait or _OTHERS, _OTHERS), addresses)
        for fault in [*malformed.values(), *faults]:
            warn(fault)
        session.wait()
        for name, channel in zip(names, session.channels, strict=True):
            host = channel.host_name() if channel.connected else _NOWHERE
            address = None if host == _NOWHERE else dotted(host)
            found = ["{}:{}".format(*answer.address) for answer in answers if answer.name == name]
            servers = list(dict.fromkeys([*([address] if address else []), *sorted(found)]))
            if wanted.as_json:
                print_json({"name": decode_name(name), "address": address, "servers": servers})
            else:
                for server in servers:
                    out(f"{name} {server}")
                if address is None:
                    warn(f"{name}: not {'connected' if servers else 'found'} within "
                         f"{wanted.wait:g} s")  # fmt: skip
                elif len(servers) > 1:
                    warn(f"{name}: {len(servers)} servers answer; this client uses {address}")
            status |= address is None
    return status


def dotted(host: str) -> str:
    """Return ``address:port`` for the name of a host and its port."""
    import socket

    name, _, port = host.rpartition(":")
    if not name:
        return host  # of a record of an IOC in this process: without a port
    try:
        return f"{socket.gethostbyname(name)}:{port}"
    except OSError:
        return host
