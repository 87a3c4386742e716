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
from collections.abc import Callable
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cachannel.client.context import BaseContext

__all__ = ["CallbackHandler", "Entry", "Item", "Outbox", "Workers", "run_guarded"]

logger = logging.getLogger("cachannel.ch")

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
        self.backlog: list[Item] | None = None

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


def _work(queue: SimpleQueue[list[Item] | None]) -> None:
    """Run calls until None comes. Knows nothing but its queue, and so keeps nothing alive."""
    while True:
        items = queue.get()
        if items is None:
            return
        for item in items:
            try:
                item[0].call(item[1], item[2])
            except BaseException:
                logger.exception("a callback failed: %r", item[0])
        # A thread that waits must not keep the last response.
        items = item = None  # type: ignore[assignment]


class Workers:
    """A few threads that run callbacks, started when there is something to do.

    Args:
        number: with one thread, calls end in the order of the events; with more they only begin
            in that order.
    """

    def __init__(self, number: int) -> None:
        self._number = max(1, number)
        self._queue: SimpleQueue[list[Item] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._stopped = False

    def send(self, items: list[Item]) -> None:
        """Take calls."""
        if self._stopped:
            return
        if not self._threads:
            self._start()
        if self._number == 1:
            self._queue.put(items)
            return
        for item in items:
            self._queue.put([item])

    def _start(self) -> None:
        with self._lock:
            if self._threads or self._stopped:
                return
            for index in range(self._number):
                thread = threading.Thread(
                    target=_work,
                    args=(self._queue,),
                    name=f"user-callback-executor-{index}",
                    daemon=True,
                )
                thread.start()
                self._threads.append(thread)

    def stop(self, timeout: float = 0.0) -> None:
        """End the threads; calls that wait are dropped.

        Args:
            timeout: seconds to wait for a call that is running.
        """
        with self._lock:
            if self._stopped:
                return
            self._stopped = True
        try:
            while True:
                self._queue.get_nowait()
        except Exception:  # _queue.Empty, which has no public name in queue for SimpleQueue
            pass
        for _ in self._threads:
            self._queue.put(None)
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
            self._started()
            if run and self._last is not None:
                entry.outbox.post((entry, self.pv, self._last))
        return token

    def remove_callback(self, token: int) -> None:
        """Forget a function; unknown tokens are ignored."""
        self.callbacks.pop(token, None)
        self._entries.pop(token, None)

    def process(self, value: Any) -> None:
        """Call all with a new value; on the dispatcher thread."""
        self._last = value
        for entry in list(self._entries.values()):
            entry.outbox.put((entry, self.pv, value))


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
