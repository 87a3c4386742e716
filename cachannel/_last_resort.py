"""What a person should know reaches standard error if the program has not set up logging.

Python prints warnings that no handler takes (`logging.lastResort`). The handler here, on the
logger ``cachannel``, does the same with two differences: a line that has just been printed is not
printed again, and exceptions that have been reported in another way are left out. An error that
carries an exception, such as that of a hook of an IOC, has its traceback behind the line. If the
program gives any handler to the root logger or to ``cachannel``, that handler gets everything, and
this one is silent.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from typing import Final

__all__ = ["REPORTED", "install"]

REPORTED: Final = {"reported": True}
"""``extra`` of records about things that standard error has seen already."""

_QUIET_SECONDS: Final = 60.0
"""A line is not printed again for so long."""
_MOST_LINES: Final = 500
"""Lines that are remembered."""


class _LastResort(logging.Handler):
    """Prints what no other handler takes."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._printed: dict[str, float] = {}
        self._guard = threading.Lock()

    def _is_alone(self, record: logging.LogRecord) -> bool:
        """Tell whether no other handler gets the record."""
        logger: logging.Logger | None = logging.getLogger(record.name)
        while logger is not None:
            if any(handler is not self for handler in logger.handlers):
                return False
            if not logger.propagate:
                return True
            logger = logger.parent
        return True

    def _is_repeated(self, line: str) -> bool:
        now = time.monotonic()
        with self._guard:
            last = self._printed.get(line)
            if last is not None and now - last < _QUIET_SECONDS:
                return True
            self._printed.pop(line, None)
            if len(self._printed) >= _MOST_LINES:
                self._printed.pop(next(iter(self._printed)))
            self._printed[line] = now
        return False

    def emit(self, record: logging.LogRecord) -> None:
        """Print the record, unless somebody else has it, or it was printed a moment ago."""
        if getattr(record, "reported", False) or not self._is_alone(record):
            return
        if logging.lastResort is None or sys.stderr is None:
            return  # the program wants silence, or has no terminal
        try:
            line = " ".join(record.getMessage().split())
            if record.exc_info:
                line += f": {record.exc_info[1]!r}"
            if not self._is_repeated(line):
                text = f"{record.name.partition('.')[0]}: {line}\n"
                if record.exc_info and record.levelno >= logging.ERROR:
                    text += logging.Formatter().formatException(record.exc_info) + "\n"
                sys.stderr.write(text)
                sys.stderr.flush()
        except Exception:
            self.handleError(record)


def install() -> None:
    """Let the logger ``cachannel`` print warnings that nothing else takes; once."""
    logger = logging.getLogger("cachannel")
    if not any(isinstance(handler, _LastResort) for handler in logger.handlers):
        logger.addHandler(_LastResort())
