"""Log lines: ``[I 12:34:56.789 module:  42] text``, and filters by PV, address, role.

One set-up for IOCs and clients; nothing is set up unless a program calls it. An IOC's lines have
the date, and the IOC's name in place of the module: ``[I 2026-12-01 12:34:56.789 sim:] text``.
"""

from __future__ import annotations

import fnmatch
import logging
import sys
from typing import Any, Literal, TextIO

from cachannel.protocol.errors import CaprotoValueError

__all__ = [
    "AddressFilter",
    "LogFormatter",
    "PVFilter",
    "RoleFilter",
    "color_logs",
    "config_caproto_logging",
    "get_handler",
    "set_handler",
]

_COLORS = {"D": "\033[34m", "I": "\033[32m", "W": "\033[33m", "E": "\033[31m", "C": "\033[35m"}
_PLAIN = "\033[0m"


class LogFormatter(logging.Formatter):
    """Formats ``[L HH:MM:SS.mmm module: line] text``; further lines are indented by four.

    Args:
        fmt: another format, in which ``color`` and ``end_color`` are fields too.
        datefmt: of the time.
        style: of `fmt`, see `logging.Formatter`.
        color: colour the bracket by level.
        name: of the program, to stand in place of module and line.
    """

    def __init__(
        self,
        fmt: str | None = None,
        datefmt: str = "%H:%M:%S",
        style: Literal["%", "{", "$"] = "%",
        *,
        color: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(fmt, datefmt, style, defaults={"color": "", "end_color": ""})
        self._name = name
        self._own = fmt is None
        self._color = color

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        level = record.levelname[0]
        colored = self._color and level in _COLORS
        if not self._own:
            record.color, record.end_color = (_COLORS[level], _PLAIN) if colored else ("", "")
            return super().format(record).replace("\n", "\n    ")
        text = record.getMessage()
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            text = f"{text.rstrip()}\n{record.exc_text}"
        when = f"{self.formatTime(record, self.datefmt)}.{int(record.msecs):03d}"
        place = f"{record.module:>12s}:{record.lineno:5d}" if self._name is None else self._name
        head = f"[{level} {when} {place}]"
        if colored:
            head = f"{_COLORS[level]}{head}{_PLAIN}"
        return f"{head} {text}".replace("\n", "\n    ")


class _AttributeFilter(logging.Filter):
    """Lets records of certain values of some attributes pass, and all that are bad enough."""

    attributes: tuple[str, ...] = ()

    def __init__(self, *wanted: Any, level: str | int = "WARNING", exclusive: bool = False) -> None:
        super().__init__()
        self.wanted = wanted
        number = logging.getLevelName(level.upper()) if isinstance(level, str) else level
        if not isinstance(number, int):
            raise CaprotoValueError(f"{level!r} is no level of logging")
        self.level = number
        self.exclusive = exclusive

    def matches(self, value: Any) -> bool:
        """Tell whether a value is wanted."""
        return value in self.wanted

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a record passes."""
        if record.levelno >= self.level:
            return True
        found = [getattr(record, name, None) for name in self.attributes]
        values = [value for value in found if value is not None]
        if not values:
            return not self.exclusive
        return any(self.matches(value) for value in values)


class PVFilter(_AttributeFilter):
    """Lets records about certain PVs pass; names may hold ``*`` and ``?``.

    Args:
        *names: PV names.
        level: records of this level or above always pass.
        exclusive: records that are about no PV do not pass.
    """

    attributes = ("pv",)

    def matches(self, value: Any) -> bool:
        """Tell whether a PV is wanted."""
        return any(fnmatch.fnmatchcase(str(value), name) for name in self.wanted)


class AddressFilter(_AttributeFilter):
    """Lets records about certain peers pass, given as host, ``host:port`` or (host, port).

    Args:
        *addresses: of the peers.
        level: records of this level or above always pass.
        exclusive: records that are about no peer do not pass.
    """

    attributes = ("their_address", "our_address")

    def matches(self, value: Any) -> bool:
        """Tell whether a peer is wanted."""
        host, port = (value[0], value[1]) if isinstance(value, tuple) else (value, None)
        return any(
            wanted in (host, f"{host}:{port}") or wanted == (host, port) for wanted in self.wanted
        )


class RoleFilter(_AttributeFilter):
    """Lets records of one role pass.

    Args:
        role: ``'CLIENT'`` or ``'SERVER'``, or the member of that name.
        level: records of this level or above always pass.
        exclusive: records without a role do not pass.
    """

    attributes = ("role",)

    def __init__(self, role: Any, level: str | int = "WARNING", exclusive: bool = False) -> None:
        super().__init__(role, level=level, exclusive=exclusive)

    def matches(self, value: Any) -> bool:
        """Tell whether a role is wanted."""
        wanted = self.wanted[0]
        found, asked = (str(getattr(role, "name", role)).upper() for role in (value, wanted))
        return found == asked


_handler: logging.Handler | None = None


def config_caproto_logging(
    file: TextIO | str | None = None,
    datefmt: str = "%H:%M:%S",
    color: bool = True,
    level: str | int = "WARNING",
    *,
    name: str | None = None,
) -> logging.Handler:
    """Show log lines of the package; a second call replaces the first one's handler.

    Args:
        file: a stream, or the name of a file to append to; standard output if absent.
        datefmt: of the time.
        color: use colours, if the stream is a terminal.
        level: of the handler.
        name: of the program, to stand in place of module and line.

    Returns:
        The handler.
    """
    global _handler
    handler: logging.Handler
    if isinstance(file, str):
        handler = logging.FileHandler(file, encoding="utf-8")
        color = False
    else:
        stream = sys.stdout if file is None else file
        handler = logging.StreamHandler(stream)
        color = color and getattr(stream, "isatty", lambda: False)()
    handler.setFormatter(LogFormatter(datefmt=datefmt, color=color, name=name))
    handler.setLevel(level)
    log = logging.getLogger("cachannel")
    if _handler is not None:
        log.removeHandler(_handler)
        _handler.close()
    _handler = handler
    log.addHandler(handler)
    wanted = logging.getLevelName(level) if isinstance(level, str) else level
    if log.getEffectiveLevel() > wanted:
        log.setLevel(wanted)
    return handler


set_handler = config_caproto_logging


def get_handler() -> logging.Handler | None:
    """Return the handler that `config_caproto_logging` made last, None if it made none."""
    return _handler


def color_logs(color: bool) -> None:
    """Switch colours on or off; deprecated, `config_caproto_logging` has an argument for it."""
    config_caproto_logging(color=color)
