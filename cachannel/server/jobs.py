"""Requests that run user code: started in order, waited for by nobody else."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

from .output import CircuitOutput

if TYPE_CHECKING:
    from .core import ServerCore

__all__ = ["CircuitJobs"]


class _Rest:
    """Awaits the rest of a coroutine that was already run up to its first suspension.

    Args:
        coroutine: what is left to run.
        waits_for: what it yielded, which the event loop has not seen yet.
        context: where all its steps run.
    """

    __slots__ = ("context", "coroutine", "waits_for")

    def __init__(
        self, coroutine: Coroutine[Any, Any, None], waits_for: Any, context: Context
    ) -> None:
        self.coroutine = coroutine
        self.waits_for = waits_for
        self.context = context

    def __await__(self) -> Generator[Any, Any, None]:
        coroutine, run = self.coroutine, self.context.run
        pending = self.waits_for
        while True:
            try:
                try:
                    answer = yield pending
                except BaseException as exc:  # a cancellation; the coroutine decides
                    pending = run(coroutine.throw, exc)
                else:
                    pending = run(coroutine.send, answer)
            except StopIteration:
                return


class CircuitJobs(CircuitOutput):
    """Starts coroutines in order of arrival.

    Args:
        core: the server.
        peer: the client's address.
        wake: called when there is output while the shell is not calling.
        spawn: starts a coroutine as a task of the server.
    """

    def __init__(
        self,
        core: ServerCore,
        peer: tuple[str, int],
        wake: Callable[[], None],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        super().__init__(core, peer, wake)
        self._spawn = spawn
        # Jobs that have not started; whether a runner is on its way to start them; how many
        # have not ended.
        self._jobs: deque[Callable[[], Coroutine[Any, Any, None]]] = deque()
        self._runner = False
        self._active = 0
        # Input waits: for jobs to start or to end, or for replies to leave.
        self._blocked = False

    def resume(self) -> bool:
        """Go on with input that had to wait; tell whether anything was waiting."""
        raise NotImplementedError

    def _start_jobs(self) -> None:
        if self._jobs and not self._runner:
            self._runner = True
            self._spawn(self._run_jobs())

    async def _run_jobs(self) -> None:
        """Start jobs in order, then let the input go on.

        A job is stepped by hand to its first suspension. One that ends there costs no task. One
        that suspends keeps the task that this coroutine is, so that what it found out about the
        current task (for a timeout, a cancel scope) stays true, and another task starts the jobs
        behind it. Each job has its own copy of the context.
        """
        jobs = self._jobs
        while jobs:
            coroutine = jobs.popleft()()
            context = copy_context()
            try:
                waits_for = context.run(coroutine.send, None)
            except StopIteration:
                continue
            except BaseException:
                # A job that was cancelled, or that ends the process, takes this task with it; the
                # jobs behind it get another one.
                self._go_on()
                raise
            self._go_on()
            await _Rest(coroutine, waits_for, context)
            if self._blocked and not self._runner and self.resume():
                self._awake = False
                self._wake()
            return
        self._jobs_started()

    def _go_on(self) -> None:
        """Have the other jobs started by a task of their own."""
        if self._jobs:
            self._spawn(self._run_jobs())
        else:
            self._jobs_started()

    def _jobs_started(self) -> None:
        self._runner = False
        self.resume()
        self._awake = False
        self._wake()
