"""Processes that use Channel Access, however they are started (fork, spawn, forkserver).

A child of a fork starts anew by itself: it never touches what the parent opened. So plain
`multiprocessing.Process` works as well; the classes here remain for the programs that use them.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.pool
from typing import Any

from epics_compat.ca import clear_cache

__all__ = ["CAPool", "CAProcess", "clear_ca_cache", "clear_cache"]


def clear_ca_cache() -> None:
    """Forget the contexts and channels of this process, as if nothing had been opened."""
    clear_cache()


class CAProcess(multiprocessing.Process):
    """A process that uses Channel Access; the arguments are those of `multiprocessing.Process`."""


class CAPool(multiprocessing.pool.Pool):
    """A pool of processes that use Channel Access.

    The arguments are those of `multiprocessing.Pool`; any start method can be used.
    """

    def __init__(
        self,
        processes: int | None = None,
        initializer: Any = None,
        initargs: Any = (),
        maxtasksperchild: int | None = None,
        context: Any = None,
    ) -> None:
        super().__init__(
            processes, initializer, initargs, maxtasksperchild,
            multiprocessing.get_context() if context is None else context,
        )  # fmt: skip
