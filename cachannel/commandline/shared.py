"""Options and formats that the commands share."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime
from string import Formatter
from typing import Any

from cachannel import __version__
from cachannel.client.common import GLOBAL_DEFAULT_TIMEOUT
from cachannel.client.values import string_encoding

__all__ = ["ValueFormat", "parser", "show", "unescape"]


def parser(description: str) -> argparse.ArgumentParser:
    """Make a parser with the options that all commands have."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--verbose", "-v", action="count", default=0, help="show tracebacks and logs")
    made.add_argument("--version", "-V", action="version", version=__version__)
    made.add_argument("--timeout", "-w", type=float, default=GLOBAL_DEFAULT_TIMEOUT, metavar="SEC")
    made.add_argument("--priority", "-p", type=int, default=0, help="0 to 99")
    made.add_argument("--format", help="text with tokens such as {pv_name} and {response.data}")
    made.add_argument("--no-color", action="store_true", help="accepted; lines are plain")
    made.add_argument("--no-repeater", action="store_true", help="start no repeater")
    return made


def formats(made: argparse.ArgumentParser) -> None:
    """Add the options for the look of values."""
    made.add_argument("-n", action="store_true", dest="numbers", help="enumerations as numbers")
    made.add_argument("-s", action="store_true", dest="strings", help="floats as text")
    made.add_argument("-S", action="store_true", dest="as_text", help="arrays of CHAR as text")
    made.add_argument("-e", type=int, metavar="N", help="%%e with N digits")
    made.add_argument("-f", type=int, metavar="N", help="%%f with N digits")
    made.add_argument("-g", type=int, metavar="N", help="%%g with N digits")
    made.add_argument("-0", choices="xob", dest="integer", help="integers as hex, octal, binary")
    made.add_argument("-F", dest="separator", metavar="SEP", help="text between values")


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
        self.as_text = getattr(options, "as_text", False)
        self.separator = getattr(options, "separator", None) or " "

    def one(self, value: Any) -> str:
        """Show one element."""
        if isinstance(value, bytes):
            return value.decode(string_encoding())
        if isinstance(value, str):
            return value
        if isinstance(value, float):
            return format(value, self.floating)
        prefix = {None: "", "x": "0x", "o": "0o", "b": "0b"}[self.integer]
        return prefix + format(int(value), self.integer or "d")

    def value(self, response: Any, brackets: bool = True) -> str:
        """Show all elements, in brackets."""
        from cachannel.cli.formats import listed

        values = listed(response)
        if self.as_text and response.data_type % 7 == 4:
            return bytes(v & 255 for v in values).split(b"\0")[0].decode(string_encoding())
        text = self.separator.join(self.one(value) for value in values)
        return f"[{text}]" if brackets or len(values) != 1 else text


class _Show(str):
    """Text for the token ``{response.data}``, whose items are still reachable."""

    items: Any

    def __getitem__(self, index: Any) -> Any:
        return self.items[index]


class _Response:
    def __init__(self, response: Any, shown: ValueFormat) -> None:
        self._response = response
        self.data = _Show(shown.value(response))
        self.data.items = response.data

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
    if shown.separator != " " and "timestamp:" not in layout:
        layout = layout.replace("  ", shown.separator).replace(" ", shown.separator)
    tokens |= {"response": _Response(response, shown), "timestamp": stamp_of(response)}
    filled = Formatter().vformat(layout, (), tokens)
    sys.stdout.write(filled + "\n")
    sys.stdout.flush()


def failed(exc: BaseException, verbose: int) -> None:
    """Tell of a failure on standard error."""
    if verbose:
        import traceback

        traceback.print_exception(exc)
    else:
        sys.stderr.write(f"{exc}\n")
