"""The updates of many PVs in an event loop, as one stream of batches."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from cachannel.client.common import TypeRequest
from cachannel.client.many import Names
from cachannel.client.stream import Stream, open_sink, shown

if TYPE_CHECKING:
    from cachannel.asyncio.client import Context

__all__ = ["Updates"]

B = TypeVar("B")
"""Lists of updates, or structured arrays."""


class _Wake:
    """The entry of an item that says that something has come."""

    prompt = True

    def __init__(self, event: asyncio.Event) -> None:
        self._event = event

    def call(self, first: Any, second: Any) -> None:
        """Wake the reader, in the loop."""
        self._event.set()


class Updates(Generic[B]):
    """The updates of many PVs as batches, for ``async for``.

    Batches are lists of (position of the PV among the names, `EventAddResponse`), or with
    ``numpy=True`` structured arrays with the fields id (that position), seconds, nanoseconds,
    severity, status and value. It ends with `aclose`, with the end of an ``async with`` block, and
    when the context is disconnected. A task may be cancelled while it waits: no update is lost.
    """

    def __init__(
        self, context: Context, names: Names, data_type: TypeRequest, mask: int | None, numpy: bool,
        limit: int,
    ) -> None:  # fmt: skip
        self._context = context
        self._closed = False
        self._ready = asyncio.Event()
        self._stream: Stream | None = None
        self._sink: _SinkThread | None = None
        context._streams.add(self)
        if numpy:
            sink = open_sink(context, names, mask, limit)
            self._sink = _SinkThread(sink, context._loop, self._ready)
            return
        item = (_Wake(self._ready), None, None)
        send = context._inbox.send
        self._stream = Stream(context, names, data_type, mask, limit, lambda: send([item]))

    @property
    def dropped(self) -> int:
        """How many updates gave way to newer ones because this was not read quickly enough."""
        if self._stream is not None:
            return self._stream.dropped
        assert self._sink is not None
        return int(self._sink.sink.replaced)

    def __repr__(self) -> str:
        sink = None if self._sink is None else self._sink.sink
        return shown(sink, self._stream, self._closed)

    def __aiter__(self) -> Updates[B]:
        return self

    async def __anext__(self) -> B:
        while not self._closed:
            self._ready.clear()
            source = self._stream or self._sink
            assert source is not None
            batch: Any = source.take()
            if batch is not None and len(batch):
                return batch  # type: ignore[no-any-return]
            await self._ready.wait()
        raise StopAsyncIteration

    def close(self, wake: bool = True) -> None:
        """End it.

        Args:
            wake: tell the reader, which is for the loop only.
        """
        if self._closed:
            return
        self._closed = True
        self._context._streams.discard(self)
        if self._stream is not None:
            self._stream.close()
        if self._sink is not None:
            self._sink.close()
        if wake:
            self._ready.set()

    async def aclose(self) -> None:
        """End it; may be called more than once."""
        self.close()

    async def __aenter__(self) -> Updates[B]:
        return self

    async def __aexit__(self, *args: object) -> None:
        self.close()


class _SinkThread:
    """Waits for a sink outside of the loop, and takes no more than is asked for."""

    def __init__(self, sink: Any, loop: asyncio.AbstractEventLoop, ready: asyncio.Event) -> None:
        self.sink = sink
        self._loop = loop
        self._ready = ready
        self._wanted = threading.Semaphore(0)
        self._asked = False
        self._batches: deque[Any] = deque()
        threading.Thread(target=self._run, name="cachannel-sink", daemon=True).start()

    def take(self) -> Any:
        """Return a batch; None when there is none yet, and then get one."""
        if self._batches:
            self._asked = False
            return self._batches.popleft()
        if not self._asked:
            self._asked = True
            self._wanted.release()
        return None

    def _run(self) -> None:
        while True:
            self._wanted.acquire()
            batch: Any = ()
            while not len(batch):
                if self.sink.closed:
                    return
                batch = self.sink.get(0.5)
            self._batches.append(batch)
            try:
                self._loop.call_soon_threadsafe(self._ready.set)
            except RuntimeError:  # the loop is closed
                return

    def close(self) -> None:
        """End the sink and the thread."""
        self.sink.close()
        self._wanted.release()
