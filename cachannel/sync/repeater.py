"""The CA repeater, under the names that programs import from here."""

from __future__ import annotations

import socket

from cachannel import repeater as _repeater
from cachannel.protocol.errors import CaprotoRuntimeError
from cachannel.repeater import spawn_repeater

__all__ = ["RepeaterAlreadyRunning", "check_for_running_repeater", "run", "spawn_repeater"]


class RepeaterAlreadyRunning(CaprotoRuntimeError):  # noqa: N818 - a name that programs catch
    """Another repeater has the port."""


def check_for_running_repeater(addr: tuple[str, int]) -> None:
    """Find out whether the port of a repeater is free.

    Raises:
        RepeaterAlreadyRunning: it is not.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
        try:
            trial.bind(addr)
        except OSError as exc:
            message = f"something has the port {addr[1]} already: {exc}"
            raise RepeaterAlreadyRunning(message) from exc


def run(host: str = "0.0.0.0") -> None:
    """Run a repeater in the foreground; return at once when there is one."""
    _repeater.run(host)
