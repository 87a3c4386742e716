"""What a client holds of a server: its channels, and its subscriptions to them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from .encoding import Reply

if TYPE_CHECKING:
    from .data import ChannelData
    from .filtering import EventFilter
    from .output import CircuitOutput

__all__ = ["ClientChannel", "Served", "Subscription", "View"]


class View(Protocol):
    """What a channel name stands for: a channel, its text as characters, or part of it."""

    @property
    def data_type(self) -> int:
        """The native type that the client is told."""

    @property
    def _element_count(self) -> int:
        """The element count that the client is told."""

    def _encoded(self, dbr_type: int, count: int) -> Reply:
        """Return the reply with the present value."""

    def _from_wire(self, base: int, data: Any) -> Any:
        """Return put elements as the channel stores them."""


class Served(NamedTuple):
    """What a name stands for.

    Attributes:
        view: the channel, its text as characters, or part of it.
        data: the channel.
        event_filter: makes an `EventFilter` per subscription; or None.
        record: the name in the server's mapping that it was found by.
        owner: what the mapping has there: the channel, or the one that it is a field of.
    """

    view: View
    data: ChannelData
    event_filter: Callable[[], EventFilter] | None
    record: str
    owner: ChannelData


class ClientChannel:
    """A channel that a client created: a name's view, under the ids of both sides."""

    __slots__ = (
        "cid",
        "data",
        "direct",
        "event_filter",
        "listed",
        "name",
        "owner",
        "record",
        "rights",
        "sid",
        "subs",
        "view",
    )

    def __init__(self, name: str, served: Served, cid: int, sid: int) -> None:
        self.name = name
        self.view = view = served.view
        self.data = data = served.data
        self.event_filter = served.event_filter
        self.record = served.record
        self.owner = served.owner
        self.cid = cid
        self.sid = sid
        self.listed = True  # whether the mapping says that it has the name
        self.rights = 0
        self.direct = view is data
        self.subs: dict[int, Subscription] | None = None


class Subscription:
    """A client's subscription to a channel."""

    __slots__ = (
        "backlog",
        "channel",
        "circuit",
        "count",
        "dbr_type",
        "event_filter",
        "id",
        "mask",
        "missed",
        "queue",
        "view",
        "wanted",
    )

    def __init__(
        self,
        circuit: CircuitOutput,
        channel: ClientChannel,
        dbr_type: int,
        count: int,
        mask: int,
        subscription_id: bytes,
        backlog: int,
    ) -> None:
        self.circuit = circuit
        self.channel = channel
        self.view = channel.view
        self.dbr_type = dbr_type
        self.count = count
        self.wanted = mask
        self.mask = mask  # 0 while the client may not read
        self.id = subscription_id
        self.backlog = backlog
        self.queue: deque[Reply] = deque()
        self.missed = False
        self.event_filter: EventFilter | None = (
            channel.event_filter() if channel.event_filter is not None else None
        )
