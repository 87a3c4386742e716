"""``cachannel put``."""

from __future__ import annotations

import os
import re
import struct
from dataclasses import replace
from typing import Final

import click

from cachannel.cli.get import show
from cachannel.cli.options import (
    CONTEXT_SETTINGS,
    Settings,
    base_option,
    common,
    given,
    looks,
    settings,
    warn,
)
from cachannel.cli.readings import CHAR, DOUBLE, ENUM, NORMAL, STRING, as_json
from cachannel.cli.work import Session, limit, out, print_json
from cachannel.engine import Encoded
from cachannel.errors import describe

__all__ = ["command", "run", "unescape"]

_NO_WRITE_ACCESS: Final = 376
_GR_ENUM: Final = 24
_NUMBER: Final = re.compile(
    r"\s*([+-]?(?:(0[xX][0-9a-fA-F]+)|\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?))"
)
_TIMEOUT: Final = 80
_ESCAPES: Final = {b"a": 7, b"b": 8, b"f": 12, b"n": 10, b"r": 13, b"t": 9, b"v": 11}
_ESCAPE: Final = re.compile(rb"\\(x[0-9A-Fa-f]{1,2}|[0-7]{1,3}|.)", re.DOTALL)


@click.command(
    "put",
    context_settings=CONTEXT_SETTINGS | {"allow_interspersed_args": False},
    short_help="Write to a PV.",
)
@click.argument("name", metavar="PV")
@click.argument("values", nargs=-1, required=True, metavar="VALUE...")
@base_option("-c", "completion", is_flag=True, help="Wait until the record has finished.")
@base_option("-t", "terse", is_flag=True, help="Print the new value only.")
@base_option("-l", "wide", is_flag=True, help="Print time stamps and alarms.")
@base_option("-a", "array", is_flag=True, help="Write an array: its length, then its elements.")
@base_option("-n", "numbers", is_flag=True, help="Take the value of an enumeration as a number.")
@base_option("-s", "as_strings", is_flag=True, help="Take the value of an enumeration as a name.")
@base_option("-S", "as_text", is_flag=True, help="Write text to an array of CHAR.")
@base_option("-#", "count", metavar="N", hidden=True)
@looks
@common
def command(name: str, values: tuple[str, ...]) -> int:
    """Write to a PV and print its old and its new value, as caput does.

    Options come before the PV; what follows it is the value, so that -5 is a number. Several
    values are joined with blanks, unless -a is given. Values go to the server as text, which it
    converts; for an enumeration this is the name of a state or its number (-s: a name always,
    -n: a number always). Escapes such as \\t and \\x41 are understood.
    """
    misplaced = [value for value in values[1:] if value in ("--json", "--timeout", "--priority")]
    if misplaced:
        raise click.UsageError(f"The option {misplaced[0]} has to come before the PV.")
    wanted = settings("put")
    names = [key for key, _ in given()]
    # Of -S and -a the last one counts.
    last = [key for key in names if key in ("array", "as_text")][-1:]
    wanted.as_text = last == ["as_text"]
    return run(name, values, wanted, completion="completion" in names, array=last == ["array"])


class _UnfitError(Exception):
    """A value that does not fit the PV; with the sentence for the user."""


def unescape(text: str) -> bytes:
    """Turn C escapes into the bytes they stand for."""

    def one(found: re.Match[bytes]) -> bytes:
        what = found.group(1)
        if what[:1] == b"x":
            return bytes([int(what[1:], 16)]) if len(what) > 1 else what
        if what.isdigit():
            return bytes([int(what, 8) & 255])
        return bytes([_ESCAPES[what]]) if what in _ESCAPES else what

    return _ESCAPE.sub(one, os.fsencode(text))


def run(
    name: str, values: tuple[str, ...], wanted: Settings, *, completion: bool, array: bool
) -> int:
    """Write, and print the value before and after. Returns the exit status."""
    # -s is about what is written here, and -# is without a meaning, as in base.
    shown = replace(wanted, count=0, as_strings=False)
    with Session([name], shown) as session:
        if not session.connect():
            return 1
        channel = session.channels[0]
        if array:
            # As in base, the number is only there to be read by people.
            values = values[1:]
        try:
            encoded = encode(session, values, wanted, array=array)
        except _UnfitError as exc:
            warn(str(exc))
            return 1

        def tell(which: str) -> None:
            readings = session.read()
            if session.timed_out(readings):
                warn("Read operation timed out: PV data was not read.")
            for reading in readings:
                if wanted.as_json:
                    print_json({"which": which} | as_json(reading, as_text=wanted.as_text))
                elif wanted.layout == "terse":
                    out(show(reading, shown))
                else:
                    out(f"{which.title()} : {show(reading, shown)}")

        if wanted.layout != "terse":
            tell("old")
        if not channel.info().write_access:
            warn(f"ERROR from put operation: {describe(_NO_WRITE_ACCESS)}")
            return 1
        failed = write(session, encoded, completion=completion)
        if failed is not None:
            return failed
        tell("new")
        failures = [status for status in session.exceptions if status != _TIMEOUT]
        if failures:
            # The answer of the last read came after what the server had to say of the write.
            warn(f"ERROR from put operation: {describe(failures[0])}")
        return int(bool(session.exceptions))


def write(session: Session, encoded: Encoded, *, completion: bool) -> int | None:
    """Write, and wait if asked to.

    Returns:
        The exit status when the command ends here, otherwise None.
    """
    channel = session.channels[0]
    if not completion:
        status = channel.put(encoded)
        if status != NORMAL:
            warn(f"ERROR from put operation: {describe(status)}")
            return 1
        return None
    status, request = channel.put_request(encoded)
    if request is None:
        warn(f"ERROR from put operation: {describe(status)}")
        return 1
    if not request.wait(limit(session.settings.wait)):
        warn("Write callback operation timed out")
        session.exceptions.append(_TIMEOUT)
        return None
    answer = request.answer()
    if answer is not None and answer[0][7] != NORMAL:
        warn(f"ERROR occured writing data: {describe(answer[0][7])}")
        return 1
    return None


def encode(session: Session, values: tuple[str, ...], wanted: Settings, *, array: bool) -> Encoded:
    """Make what is sent: text mostly, so that the server converts it."""
    info = session.channels[0].info()
    if not array:
        values = (" ".join(values),)
    if info.field_type == ENUM:
        return _enumerated(session, values, wanted)
    if wanted.as_text and not array:
        data = unescape(values[0]) + b"\0"
        return Encoded(CHAR, len(data), data)
    if not values:
        # rsrv takes no empty array of text.
        return Encoded(info.field_type, 0, b"")
    return _texts([unescape(value) for value in values])


def _texts(values: list[bytes]) -> Encoded:
    data = b"".join(value.split(b"\0")[0][:39].ljust(40, b"\0") for value in values)
    return Encoded(STRING, len(values), data)


def _enumerated(session: Session, values: tuple[str, ...], wanted: Settings) -> Encoded:
    (reading,) = session.read(lambda native: _GR_ENUM)
    if not reading.ok:
        raise _UnfitError("Read operation timed out: ENUM data was not read.")
    states = reading.states
    raw = [unescape(value) for value in values]
    if not wanted.numbers and all(value in states for value in raw):
        return _texts(raw)
    numbers = []
    for text, value in zip(values, raw, strict=True):
        if not wanted.numbers and value in states:
            numbers.append(float(states.index(value)))
            continue
        number = _leading_number(text)
        if wanted.as_strings or (number is None and not wanted.numbers):
            raise _UnfitError(f"Enum string value '{text}' invalid.")
        if number is None:
            raise _UnfitError(f"Enum index value '{text}' is not a number.")
        if number >= len(states):
            warn(f"Warning: enum index value '{text}' may be too large.")
        numbers.append(number)
    return Encoded(DOUBLE, len(numbers), struct.pack(f"={len(numbers)}d", *numbers))


def _leading_number(text: str) -> float | None:
    """Read the number that a text begins with, as C's strtod does; None when there is none."""
    found = _NUMBER.match(text)
    if found is None:
        return None
    return float.fromhex(found[1]) if found[2] else float(found[1])
