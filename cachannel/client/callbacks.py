"""Callbacks that users register, held weakly, and the threads that run them.

What a batch of events brings for one receiver is collected in an `Outbox` and handed over when
the batch ends: one wake-up for thousands of updates.
"""

from __future__ import annotations

import inspect
import itertools
import logging
import threading
import warnings
import weakref
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from cachannel.client.responses import EventAddResponse

if TYPE_CHECKING:
    from cachannel.client.context import BaseContext

__all__ = ["CallbackHandler", "Entry", "Item", "Outbox", "Workers", "run_guarded"]

logger = logging.getLogger("cachannel.ch")

LIMIT: Final = 200_000
"""Calls that wait for a thread of a circuit before newer updates replace older ones."""
LIMIT_BYTES: Final = 256 << 20
"""The same limit for the data of arrays and strings."""

Item = tuple[Any, Any, Any]
"""An entry and the two arguments of its function."""


def takes_two(func: Callable[..., object]) -> bool:
    """Tell whether a function can be called with two positional arguments."""
    try:
        inspect.signature(func).bind(None, None)
    except TypeError:
        return False
    except ValueError:  # a builtin that does not tell
        return True
    return True


def weak(func: Callable[..., object], dead: Callable[[Any], object] | None) -> Any:
    """Make a weak reference to a function or bound method."""
    if inspect.ismethod(func):
        return weakref.WeakMethod(func, dead)
    return weakref.ref(func, dead)


class Entry:
    """One registered function.

    Attributes:
        ref: gives the function, or None when it is gone.
        single: it takes the second argument only.
        outbox: where its calls go.
    """

    __slots__ = ("__weakref__", "backlog", "outbox", "ref", "single")

    prompt = False
    """In an event loop: `call` neither waits nor gives anything to wait for."""

    def __init__(self, ref: Callable[[], Any], single: bool, outbox: Outbox) -> None:
        self.ref = ref
        self.single = single
        self.outbox = outbox
        # Of coroutine functions: calls that wait until the running one has ended.
        self.backlog: deque[Item] | None = None

    @classmethod
    def strong(cls, func: Callable[..., object], outbox: Outbox) -> Entry:
        """Make the entry of a function that is called once, with one argument."""
        return cls(lambda: func, True, outbox)

    def __repr__(self) -> str:
        return repr(self.ref())

    def call(self, first: Any, second: Any) -> Any:
        """Call the function.

        Returns:
            What it returns; None when it is gone.
        """
        func = self.ref()
        if func is None:
            return None
        return func(second) if self.single else func(first, second)


def run_guarded(item: Item) -> None:
    """Call the function of an entry; what it raises is logged."""
    try:
        item[0].call(item[1], item[2])
    except BaseException:  # also SystemExit: it must not end the thread that calls the others
        logger.exception("a callback failed: %r", item[0])


class Outbox:
    """Collects calls during a batch.

    Args:
        mark: told once per batch that there is something.
        send: takes the calls, on any thread.
    """

    __slots__ = ("_dirty", "_items", "_send")

    def __init__(self, dirty: list[Outbox], send: Callable[[list[Item]], object]) -> None:
        self._items: list[Item] = []
        self._dirty = dirty
        self._send = send

    def put(self, item: Item) -> None:
        """Add a call; on the dispatcher thread only."""
        if not self._items:
            self._dirty.append(self)
        self._items.append(item)

    def post(self, item: Item) -> None:
        """Hand a call over at once; on any thread."""
        self._send([item])

    def flush(self) -> None:
        """Hand over what was collected; on the dispatcher thread only."""
        items, self._items = self._items, []
        if items:
            self._send(items)


class _Calls:
    """Calls that wait for a thread, in bounded memory.

    When callbacks are too slow, of each subscription only the newest update is kept; answers and
    changes of connections always are. Holds no reference to whom it belongs, and so a thread that
    waits here keeps nothing alive.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._ready = threading.Condition()
        self._batches: deque[tuple[list[Item] | None, int]] = deque()
        self._length = 0
        self._nbytes = 0

    def put(self, batches: list[list[Item]]) -> None:
        """Add calls, divided into what one thread takes at a time."""
        sized = [(items, _nbytes(items)) for items in batches]
        with self._ready:
            self._batches.extend(sized)
            for items, nbytes in sized:
                self._length += len(items)
                self._nbytes += nbytes
            if self._length > LIMIT or self._nbytes > LIMIT_BYTES:
                self._thin_out()
            self._ready.notify(len(batches))

    def get(self) -> list[Item] | None:
        """Take calls, waiting for them; None: it is over."""
        with self._ready:
            while not self._batches:
                self._ready.wait()
            items, nbytes = self._batches.popleft()
            if items is not None:
                self._length -= len(items)
                self._nbytes -= nbytes
        return items

    def end(self, threads: int) -> None:
        """Drop what waits, and end the threads."""
        with self._ready:
            self._batches.clear()
            self.put_end(threads)

    def put_end(self, threads: int) -> None:
        """End the threads after what waits."""
        with self._ready:
            self._batches.extend([(None, 0)] * threads)
            self._ready.notify_all()

    def _thin_out(self) -> None:
        kept: dict[int, Item] = {}
        waiting = itertools.chain.from_iterable(items or () for items, _ in self._batches)
        for number, item in enumerate(waiting):
            key = -1 - number
            if type(item[2]) is EventAddResponse:
                key = id(item[0])
                # To the end: in the order of what is kept.
                kept.pop(key, None)
            kept[key] = item
        if not self.dropped:
            logger.warning("callbacks are too slow; the newest update of each PV is kept")
        self.dropped += self._length - len(kept)
        self._batches = deque(([item], _nbytes([item])) for item in kept.values())
        self._length = len(kept)
        self._nbytes = sum(nbytes for _, nbytes in self._batches)


def _nbytes(items: list[Item]) -> int:
    """Return the size of the data of updates."""
    return sum([item[2]._record[11] for item in items if type(item[2]) is EventAddResponse])


def _work(calls: _Calls, after: Callable[[], object] | None) -> None:
    """Run calls until there is None, with a call of `after` at the end of each batch."""
    while True:
        items = calls.get()
        if items is None:
            return
        for item in items:
            try:
                item[0].call(item[1], item[2])
            except BaseException:
                logger.exception("a callback failed: %r", item[0])
        if after is not None:
            after()
        # A thread that waits must not keep the last response.
        items = item = None  # type: ignore[assignment]


class Workers:
    """A few threads that run callbacks, started when there is something to do.

    Args:
        number: with one thread, calls end in the order of the events; with more they only begin
            in that order.
        after: called on the thread after each batch of calls; must not refer to the owner of
            this, which the thread would keep alive.
    """

    def __init__(self, number: int, after: Callable[[], object] | None = None) -> None:
        self._number = max(1, number)
        self._after = after
        self._calls = _Calls()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._stopped = False

    @property
    def dropped(self) -> int:
        """How many updates gave way to newer ones, as callbacks were too slow."""
        return self._calls.dropped

    def send(self, items: list[Item]) -> None:
        """Take calls."""
        if self._stopped:
            return
        if not self._threads:
            self._start()
        self._calls.put([items] if self._number == 1 else [[item] for item in items])

    def _start(self) -> None:
        with self._lock:
            if self._threads or self._stopped:
                return
            for index in range(self._number):
                thread = threading.Thread(
                    target=_work,
                    args=(self._calls, self._after),
                    name=f"user-callback-executor-{index}",
                    daemon=True,
                )
                thread.start()
                self._threads.append(thread)

    def __del__(self) -> None:
        # Of a circuit that was lost: calls that wait are still made.
        if not self._stopped:
            self._calls.put_end(len(self._threads))

    def stop(self, timeout: float = 0.0) -> None:
        """End the threads; calls that wait are dropped.

        Args:
            timeout: seconds to wait for a call that is running.
        """
        with self._lock:
            if self._stopped:
                return
            self._stopped = True
        self._calls.end(len(self._threads))
        for thread in self._threads:
            if timeout and thread is not threading.current_thread():
                thread.join(timeout)


class CallbackHandler:
    """The callbacks of one kind of event of a PV.

    Attributes:
        pv: whose.
        callbacks: weak references by token.
    """

    def __init__(self, pv: Any, started: Callable[[], object]) -> None:
        self.pv = pv
        self.callbacks: dict[int, Any] = {}
        self._entries: dict[int, Entry] = {}
        self._tokens = itertools.count()
        self._last: Any = None
        self._started = started

    def add_callback(self, func: Callable[..., object], run: bool = False) -> int:
        """Register a function, which is held weakly.

        Args:
            func: called as ``func(pv, value)``.
            run: call it with the last value, if there is one.

        Returns:
            A token for `remove_callback`.
        """
        context: BaseContext = self.pv.context
        with context._lock:
            token = next(self._tokens)
            ref = weak(func, lambda _: self.remove_callback(token))
            self.callbacks[token] = ref
            entry = Entry(ref, False, self.pv._outbox(func))
            self._entries[token] = entry
            if not context._closed:
                context._engine.kept.add(self)
            self._started()
            if run and self._last is not None:
                entry.outbox.post((entry, self.pv, self._last))
        return token

    def remove_callback(self, token: int) -> None:
        """Forget a function; unknown tokens are ignored."""
        context: BaseContext = self.pv.context
        with context._lock:
            self.callbacks.pop(token, None)
            self._entries.pop(token, None)
            if not self._entries:
                context._engine.kept.discard(self)

    def process(self, value: Any) -> None:
        """Call all with a new value; on the dispatcher thread."""
        self._last = value
        for entry in list(self._entries.values()):
            entry.outbox.put((entry, self.pv, value))

    def tell(self, value: Any) -> None:
        """Call all with a new value; on any thread."""
        self._last = value
        for entry in list(self._entries.values()):
            entry.outbox.post((entry, self.pv, value))


def warn_single(func: Callable[..., object], level: int) -> bool:
    """Find out whether a function takes the response only, and warn if it does."""
    if takes_two(func):
        return False
    warnings.warn(
        f"{func!r} takes only a response; callbacks of subscriptions are called as "
        "f(subscription, response)",
        stacklevel=level,
    )
    return True
