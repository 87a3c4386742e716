"""The updates of many PVs as one stream of batches, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Condition, Lock
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from cachannel.client.callbacks import LIMIT, LIMIT_BYTES, Item, Outbox
from cachannel.client.common import TypeRequest, deadline_after, left_until
from cachannel.client.many import Names, resolve
from cachannel.client.responses import EventAddResponse
from cachannel.context import SLICE

if TYPE_CHECKING:
    from cachannel.client.context import BaseContext

__all__ = ["LIMIT", "Batched", "Stream", "Updates", "open_sink", "shown"]

Batched = list[tuple[int, EventAddResponse]]
"""Updates with the positions of their PVs among the names."""

B = TypeVar("B")
"""`Batched`, or a structured array."""


class _Place:
    """The entry of a PV of a stream: where it is among the names."""

    __slots__ = ("index", "outbox")

    prompt = True

    def __init__(self, index: int, outbox: Outbox) -> None:
        self.index = index
        self.outbox = outbox


class Stream:
    """Collects the updates of many PVs, for one reader.

    When the reader is slow and more than `limit` updates wait, only the newest of each PV are
    kept, and `dropped` counts the others. So nothing that happened last is ever lost, and the
    memory is bounded.

    Args:
        context: the context.
        names: names, or PVs of the context.
        data_type: of the updates.
        mask: what is an update; None: value, alarm and property changes.
        limit: updates that may wait.
        wake: called on the dispatcher thread when something has come.

    Attributes:
        dropped: updates that gave way to newer ones.
    """

    def __init__(
        self, context: BaseContext, names: Names, data_type: TypeRequest, mask: int | None,
        limit: int, wake: Callable[[], object],
    ) -> None:  # fmt: skip
        self.context = context
        self.pvs = resolve(context, names)
        self.dropped = 0
        self._wake = wake
        # Thinning out must leave room, or it would be done for every update.
        self._limit = max(limit, 2 * len(self.pvs))
        self._lock = Lock()
        self._waiting: Batched = []
        self._nbytes = 0
        self._outbox = Outbox(context._engine.dirty, self._take_in)
        self._subscriptions: list[Any] = []
        self._tokens: list[int] = []
        with context._engine.together():
            for index, pv in enumerate(self.pvs):
                subscription = pv.subscribe(data_type=data_type, mask=mask)
                token = next(subscription._tokens)
                subscription._add(token, _Place(index, self._outbox))
                latest = subscription.most_recent_response
                if latest is not None:
                    self._waiting.append((index, latest))
                self._subscriptions.append(subscription)
                self._tokens.append(token)

    def _take_in(self, items: list[Item]) -> None:
        with self._lock:
            waiting = self._waiting
            for place, _, response in items:
                waiting.append((place.index, response))
                self._nbytes += response._record[11]
            if len(waiting) > self._limit or self._nbytes > LIMIT_BYTES:
                self._thin_out()
        # Also when something was there: it may have been taken in between.
        self._wake()

    def _thin_out(self) -> None:
        newest: dict[int, EventAddResponse] = {}
        for index, response in self._waiting:
            # To the end: in the order of what is kept.
            newest.pop(index, None)
            newest[index] = response
        self.dropped += len(self._waiting) - len(newest)
        self._waiting = list(newest.items())
        self._nbytes = sum(response._record[11] for response in newest.values())

    def take(self) -> Batched:
        """Take all that has come."""
        with self._lock:
            batch, self._waiting, self._nbytes = self._waiting, [], 0
        return batch

    def close(self) -> None:
        """End the subscriptions that nobody else uses."""
        with self.context._engine.together():
            for subscription, token in zip(self._subscriptions, self._tokens, strict=True):
                subscription._forget(token)
        self._subscriptions, self._tokens = [], []


class Updates(Generic[B]):
    """The updates of many PVs as batches; ends with `close`, or the end of a ``with`` block.

    Iterating gives lists of (position of the PV among the names, `EventAddResponse`), or with
    ``numpy=True`` structured arrays with the fields id (that position), seconds, nanoseconds,
    severity, status and value. It ends when the context is disconnected.
    """

    def __init__(
        self, context: BaseContext, names: Names, data_type: TypeRequest, mask: int | None,
        numpy: bool, limit: int,
    ) -> None:  # fmt: skip
        self._context = context  # which ends when nothing refers to it
        self._condition = Condition()
        self._closed = False
        self._arrived = False
        self._sink = open_sink(context, names, mask, limit) if numpy else None
        self._stream = (
            None if numpy else Stream(context, names, data_type, mask, limit, self._notify)
        )

    def _notify(self) -> None:
        with self._condition:
            self._arrived = True
            self._condition.notify_all()

    @property
    def dropped(self) -> int:
        """How many updates gave way to newer ones because this was not read quickly enough."""
        if self._sink is not None:
            return int(self._sink.replaced)
        assert self._stream is not None
        return self._stream.dropped

    def get(self, timeout: float | None = None) -> B:
        """Take what has come, waiting for the first update.

        Args:
            timeout: seconds after which an empty batch is returned; None: no limit.
        """
        if self._sink is not None:
            return self._sink.get(timeout)  # type: ignore[no-any-return]
        assert self._stream is not None
        deadline = deadline_after(timeout)
        while True:
            batch = self._stream.take()
            left = left_until(deadline)
            if batch or self._closed or self._stream.context._closed or left == 0.0:
                return batch  # type: ignore[return-value]  # B is `Batched` here
            with self._condition:
                if not self._arrived:
                    self._condition.wait(SLICE if left is None else min(left, SLICE))
                self._arrived = False

    def __repr__(self) -> str:
        return shown(self._sink, self._stream, self._closed)

    def __iter__(self) -> Iterator[B]:
        while not self._closed:
            batch = self.get()
            if not len(batch):  # type: ignore[arg-type]
                return
            yield batch

    def close(self) -> None:
        """End it; may be called more than once, and by any thread."""
        self._closed = True
        if self._stream is not None:
            self._stream.close()
        if self._sink is not None:
            self._sink.close()
        self._notify()

    def __enter__(self) -> Updates[B]:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()


def shown(sink: Any, stream: Stream | None, closed: bool) -> str:
    """Say what a stream of updates is."""
    if stream is not None:
        length, dropped = len(stream.pvs), stream.dropped
    else:
        length, dropped = len(sink.names), int(sink.replaced)
    return f"<Updates of {length} PVs, {dropped} dropped{' closed' if closed else ''}>"


def open_sink(context: BaseContext, names: Names, mask: int | None, limit: int) -> Any:
    """Open a sink of numbers, which come as structured arrays."""
    from cachannel.many import BulkSink

    plain = [name if isinstance(name, str) else name.name for name in names]
    number = 13 if mask is None else int(mask)
    return BulkSink(plain, number, context._engine.ca, limit=max(limit, 2 * len(plain)))
