"""Names with filters: parts of arrays, deadbands, stamps, states."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from cachannel.protocol.channel_types import SubscriptionType
from cachannel.protocol.dbr import LAYOUTS
from cachannel.protocol.errors import CaprotoConversionError
from cachannel.protocol.filters import (
    ArrayFilter,
    DeadbandFilter,
    DecimateFilter,
    Filter,
    SyncFilter,
    TimestampFilter,
)

from .encoding import Elements, Reply, numpy, reply
from .numeric import number_of

if TYPE_CHECKING:
    from .data import ChannelData
    from .subscription import Subscription, View

__all__ = ["EventFilter", "FilteredView"]

_EPOCH_NS = 631152000 * 10**9
# Changes that a deadband has nothing to say about.
_ALWAYS = int(SubscriptionType.DBE_ALARM | SubscriptionType.DBE_PROPERTY)


class FilteredView:
    """A channel seen through the ``arr`` and ``ts`` filters of its name.

    Args:
        view: the channel, or its text as characters.
        channel: the channel.
        filters: what the name asks for, in its order.
    """

    def __init__(self, view: View, channel: ChannelData, filters: Sequence[Filter]) -> None:
        self.view = view
        self.channel = channel
        self._arrays = [one for one in filters if isinstance(one, ArrayFilter)]
        self._stamps = any(isinstance(one, TimestampFilter) for one in filters)

    @property
    def data_type(self) -> int:
        """The native type, as without the filter."""
        return self.view.data_type

    @property
    def _element_count(self) -> int:
        """The most elements that the filter lets through."""
        count = self.view._element_count
        for array in self._arrays:
            count = max(len(range(*array.as_slice(count).indices(count))), 1)
        return count

    def _from_wire(self, base: int, data: Any) -> Any:
        """Return put elements as without the filter: filters are for reading."""
        return self.view._from_wire(base, data)

    def _encoded(self, dbr_type: int, count: int) -> Reply:
        """Return the reply with what the filters let through."""
        whole = self.view._encoded(dbr_type, 0)
        if dbr_type > 34:
            return whole
        layout = LAYOUTS[dbr_type]
        start = 8 if whole.read_head[2:4] == b"\xff\xff" else 0
        body = memoryview(whole.rest)[start:]
        metadata = bytes(body[: layout.value_offset])
        if start:
            length = int.from_bytes(whole.rest[4:8], "big")
        else:
            length = int.from_bytes(whole.read_head[6:8], "big")
        data = body[layout.value_offset : layout.value_offset + length * layout.element_size]
        elements = Elements(length, bytes(data))
        if self._arrays:
            chosen = numpy().frombuffer(data, layout.wire_dtype, length)
            for array in self._arrays:
                chosen = chosen[array.as_slice(len(chosen))]
            elements = Elements(len(chosen), chosen.tobytes())
        if self._stamps and 14 <= dbr_type <= 20:
            status, severity = layout.wire.unpack(metadata)[:2]
            seconds, nanoseconds = divmod(time.time_ns() - _EPOCH_NS, 10**9)
            metadata = layout.wire.pack(status, severity, seconds, nanoseconds)
        return reply(dbr_type, metadata, elements, count)


class _Update(NamedTuple):
    """What goes from filter to filter.

    Attributes:
        reply: the event.
        value: the number that a deadband judges, None where there is none.
        mask: event bits, of those that the client asked for; 0 for the first event.
    """

    reply: Reply
    value: float | None
    mask: int


class EventFilter:
    """Decides, for one subscription, which updates become events.

    Args:
        channel: the channel.
        filters: those of the name, in its order: an update that one of them holds back does not
            reach the ones behind it.
    """

    def __init__(self, channel: ChannelData, filters: Sequence[Filter]) -> None:
        self.channel = channel
        self._stages: list[Callable[[_Update], _Update | None]] = []
        self._needs_value = False
        for one in filters:
            if isinstance(one, DeadbandFilter):
                self._stages.append(_Deadband(one))
                self._needs_value = True
            elif isinstance(one, DecimateFilter):
                self._stages.append(_Decimation(one))
            elif isinstance(one, SyncFilter):
                self._stages.append(_Synchronisation(one, channel))

    def event(self, sub: Subscription, mask: int) -> Reply | None:
        """Return the event for an update with these bits, None if it is not to be sent.

        A mask of zero means the first event. It passes `dbnd` and `dec`, while `sync` treats it as
        any other (rsrv).
        """
        value = None
        if self._needs_value:
            with contextlib.suppress(CaprotoConversionError):  # text and arrays have none
                value = number_of(self.channel)
        update: _Update | None
        update = _Update(sub.view._encoded(sub.dbr_type, sub.count), value, mask & sub.mask)
        for stage in self._stages:
            update = stage(update)
            if update is None:
                return None
        return update.reply


class _Deadband:
    """``dbnd``: what is not a number has no deadband, as in EPICS base."""

    def __init__(self, deadband: DeadbandFilter) -> None:
        self._deadband = deadband
        self._last: float | None = None

    def __call__(self, update: _Update) -> _Update | None:
        value = update.value
        if value is None:
            return update
        if self._last is None or self._deadband.passes(self._last, value):
            self._last = value
            return update
        # What else the client wants to hear of passes, and the band stays where it is.
        return update if not update.mask or update.mask & _ALWAYS else None


class _Decimation:
    """``dec``: the first of every n updates."""

    def __init__(self, decimate: DecimateFilter) -> None:
        self._n = decimate.n
        self._seen = 0

    def __call__(self, update: _Update) -> _Update | None:
        self._seen += 1
        return None if (self._seen - 1) % self._n else update


class _Synchronisation:
    """``sync``: follows a state as EPICS base's filter does, at updates, by the state's edges."""

    def __init__(self, sync: SyncFilter, channel: ChannelData) -> None:
        self._mode, self._name = sync
        self._channel = channel
        self._state = False
        self._previous: _Update | None = None

    def __call__(self, update: _Update) -> _Update | None:
        group = getattr(self._channel, "group", None)
        states = getattr(group, "states", None) or {}
        state, before = bool(states.get(self._name, False)), self._state
        previous = self._previous
        self._state, self._previous = state, update
        mode = self._mode
        if mode == "while":
            return update if state else None
        if mode == "unless":
            return None if state else update
        rising, falling = state and not before, before and not state
        if mode == "first":
            return update if rising else None
        if mode == "after":
            return update if falling else None
        if mode == "before":
            return previous if rising else None
        return previous if falling else None  # last
