"""The engine as a small public interface: channels, requests, subscriptions, bulk calls.

The APIs that people call (pyepics' names, for one) are built on this. It works with DBR types
and encoded data and answers with CA statuses; it keeps no cache and converts nothing.

User code runs on the dispatcher thread of the context, one event after the other, in the order
in which libca saw them. Any call is allowed inside a callback, waits included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cachannel._ca.handles import fetch
from cachannel._native import ffi, lib
from cachannel.context import Context, create_many
from cachannel.protocol.enums import ECA
from cachannel.protocol.text import decode
from cachannel.values.decode import RECORD, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Deliver = Callable[[Record, Any, int], None]

__all__ = [
    "ANY",
    "CONNECTION",
    "DROPPED",
    "Channel",
    "Context",
    "Encoded",
    "Info",
    "Request",
    "Subscription",
    "connect_many",
    "create_channels",
    "get_many",
    "put_many",
    "put_many_wait",
]

ANY: Final = -1
"""In place of a DBR type or an element count: the native one."""

CONNECTION: Final = 1
"""Kind of a record (``record[1]``): the channel was connected or lost."""
ACCESS: Final = 2
"""Kind of a record: the access rights have changed; ``record[7]`` has them as bits."""
DROPPED: Final = 8
"""Kind of a record: the channel was closed before the answer came."""

_TELL: Final = 2 | 4
_WAITED: Final = 1
_OTHER: Final = 3
_INTEGER: Final = 2


class Encoded(NamedTuple):
    """Data ready to be sent.

    Attributes:
        dbr_type: 0 (STRING) to 6 (DOUBLE), or PUT_ACKT, PUT_ACKS.
        count: number of elements.
        data: the elements in host byte order.
    """

    dbr_type: int
    count: int  # type: ignore[assignment]  # hides tuple.count
    data: bytes


class Info(NamedTuple):
    """What is known of a channel now; see `Channel.info`."""

    state: int
    field_type: int
    element_count: int
    read_access: bool
    write_access: bool


class Request:
    """A read or write whose answer somebody may wait for."""

    __slots__ = ("_channel", "id")

    def __init__(self, request: int, channel: Channel) -> None:
        self.id = request
        self._channel = channel

    def __del__(self) -> None:
        if self.id:
            lib.cc_request_release(self.id)

    @property
    def done(self) -> bool:
        """Whether the answer is here."""
        return int(lib.cc_request_state(self.id)) != 0

    def wait(self, timeout: float | None) -> bool:
        """Send what is buffered and wait for the answer, with the GIL released.

        Args:
            timeout: seconds; None: without limit.

        Returns:
            False when the time was over.
        """
        status = self._channel.context.wait(lib.cc_request_wait, self.id, timeout)
        return status != ECA.TIMEOUT

    def answer(self) -> tuple[Record, Any] | None:
        """Take the answer: the record and the buffer its data starts in; None before it came.

        Large data is taken over and not copied, so it can be had only once.
        """
        return fetch(self.id, steal=True)


class Subscription:
    """The changes of a channel, until `close`."""

    __slots__ = ("_channel", "id", "token")

    def __init__(self, subscription: int, channel: Channel, token: int) -> None:
        self.id = subscription
        self.token = token
        self._channel = channel

    def close(self) -> int:
        """End it; none of its events is delivered any more. Returns the CA status."""
        subscription, self.id = self.id, 0
        if not subscription:
            return int(ECA.BADMONID)
        status: int = lib.cc_unsubscribe(subscription)
        self._channel.disown(self.token)
        return status


class Channel:
    """One channel of a context.

    Args:
        context: where.
        name: name of the PV, encoded; not empty and without NUL.
        deliver: called as ``deliver(record, buffer, offset)`` on the dispatcher thread for every
            connect and disconnect (``record[1] == CONNECTION``; then ``record[7]`` is 6 or 7,
            ``record[3]`` the native type, ``record[8]`` the element count and ``record[9]`` the
            rights, bit 0 to read and bit 1 to write) and every change of the rights
            (``record[1] == ACCESS``, ``record[7]`` the rights).
        priority: 0 to 99.

    Attributes:
        id: a number that no other channel of this process ever has; 0 after `close`.
        status: the CA status of creating it. Unless that is ECA_NORMAL it is closed.
    """

    __slots__ = ("_tokens", "context", "id", "name", "status", "token")

    def __init__(self, context: Context, name: bytes, deliver: Deliver, priority: int = 0) -> None:
        self.context = context
        self.name = name
        self._tokens: set[int] | None = None
        self.token = context.own(deliver)
        number: int = lib.cc_channel_create(context.id, name, priority, self.token, _TELL)
        self.id = max(number, 0)
        self.status = int(ECA.NORMAL) if number > 0 else -number
        if number < 0:
            context.disown(self.token)

    @classmethod
    def adopt(cls, context: Context, name: bytes, number: int) -> Channel:
        """Make the object of a channel that `create_channels` has made."""
        channel = cls.__new__(cls)
        channel.context = context
        channel.name = name
        channel._tokens = None
        channel.token = 0
        channel.id = max(number, 0)
        channel.status = int(ECA.NORMAL) if number > 0 else -number
        return channel

    def close(self) -> int:
        """End the channel, its requests and its subscriptions. Returns the CA status."""
        number, self.id = self.id, 0
        if not number:
            return int(ECA.BADCHID)
        status: int = lib.cc_channel_clear(number)
        self.context.disown(self.token)
        # A subscription that is closed meanwhile takes its token out.
        for token in tuple(self._tokens or ()):
            self.context.disown(token)
        return status

    def disown(self, token: int) -> None:
        """Forget a subscription that has ended."""
        if self._tokens is not None:
            self._tokens.discard(token)
        self.context.disown(token)

    @property
    def connected(self) -> bool:
        """Whether it is connected now; the dispatcher may not yet have told of it."""
        return bool(lib.cc_channel_is_connected(self.id) == 1)

    def wait(self, timeout: float | None) -> bool:
        """Wait until it is connected.

        Args:
            timeout: seconds; None: without limit.
        """
        return self.context.wait(lib.cc_channel_wait, self.id, timeout) == ECA.NORMAL

    def info(self) -> Info:
        """Ask for state (0 never connected, 1 lost, 2 connected), type, count and rights."""
        info = ffi.new("cc_channel_info *")
        if lib.cc_channel_info_get(self.id, info) != ECA.NORMAL:
            return Info(3, ANY, 0, False, False)
        return Info(
            info.state, info.field_type, info.element_count,
            bool(info.read_access), bool(info.write_access),
        )  # fmt: skip

    def host_name(self) -> str:
        """Ask for ``'host:port'`` of the server, or ``'<disconnected>'``."""
        buffer = ffi.new("char[]", 512)
        if lib.cc_host_name(self.id, buffer, 512) != ECA.NORMAL:
            return "<disconnected>"
        return decode(ffi.string(buffer))

    def rights(self) -> int:
        """Ask for the rights: bit 0 to read, bit 1 to write; -1 when closed."""
        return int(lib.cc_access(self.id))

    def get(self, dbr_type: int, count: int) -> tuple[int, Request | None]:
        """Start a read. It is sent when somebody waits for it or flushes.

        Args:
            dbr_type: DBR type, or ANY.
            count: elements; 0: as many as there are; ANY: the native count.

        Returns:
            The CA status and, when that is ECA_NORMAL, the request.
        """
        number: int = lib.cc_get(self.id, dbr_type, count, 0, 0)
        if number < 0:
            return -number, None
        return int(ECA.NORMAL), Request(number, self)

    def put(self, encoded: Encoded) -> int:
        """Write without completion; sent with the next flush. Returns the CA status."""
        return int(lib.cc_put(self.id, *encoded))

    def put_request(self, encoded: Encoded) -> tuple[int, Request | None]:
        """Start a write whose completion is waited for; see `get`."""
        number: int = lib.cc_put_request(self.id, *encoded, 0)
        if number < 0:
            return -number, None
        return int(ECA.NORMAL), Request(number, self)

    def put_callback(self, encoded: Encoded, deliver: Callable[[int], None]) -> int:
        """Write; tell of the completion on the dispatcher thread.

        Args:
            encoded: the data.
            deliver: called once as ``deliver(status)``; also when the channel is closed first.

        Returns:
            The CA status. Unless it is ECA_NORMAL, `deliver` is not called.
        """
        context = self.context

        def completed(record: Record, buffer: Any, offset: int) -> None:
            context.owners.pop(record[0], None)
            deliver(record[7])

        token = context.own(completed)
        status: int = lib.cc_put_callback(self.id, *encoded, token)
        if status != ECA.NORMAL:
            context.disown(token)
        return status

    def subscribe(
        self, dbr_type: int, count: int, mask: int, deliver: Deliver
    ) -> tuple[int, Subscription | None]:
        """Have every change delivered, on the dispatcher thread.

        Args:
            dbr_type: DBR type.
            count: elements; 0: as many as there are.
            mask: DBE_* bits.
            deliver: called as ``deliver(record, buffer, offset)``; `cachannel.values.decode`
                reads records.

        Returns:
            The CA status and, when that is ECA_NORMAL, the subscription.
        """
        token = self.context.own(deliver)
        number: int = lib.cc_subscribe(self.id, dbr_type, count, mask, token, ffi.NULL)
        if number < 0:
            self.context.disown(token)
            return -number, None
        if self._tokens is None:
            self._tokens = set()
        self._tokens.add(token)
        return int(ECA.NORMAL), Subscription(number, self, token)

    @property
    def subscribed(self) -> bool:
        """Whether it has subscriptions."""
        return bool(self._tokens)

    def flush(self) -> None:
        """Send what is buffered."""
        lib.cc_flush(self.context.id)

    def flush_soon(self) -> None:
        """Send what is buffered: in a callback once for the whole batch of events, else now."""
        self.context.flush_soon()


def create_channels(
    context: Context, names: Sequence[bytes], delivers: Sequence[Deliver]
) -> list[Channel]:
    """Create many channels with one call into C; see `Channel` for the arguments."""
    first = context.token()
    for _ in range(len(names) - 1):
        context.token()
    tokens = range(first, first + len(names))
    # Tokens come from one counter for all threads: take a range only if nobody was in between.
    if context.token() != first + len(names):
        return [Channel(context, name, d) for name, d in zip(names, delivers, strict=True)]
    context.owners.update(zip(tokens, delivers, strict=True))
    channels = []
    numbers = create_many(context, list(names), 0, first, _TELL) if names else []
    for token, name, number in zip(tokens, names, numbers, strict=True):
        channel = Channel.adopt(context, name, number)
        channel.token = token
        if number <= 0:
            context.disown(token)
        channels.append(channel)
    return channels


def connect_many(channels: Sequence[Channel], timeout: float | None) -> bool:
    """Wait until all are connected, with one deadline for all.

    Args:
        channels: any channels.
        timeout: seconds; None: without limit.

    Returns:
        Whether all are connected.
    """
    import time

    end = None if timeout is None else time.monotonic() + timeout
    connected = True
    for channel in channels:
        if not channel.connected:
            left = None if end is None else max(end - time.monotonic(), 0.0)
            connected = channel.wait(left) and connected
    return connected


def get_many(
    channels: Sequence[Channel], dbr_type: int, count: int, timeout: float | None, variant: int = 0
) -> list[tuple[int, Any]]:
    """Read channels of one context, with one request to the network.

    Args:
        channels: the channels; those that are not connected fail.
        dbr_type: DBR type, or ANY for the native type plus `variant` (0 plain, 14 TIME, ...).
        count: elements of each; 0: as many as there are; ANY: the native count.
        timeout: seconds for all; None: without limit.
        variant: see `dbr_type`.

    Returns:
        For each ``(status, answer)``. The answer is the number for one element of a plain
        numeric type (float or int), and ``(record, buffer)`` otherwise.
    """
    length = len(channels)
    if not length:
        return []
    ids = ffi.new("cc_id[]", [channel.id for channel in channels])
    bulk = lib.cc_get_many(ids, length, dbr_type, count, variant)
    if not bulk:
        raise MemoryError
    try:
        channels[0].context.wait(lib.cc_bulk_wait, bulk, timeout)
        status, state = ffi.new("int32_t[]", length), ffi.new("uint8_t[]", length)
        numbers = ffi.new("double[]", length)
        floats = lib.cc_bulk_collect(bulk, status, state, numbers)
        values: list[Any] = ffi.unpack(numbers, length)
        codes = ffi.unpack(status, length)
        if floats < length:
            for index, kind in enumerate(ffi.unpack(state, length)):
                if kind == _INTEGER:
                    values[index] = int(values[index])
                elif kind == _OTHER:
                    values[index] = _bulk_answer(bulk, index)
        return list(zip(codes, values, strict=True))
    finally:
        lib.cc_bulk_release(bulk)


def _bulk_answer(bulk: Any, index: int) -> tuple[Record, Any]:
    fields = RECORD.unpack(ffi.buffer(lib.cc_bulk_record(bulk, index), RECORD.size))
    data = None
    if fields[2] != 1 and fields[13]:
        data = bytearray(ffi.buffer(ffi.cast("char *", fields[13]), fields[11]))
    return fields, data


def put_many(channels: Sequence[Channel], values: Sequence[float]) -> list[int]:
    """Write a number to each channel in its native type, and send.

    Returns:
        For each a CA status; negative when the type cannot hold the number (it was not sent).
    """
    length = len(channels)
    status = ffi.new("int32_t[]", length)
    ids = ffi.new("cc_id[]", [channel.id for channel in channels])
    lib.cc_put_many(ids, length, ffi.new("double[]", values), status)
    if length:
        channels[0].flush()
    return ffi.unpack(status, length) if length else []


def put_many_wait(
    channels: Sequence[Channel], values: Sequence[float], timeout: float | None
) -> list[int]:
    """Write as `put_many`, and wait until all have been processed.

    Args:
        channels: channels of one context.
        values: a number for each.
        timeout: seconds for all; None: without limit.

    Returns:
        For each a CA status (ECA_TIMEOUT without an answer); negative when the type cannot hold
        the number (it was not sent).
    """
    length = len(channels)
    if not length:
        return []
    status, answers = ffi.new("int32_t[]", length), ffi.new("int32_t[]", length)
    state, data = ffi.new("uint8_t[]", length), ffi.new("double[]", values)
    ids = ffi.new("cc_id[]", [channel.id for channel in channels])
    bulk = lib.cc_put_many_wait(ids, length, data, status)
    if not bulk:
        raise MemoryError
    try:
        channels[0].context.wait(lib.cc_bulk_wait, bulk, timeout)
        lib.cc_bulk_collect(bulk, answers, state, data)
    finally:
        lib.cc_bulk_release(bulk)
    return [
        answer if started == ECA.NORMAL else started
        for started, answer in zip(
            ffi.unpack(status, length), ffi.unpack(answers, length), strict=True
        )
    ]
