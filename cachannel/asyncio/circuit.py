"""The circuits of the asyncio client."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cachannel.client.callbacks import Outbox
from cachannel.client.circuits import BaseCircuitManager

if TYPE_CHECKING:
    from cachannel.asyncio.client import Context

__all__ = ["VirtualCircuitManager"]


class VirtualCircuitManager(BaseCircuitManager):
    """One connection to a server, with the channels and subscriptions of a context on it."""

    context: Context

    @staticmethod
    def _make_event() -> Any:
        return asyncio.Event()

    def _outbox_for(self, func: Callable[..., object]) -> Outbox:
        return self.context._loop_outbox if inspect.iscoroutinefunction(func) else self.outbox

    def _set_dead(self) -> None:
        context = self.context
        try:
            context._loop.call_soon_threadsafe(self.dead.set)
        except RuntimeError:
            return

    async def events_off(self) -> None:
        """Hold back the updates of all subscriptions on this circuit."""
        self._off()

    async def events_on(self) -> None:
        """Let updates through again, beginning with the latest of each subscription."""
        self._on()

    async def send(self, *commands: Any, extra: Any = None) -> None:
        """Obey messages that switch events off and on; ``extra`` has no effect.

        Raises:
            CaprotoNotImplementedError: any other message; libca sends those.
        """
        self._obey(commands)

    async def disconnect(self) -> None:
        """Close the channels on this circuit; requests open them again."""
        self._close_channels()
