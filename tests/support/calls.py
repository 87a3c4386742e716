"""Small parts of tests that call Channel Access."""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")

SOON = 60.0
"""Seconds after which something that should come at once counts as lost."""


def in_thread(function: Callable[[], T], timeout: float = 60.0) -> T:
    """Call a function in a new thread, which has no context, and return what it returns."""
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(function())
        except BaseException as exc:
            outcome.set_exception(exc)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        return outcome.result(timeout)
    finally:
        thread.join(timeout)


class Events:
    """A callback of any form that keeps what it was called with, in order."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.threads: set[str] = set()

    def __call__(self, *args: Any) -> None:
        self.threads.add(threading.current_thread().name)
        self._queue.put(args[0] if len(args) == 1 else args)

    def next(self, timeout: float = SOON) -> Any:
        """Wait for the next call and return its argument (a tuple if it had several)."""
        try:
            return self._queue.get(timeout=timeout)
        except queue.Empty:
            raise AssertionError(f"no callback within {timeout} s") from None

    def until(self, accept: Callable[[Any], bool], timeout: float = SOON) -> Any:
        """Return the first call that is accepted; earlier ones are dropped."""
        while True:
            found = self.next(timeout)
            if accept(found):
                return found

    def drain(self) -> list[Any]:
        """Return what came so far."""
        found = []
        while not self._queue.empty():
            found.append(self._queue.get())
        return found
