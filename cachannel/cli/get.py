"""``cachannel get``."""

from __future__ import annotations

import click

from cachannel.cli.formats import labelled, line, value_text, wide
from cachannel.cli.options import (
    CONTEXT_SETTINGS,
    Settings,
    base_option,
    common,
    formats,
    hint,
    rounding,
    settings,
    warn,
)
from cachannel.cli.readings import Reading, as_json
from cachannel.cli.terminal import coloured, has_colours
from cachannel.cli.work import Session, out, print_json

__all__ = ["SHORTENED", "command", "run", "show"]

SHORTENED = "Long arrays are shortened on a terminal; --all prints all elements."


@click.command("get", context_settings=CONTEXT_SETTINGS, short_help="Read PVs.")
@click.argument("names", nargs=-1, required=True, metavar="PV...")
@base_option("-t", "terse", is_flag=True, help="Print values only, without names.")
@base_option("-a", "wide", is_flag=True, help="Print name, time stamp, value and alarm.")
@base_option(
    "-d",
    "type",
    metavar="TYPE",
    help="Ask for a type and print all it brings: a name such as CTRL_DOUBLE, a number, or one of "
    "native, status, time, graphic, control.",
)
@base_option("-c", "current", is_flag=True, help="Get arrays in their current length.")
@formats
@rounding
@common
def command(names: tuple[str, ...]) -> int:
    """Read PVs and print their values, as caget does.

    Prints one line for each PV, in the order given. If a PV is not found in time, the exit status
    is 1, and the names of such PVs go to standard error. On a terminal, and with --json, the
    other PVs are printed nevertheless; elsewhere nothing is, as with caget.

    On a terminal, arrays of CHAR that hold text are printed as text, and of arrays with more than
    20 elements the first 20.
    """
    return run(names, settings("get"))


def run(names: tuple[str, ...], wanted: Settings) -> int:
    """Read PVs and print them. Returns the exit status."""
    with Session(names, wanted) as session:
        complete = session.connect()
        if not complete and not wanted.as_json and not wanted.on_terminal:
            return 1
        readings = session.read(current=wanted.current) + session.missing()
    readings.sort(key=lambda reading: reading.index)
    if session.timed_out(readings):
        warn("Read operation timed out: some PV data was not read.")
    colours = has_colours()
    for reading in readings:
        if wanted.as_json:
            print_json(as_json(reading, as_text=wanted.as_text))
        else:
            text = show(reading, wanted)
            out(coloured(text, reading.alarm[1]) if colours else text)
    if wanted.shortened:
        hint(SHORTENED)
    return int(not complete or not all(reading.ok for reading in readings))


def show(reading: Reading, wanted: Settings) -> str:
    """Return the text of a value in the layout that is asked for."""
    if wanted.layout == "type":
        return labelled(reading, wanted)
    if wanted.layout == "wide":
        return wide(reading, wanted)
    return value_text(reading, wanted) if wanted.layout == "terse" else line(reading, wanted)
