"""The subscriptions of the asyncio client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from cachannel.asyncio.loop import CLOSED, Feed
from cachannel.client.callbacks import Entry, Outbox
from cachannel.client.responses import EventAddResponse
from cachannel.client.subscription import BaseSubscription

if TYPE_CHECKING:
    from cachannel.asyncio.pv import PV

__all__ = ["Subscription"]


class Subscription(BaseSubscription):
    """Updates of one PV, for callbacks or ``async for``. Made by `PV.subscribe`."""

    pv: PV

    async def remove_callback(self, token: int) -> None:
        """Forget a function; unknown tokens are ignored."""
        self._forget(token)

    async def clear(self) -> None:
        """Forget all functions, and end the subscription at the server."""
        self._clear()

    async def __aenter__(self) -> Subscription:
        return self

    async def __aexit__(self, *args: object) -> None:
        self._clear()

    async def __aiter__(self) -> AsyncIterator[EventAddResponse]:
        """Yield the most recent update, if there is one, and every one that follows.

        It ends when the context is disconnected.
        """
        queue: asyncio.Queue[Any] = asyncio.Queue()
        context = self.pv.context
        loop = context._inbox
        context._queues.add(queue)

        def push(items: list[Any]) -> None:
            loop.send([(feed, None, [item[2] for item in items])])

        outbox = Outbox(context._engine.dirty, push)
        feed = Feed(queue)
        entry = Entry(lambda: None, False, outbox)
        with self._lock:
            token = next(self._tokens)
            self._add(token, entry)
            latest = self.most_recent_response
        try:
            if latest is not None:
                yield latest
            while (response := await queue.get()) is not CLOSED:
                yield response
        finally:
            context._queues.discard(queue)
            self._forget(token)
