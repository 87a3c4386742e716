"""Options and formats that the commands share."""

from __future__ import annotations

import argparse
import math
import re
import sys
from datetime import datetime
from string import Formatter
from typing import Any

from cachannel import __version__
from cachannel.client.common import GLOBAL_DEFAULT_TIMEOUT
from cachannel.client.values import string_encoding
from cachannel.protocol import text
from cachannel.protocol.channel_types import ChannelType
from cachannel.values.decode import elements

__all__ = ["ValueFormat", "formats", "listed", "logs", "parse_type", "parser", "show", "unescape"]

_GROUPS = ("native", "status", "time", "graphic", "control")


def parser(module: str, description: str) -> argparse.ArgumentParser:
    """Make a parser with the options that all commands have."""
    made = argparse.ArgumentParser(
        prog=f"python -m cachannel.commandline.{module}", description=description
    )
    made.add_argument(
        "--verbose",
        "-v",
        action="count",
        default=0,
        help="show log lines, and the traceback of a failure; -vv shows more lines",
    )
    made.add_argument("--version", "-V", action="version", version=__version__)
    made.add_argument(
        "--timeout",
        "-w",
        type=float,
        default=GLOBAL_DEFAULT_TIMEOUT,
        metavar="SEC",
        help="seconds to wait for a PV, and for an answer (default: %(default)s)",
    )
    made.add_argument(
        "--priority",
        "-p",
        type=int,
        default=0,
        metavar="N",
        help="priority of the circuit, 0 (lowest) to 99",
    )
    made.add_argument(
        "--format",
        metavar="TEXT",
        help="print this, with tokens filled in: {pv_name}, {response}, {response.data}, "
        "{timestamp}, {timestamp:%%H:%%M:%%S}; put also has {which}, monitor {callback_count} "
        "and {timedelta}",
    )
    made.add_argument("--no-color", action="store_true", help="accepted; lines are plain")
    made.add_argument("--no-repeater", action="store_true", help="start no repeater")
    return made


def logs(verbose: int) -> None:
    """Show log lines on standard error, as the option ``-v`` asks for."""
    if verbose:
        import logging

        from cachannel.logs import config_caproto_logging

        level = "DEBUG" if verbose > 1 else "INFO"
        logging.getLogger("cachannel").setLevel(level)
        config_caproto_logging(level=level)


def parse_type(text: str | None) -> int | str | None:
    """Find a type by the word for a group, by its number, or by its name in any case.

    A group, as a type, may have ``DBR_`` before its name.

    Raises:
        ValueError: there is no such type.
    """
    if text is None:
        return None
    group = text.lower().removeprefix("dbr_")
    if group in _GROUPS:
        return group
    name = text.upper().removeprefix("DBR_").replace("SHORT", "INT")
    try:
        return int(ChannelType(int(text)) if text.isdigit() else ChannelType[name])
    except (KeyError, ValueError):
        message = f"there is no type {text!r}; --list-types prints them"
        raise ValueError(message) from None


def type_list() -> str:
    """Return what ``--list-types`` prints: the groups, then the numbers and names of the types."""
    groups = "\n".join(_GROUPS)
    types = "\n".join(f"{int(member):<2d} {member.name}" for member in ChannelType)
    return (
        f"Groups, of which each PV has a type of its own:\n\n{groups}\n\n"
        f"Types, given by number, or by name in any case:\n\n{types}\n"
    )


def listed(response: Any) -> list[Any]:
    """Return the elements of a response as a plain list, without needing NumPy."""
    if not response.data_count or response._record[7] != 1:
        return []
    value = elements(response._record, response._buffer, 0, False)
    return value if isinstance(value, list) else [value]


def formats(made: argparse.ArgumentParser) -> None:
    """Add the options for the look of values."""
    made.add_argument(
        "-n", action="store_true", dest="numbers", help="print enumerations as numbers"
    )
    made.add_argument(
        "-s",
        action="store_true",
        dest="strings",
        help="print floating point numbers with six decimal places",
    )
    made.add_argument(
        "-S", action="store_true", dest="as_text", help="print arrays of CHAR as text"
    )
    made.add_argument(
        "-e", type=int, metavar="N", help="print floating point numbers as %%e, with N digits"
    )
    made.add_argument(
        "-f", type=int, metavar="N", help="print floating point numbers as %%f, with N digits"
    )
    made.add_argument(
        "-g", type=int, metavar="N", help="print floating point numbers as %%g, with N digits"
    )
    made.add_argument("-0", choices="xob", dest="integer", help="print integers in this base")
    for letter, what in (("x", "hex"), ("o", "octal"), ("b", "binary")):
        made.add_argument(f"-l{letter}", action="store_const", const=letter, dest="rounded",
                          help=f"print floating point numbers rounded, in {what}")  # fmt: skip
    made.add_argument("-#", type=int, dest="count", metavar="N", help="ask for N elements")
    made.add_argument(
        "-F", dest="separator", metavar="SEP", help="put SEP between values, and between fields"
    )


class ValueFormat:
    """How values are shown."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.floating = "g"
        for letter in "efg":
            digits = getattr(options, letter, None)
            if digits is not None:
                self.floating = f".{digits}{letter}"
        if getattr(options, "strings", False):
            self.floating = "f"
        self.integer = getattr(options, "integer", None)
        self.rounded = getattr(options, "rounded", None)
        self.as_text = getattr(options, "as_text", False)
        self.separator = getattr(options, "separator", None) or " "

    def one(self, value: Any) -> str:
        """Show one element."""
        if isinstance(value, bytes):
            return text.decode(value, string_encoding())
        if isinstance(value, str):
            return value
        if isinstance(value, float):
            if self.rounded is None or not math.isfinite(value):
                return format(value, self.floating)
            return f"0{self.rounded}{round(value):{self.rounded}}"
        prefix = {None: "", "x": "0x", "o": "0o", "b": "0b"}[self.integer]
        return prefix + format(int(value), self.integer or "d")

    def value(self, response: Any, brackets: bool = True) -> str:
        """Show all elements, in brackets."""
        values = listed(response)
        if self.as_text and response.data_type % 7 == 4:
            data = text.until_nul(bytes(v & 255 for v in values))
            return text.decode(data, string_encoding())
        shown = self.separator.join(self.one(value) for value in values)
        return f"[{shown}]" if brackets or len(values) != 1 else shown


class _Show(str):
    """Text for the token ``{response.data}``, whose items are still reachable."""

    response: Any

    def __getitem__(self, index: Any) -> Any:
        # Only here the data is made an array: NumPy takes longer to import than all the rest.
        return self.response.data[index]


class _Response:
    def __init__(self, response: Any, shown: ValueFormat) -> None:
        self._response = response
        self.data = _Show(shown.value(response))
        self.data.response = response

    def __getattr__(self, name: str) -> Any:
        return getattr(self._response, name)

    def __repr__(self) -> str:
        return repr(self._response)


def unescape(text: str) -> str:
    """Let users write line ends and tabs as escapes."""
    return text.replace("\\n", "\n").replace("\\t", "\t")


def stamp_of(response: Any) -> datetime | str:
    """Return local time of a response, or a text when it has none."""
    moment = response.timestamp
    return "" if moment is None else datetime.fromtimestamp(moment)


def show(layout: str, response: Any, shown: ValueFormat, **tokens: Any) -> None:
    """Print a line."""
    layout = unescape(layout)
    if shown.separator != " ":
        # Only the blanks between fields, and no padding.
        layout = layout.replace(": <40}", "}")
        layout = re.sub(r"(?<=\}) +(?=\{)", lambda _: shown.separator, layout)
    tokens |= {"response": _Response(response, shown), "timestamp": stamp_of(response)}
    try:
        filled = Formatter().vformat(layout, (), tokens)
    except (AttributeError, IndexError, KeyError, ValueError) as exc:
        # With the tokens that there are: the sentence of the exception is one word.
        known = ", ".join(sorted(tokens.keys() - {"bare"}))
        sys.stderr.write(f"--format: {exc!r}; the tokens are {known}\n")
        raise SystemExit(2) from None
    sys.stdout.write(filled + "\n")
    sys.stdout.flush()


def failed(exc: BaseException, verbose: int) -> None:
    """Tell of a failure on standard error."""
    if verbose:
        import traceback

        traceback.print_exception(exc)
    else:
        sys.stderr.write(f"{exc}\n")
