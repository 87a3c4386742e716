"""Names with filters: parts of arrays, deadbands, stamps, states."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from cachannel.protocol.channel_types import SubscriptionType
from cachannel.protocol.dbr import LAYOUTS
from cachannel.protocol.errors import CaprotoConversionError
from cachannel.protocol.filters import ChannelFilter

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
        channel_filter: what the name asks for.
    """

    def __init__(self, view: View, channel: ChannelData, channel_filter: ChannelFilter) -> None:
        self.view = view
        self.channel = channel
        self.filter = channel_filter

    @property
    def data_type(self) -> int:
        """The native type, as without the filter."""
        return self.view.data_type

    @property
    def _element_count(self) -> int:
        """The most elements that the filter lets through."""
        full = self.view._element_count
        if self.filter.arr is None:
            return full
        return max(len(range(*self.filter.arr.as_slice(full).indices(full))), 1)

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
        if self.filter.arr is not None:
            part = self.filter.arr.as_slice(length)
            chosen = numpy().frombuffer(data, layout.wire_dtype, length)[part]
            elements = Elements(len(chosen), chosen.tobytes())
        if self.filter.ts and 14 <= dbr_type <= 20:
            status, severity = layout.wire.unpack(metadata)[:2]
            seconds, nanoseconds = divmod(time.time_ns() - _EPOCH_NS, 10**9)
            metadata = layout.wire.pack(status, severity, seconds, nanoseconds)
        return reply(dbr_type, metadata, elements, count)


class EventFilter:
    """Decides, for one subscription, which updates become events."""

    def __init__(self, channel: ChannelData, channel_filter: ChannelFilter) -> None:
        self.channel = channel
        self.filter = channel_filter
        self._last_value: float | None = None
        self._updates = 0
        self._state = False
        self._previous: Reply | None = None

    def event(self, sub: Subscription, mask: int) -> Reply | None:
        """Return the event for an update with these bits, None if it is not to be sent.

        A mask of zero means the first event. It passes `dbnd` and `dec`, while `sync` treats it as
        any other (rsrv).
        """
        current = sub.view._encoded(sub.dbr_type, sub.count)
        if self.filter.dec is not None:
            self._updates += 1
            if (self._updates - 1) % self.filter.dec.n:
                return None
        if self.filter.dbnd is not None and not self._beyond(mask & sub.mask):
            return None
        if self.filter.sync is not None:
            return self._synchronised(current)
        return current

    def _beyond(self, mask: int) -> bool:
        """Tell whether an update with these bits, of those that the client asked for, passes."""
        assert self.filter.dbnd is not None
        try:
            value = number_of(self.channel)
        except CaprotoConversionError:
            return True  # text and arrays have no deadband, as in EPICS base
        last = self._last_value
        if last is None or self.filter.dbnd.passes(last, value):
            self._last_value = value
            return True
        # What else the client wants to hear of passes, and the band stays where it is.
        return not mask or bool(mask & _ALWAYS)

    def _synchronised(self, current: Reply) -> Reply | None:
        """Follow a state as EPICS base's sync filter does: at updates, by the state's edges."""
        assert self.filter.sync is not None
        mode, name = self.filter.sync
        group = getattr(self.channel, "group", None)
        states = getattr(group, "states", None) or {}
        state, before, previous = bool(states.get(name, False)), self._state, self._previous
        self._state, self._previous = state, current
        if mode == "while":
            return current if state else None
        if mode == "unless":
            return None if state else current
        rising, falling = state and not before, before and not state
        if mode == "first":
            return current if rising else None
        if mode == "after":
            return current if falling else None
        if mode == "before":
            return previous if rising else None
        return previous if falling else None  # last
