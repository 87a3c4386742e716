"""A program in a terminal of its own, as a user has it: keys, interrupts, a window that changes."""

import os
import re
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Sequence

import pytest

try:
    import fcntl
    import pty
    import termios
except ImportError:  # Windows
    pty = None

from .ioc import clean_environment
from .scripts import Outcome

CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[()][A-Z0-9]|\x1b[=>]")


def plain(text: str) -> str:
    """Remove the control sequences of a terminal."""
    return CONTROL.sub("", text).replace("\r\n", "\n").replace("\r", "\n")


def open_terminal() -> tuple[int, int]:
    """Open both ends of a pseudo terminal, or skip the test where there is none.

    A container or a build service may have no /dev/ptmx, and what only a terminal shows cannot be
    tested there. This is the only reason for which a test of this project is skipped.
    """
    if pty is None:
        pytest.skip("this system has no pseudo terminals")
    try:
        return pty.openpty()
    except OSError as exc:
        pytest.skip(f"this test needs a pseudo terminal, and there is none: {exc}")


class Terminal:
    """A program whose standard streams are a terminal.

    Args:
        arguments: of Python.
        environment: more variables.
        rows: height of the window.
        columns: width of the window.

    Attributes:
        output: all that came so far, with the control sequences.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        environment: dict[str, str],
        *,
        rows: int = 24,
        columns: int = 80,
    ) -> None:
        self._end, other = open_terminal()
        self.resize(rows, columns, tell=False)
        variables = clean_environment() | {"TERM": "xterm-256color", "LANG": "C.UTF-8"}
        variables.pop("NO_COLOR", None)
        # A terminal of this size, not the one that the tests run in.
        for name in ("COLUMNS", "LINES"):
            variables.pop(name, None)
        variables |= environment
        variables["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        self._process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=other,
            stdout=other,
            stderr=other,
            env=variables,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0) and None,
        )
        os.close(other)
        self.output = ""

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *args: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        os.close(self._end)

    @property
    def pid(self) -> int:
        """Process number of the program."""
        return self._process.pid

    def resize(self, rows: int, columns: int, *, tell: bool = True) -> None:
        """Change the size of the window."""
        fcntl.ioctl(self._end, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        if tell:
            os.kill(self._process.pid, signal.SIGWINCH)

    def type(self, text: str) -> None:
        """Press keys; ``\\x03`` is Ctrl-C, ``\\x04`` Ctrl-D."""
        os.write(self._end, text.encode())

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self._end], [], [], max(seconds, 0.0))
        if not ready:
            return False
        try:
            data = os.read(self._end, 65536)
        except OSError:  # the other end is closed
            data = b""
        self.output += data.decode("utf-8", "replace")
        return bool(data)

    def expect(self, pattern: str, *, start: int = 0, timeout: float = 60.0) -> str:
        """Read until the text matches, control sequences removed.

        Args:
            pattern: a regular expression.
            start: where in `output` to look from.
            timeout: seconds.
        """
        deadline = time.monotonic() + timeout
        while re.search(pattern, plain(self.output[start:])) is None:
            left = deadline - time.monotonic()
            if left <= 0 or (not self._read(left) and self._process.poll() is not None):
                message = f"no {pattern!r} in {self.output[start:]!r}"
                raise AssertionError(message)
        return plain(self.output[start:])

    def wait(self, timeout: float = 60.0) -> Outcome:
        """Wait for the end. Returns all output as `stdout`."""
        deadline = time.monotonic() + timeout
        while self._read(deadline - time.monotonic()):
            pass
        code = self._process.wait(max(0.1, deadline - time.monotonic()))
        return Outcome(plain(self.output), "", code)
