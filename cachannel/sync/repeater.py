"""The CA repeater, under the names that programs import from here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachannel import repeater as _repeater
from cachannel.protocol.errors import CaprotoRuntimeError
from cachannel.repeater import spawn_repeater

if TYPE_CHECKING:
    import socket

__all__ = ["RepeaterAlreadyRunning", "check_for_running_repeater", "run", "spawn_repeater"]


class RepeaterAlreadyRunning(  # noqa: N818 - a name that programs catch
    _repeater.RepeaterAlreadyRunning, CaprotoRuntimeError
):
    """Another repeater has the port; an error of `cachannel.repeater` and one of caproto's kind.

    A class of its own, as `cachannel.repeater` runs without the package and its errors.
    """


def check_for_running_repeater(addr: tuple[str, int]) -> socket.socket:
    """Bind a UDP socket to the address of a repeater.

    Returns:
        The bound socket; it belongs to the caller.

    Raises:
        RepeaterAlreadyRunning: the port is taken, so a repeater runs already.
        OSError: the address cannot be bound for another reason.
    """
    try:
        return _repeater.check_for_running_repeater(addr)
    except _repeater.RepeaterAlreadyRunning as exc:
        raise RepeaterAlreadyRunning(str(exc)) from exc


def run(host: str = "0.0.0.0") -> None:
    """Run a repeater in the foreground; return at once when there is one."""
    _repeater.run(host)
