"""A client whose calls block, with callbacks on threads of their own.

A `Context` finds and connects PVs in the background. Any thread may use any object here, and so
may callbacks, which run on the worker threads of a circuit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from cachannel.client.callbacks import CallbackHandler
from cachannel.client.common import (
    CONTEXT_DEFAULT_TIMEOUT,
    GLOBAL_DEFAULT_TIMEOUT,
    ContextDisconnectedError,
    DeadCircuitError,
    DisconnectedError,
    ThreadingClientException,
    Timeout,
    TypeRequest,
    left_until,
)
from cachannel.client.context import BaseContext
from cachannel.client.engine import BaseBroadcaster, by_address
from cachannel.client.many import Names, Readings, read_many, write_many
from cachannel.client.stream import LIMIT, Batched, Updates
from cachannel.protocol.channel_types import AccessRights
from cachannel.threading.batch import Batch
from cachannel.threading.pv import PV, Subscription, VirtualCircuitManager

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = [
    "PV",
    "Batch",
    "CallbackHandler",
    "Context",
    "ContextDisconnectedError",
    "DeadCircuitError",
    "DisconnectedError",
    "SharedBroadcaster",
    "Subscription",
    "ThreadingClientException",
    "VirtualCircuitManager",
]


class SharedBroadcaster(BaseBroadcaster):
    """What searches for the PVs of one context or several."""

    def remove_listener(self, listener: BaseContext) -> None:
        """Let a context go; after the last one the libca context ends."""
        self._remove(listener)

    def disconnect(self, *, wait: bool = True) -> None:
        """End the libca context, and with it all channels."""
        for context in list(self._contexts):
            if isinstance(context, Context):
                context.disconnect(wait=wait)
        self._close()

    def register(self) -> None:
        """Make sure that there is a repeater; libca registers with it by itself."""
        from cachannel.repeater import spawn_repeater

        spawn_repeater()

    def search(self, results_queue: Any, names: Sequence[str], *, timeout: float = 2.0) -> None:
        """Find servers; (address, names) is put into the queue for each."""
        context = Context(self)
        try:
            pvs = context.get_pvs(*names)
            deadline = time.monotonic() + timeout
            for pv in pvs:
                try:
                    pv.wait_for_connection(timeout=left_until(deadline))
                except TimeoutError:
                    continue
            for answer in by_address(pvs):
                results_queue.put(answer)
        finally:
            context.disconnect()

    def search_now(self) -> None:
        """Search at once for all that was not found; libca does it in growing steps."""
        for context in self.listeners:
            context._hurry(list(context.pvs.values()))

    @property
    def search_results(self) -> dict[str, tuple[tuple[str, int], float]]:
        """Address of each name that was found, and when it was heard from last."""
        result = {}
        for pv in self._pvs():
            manager = pv.circuit_manager
            if manager is not None:
                result[pv.name] = (manager.circuit.address, manager.last_tcp_receipt or 0.0)
        return result

    @property
    def unanswered_searches(self) -> dict[int, str]:
        """Names that are searched for, by the numbers of their PVs."""
        return self.results.unanswered_searches

    def send(self, *commands: Any) -> None:
        """Refuse to send datagrams.

        Raises:
            CaprotoNotImplementedError: always; libca sends them.
        """
        self._refuse(commands)


class Context(BaseContext):
    """Finds and connects PVs in the background, and keeps them.

    Args:
        broadcaster: a `SharedBroadcaster` to share with other contexts; None: one of its own.
        timeout: default of all requests, seconds; None: no limit.
        host_name: kept; libca sends the real one.
        client_name: kept; libca sends the real one.
        max_workers: threads per circuit that run callbacks. With one, callbacks end in the order
            of the events; with more they only begin in that order.
    """

    broadcaster: SharedBroadcaster
    pvs: dict[tuple[str, int], PV]
    _broadcaster_class = SharedBroadcaster
    _pv_class = PV
    _circuit_class = VirtualCircuitManager

    def __init__(
        self, broadcaster: SharedBroadcaster | None = None, *,
        timeout: float | None = GLOBAL_DEFAULT_TIMEOUT, host_name: str | None = None,
        client_name: str | None = None, max_workers: int = 1,
    ) -> None:  # fmt: skip
        super().__init__(
            broadcaster, timeout=timeout, host_name=host_name, client_name=client_name,
            max_workers=max_workers,
        )  # fmt: skip

    def __enter__(self) -> Context:
        return self

    def __exit__(self, *args: object) -> None:
        self.disconnect()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            self._end_dropped()

    def __repr__(self) -> str:
        searching = sum(pv._searching() for pv in list(self.pvs.values()))
        return "<Context searches_pending={} circuits={} pvs={} idle={}>".format(
            searching, *self._counts()
        )

    def get_pvs(
        self, *names: str, priority: int = 0,
        connection_state_callback: Callable[[PV, str], object] | None = None,
        access_rights_callback: Callable[[PV, AccessRights], object] | None = None,
        timeout: Timeout = CONTEXT_DEFAULT_TIMEOUT,
    ) -> list[PV]:  # fmt: skip
        """Make PVs, which connect in the background.

        Names that are still searched for are asked for again at once.

        Args:
            names: any number of names; the same name gives the same object.
            priority: of the circuits, 0 to 99.
            connection_state_callback: ``f(pv, 'connected' | 'disconnected')``; held weakly.
            access_rights_callback: ``f(pv, access_rights)``; held weakly.
            timeout: default of the requests of new PVs, seconds; None: no limit.

        Raises:
            ContextDisconnectedError: after `disconnect`.
            ValidationError: the priority is out of range.
        """
        return self._make_pvs(
            names, priority, connection_state_callback, access_rights_callback, timeout
        )

    def read_many(
        self, names: Names, *, timeout: Timeout = CONTEXT_DEFAULT_TIMEOUT,
        data_type: TypeRequest = None, data_count: int | None = None, throw: bool = True,
    ) -> Readings:  # fmt: skip
        """Read many PVs with one request; see `Readings`.

        Args:
            names: names, or PVs of this context; ones that are not connected are waited for.
            timeout: seconds for all together; None: no limit.
            data_type: as for `PV.read`.
            data_count: as for `PV.read`.
            throw: raise if any fails; otherwise failures are in the result.

        Raises:
            CaprotoTimeoutError: names the PVs that did not connect or answer.
        """
        return read_many(self, names, timeout, data_type, data_count, throw)

    def write_many(
        self, names: Names, values: Any, *, wait: bool = True,
        timeout: Timeout = CONTEXT_DEFAULT_TIMEOUT, throw: bool = True,
    ) -> list[Exception | None]:  # fmt: skip
        """Write to many PVs with one request.

        Args:
            names: names, or PVs of this context.
            values: one for each, or one number or text for all.
            wait: wait until all servers have completed the writes.
            timeout: seconds for all together; None: no limit.
            throw: raise if any fails; otherwise failures are in the result.

        Returns:
            For each PV None, or with ``throw=False`` the exception that says what failed.
        """
        return write_many(self, names, values, wait, timeout, throw)

    @overload
    def monitor_many(
        self, names: Names, *, numpy: Literal[False] = False, data_type: TypeRequest = "time",
        mask: int | None = None, limit: int = LIMIT,
    ) -> Updates[Batched]: ...  # fmt: skip

    @overload
    def monitor_many(
        self, names: Names, *, numpy: Literal[True], mask: int | None = None, limit: int = LIMIT,
    ) -> Updates[npt.NDArray[np.void]]: ...  # fmt: skip

    def monitor_many(
        self, names: Names, *, data_type: TypeRequest = "time", mask: int | None = None,
        numpy: bool = False, limit: int = LIMIT,
    ) -> Updates[Any]:  # fmt: skip
        """Follow many PVs, which may connect later; iterating gives batches, see `Updates`.

        Args:
            names: names, or PVs of this context.
            data_type: of the updates; with ``numpy=True`` it is one DOUBLE each.
            mask: what is an update; None: value, alarm and property changes.
            numpy: batches are structured arrays.
            limit: updates that may wait to be read. When there are more, only the newest of each
                PV is kept, and `Updates.dropped` counts.
        """
        return Updates(self, names, data_type, mask, numpy, limit)

    def disconnect(self, *, wait: bool = True) -> None:
        """End all channels, circuits and threads of this context; for good.

        Args:
            wait: wait for callbacks that are running, for a moment.
        """
        self._end(0.4 if wait else 0.0)
