"""Check that a release is what its tag says: package, changelog and citation agree on the version.

    python recipes/check_version.py 1.2.3

Prints each file that disagrees and exits with status 1 if any does.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent

PLACES = {
    "cachannel/__init__.py": r'^__version__ = "([^"]+)"',
    "CHANGELOG.md": r"^## (\d[^ ]*)",
    "CITATION.cff": r'^version: "?([^"\n]+)"?',
}
"""Where a version stands, and the pattern whose first match is the newest one."""


def disagreements(version: str, root: Path = ROOT) -> list[str]:
    """Return a sentence for each file whose version is another one."""
    wrong = []
    for name, pattern in PLACES.items():
        found = re.search(pattern, (root / name).read_text(encoding="utf-8"), re.MULTILINE)
        has = found.group(1) if found else "no version"
        if has != version:
            wrong.append(f"{name} has {has}, the release is {version}")
    return wrong


def main(arguments: list[str]) -> int:
    """Check the version given as the only argument."""
    if len(arguments) != 1:
        sys.stderr.write("usage: check_version.py VERSION\n")
        return 2
    wrong = disagreements(arguments[0])
    for sentence in wrong:
        sys.stderr.write(f"{sentence}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
