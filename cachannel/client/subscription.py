"""Subscriptions: updates of one PV, fanned out to callbacks.

Events arrive on the dispatcher thread of the libca context, which keeps the state here and puts
the calls of user code into outboxes. See `cachannel.client.context` for the order of locks.
"""

from __future__ import annotations

import itertools
import logging
from typing import TYPE_CHECKING, Any

from cachannel._native import ffi, lib
from cachannel.client.callbacks import Entry, warn_single, weak
from cachannel.client.responses import EventAddResponse
from cachannel.client.statuses import LOST, NORMAL
from cachannel.client.values import choose_type, own_buffer, padded, refused
from cachannel.errors import describe
from cachannel.values.decode import Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from cachannel.client.circuits import BaseCircuitManager
    from cachannel.client.pv import BasePV

__all__ = ["BaseSubscription"]

logger = logging.getLogger("cachannel.ch")


class BaseSubscription:
    """Updates of one PV, fanned out to any number of callbacks.

    Made by `PV.subscribe`. The server is asked when the first callback is added, and no longer
    when the last one is gone.

    Attributes:
        pv: the PV.
        callbacks: weak references to the functions, by token.
        most_recent_response: the last update, or None.
        subscriptionid: its number on its circuit while it is active, or None.
    """

    def __init__(
        self, pv: BasePV[Any, Any], data_type: Any, data_count: int | None, low: float, high: float,
        to: float, mask: int,
    ) -> None:  # fmt: skip
        self.pv = pv
        self.data_type = data_type
        self.data_count = data_count
        self.low = low
        self.high = high
        self.to = to
        self.mask = mask
        self.subscriptionid: int | None = None
        self.callbacks: dict[int, Any] = {}
        self.most_recent_response: EventAddResponse | None = None
        self._lock = pv.context._lock
        self._entries: tuple[Entry, ...] = ()
        self._by_token: dict[int, Entry] = {}
        self._tokens = itertools.count()
        self._id = 0
        self._token = 0
        self._type = -1
        self._pad = 0
        self._manager: BaseCircuitManager | None = None

    def __repr__(self) -> str:
        return f"<Subscription to {self.pv.name!r}, id={self.subscriptionid}>"

    def add_callback(self, func: Callable[..., object]) -> int:
        """Register a function for all updates from now on; it is held weakly.

        Args:
            func: called as ``func(subscription, response)``. If it takes only one argument it
                gets the response, and a warning is issued. Keep a reference to it: when it is
                collected it is no longer called.

        Returns:
            A token for `remove_callback`.
        """
        single = warn_single(func, 3)
        with self._lock:
            token = next(self._tokens)
            ref = weak(func, lambda _: self._forget(token))
            entry = Entry(ref, single, self.pv._outbox(func))
            self.callbacks[token] = ref
            self._add(token, entry)
            latest = self.most_recent_response
        if latest is not None:
            self._tell_latest(entry, latest)
        return token

    def _add(self, token: int, entry: Entry) -> None:
        self._by_token[token] = entry
        self._entries = tuple(self._by_token.values())
        if len(self._entries) == 1:
            self.pv.context._engine.kept.add(self)
            self.pv._subscribed(self)

    def _tell_latest(self, entry: Entry, response: EventAddResponse) -> None:
        entry.outbox.post((entry, self, response))

    def _forget(self, token: int) -> None:
        with self._lock:
            self.callbacks.pop(token, None)
            if self._by_token.pop(token, None) is None:
                return
            self._entries = tuple(self._by_token.values())
            if not self._entries:
                self.pv.context._engine.kept.discard(self)
                self._deactivate()

    def _clear(self) -> None:
        with self._lock:
            self.callbacks.clear()
            self._by_token.clear()
            self._entries = ()
            self.pv.context._engine.kept.discard(self)
            self._deactivate()

    # Towards libca, with the lock held -------------------------------------------------------

    def _activate(self) -> None:
        """Ask the server, if the PV is connected."""
        pv = self.pv
        native = lib.cc_field_type(pv._id)
        if native < 0 or self._id:
            return
        engine = pv.context._engine
        self._type = choose_type(self.data_type, native)
        manager = pv.circuit_manager
        if manager is None:
            return
        self._manager = manager
        for entry in self._entries:
            # Made before the circuit was known.
            if entry.outbox is pv.context._outbox:
                entry.outbox = manager.outbox
        self.subscriptionid = manager.next_subscriptionid()
        manager.subscriptions[self.subscriptionid] = self
        count = self.data_count or 0
        self._pad = count if count > lib.cc_element_count(pv._id) else 0
        self._token = engine.own(self._deliver)
        answer = lib.cc_subscribe(pv._id, self._type, count, self.mask, self._token, ffi.NULL)
        if answer < 0:
            engine.ca.owners.pop(self._token, None)
            logger.error("%s: cannot subscribe: %s", pv.name, describe(-answer))
            return
        self._id = answer
        pv.context._flush_soon()

    def _reactivate(self) -> None:
        """The channel is back; libca has renewed the subscription with the type it had."""
        native = lib.cc_field_type(self.pv._id)
        if self._id and native >= 0 and choose_type(self.data_type, native) == self._type:
            manager = self.pv.circuit_manager
            if manager is not None and manager is not self._manager:
                self._leave_circuit()
                self._manager = manager
                self.subscriptionid = manager.next_subscriptionid()
                manager.subscriptions[self.subscriptionid] = self
            return
        self._end()
        self._activate()

    def _leave_circuit(self) -> None:
        if self._manager is not None and self.subscriptionid is not None:
            self._manager.subscriptions.pop(self.subscriptionid, None)
            if self._manager.held is not None:
                self._manager.held.pop(self, None)
        self.subscriptionid = None
        self._manager = None

    def _end(self) -> None:
        subscription, self._id = self._id, 0
        self._leave_circuit()
        if subscription:
            self.pv.context._engine.ca.owners.pop(self._token, None)
            lib.cc_unsubscribe(subscription)

    def _deactivate(self) -> None:
        self._end()
        self.most_recent_response = None
        if not self.pv.context._closed:
            self.pv.context._flush_soon()

    # Events, on the dispatcher thread --------------------------------------------------------

    def _deliver(self, record: Record, buffer: Any, offset: int) -> None:
        if record[2] != 1:
            buffer = own_buffer(record, buffer, offset)
        if record[7] != NORMAL:
            if record[7] in LOST:
                return
            record, buffer = refused(record, self._type), None
        elif self._pad:
            record, buffer = padded(record, buffer, self._pad)
        response = EventAddResponse.from_record(record, buffer, self.subscriptionid or 0)
        with self._lock:
            manager = self._manager
            if manager is not None and manager.held is not None:
                manager.held[self] = response
                return
            self.most_recent_response = response
            for entry in self._entries:
                entry.outbox.put((entry, self, response))

    def _hand_out(self, response: EventAddResponse, batched: bool = True) -> None:
        self.most_recent_response = response
        for entry in self._entries:
            (entry.outbox.put if batched else entry.outbox.post)((entry, self, response))
