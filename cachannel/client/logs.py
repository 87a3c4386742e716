"""Logging for programs that want lines without setting up `logging` themselves."""

from __future__ import annotations

import logging
import sys
from fnmatch import fnmatchcase
from typing import Any, TextIO

__all__ = [
    "AddressFilter",
    "PVFilter",
    "RoleFilter",
    "config_caproto_logging",
    "get_handler",
    "set_handler",
]

_ROOT = logging.getLogger("cachannel")
_current: logging.Handler | None = None


class _Filter(logging.Filter):
    """Lets pass what matches, and what is more urgent than `level` or about something else.

    Args:
        wanted: what to let pass.
        level: records of this level and above pass in any case.
        exclusive: records that say nothing about the matter do not pass.
    """

    def __init__(self, *wanted: Any, level: str | int = "WARNING", exclusive: bool = False):
        super().__init__()
        self.wanted = wanted
        number = logging.getLevelName(level) if isinstance(level, str) else level
        self.levelno = int(number)
        self.exclusive = exclusive

    def _matches(self, record: logging.LogRecord) -> bool | None:
        raise NotImplementedError

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno >= self.levelno:
            return True
        found = self._matches(record)
        return not self.exclusive if found is None else found


class PVFilter(_Filter):
    """Lets pass records about PVs whose names match patterns such as ``'motor:*'``."""

    def _matches(self, record: logging.LogRecord) -> bool | None:
        pv = getattr(record, "pv", None)
        return None if pv is None else any(fnmatchcase(pv, wanted) for wanted in self.wanted)


class AddressFilter(_Filter):
    """Lets pass records about servers: hosts, ``'host:port'`` or (host, port)."""

    def _matches(self, record: logging.LogRecord) -> bool | None:
        found = {getattr(record, "our_address", None), getattr(record, "their_address", None)}
        addresses = [address for address in found if address is not None]
        if not addresses:
            return None
        for host, port in addresses:
            if any(w in (host, f"{host}:{port}", (host, port)) for w in self.wanted):
                return True
        return False


class RoleFilter(_Filter):
    """Lets pass records of ``'CLIENT'`` or ``'SERVER'``."""

    def _matches(self, record: logging.LogRecord) -> bool | None:
        role = getattr(record, "role", None)
        if role is None:
            return None
        return str(getattr(role, "name", role)) in {str(getattr(w, "name", w)) for w in self.wanted}


def config_caproto_logging(
    file: str | TextIO | None = None, datefmt: str = "%H:%M:%S", color: bool = True,
    level: str | int = "WARNING",
) -> logging.Handler:  # fmt: skip
    """Send the log lines of this package to a stream or file, in place of the last call's.

    Args:
        file: a stream, or the name of a file; None: standard error.
        datefmt: format of the time.
        color: without effect; lines are plain.
        level: what is logged.

    Returns:
        The handler.
    """
    global _current
    handler: logging.Handler
    if isinstance(file, str):
        handler = logging.FileHandler(file, encoding="utf-8")
    else:
        handler = logging.StreamHandler(sys.stderr if file is None else file)
    layout = "[%(levelname).1s %(asctime)s.%(msecs)03d %(module)s:%(lineno)d] %(message)s"
    handler.setFormatter(logging.Formatter(layout, datefmt))
    handler.setLevel(level)
    if _current is not None:
        _ROOT.removeHandler(_current)
        _current.close()
    _ROOT.addHandler(handler)
    _current = handler
    if _ROOT.getEffectiveLevel() > handler.level:
        _ROOT.setLevel(handler.level)
    return handler


set_handler = config_caproto_logging


def get_handler() -> logging.Handler | None:
    """Return the handler that `config_caproto_logging` made last."""
    return _current
