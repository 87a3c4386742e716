"""The async library that a server runs on, as its hooks see it."""

from __future__ import annotations

import threading
from collections import deque
from types import ModuleType
from typing import Any

__all__ = ["AsyncLibraryLayer", "ThreadsafeQueueBase"]


class AsyncLibraryLayer:
    """What hooks are given to be independent of the async library.

    Attributes:
        name: ``'asyncio'``, ``'trio'`` or ``'curio'``.
        library: that module.
        Event: class of events: ``set()`` (from any thread), ``clear()``, ``is_set()``, and
            ``await wait(timeout=None)``, which returns True, or False after `timeout` seconds.
        ThreadsafeQueue: class of unbounded queues: ``put``/``get`` for threads,
            ``async_put``/``async_get`` for tasks.
    """

    name: str = ""
    library: ModuleType
    Event: Any
    ThreadsafeQueue: Any

    async def sleep(self, seconds: float) -> None:
        """Wait without holding up anything else.

        Args:
            seconds: how long.
        """
        raise NotImplementedError


class ThreadsafeQueueBase:
    """An unbounded queue between threads and tasks.

    Subclasses say how a task waits: `async_get` and `_wake_task`.
    """

    def __init__(self) -> None:
        self._items: deque[Any] = deque()
        self._condition = threading.Condition()
        self._tasks: deque[Any] = deque()

    def put(self, value: Any) -> None:
        """Add an item; from any thread, never blocks."""
        with self._condition:
            self._items.append(value)
            self._condition.notify()
            waiting = list(self._tasks)
            self._tasks.clear()
        for waiter in waiting:
            self._wake_task(waiter)

    def get(self) -> Any:
        """Remove and return the oldest item; blocks the calling thread until there is one."""
        with self._condition:
            while not self._items:
                self._condition.wait()
            return self._items.popleft()

    async def async_put(self, value: Any) -> None:
        """Add an item, from a task."""
        self.put(value)

    def _get_or_wait(self, waiter: Any) -> tuple[bool, Any]:
        """Return (True, item), or register a waiter that is woken when there may be one."""
        with self._condition:
            if self._items:
                return True, self._items.popleft()
            self._tasks.append(waiter)
            return False, None

    def _forget(self, waiter: Any) -> None:
        with self._condition:
            if waiter in self._tasks:
                self._tasks.remove(waiter)

    def _wake_task(self, waiter: Any) -> None:
        raise NotImplementedError

    async def async_get(self) -> Any:
        """Remove and return the oldest item, when there is one."""
        raise NotImplementedError
