"""Running Python scripts as a user does: in a process of their own."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from .ioc import clean_environment


@dataclass(frozen=True)
class Outcome:
    """What a script printed, and how it ended (`code` is negative after a signal)."""

    stdout: str
    stderr: str
    code: int

    @property
    def lines(self) -> list[str]:
        """The lines of standard output."""
        return self.stdout.splitlines()

    def succeeded(self) -> "Outcome":
        """Fail the test unless the script ended with 0 and wrote nothing to standard error."""
        assert (self.code, self.stderr) == (0, ""), self
        return self


def run_python(
    arguments: Sequence[str], environment: dict[str, str], timeout: float = 120
) -> Outcome:
    """Run ``python`` with these arguments; warnings of Python are errors there too."""
    variables = clean_environment() | {"PYTHONWARNINGS": "error"} | environment
    variables["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        env=variables,
        timeout=timeout,
        check=False,
    )
    return Outcome(done.stdout, done.stderr, done.returncode)


def run_text(text: str, environment: dict[str, str], timeout: float = 120) -> Outcome:
    """Run the text of a script; its common indentation is removed."""
    return run_python(["-c", textwrap.dedent(text)], environment, timeout)
