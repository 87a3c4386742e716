"""Command lines in pages of the documentation, and what stands below them."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

# What differs from run to run: any text of the same form will do.
_VARYING = [
    r"(?<=demo:temperature )\s*\S+ \S+ [\d.]+",  # a value that changes by itself, with its time
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}",  # a time stamp
    r"\d{10}\.\d+",  # a Unix time
    r"(?<=localhost:)\d+|(?<=127\.0\.0\.1:)\d+",  # a port
]


def read_sessions(page: Path, kind: str = "console") -> Iterator[tuple[str, str]]:
    """Yield the command lines in blocks of a kind, each with the output below it."""
    pattern = rf"^```{kind}\n(\$.*?)^```"
    for block in re.findall(pattern, page.read_text(), re.DOTALL | re.MULTILINE):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            yield command, output


def _plain(text: str) -> str:
    for number, form in enumerate(_VARYING):
        text = re.sub(form, f"<{number}>", text)
    return text


def matches(expected: str, printed: str) -> bool:
    """Whether an output is the expected one, but for times, ports and the like."""
    return _plain(expected) == _plain(printed)


def call(
    command: str, variables: dict[str, str], folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command line of a page in a shell."""
    python = shlex.quote(sys.executable)
    names = f'cachannel() {{ {python} -m cachannel "$@"; }}; python() {{ {python} "$@"; }}\n'
    return subprocess.run(
        ["sh", "-c", names + command],
        env=variables, cwd=folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
