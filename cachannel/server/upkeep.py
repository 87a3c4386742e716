"""Notices what changes behind the clients' backs: access rights, and PVs that are taken away.

What an IOC serves is a mapping, often a plain dict, and who may do what is the result of a method;
so nobody says when one of them changes. The server looks itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .core import ServerCore

__all__ = ["Upkeep"]

_PERIOD: Final = 0.5
_SLICE: Final = 1000
# About 3 ms of work. Servers with more channels take longer to notice, not longer to answer.
_MOST_AT_ONCE: Final = 20_000


class Upkeep:
    """Looks at the channels of all clients, a limited number at a time.

    Args:
        core: the server.
        at_once: channels to look at in one call.
    """

    def __init__(self, core: ServerCore, at_once: int = _MOST_AT_ONCE) -> None:
        self._core = core
        self._at_once = at_once
        self._rounds = self._walk()

    def look(self) -> float:
        """Look at the channels whose turn it is; return the seconds until the next call."""
        self._core.update_logging()
        seen = 0
        for count in self._rounds:
            seen += count
            if count == 0 or seen >= self._at_once:
                break
        return _PERIOD

    def _walk(self) -> Iterator[int]:
        """Check slices of channels for ever; yield their sizes, and 0 after each round."""
        while True:
            for circuit in list(self._core.circuits):
                channels = circuit.channels()
                for start in range(0, len(channels), _SLICE):
                    circuit.check(channels[start : start + _SLICE])
                    yield min(_SLICE, len(channels) - start)
            yield 0
