"""``python -m cachannel.commandline.repeater``."""

from __future__ import annotations

import sys

from cachannel import repeater

__all__ = ["main"]


def main() -> int:
    """Run a repeater until SIGINT or SIGTERM. Returns the exit status."""
    return repeater.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
