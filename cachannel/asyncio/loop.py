"""The way from libca's dispatcher thread into an event loop, with one wake-up per batch."""

from __future__ import annotations

import asyncio
import types
import weakref
from collections import deque
from collections.abc import Callable, Generator
from typing import Any, Final, Protocol

from cachannel.client.callbacks import LIMIT, Entry, Item, logger

__all__ = ["CLOSED", "COMPLETION", "Deadlines", "Feed", "Inbox", "Waiting", "Wakeup"]


class Late:
    """The result of a request whose time was over before its answer came."""


LATE = Late()

CLOSED = object()
"""The result of what a context has not outlived."""


class Waiting(asyncio.Future[Any]):
    """A future whose result is `LATE` when its time is over."""

    __slots__ = ()

    def late(self) -> None:
        """Take note that the time is over."""
        if not self.done():
            self.set_result(LATE)


class Completion:
    """The entry of items that bring a future its result."""

    prompt = True

    def call(self, future: asyncio.Future[Any], result: Any) -> None:
        """Give the future its result, unless it is cancelled."""
        if not future.done():
            future.set_result(result)


COMPLETION = Completion()

BACKLOG: Final = 20_000
"""Updates that wait while a coroutine function still works on an earlier one; then the oldest
give way."""


class Feed:
    """The entry of items that bring a queue several things at once."""

    prompt = True

    def __init__(self, queue: asyncio.Queue[Any]) -> None:
        self._queue = queue
        self._dropped = False

    def call(self, first: Any, things: list[Any]) -> None:
        """Put them into the queue; the oldest give way when nobody takes any."""
        queue = self._queue
        for thing in things:
            queue.put_nowait(thing)
        if queue.qsize() > LIMIT:
            if not self._dropped:
                logger.warning("an iteration is too slow; its oldest updates are dropped")
            self._dropped = True
            while queue.qsize() > LIMIT // 2:
                queue.get_nowait()


class Wakeup:
    """Wakes an event loop from another thread, once for any number of calls.

    Callbacks that are plain functions run on a thread, and may set an `asyncio.Event` or fill an
    `asyncio.Queue` there. The tasks that wait for these are then scheduled, but a loop that
    sleeps notices it at its next timer only.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._scheduled = False

    def __call__(self) -> None:
        """Wake the loop; on any thread. A closed loop is left alone."""
        # If a wake-up is still to come, the loop will look for scheduled tasks after it.
        if not self._scheduled:
            self._scheduled = True
            try:
                self._loop.call_soon_threadsafe(self._woken)
            except RuntimeError:
                return

    def _woken(self) -> None:
        self._scheduled = False


class Expiring(Protocol):
    """What may run out of time."""

    def done(self) -> bool:
        """Tell whether it needs no time any more."""

    def late(self) -> None:
        """Take note that the time is over."""


class Deadlines:
    """Time-outs of many requests with one timer for each length.

    A request nearly always has its answer long before its time is over; a timer of the loop for
    each would cost more than the request.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queues: dict[float, deque[tuple[float, Expiring]]] = {}
        self._timers: dict[float, asyncio.TimerHandle] = {}

    def add(self, request: Expiring, delay: float) -> None:
        """Call ``late`` of a request in `delay` seconds unless it is done by then."""
        when = self._loop.time() + delay
        queue = self._queues.get(delay)
        if queue is None:
            queue = self._queues[delay] = deque()
            self._start(when, delay)
        else:
            while queue and queue[0][1].done():
                queue.popleft()
        queue.append((when, request))

    def _start(self, when: float, delay: float) -> None:
        # The loop keeps timers until they are due, and must not keep the context for so long.
        expire = weakref.WeakMethod(self._expire)
        self._timers[delay] = self._loop.call_at(when, _call_if_alive, expire, delay)

    def _expire(self, delay: float) -> None:
        queue = self._queues[delay]
        now = self._loop.time() + 1e-3
        while queue:
            when, request = queue[0]
            if not request.done():
                if when > now:
                    self._start(when, delay)
                    return
                request.late()
            queue.popleft()
        del self._queues[delay], self._timers[delay]

    def clear(self) -> None:
        """Forget all."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._queues.clear()


def _call_if_alive(method: Callable[[], Callable[[float], None] | None], delay: float) -> None:
    found = method()
    if found is not None:
        found(delay)


@types.coroutine
def _drive(inbox: Inbox, coroutine: Any, waited: list[bool]) -> Generator[Any, Any, None]:
    """Run a coroutine in the present task; when it has to wait, another task takes over the rest.

    Args:
        inbox: whose pump the present task is.
        coroutine: what to run.
        waited: gets an item if the coroutine had to wait.
    """
    try:
        future = coroutine.send(None)
        # From here on this task belongs to the coroutine, which may ask for it or cancel it.
        waited.append(True)
        inbox.start_pump()
        while True:
            try:
                value = yield future
            except BaseException as exc:
                future = coroutine.throw(exc)
            else:
                future = coroutine.send(value)
    except StopIteration:
        return


class Inbox:
    """What the dispatcher has for an event loop.

    Items are calls of coroutine functions, which a task works on, or prompt ones (see
    `Entry.prompt`), which are done at once.

    Args:
        loop: the event loop.
        died: called when the loop turns out to be closed, on the thread that noticed.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, died: Callable[[], object]) -> None:
        self._loop = loop
        self._died = died
        self._items: deque[list[Item]] = deque()
        self._scheduled = False
        self._calls: deque[Item] = deque()
        self._pumping = False
        self._dropped = False
        self._tasks: set[asyncio.Task[None]] = set()
        self.closed = False

    def send(self, items: list[Item]) -> None:
        """Take items, on any thread; a closed loop drops them."""
        if self.closed:
            return
        self._items.append(items)
        if not self._scheduled:
            self._scheduled = True
            try:
                self._loop.call_soon_threadsafe(self._drain)
            except RuntimeError:
                self.closed = True
                self._items.clear()
                self._died()

    def _drain(self) -> None:
        self._scheduled = False
        batches = self._items
        calls = self._calls
        # Not what comes meanwhile: the loop has other things to do, too.
        for _ in range(len(batches)):
            for item in batches.popleft():
                entry = item[0]
                if not entry.prompt:
                    calls.append(item)
                    continue
                try:
                    entry.call(item[1], item[2])
                except Exception:
                    logger.exception("an answer was lost")
        if calls and not self._pumping:
            self.start_pump()

    def start_pump(self) -> None:
        """Let a new task work on the calls."""
        self._pumping = bool(self._calls)
        if self._pumping:
            task = self._loop.create_task(self._pump())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self) -> None:
        calls = self._calls
        while calls:
            item = calls.popleft()
            entry: Entry = item[0]
            if entry.backlog is not None:
                if len(entry.backlog) == entry.backlog.maxlen and not self._dropped:
                    self._dropped = True
                    logger.warning("a callback is too slow; its oldest updates are dropped")
                entry.backlog.append(item)
                continue
            if await self._call(item):
                # Another task does the rest. This one has been the callback's, and follows it.
                while entry.backlog:
                    backlog, entry.backlog = entry.backlog, deque(maxlen=BACKLOG)
                    for later in backlog:
                        await self._call_alone(later)
                entry.backlog = None
                return
        self._pumping = False

    async def _call(self, item: Item) -> bool:
        entry: Entry = item[0]
        waited: list[bool] = []
        try:
            coroutine = item[0].call(item[1], item[2])
            if coroutine is None:
                return False
            entry.backlog = deque(maxlen=BACKLOG)
            await _drive(self, coroutine, waited)
        except Exception:
            logger.exception("a callback failed: %r", entry)
        if not waited:
            entry.backlog = None
        return bool(waited)

    async def _call_alone(self, item: Item) -> None:
        try:
            coroutine = item[0].call(item[1], item[2])
            if coroutine is not None:
                await coroutine
        except Exception:
            logger.exception("a callback failed: %r", item[0])

    async def close(self) -> None:
        """End what is running; on the loop."""
        self.closed = True
        self._items.clear()
        self._calls.clear()
        current = asyncio.current_task()
        tasks = [task for task in self._tasks if task is not current]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.gather(*tasks, return_exceptions=True)
