"""From a `PV` to the objects of `cachannel.threading.client`, as caproto's shim has them."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cachannel.threading.client import Context

__all__ = ["close", "pv_of", "shared", "wait"]

_lock = threading.RLock()
_shared: Context | None = None


def pv_of(pvname: str, context: Any) -> Any:
    """Find or make a PV of the threading client.

    Args:
        pvname: name of the PV.
        context: a context of that client; None: one that is made when it is first needed.
    """
    return (shared() if context is None else context).get_pvs(pvname)[0]


def shared() -> Context:
    """Return the context of all PVs that were given none; make it when it is first needed."""
    global _shared
    with _lock:
        if _shared is None:
            from cachannel.threading.client import Context

            made = Context()
            if _shared is None:
                _shared = made
            else:  # a signal handler has made one meanwhile
                made.disconnect()
        return _shared


def wait(pv: Any, timeout: float) -> None:
    """Give a PV of the threading client some time to connect."""
    with contextlib.suppress(TimeoutError):
        pv.wait_for_connection(timeout=timeout)


def close() -> None:
    """End the shared context."""
    global _shared
    with _lock:
        context, _shared = _shared, None
    if context is not None:
        context.disconnect()


def _after_fork() -> None:
    global _lock, _shared
    _lock = threading.RLock()
    _shared = None


os.register_at_fork(after_in_child=_after_fork)
