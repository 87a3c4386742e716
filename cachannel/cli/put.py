"""``cachannel put``."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import click

from cachannel.cli.formats import field_type, readable
from cachannel.cli.get import SHORTENED, show
from cachannel.cli.options import (
    CONTEXT_SETTINGS,
    Settings,
    base_option,
    common,
    given,
    hint,
    looks,
    nearest,
    settings,
    warn,
)
from cachannel.cli.readings import (
    CHAR,
    DOUBLE,
    ENUM,
    NORMAL,
    NOT_FOUND,
    STRING,
    as_json,
    decode_name,
    reason,
)
from cachannel.cli.work import Session, limit, out, print_json
from cachannel.engine import Encoded
from cachannel.errors import describe
from cachannel.protocol.text import decode as decode_text, encode as encode_text, until_nul

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
    -n: a number always). Escapes such as \\t and \\x41 are understood. Text is written as UTF-8.

    With --json a put that fails prints a last object whose "ok" is false and whose "error" says
    why.
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
    """A value that does not fit the PV; with the sentence for the user.

    Attributes:
        states: of an enumeration, if they were read.
        text: the value that is not one of them.
    """

    def __init__(self, message: str, text: str = "", states: Sequence[bytes] = ()) -> None:
        super().__init__(message)
        self.text = text
        self.states = [readable(state) for state in states]


def unescape(value: str) -> bytes:
    """Turn C escapes into the bytes they stand for."""

    def one(found: re.Match[bytes]) -> bytes:
        what = found.group(1)
        if what[:1] == b"x":
            return bytes([int(what[1:], 16)]) if len(what) > 1 else what
        if what.isdigit():
            return bytes([int(what, 8) & 255])
        return bytes([_ESCAPES[what]]) if what in _ESCAPES else what

    return _ESCAPE.sub(one, encode_text(value))


def run(
    name: str, values: tuple[str, ...], wanted: Settings, *, completion: bool, array: bool
) -> int:
    """Write, and print the value before and after. Returns the exit status."""
    # -s is about what is written here, and -# is without a meaning, as in base.
    shown = replace(wanted, count=0, as_strings=False)
    with Session([name], shown) as session:
        status = _write_and_tell(session, values, shown, wanted, completion=completion, array=array)
    if shown.shortened:
        hint(SHORTENED)
    return status


def _write_and_tell(
    session: Session,
    values: tuple[str, ...],
    shown: Settings,
    wanted: Settings,
    *,
    completion: bool,
    array: bool,
) -> int:
    """Do the work of `run`."""

    def fail(error: str, **more: Any) -> int:
        """Tell programs of a failure; returns the exit status."""
        if wanted.as_json:
            failed = {"which": "put", "name": decode_name(session.names[0]), "ok": False}
            print_json(failed | {"value": None, "error": error} | more)
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

    channel = session.channels[0]
    if not session.connect():
        # The channel may have connected since; the command has given up nevertheless.
        return fail(reason(NOT_FOUND if channel.status == NORMAL else channel.status))
    if array:
        # As in base, the number is only there to be read by people.
        values = values[1:]
    try:
        encoded = encode(session, values, wanted, array=array)
    except _UnfitError as exc:
        warn(str(exc))
        if not exc.states:
            return fail(str(exc))
        hint(list_states(session.names[0], exc.states))
        if near := nearest(exc.text, exc.states):
            hint(near)
        return fail(str(exc), enum_strings=exc.states)
    if wanted.layout != "terse":
        tell("old")
    if not channel.info().write_access:
        warn(f"ERROR from put operation: {describe(_NO_WRITE_ACCESS)}")
        return fail(describe(_NO_WRITE_ACCESS))
    error = write(session, encoded, completion=completion)
    if error:
        explain(session, values, encoded)
        return fail(error)
    tell("new")
    failures = [status for status in session.exceptions if status != _TIMEOUT]
    if failures:
        # The answer of the last read came after what the server had to say of the write.
        warn(f"ERROR from put operation: {describe(failures[0])}")
        explain(session, values, encoded)
        return fail(describe(failures[0]))
    if session.exceptions:
        return fail("the put was not completed in time")
    return 0


def list_states(name: str, states: Sequence[str]) -> str:
    """Say which states an enumeration has."""
    listed = ", ".join(f"{number} '{state}'" for number, state in enumerate(states))
    return f"The states of '{name}' are: {listed or 'none'}."


def write(session: Session, encoded: Encoded, *, completion: bool) -> str:
    """Write, and wait if asked to.

    Returns:
        Why the command ends here; empty if it goes on.
    """
    channel = session.channels[0]
    if not completion:
        status = channel.put(encoded)
        if status != NORMAL:
            warn(f"ERROR from put operation: {describe(status)}")
            return describe(status)
        return ""
    status, request = channel.put_request(encoded)
    if request is None:
        warn(f"ERROR from put operation: {describe(status)}")
        return describe(status)
    if not request.wait(limit(session.settings.wait)):
        warn("Write callback operation timed out")
        session.exceptions.append(_TIMEOUT)
        return ""
    answer = request.answer()
    if answer is not None and answer[0][7] != NORMAL:
        warn(f"ERROR occured writing data: {describe(answer[0][7])}")
        return describe(answer[0][7])
    return ""


def explain(session: Session, values: tuple[str, ...], encoded: Encoded) -> None:
    """Help a person with a value that the server did not take."""
    info = session.channels[0].info()
    name = session.names[0]
    if encoded.dbr_type != STRING or info.field_type in (STRING, ENUM):
        return
    if info.field_type == CHAR and info.element_count > 1:
        hint(f"'{name}' is an array of CHAR; put -S writes text to it.")
        return
    wrong = [value for value in values if not _is_number(value)]
    if wrong:
        hint(
            f"'{wrong[0]}' is not a number, and '{name}' is of type {field_type(info.field_type)}."
        )


def _is_number(value: str) -> bool:
    found = _NUMBER.match(value)
    return found is not None and not value[found.end() :].strip()


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
    data = b"".join(_forty(value) for value in values)
    return Encoded(STRING, len(values), data)


def _forty(value: bytes) -> bytes:
    """Return the 40 bytes of a text; no character of UTF-8 is cut in the middle."""
    characters = str(until_nul(value), "utf-8", "surrogateescape")
    return encode_text(characters, limit=39).ljust(40, b"\0")


def _enumerated(session: Session, values: tuple[str, ...], wanted: Settings) -> Encoded:
    (reading,) = session.read(lambda native: _GR_ENUM)
    if not reading.ok:
        raise _UnfitError("Read operation timed out: ENUM data was not read.")
    states = reading.states
    raw = [unescape(value) for value in values]
    found = [None if wanted.numbers else _state_number(value, states) for value in raw]
    if all(number is not None for number in found):
        return _texts([states[number] for number in found if number is not None])
    numbers = []
    for text, state in zip(values, found, strict=True):
        if state is not None:
            numbers.append(float(state))
            continue
        number = _leading_number(text)
        if wanted.as_strings or (number is None and not wanted.numbers):
            raise _UnfitError(f"Enum string value '{text}' invalid.", text, states)
        if number is None:
            raise _UnfitError(f"Enum index value '{text}' is not a number.", text, states)
        if number >= len(states):
            warn(f"Warning: enum index value '{text}' may be too large.")
            hint(list_states(session.names[0], [readable(state) for state in states]))
        numbers.append(number)
    return Encoded(DOUBLE, len(numbers), struct.pack(f"={len(numbers)}d", *numbers))


def _state_number(value: bytes, states: list[bytes]) -> int | None:
    """Find a state by its name; a state in Latin-1 too, which the user types as UTF-8."""
    if value in states:
        return states.index(value)
    names = [decode_text(state) for state in states]
    name = decode_text(value)
    return names.index(name) if name in names else None


def _leading_number(text: str) -> float | None:
    """Read the number that a text begins with, as C's strtod does; None when there is none."""
    found = _NUMBER.match(text)
    if found is None:
        return None
    try:
        return float.fromhex(found[1]) if found[2] else float(found[1])
    except OverflowError:
        return math.inf
