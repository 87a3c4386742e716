"""The executor of a circuit, with which programs put calls among those of their callbacks."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cachannel.client.callbacks import Item
    from cachannel.client.circuits import BaseCircuitManager

__all__ = ["CallbackExecutor"]


class _Call:
    """The entry of one call; see `cachannel.client.callbacks.Entry`."""

    prompt = False

    def __init__(self, func: Callable[..., Any], args: Any, options: Any) -> None:
        self.future: Future[Any] = Future()
        self.backlog: deque[Item] | None = None
        self._func, self._args, self._options = func, args, options

    def call(self, first: Any, second: Any) -> Any:
        """Call the function; return a coroutine if the rest is for an event loop."""
        if not self.future.set_running_or_notify_cancel():
            return None
        try:
            result = self._func(*self._args, **self._options)
        except BaseException as exc:
            self.future.set_exception(exc)
            return None
        if inspect.iscoroutine(result):
            return self._finish(result)
        self.future.set_result(result)
        return None

    async def _finish(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        try:
            self.future.set_result(await coroutine)
        except BaseException as exc:
            self.future.set_exception(exc)
            if not isinstance(exc, Exception):
                raise


class CallbackExecutor(Executor):
    """Runs functions on the threads of a circuit, and coroutine functions in its event loop.

    The calls take their turn among those of the callbacks. With one worker (``max_workers=1`` of
    the context), a call that was submitted earlier ends earlier.

    Args:
        manager: the circuit.
    """

    def __init__(self, manager: BaseCircuitManager) -> None:
        self._manager = manager

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call a function as ``fn(*args, **kwargs)``.

        Raises:
            RuntimeError: the context of the circuit is disconnected.
        """
        if self._manager.context._closed:
            message = "cannot schedule new futures: the context is disconnected"
            raise RuntimeError(message)
        call = _Call(fn, args, kwargs)
        self._manager._outbox_for(fn).post((call, None, None))
        return call.future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Do nothing: the threads run the callbacks of the circuit, and end with it."""
