"""``python -m cachannel.commandline.repeater``."""

from __future__ import annotations

import argparse
import logging
import sys

from cachannel import __version__, repeater
from cachannel.logs import config_caproto_logging
from cachannel.protocol.settings import ClientSettings

__all__ = ["main"]


def main() -> int:
    """Run a repeater until SIGINT or SIGTERM. Returns the exit status."""
    port = ClientSettings.from_environment().values["EPICS_CA_REPEATER_PORT"]
    parser = argparse.ArgumentParser(
        prog="python -m cachannel.commandline.repeater",
        description="Run a Channel Access repeater, which passes the beacons of servers on to all "
        "clients of this machine. If one runs already, this one ends at once. Its UDP port is "
        f"EPICS_CA_REPEATER_PORT, now {port}.",
    )
    loudness = parser.add_mutually_exclusive_group()
    loudness.add_argument("-q", "--quiet", action="store_true", help="log warnings and worse only")
    loudness.add_argument("-v", "--verbose", action="count", default=0, help="log everything")
    parser.add_argument("--no-color", action="store_true", help="accepted; lines are plain")
    parser.add_argument("--version", "-V", action="version", version=__version__)
    options = parser.parse_args()
    level = "WARNING" if options.quiet else "DEBUG" if options.verbose else "INFO"
    logging.getLogger("cachannel.repeater").setLevel(level)
    config_caproto_logging(sys.stdout, level=level)
    return repeater.main([])


if __name__ == "__main__":
    sys.exit(main())
