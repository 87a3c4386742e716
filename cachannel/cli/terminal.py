"""What is different on a terminal: colours, and the way commands end."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import Final

__all__ = [
    "COLOURS",
    "coloured",
    "has_colours",
    "has_unicode",
    "interrupted",
    "needs_rich",
    "prepare",
]

COLOURS: Final = {1: "33", 2: "31", 3: "35"}
"""ANSI colours of the severities MINOR, MAJOR and INVALID."""


_locale_is_utf8 = True
"""Whether the locale of the process says that its terminal shows UTF-8; set by `prepare`."""


def prepare() -> None:
    """Let text of any encoding through unchanged, as C's printf does."""
    global _locale_is_utf8
    # They are None when a shell has closed them.
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    # With the locale C, Python itself uses UTF-8 (PEP 538, PEP 540); the terminal may not.
    encoding = (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "")
    _locale_is_utf8 = encoding == "utf8" and os.environ.get("LC_ALL") not in ("C", "POSIX")
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors="surrogateescape")


def has_unicode() -> bool:
    """Whether the terminal shows UTF-8, as the locale says."""
    return _locale_is_utf8


def has_colours() -> bool:
    """Whether standard output is a terminal that may be coloured (see no-color.org)."""
    return (
        sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    )


def coloured(text: str, severity: int) -> str:
    """Colour a line by the severity of its value."""
    colour = COLOURS.get(severity)
    return text if colour is None else f"\x1b[{colour}m{text}\x1b[0m"


def needs_rich(option: str) -> str:
    """Say what an option lacks; empty when nothing."""
    try:
        import rich  # noqa: F401
    except ImportError:
        return f"{option} needs rich: pip install 'cachannel-cffi[cli]'"
    return "" if sys.stdout.isatty() else f"{option} needs a terminal"


def interrupted(number: int = signal.SIGINT) -> int:
    """End as a signal ends any program, so that a shell script around it ends too.

    Args:
        number: the signal.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    if os.name == "posix":
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    return 128 + number
