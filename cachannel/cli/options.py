"""The options of EPICS base's tools, read as those read them.

Base reads its options one after the other: of several that exclude each other the last one
counts, and an argument that makes no sense is told on standard error and ignored. So the values
are remembered in the order of the command line, and `settings` goes through them in that order.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import click

from cachannel.cli.terminal import has_unicode
from cachannel.protocol.dbr import LAYOUTS

__all__ = [
    "CONTEXT_SETTINGS",
    "Settings",
    "base_option",
    "common",
    "dbr_number",
    "formats",
    "given",
    "hint",
    "looks",
    "nearest",
    "print_version",
    "rounding",
    "settings",
    "warn",
]

F = TypeVar("F", bound=Callable[..., Any])
CONTEXT_SETTINGS: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 96}
_GIVEN: Final = "cachannel.cli.given"
_MOST_DIGITS: Final = 18
_PUT_ACKS: Final = (35, 36)
_GROUPS: Final = ("native", "status", "time", "graphic", "control")


def warn(text: str) -> None:
    """Write a line to standard error, after what standard output has so far."""
    sys.stdout.flush()
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def hint(text: str) -> None:
    """Write a line that helps a person: to standard error, if that is a terminal.

    Scripts read what EPICS base's tools write, and no more.
    """
    if sys.stderr.isatty():
        warn(text)


def _remember(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    # click calls back in the order of the command line.
    if value not in (None, False):
        context.meta.setdefault(_GIVEN, []).append((parameter.name, value))
    return value


def base_option(*names: str, **how: Any) -> Callable[[F], F]:
    """Make an option whose place among the others matters; see `settings`."""
    return click.option(*names, callback=_remember, expose_value=False, **how)


def nearest(word: str, known: Sequence[str]) -> str:
    """Ask ``Did you mean ...?`` with the known words that resemble a word; empty if none does."""
    import difflib

    folded: dict[str, str] = {}
    for name in known:
        folded.setdefault(name.casefold(), name)
    close = difflib.get_close_matches(word.casefold(), list(folded), 3, 0.5)
    return f"Did you mean {' or '.join(repr(folded[name]) for name in close)}?" if close else ""


def apply(function: F, options: tuple[Callable[[F], F], ...]) -> F:
    """Put options on a function, in the order of its help text."""
    for option in reversed(options):
        function = option(function)
    return function


def print_version(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    """Print the version and leave, if the option is there."""
    if wanted and not context.resilient_parsing:
        from cachannel import __version__
        from cachannel._native import ffi, lib

        protocol = ffi.string(lib.ca_version()).decode()
        click.echo(f"cachannel {__version__}, CA Protocol version {protocol}")
        context.exit()


def given() -> list[tuple[str, Any]]:
    """Return names and values of the remembered options of the command that runs."""
    return list(click.get_current_context().meta.get(_GIVEN, ()))


def common(function: F) -> F:
    """Add the options that all commands for PVs have."""
    return apply(function, (
        base_option("-w", "--timeout", "wait", metavar="SEC",
                    help="Seconds to wait for PVs and answers; 1.0, or EPICS_CLI_TIMEOUT."),
        base_option("-p", "--priority", "priority", metavar="N",
                    help="Priority of the circuit, 0 (lowest) to 99."),
        base_option("--json", "as_json", is_flag=True, help="Print JSON, one object a line."),
        click.option("-V", "--version", is_flag=True, is_eager=True, expose_value=False,
                     callback=print_version, help="Print the version and exit."),
    ))  # fmt: skip


def formats(function: F) -> F:
    """Add the options for the look of values, and for how they are asked for."""
    return apply(function, (
        base_option("-n", "numbers", is_flag=True,
                    help="Print enumerations as numbers; on a terminal arrays of CHAR too."),
        base_option("-s", "as_strings", is_flag=True,
                    help="Get floating point numbers as text, with the record's precision."),
        base_option("-S", "as_text", is_flag=True, help="Print arrays of CHAR as text."),
        base_option("-#", "count", metavar="N", help="Get at most N elements of arrays."),
        looks,
    ))  # fmt: skip


def looks(function: F) -> F:
    """Add the options for the look of numbers and lines."""
    return apply(function, (
        base_option("-e", "exponent", metavar="N",
                    help="Print floating point numbers as 1.5e+01, with N digits."),
        base_option("-f", "fixed", metavar="N",
                    help="Print floating point numbers as 15.00, with N digits."),
        base_option("-g", "general", metavar="N",
                    help="Print floating point numbers with N significant digits; 6 by default."),
        base_option("-0", "integer", metavar="[x|o|b]",
                    help="Print integers in hexadecimal, octal or binary."),
        base_option("-F", "separator", metavar="C", help="Put C between the fields of a line."),
        base_option("--all", "whole", is_flag=True,
                    help="Print all elements of arrays, on a terminal too."),
    ))  # fmt: skip


def rounding(function: F) -> F:
    """Add the option ``-l`` of get and monitor."""
    return base_option("-l", "rounded", metavar="[x|o|b]",
                       help="Round floating point numbers and print them as -0 does integers.",
                       )(function)  # fmt: skip


@dataclass
class Settings:
    """What the options ask for.

    Attributes:
        wait: seconds for connecting, and again for answers.
        priority: 0 to 99.
        layout: 'plain', 'terse', 'wide' (with time and alarm), 'type' (all that a type brings).
        dbr_type: the type of `layout` 'type'.
        group: in place of `dbr_type` a word such as 'control', for the native type's.
        current: ask for the current length of arrays, not for their capacity.
        count: elements to ask for; 0: all.
        numbers: enumerations as numbers.
        as_strings: floating point numbers as text.
        as_text: arrays of CHAR as text.
        floating: format of floating point numbers, such as ``'.3f'``.
        integer: 'd', 'x', 'o' or 'b' for integers.
        rounded: the same for floating point numbers; 'd' for not rounded.
        separator: between the fields of a line.
        as_json: print JSON.
        whole: print all elements of arrays, on a terminal too.
        on_terminal: standard output is a terminal: text in arrays of CHAR is printed as text,
            and long arrays are shortened.
        unicode: print text as it is, not with C escapes for all that is not ASCII.
        shortened: set as soon as an array has been printed without all its elements.
    """

    wait: float = 1.0
    priority: int = 0
    layout: str = "plain"
    dbr_type: int = -1
    group: str = ""
    current: bool = False
    count: int = 0
    numbers: bool = False
    as_strings: bool = False
    as_text: bool = False
    floating: str = "g"
    integer: str = "d"
    rounded: str = "d"
    separator: str = " "
    as_json: bool = False
    whole: bool = False
    on_terminal: bool = False
    unicode: bool = False
    shortened: bool = False


def settings(tool: str) -> Settings:
    """Read the remembered options of the command that runs.

    Args:
        tool: its name, for the warnings.
    """
    made = Settings(wait=_default_wait())
    made.on_terminal = sys.stdout.isatty()
    made.unicode = made.on_terminal and has_unicode()
    help_hint = f"('cachannel {tool} -h' for help.)"
    layouts = []
    for name, value in given():
        if name in ("as_json", "current", "numbers", "as_strings", "as_text", "whole"):
            setattr(made, name, True)
        elif name == "wait":
            seconds = _number(value)
            if seconds is None:
                warn(f"'{value}' is not a valid timeout value - ignored, "
                     f"using '{made.wait:.1f}'. {help_hint}")  # fmt: skip
            else:
                made.wait = seconds
        elif name == "priority":
            priority = _whole(value)
            if priority is None:
                warn(f"'{value}' is not a valid CA priority - ignored. {help_hint}")
            else:
                made.priority = 99 if priority < 0 else min(priority, 99)
        elif name == "count":
            count = _whole(value)
            if count is None:
                warn(f"'{value}' is not a valid array element count - ignored. {help_hint}")
            else:
                # Less than nothing is everything, but told as a count.
                made.count = count if count >= 0 else sys.maxsize
        elif name in ("exponent", "fixed", "general"):
            _read_digits(made, name[0], value)
        elif name in ("integer", "rounded"):
            if value[:1] in ("x", "o", "b"):
                setattr(made, name, value[0])
                if name == "integer":
                    made.dbr_type, made.group = 5, ""
            else:
                option = "0" if name == "integer" else "l"
                warn(f"Invalid argument '{value}' for option '-{option}' - ignored.")
        elif name == "separator":
            made.separator = value[:1] or "\0"
        elif name == "type":
            if _read_type(made, value, help_hint):
                layouts.append("type")
        elif name in ("terse", "wide"):
            layouts.append(name)
    if layouts:
        made.layout = layouts[-1]
        if len(layouts) > 1 and tool == "get":
            warn(f"Options t,d,a are mutually exclusive. {help_hint}")
    return made


def _default_wait() -> float:
    text = os.environ.get("EPICS_CLI_TIMEOUT")
    if text is None:
        return 1.0
    seconds = _number(text)
    if seconds is None:
        warn(f"'{text}' is not a valid timeout value (from 'EPICS_CLI_TIMEOUT' in the "
             "environment) - ignored. (use '-h' for help.)")  # fmt: skip
        return 1.0
    return seconds


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _whole(text: str) -> int | None:
    found = re.match(r"\s*[+-]?\d+", text)
    return None if found is None else int(found.group())


def _read_digits(made: Settings, letter: str, text: str) -> None:
    digits = _whole(text)
    if digits is None:
        warn(f"Invalid precision argument '{text}' for option '-{letter}' - ignored.")
    elif not 0 <= digits <= _MOST_DIGITS:
        warn(f"Precision {digits} for option '-{letter}' out of range - ignored.")
    else:
        made.floating = f".{digits}{letter}"


def _read_type(made: Settings, text: str, help_hint: str) -> bool:
    if text.lower() in _GROUPS:
        made.dbr_type, made.group = -1, text.lower()
        return True
    number = dbr_number(text)
    if number is None:
        warn(f"Requested dbr type out of range or invalid - ignored. {help_hint}")
        names = [layout.name.removeprefix("DBR_") for layout in LAYOUTS]
        word = text.upper().removeprefix("DBR_")
        if near := nearest(word, [*names, *(group.upper() for group in _GROUPS)]):
            hint(near)
        return False
    made.dbr_type, made.group = number, ""
    return True


def dbr_number(text: str) -> int | None:
    """Find the number of a request type by its number or its name; None when there is none.

    Names may be in small letters, and with or without ``DBR_``.
    """
    number = _whole(text)
    if number is None:
        name = "DBR_" + text.upper().removeprefix("DBR_")
        name = name.replace("_INT", "_SHORT")
        number = next((i for i, layout in enumerate(LAYOUTS) if layout.name == name), None)
    if number is None or not 0 <= number < len(LAYOUTS) or number in _PUT_ACKS:
        return None
    return number
