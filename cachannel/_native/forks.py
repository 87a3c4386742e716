"""Keeping forks and libca apart (see also ``src/fork.c``)."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cachannel._native import lib

__all__ = ["destroy_queue", "forks", "new_queue"]


class Forks:
    """Keeps a fork and the begin or end of a context or a queue apart.

    libca and libCom guard them with locks of the whole process. A child that was forked while
    another thread held one would wait for it for ever, or be aborted, with its first context.
    """

    def __init__(self) -> None:
        # May be entered again by its thread: a finalizer may close a context at any point. It is
        # entered by itself, because Ctrl-C can come in the middle of entering a Condition.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._inside: dict[int, int] = {}

    @contextmanager
    def held_off(self) -> Iterator[None]:
        """Keep forks waiting; several threads may, as the end of a context may take long."""
        thread = threading.get_ident()
        entered = False
        try:
            with self._lock:
                self._inside[thread] = self._inside.get(thread, 0) + 1
                entered = True
            yield
        finally:
            if entered:
                with self._lock:
                    self._inside[thread] -= 1
                    if not self._inside[thread]:
                        del self._inside[thread]
                        self._changed.notify_all()

    def before(self) -> None:
        """Wait for the others, and let nobody begin until the fork is made."""
        own = threading.get_ident()
        self._lock.acquire()
        # The limit is for a context whose end hangs; the fork is made all the same.
        self._changed.wait_for(lambda: not self._inside.keys() - {own}, timeout=5.0)
        lib.cc_before_fork()

    def after_in_parent(self) -> None:
        """Let the others go on."""
        self._lock.release()

    def after_in_child(self) -> None:
        """Begin anew: the other threads are not here."""
        own = threading.get_ident()
        depth = self._inside.get(own)
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._inside = {own: depth} if depth else {}


forks = Forks()
os.register_at_fork(
    before=forks.before,
    after_in_parent=forks.after_in_parent,
    after_in_child=forks.after_in_child,
)


def new_queue(made: list[Any], limit_records: int, limit_bytes: int) -> None:
    """Create a queue of events.

    Args:
        made: the queue is appended to it, so that the caller has it even if Ctrl-C comes then.
        limit_records: events in the queue before newer values replace older ones.
        limit_bytes: the same limit for the data of arrays and strings, in bytes.

    Raises:
        MemoryError: the system gave no memory, lock or semaphore for it.
    """
    with forks.held_off():
        # One step of the interpreter.
        made.extend(map(lib.cc_queue_create, (limit_records,), (limit_bytes,)))
    if not made[-1]:
        del made[-1]
        raise MemoryError("no memory for a queue of events")


def destroy_queue(queue: Any) -> None:
    """Destroy a queue that no context and no thread uses any more."""
    with forks.held_off():
        lib.cc_queue_destroy(queue)
