"""Many channels at once: one call into C, one flush, one wait for all.

`connect_many`, `get_many` and `put_many` work on `CaChannel` objects. `BulkSink` brings the
changes of thousands of PVs as NumPy arrays, without any Python call per event.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final, NoReturn

from cachannel._ca.core import attach_shared, count_number, encode_name, wait_mine
from cachannel._ca.handles import FLOAT, INTEGER, OTHER, Chid
from cachannel._ca.unconnected import explain, list_names
from cachannel._native import ffi, lib
from cachannel._native.forks import destroy_queue, new_queue
from cachannel.channel import CaChannel, CaChannelException
from cachannel.context import SLICE, Context, create_many
from cachannel.errors import CAError
from cachannel.protocol.enums import ECA
from cachannel.protocol.text import decode
from cachannel.values.decode import RECORD, ca_value, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np

__all__ = ["BulkSink", "connect_many", "get_many", "put_many"]

_ANY = -1
_WAITED = 1
_STRING, _ENUM, _CHAR = 0, 3, 4
_TIME_DOUBLE = 20
_EXACT: Final = 2**53


def _shown(name: str | bytes | None) -> str:
    return decode(name) if isinstance(name, bytes) else str(name)


def _names(names: Sequence[str | bytes | None]) -> str:
    return list_names([_shown(name) for name in names])


def _refuse(channels: Any, operation: str) -> NoReturn:
    """Say what the functions of many channels want."""
    wrong = channels
    if hasattr(channels, "__len__") and not isinstance(channels, str | bytes):
        wrong = next(c for c in channels if not isinstance(c, CaChannel))
    message = (
        f"{operation} takes a list of channels (CaChannel), as connect_many returns it, not "
        f"{type(wrong).__name__} {wrong!r}"
    )
    if isinstance(wrong, str | bytes):
        message += f"; cachannel.util.ca{operation[:3]} takes names"
    raise TypeError(message)


def _check(channels: Any, operation: str) -> None:
    """Refuse what is not a sequence of channels."""
    if isinstance(channels, str | bytes) or not hasattr(channels, "__len__"):
        _refuse(channels, operation)
    # The type alone is quicker to look at than the classes that it is derived from.
    for channel in channels:
        if type(channel) is not CaChannel and not isinstance(channel, CaChannel):
            _refuse(channels, operation)


def _encode(name: str | bytes) -> bytes:
    data = b"" if name is None else encode_name(name)
    if not data:
        raise CaChannelException(ECA.BADSTR, "", "connect", "the PV has no name")
    if b"\0" in data:
        raise CaChannelException(ECA.BADSTR, _shown(name), "connect", "this is no name of a PV")
    return data


def connect_many(names: Sequence[str | bytes], timeout: float = 3.0) -> list[CaChannel]:
    """Connect to many PVs, and wait for all of them together.

    Args:
        names: names of PVs.
        timeout: seconds for all; 0: without limit.

    Returns:
        The connected channels, in the order of the names.

    Raises:
        CaChannelException: ECA_TIMEOUT naming the PVs that did not connect; none of the channels
            is kept then. ECA_BADSTR for an empty name.
        TypeError: `names` is one name.
    """
    if isinstance(names, str | bytes):
        message = f"connect_many takes a list of names, not {type(names).__name__} {names!r}"
        raise TypeError(message)
    context = attach_shared()
    encoded = [_encode(name) for name in names]
    ids = create_many(context, encoded, 0, 0, _WAITED)
    channels = []
    for name, channel_id in zip(names, ids, strict=True):
        channel = CaChannel(name)
        if channel_id > 0:
            channel._chid = Chid(channel_id, name, context)
        channels.append(channel)
    wait_mine(context, lib.cc_channel_wait, [i for i in ids if i > 0], timeout or None)
    connected = lib.cc_channel_is_connected
    missing = [
        name
        for name, channel_id in zip(names, ids, strict=True)
        if channel_id < 0 or connected(channel_id) != 1
    ]
    if missing:
        raise CaChannelException(
            ECA.TIMEOUT,
            "",
            "connect",
            f"not connected within {timeout:g} s: {_names(missing)}",
        )
    return channels


def _ids(channels: Sequence[CaChannel]) -> Any:
    """Make a C array of the ids; a channel that was never searched has 0, which is BADCHID."""
    ids = [0 if (chid := channel._chid) is None else chid.id for channel in channels]
    return ffi.new("cc_id[]", ids)


def _deadline(context: Context, bulk: Any, timeout: float | None) -> None:
    context.wait(lib.cc_bulk_wait, bulk, timeout)


def _context_of(channels: Sequence[CaChannel]) -> Context:
    chid = channels[0]._chid
    return attach_shared() if chid is None else chid.context


def _raise(channels: Sequence[CaChannel], status: Sequence[int], operation: str) -> None:
    """Name the first failure, and how many there are."""
    failed = [i for i, code in enumerate(status) if code != ECA.NORMAL]
    if not failed:
        return
    first = failed[0]
    same = [channels[i]._pvname for i in failed if status[i] == status[first]]
    chid = channels[first]._chid
    text = explain(chid.id, status[first])[0] if chid is not None else ""
    raise CaChannelException(status[first], "", operation, _names(same), text)


def _count(channels: Sequence[CaChannel], count: Any) -> int:
    """Take an element count.

    Raises:
        RangeError, BadCountError: it is negative, or not a number.
    """
    try:
        return count_number(count, "", "get")
    except CAError as exc:
        names = _names([channel._pvname for channel in channels])
        raise type(exc)(exc.status, "", exc.operation, f"{names}, {exc.detail}") from exc.__cause__


def _read(
    channels: Sequence[CaChannel],
    dbr_type: int,
    count: int | None,
    timeout: float | None,
    use_numpy: bool,
) -> list[Any]:
    """Read channels of one context; raise if any failed."""
    length = len(channels)
    elements = _ANY if count is None else _count(channels, count)
    bulk = lib.cc_get_many(_ids(channels), length, dbr_type, elements, 0)
    if not bulk:
        raise MemoryError
    try:
        _deadline(_context_of(channels), bulk, timeout)
        status, state = ffi.new("int32_t[]", length), ffi.new("uint8_t[]", length)
        numbers = ffi.new("double[]", length)
        floats = lib.cc_bulk_collect(bulk, status, state, numbers)
        values: list[Any] = ffi.unpack(numbers, length)
        if floats == length:
            return values
        codes = ffi.unpack(status, length)
        _raise(channels, codes, "get")
        for index, kind in enumerate(ffi.unpack(state, length)):
            if kind == INTEGER:
                values[index] = int(values[index])
            elif kind == OTHER:
                record = lib.cc_bulk_record(bulk, index)
                fields = RECORD.unpack(ffi.buffer(record, RECORD.size))
                data = None
                if fields[13]:
                    data = bytearray(ffi.buffer(ffi.cast("char *", fields[13]), fields[11]))
                values[index] = ca_value(fields, data, 0, use_numpy)
            elif kind != FLOAT:
                values[index] = None
        return values
    finally:
        lib.cc_bulk_release(bulk)


def get_many(
    channels: Sequence[CaChannel],
    as_string: bool = False,
    count: int | None = None,
    timeout: float | None = None,
    use_numpy: bool = False,
) -> list[Any]:
    """Read connected channels, all with one request to the network.

    Args:
        channels: what `connect_many` returned, or any searched channels of one context.
        as_string: enums as the name of their state, arrays of CHAR as text.
        count: at most so many elements of each; None: all; 0: as many as there are.
        timeout: seconds for all; None: `CaChannel.ca_timeout`; 0: without limit.
        use_numpy: several numbers of one PV are an ndarray of shape ``(count,)``.

    Returns:
        The values, in the order of the channels.

    Raises:
        CaChannelException: with the status of the first failure, naming the PVs.
        RangeError, BadCountError: `count` is negative, or not a number.
        TypeError: `channels` is not a sequence of channels.
    """
    _check(channels, "get_many")
    if not channels:
        return []
    limit = (CaChannel.ca_timeout if timeout is None else timeout) or None
    if not as_string:
        return _read(channels, _ANY, count, limit, use_numpy)
    types = [lib.cc_field_type(c._chid.id) if c._chid else _ANY for c in channels]
    enums = [i for i, kind in enumerate(types) if kind == _ENUM]
    others = [i for i, kind in enumerate(types) if kind != _ENUM]
    values: list[Any] = [None] * len(channels)
    if enums:
        states = _read([channels[i] for i in enums], _STRING, count, limit, use_numpy)
        for index, value in zip(enums, states, strict=True):
            values[index] = value
    if others:
        read = _read([channels[i] for i in others], _ANY, count, limit, use_numpy)
        for index, value in zip(others, read, strict=True):
            is_text = types[index] == _CHAR
            data = [value] if isinstance(value, int) else value
            values[index] = text(bytes(data)) if is_text else value
    return values


def put_many(
    channels: Sequence[CaChannel],
    values: Sequence[Any],
    wait: bool = False,
    timeout: float | None = None,
) -> None:
    """Write connected channels, all with one request to the network.

    Args:
        channels: the channels.
        values: a value for each; numbers go fastest.
        wait: wait until the records and all that they triggered have processed.
        timeout: seconds for all, when waiting; None or 0: without limit.

    Raises:
        CaChannelException: with the status of the first failure, naming the PVs; ECA_TIMEOUT
            when the time was over.
        BadValueError, RangeError, ValueTypeError: a value cannot be sent as its PV's type.
        ValueError: there are not as many values as channels.
        TypeError: `channels` is not a sequence of channels.
    """
    _check(channels, "put_many")
    if len(channels) != len(values):
        message = f"{len(channels)} channels but {len(values)} values"
        raise ValueError(message)
    if not channels:
        return
    try:
        _put_many(channels, values, wait, timeout)
    except CAError as exc:
        exc.__traceback__ = None  # it says what is wrong; the frames below do not help
        raise


def _put_many(
    channels: Sequence[CaChannel], values: Sequence[Any], wait: bool, timeout: float | None
) -> None:
    numbers = all(
        (kind := type(value)) is float or (kind is int and -_EXACT < value < _EXACT)
        for value in values
    )
    if not numbers:
        _put_each(channels, values, wait, timeout)
        return
    length = len(channels)
    status = ffi.new("int32_t[]", length)
    data = ffi.new("double[]", [float(value) for value in values])
    context = _context_of(channels)
    if not wait:
        failures = lib.cc_put_many(_ids(channels), length, data, status)
        context.flush()
        if failures:
            _put_rest(channels, values, ffi.unpack(status, length))
        return
    bulk = lib.cc_put_many_wait(_ids(channels), length, data, status)
    if not bulk:
        raise MemoryError
    try:
        _deadline(context, bulk, timeout or None)
        state, results = ffi.new("uint8_t[]", length), ffi.new("int32_t[]", length)
        lib.cc_bulk_collect(bulk, results, state, data)
    finally:
        lib.cc_bulk_release(bulk)
    # A value that C could not convert takes the long way, which says why or finds one.
    _put_rest(channels, values, ffi.unpack(status, length), wait, timeout)
    started = ffi.unpack(status, length)
    answers = ffi.unpack(results, length)
    failed = [a if s == ECA.NORMAL else 1 for s, a in zip(started, answers, strict=True)]
    _raise(channels, failed, "put")


def _put_rest(
    channels: Sequence[CaChannel],
    values: Sequence[Any],
    status: Sequence[int],
    wait: bool = False,
    timeout: float | None = None,
) -> None:
    _raise(channels, [code if code > 0 else 1 for code in status], "put")
    rest = [i for i, code in enumerate(status) if code < 0]
    if rest:
        _put_each([channels[i] for i in rest], [values[i] for i in rest], wait, timeout)


def _put_each(
    channels: Sequence[CaChannel], values: Sequence[Any], wait: bool, timeout: float | None
) -> None:
    if not wait:
        for channel, value in zip(channels, values, strict=True):
            channel.array_put(value)
        _context_of(channels).flush()
        return
    # Everything is started before anything is waited for.
    done = threading.Semaphore(0)
    status = [int(ECA.TIMEOUT)] * len(channels)

    def completed(event: dict[str, Any], args: tuple[Any, ...]) -> None:
        status[args[0]] = int(event["status"])
        done.release()

    context = _context_of(channels)
    if context.in_callback or not context.preemptive:
        # Nobody else could run `completed`.
        for channel, value in zip(channels, values, strict=True):
            channel._put_wait(value, timeout=timeout, operation="put")
        return
    for index, (channel, value) in enumerate(zip(channels, values, strict=True)):
        channel.array_put_callback(value, None, None, completed, index)
    context.flush()
    end = None if not timeout else time.monotonic() + timeout
    for _ in channels:
        left = None if end is None else max(end - time.monotonic(), 0.0)
        if not done.acquire(timeout=left):
            break
    _raise(channels, status, "put")


class BulkSink:
    """The changes of many PVs as NumPy arrays, for archivers and displays.

    Events of a sink never meet Python one by one: they are queued in C and come as one array per
    batch. A PV is read as one DOUBLE with alarm and time stamp, whatever it natively is. PVs need
    not be connected: their first event comes when they are.

    Args:
        names: names of PVs, or searched `CaChannel` objects; more with `add`.
        mask: DBE_* bits of what is a change; the default is DBE_VALUE | DBE_ALARM.
        context: the context; default the one that all `CaChannel` objects share.
        limit: events that may wait for `get`. When there are more, the newest value of a PV
            replaces its pending one, and `replaced` counts.

    Iterating yields batches until the sink is closed.
    """

    def __init__(
        self,
        names: Sequence[str | CaChannel] = (),
        mask: int = 5,
        context: Context | None = None,
        limit: int = 1_000_000,
    ) -> None:
        self.context = attach_shared() if context is None else context
        self.mask = mask
        self.names: list[str | bytes] = []
        self.closed = True  # until there is something to close
        queues: list[Any] = []
        new_queue(queues, limit, 1 << 30)
        self.queue = queues[0]
        self._batch = ffi.new("cc_batch *")
        self._own: list[int] = []
        # An object that nobody refers to would clear its channel.
        self._given: list[CaChannel] = []
        self._subscriptions: list[int] = []
        self._reading = threading.Lock()
        self._changing = threading.Lock()
        self.context._sinks.append(self)
        self.closed = False
        if names:
            try:
                self.add(names)
            except BaseException:
                self.close()
                raise

    def __repr__(self) -> str:
        state = " closed" if self.closed else ""
        return f"<BulkSink of {len(self.names)} PVs, {self.replaced} events replaced{state}>"

    def __enter__(self) -> BulkSink:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[np.ndarray[Any, Any]]:
        while not self.closed:
            batch = self.get()
            if len(batch):
                yield batch

    def add(self, names: Sequence[str | CaChannel]) -> range:
        """Add PVs: all of them or, when one cannot be, none.

        Args:
            names: names of PVs, or searched `CaChannel` objects.

        Returns:
            The ids that their events will have.

        Raises:
            CaChannelException: a name is empty, a channel has been cleared, or the sink is closed.
        """
        with self._changing:
            if self.closed:
                raise CaChannelException(ECA.BADCHID, "", "BulkSink.add", "the sink is closed")
            return self._add(names)

    def _add(self, names: Sequence[str | CaChannel]) -> range:
        first = len(self.names)
        given = [name for name in names if not isinstance(name, str)]
        ids_given = iter([channel._open("BulkSink.add").id for channel in given])
        texts = [_encode(name) for name in names if isinstance(name, str)]
        own = create_many(self.context, texts, 0, 0, 0)
        ids_own = iter(own)
        ids = [next(ids_own if isinstance(name, str) else ids_given) for name in names]
        length = len(ids)
        subscriptions = ffi.new("cc_id[]", length)
        lib.cc_subscribe_many(
            ffi.new("cc_id[]", ids), length, _TIME_DOUBLE, 1, 0, self.mask, first, self.queue,
            subscriptions,
        )  # fmt: skip
        answers = ffi.unpack(subscriptions, length) if length else []
        shown = [name if isinstance(name, str) else name.name() for name in names]
        for name, channel, answer in zip(shown, ids, answers, strict=True):
            if answer < 0:
                self._end(answers, own)
                status = -channel if channel < 0 else -answer
                raise CaChannelException(status, str(name), "BulkSink.add")
        self.names += shown
        self._own += own
        self._given += given
        self._subscriptions += answers
        self.context.flush()
        return range(first, len(self.names))

    @staticmethod
    def _end(subscriptions: Iterable[int], channels: Iterable[int]) -> None:
        for subscription in subscriptions:
            if subscription > 0:
                lib.cc_unsubscribe(subscription)
        for channel in channels:
            if channel > 0:
                lib.cc_channel_clear(channel)

    def get(self, timeout: float | None = None) -> np.ndarray[Any, Any]:
        """Take what has come, waiting for the first event if there is none.

        Args:
            timeout: seconds; None: without limit.

        Returns:
            A structured array of shape ``(events,)`` that belongs to the caller, oldest first:
            ``id`` (uint64, position of the PV in `names`), ``seconds`` and ``nanoseconds``
            (uint32, since 1990-01-01 UTC), ``severity`` and ``status`` (int16, alarm), ``value``
            (float64; NaN with severity 3 when the server refused). Empty after the time-out, and
            when the sink is closed meanwhile.
        """
        import numpy as np

        end = None if timeout is None else time.monotonic() + timeout
        with self._reading:
            while not self.closed:
                left = SLICE if end is None else min(SLICE, end - time.monotonic())
                if lib.cc_queue_wait(self.queue, max(left, 0.0)) or left <= 0:
                    break
            length = 0 if self.closed else lib.cc_queue_take(self.queue, self._batch)
            events = np.empty(length, _event_type())
            if length:
                records = np.frombuffer(
                    ffi.buffer(self._batch.records, length * RECORD.size), _record_type()
                )
                for name in ("seconds", "nanoseconds", "severity", "status", "value"):
                    events[name] = records[name]
                events["id"] = records["owner"]
                refused = records["eca"] != 1
                if refused.any():
                    events["value"][refused] = np.nan
                    events["severity"][refused] = 3
        return events

    @property
    def replaced(self) -> int:
        """How many events gave way to newer ones because the sink was full."""
        return int(self._batch.replaced)

    def close(self) -> None:
        """End the subscriptions. May be called more than once, and by any thread."""
        with self._changing:
            if self.closed:
                return
            self.closed = True
        lib.cc_queue_close(self.queue)
        self._end(self._subscriptions, self._own)
        self._given = []
        self.context._sinks.remove(self)
        with self._reading:
            destroy_queue(self.queue)
            self.queue = ffi.NULL

    def __del__(self) -> None:
        if not getattr(self, "closed", True):
            self.close()


def _event_type() -> list[tuple[str, str]]:
    return [
        ("id", "u8"),
        ("seconds", "u4"),
        ("nanoseconds", "u4"),
        ("severity", "i2"),
        ("status", "i2"),
        ("value", "f8"),
    ]


def _record_type() -> Any:
    """The fields of a record that a sink needs, at their places in `cc_record`."""
    import numpy as np

    return np.dtype(
        {
            "names": ["owner", "status", "severity", "eca", "seconds", "nanoseconds", "value"],
            "formats": ["u8", "i2", "i2", "i4", "u4", "u4", "f8"],
            "offsets": [0, 14, 16, 20, 28, 32, 40],
            "itemsize": RECORD.size,
        }
    )
