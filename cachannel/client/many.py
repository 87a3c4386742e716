"""Many PVs at once: one call into C, one flush, one wait, one deadline."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from threading import Condition
from typing import TYPE_CHECKING, Any, Final

from cachannel._native import ffi, lib
from cachannel.client.callbacks import Entry, Item, Outbox
from cachannel.client.common import (
    CONTEXT_DEFAULT_TIMEOUT,
    Timeout,
    deadline_after,
    left_until,
    one_of,
    seconds,
)
from cachannel.client.context import BaseContext
from cachannel.client.pv import BasePV
from cachannel.client.responses import EventAddResponse, ReadNotifyResponse
from cachannel.client.values import choose_type, refused
from cachannel.context import SLICE
from cachannel.errors import describe
from cachannel.protocol.errors import CaprotoError, CaprotoTimeoutError, CaprotoValueError
from cachannel.values.decode import RECORD, elements

if TYPE_CHECKING:
    Names = Sequence[str | BasePV]

__all__ = ["Readings", "Updates", "read_many", "resolve", "start_read", "write_many"]

_GRACE: Final = 0.25
"""Seconds that connected PVs have to answer when unknown ones have used up the time."""
_ANY: Final = -1
_NORMAL, _TIMEOUT, _DISCONN = 1, 80, 192
_FLOAT, _INTEGER, _OTHER = 1, 2, 3
_VARIANTS: Final = {None: 0, "native": 0, "status": 7, "time": 14, "graphic": 21, "control": 28}


def resolve(context: BaseContext, names: Names) -> list[BasePV]:
    """Return the PVs of names; names that are new are searched for."""
    known = context.pvs
    try:
        return [known[name, 0] if isinstance(name, str) else name for name in names]
    except KeyError:
        missing = tuple(dict.fromkeys(n for n in names if isinstance(n, str)))
        context._make_pvs(missing, 0, None, None, CONTEXT_DEFAULT_TIMEOUT)
        return [known[name, 0] if isinstance(name, str) else name for name in names]


def limit_of(context: BaseContext, timeout: Timeout) -> float | None:
    """Return the seconds that a time-out means."""
    return context.timeout if timeout is CONTEXT_DEFAULT_TIMEOUT else timeout  # type: ignore[return-value]


class Readings(Sequence[ReadNotifyResponse]):
    """The answers to a read of many PVs, in the order of the names.

    Nothing is decoded before it is asked for. Indexing gives responses; `values` and `array` are
    quicker than going through them.

    Attributes:
        names: of the PVs.
        status: CA status of each, 1 for success.
    """

    def __init__(self, names: list[str], bulk: Any, types: list[int] | int) -> None:
        length = len(names)
        self.names = names
        self._bulk = bulk
        self._types = types
        status, state = ffi.new("int32_t[]", length), ffi.new("uint8_t[]", length)
        self._numbers = ffi.new("double[]", length)
        self._floats = lib.cc_bulk_collect(bulk, status, state, self._numbers)
        self._state: list[int] = ffi.unpack(state, length) if length else []
        self.status: list[int] = ffi.unpack(status, length) if length else []

    def __len__(self) -> int:
        return len(self.names)

    def _record(self, index: int) -> tuple[Any, ...]:
        record = lib.cc_bulk_record(self._bulk, index)
        return RECORD.unpack(ffi.buffer(record, RECORD.size))

    def _answer(self, index: int) -> tuple[Any, Any]:
        record = self._record(index)
        buffer = None
        if record[13]:
            buffer = bytearray(ffi.buffer(ffi.cast("char *", record[13]), record[11]))
        return (*record[:2], 2 if record[2] == 3 else record[2], *record[3:]), buffer

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        record, buffer = self._answer(index)
        status = self.status[index]
        if status != _NORMAL:
            number = self._types if isinstance(self._types, int) else self._types[index]
            record = refused((*record[:7], status, *record[8:]), max(0, number))
        return ReadNotifyResponse.from_record(record, buffer, index & 0xFFFF)

    @property
    def ok(self) -> bool:
        """Whether all were read."""
        return self._floats == len(self.names) or all(s == _NORMAL for s in self.status)

    @property
    def failed(self) -> dict[str, str]:
        """What went wrong, by name."""
        return {
            name: describe(status)
            for name, status in zip(self.names, self.status, strict=True)
            if status != _NORMAL
        }

    @property
    def values(self) -> list[Any]:
        """The values: a number, or text, or an array for each; None for a failure."""
        values: list[Any] = ffi.unpack(self._numbers, len(self)) if self.names else []
        if self._floats == len(values):
            return values
        for index, state in enumerate(self._state):
            if state == _INTEGER:
                values[index] = int(values[index])
            elif state == _OTHER:
                record, buffer = self._answer(index)
                values[index] = elements(record, buffer, 0, True)
            elif state != _FLOAT:
                values[index] = None
        return values

    @property
    def array(self) -> Any:
        """The values as one array of floats, of shape ``(len,)``; NaN for what is no number."""
        import numpy as np

        if not self.names:
            return np.empty(0)
        array = np.frombuffer(ffi.buffer(self._numbers)).copy()
        if self._floats != len(array):
            state = np.array(self._state)
            array[(state != _FLOAT) & (state != _INTEGER)] = np.nan
            for index in np.flatnonzero(state == _OTHER):
                value = self._record(int(index))
                if value[2] == 1:
                    array[index] = value[12]
        return array

    @property
    def timestamps(self) -> Any:
        """Unix times in seconds, for ``data_type='time'``; NaN where there is none."""
        import numpy as np

        result = np.full(len(self), np.nan)
        for index in range(len(self)):
            record = self._record(index)
            if 14 <= record[3] < 21 and self.status[index] == _NORMAL:
                result[index] = 631152000 + record[9] + record[10] * 1e-9
        return result

    def __repr__(self) -> str:
        bad = sum(status != _NORMAL for status in self.status)
        return f"<Readings of {len(self)} PVs, {bad} failed>"


def start_read(
    pvs: Sequence[BasePV], data_type: Any, count: int | None
) -> tuple[Any, list[int] | int]:
    """Begin to read connected PVs with one call; ones that are not connected fail."""
    ids = ffi.new("cc_id[]", [pv._id for pv in pvs])
    key = data_type.lower() if isinstance(data_type, str) else data_type
    elements_ = count or 0
    if key in _VARIANTS and (key is None or key in ("native", "status", "time")):
        bulk = lib.cc_get_many(ids, len(pvs), _ANY, elements_, _VARIANTS[key])
        types: list[int] | int = _VARIANTS[key] + 6
    elif isinstance(key, str):
        # Strings have other types in these groups, so each channel is asked for its own.
        raise_for = [choose_type(key, max(0, lib.cc_field_type(pv._id))) for pv in pvs]
        types = raise_for
        bulk = lib.cc_get_many(ids, len(pvs), _ANY, elements_, _VARIANTS[key])
    else:
        types = choose_type(data_type, 0)
        bulk = lib.cc_get_many(ids, len(pvs), types, elements_, 0)
    if not bulk:
        raise MemoryError
    return ffi.gc(bulk, lib.cc_bulk_release), types


def finish_read(
    pvs: Sequence[BasePV], bulk: Any, types: list[int] | int, timeout: float | None, throw: bool
) -> Readings:
    """Look at the answers, and raise for the first failure if asked to."""
    readings = Readings([pv.name for pv in pvs], bulk, types)
    if throw and not readings.ok:
        raise_first(readings.names, readings.status, "read", timeout)
    return readings


def raise_first(
    names: list[str], status: Sequence[int], operation: str, timeout: float | None
) -> None:
    """Raise for the first bad status, naming all PVs that have it."""
    first = next(s for s in status if s != _NORMAL)
    same = one_of([n for n, s in zip(names, status, strict=True) if s == first])
    late = first in (_TIMEOUT, _DISCONN, 114, 410)
    if late:
        message = f"{operation} did not finish within {seconds(timeout)}: {same}"
        raise CaprotoTimeoutError(message)
    message = f"{operation} failed: {describe(first)}: {same}"
    raise CaprotoError(message)


def connect_many(pvs: Sequence[BasePV], deadline: float | None) -> None:
    """Wait until PVs are connected or the time is over."""
    connected = lib.cc_channel_is_connected
    for pv in pvs:
        if pv._id and connected(pv._id) == 1:
            continue
        if pv._idle:
            pv._open()
        if pv._id:
            ca = pv.context._engine.ca
            ca.wait(lib.cc_channel_wait, pv._id, left_until(deadline))


def left_at_least(deadline: float | None) -> float | None:
    """Return the seconds to wait for answers: a moment even if others took all to connect."""
    left = left_until(deadline)
    return None if left is None else max(left, _GRACE)


def wait_bulk(context: BaseContext, bulk: Any, deadline: float | None) -> None:
    """Wait for the answers."""
    lib.cc_flush(context._engine.ca.id)
    context._engine.ca.wait(lib.cc_bulk_wait, bulk, left_at_least(deadline))


def read_many(
    context: BaseContext, names: Names, timeout: Timeout, data_type: Any, count: int | None,
    throw: bool,
) -> Readings:  # fmt: skip
    """Read PVs of a context; see `Context.read_many`."""
    limit = limit_of(context, timeout)
    deadline = deadline_after(limit)
    pvs = resolve(context, names)
    connect_many(pvs, deadline)
    bulk, types = start_read(pvs, data_type, count)
    wait_bulk(context, bulk, deadline)
    return finish_read(pvs, bulk, types, limit, throw)


class WriteMany:
    """A write to many PVs under way."""

    def __init__(self, pvs: Sequence[BasePV], values: Any, wait: bool) -> None:
        self._pvs = pvs
        if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
            values = [values] * len(pvs)
        if len(values) != len(pvs):
            message = f"{len(pvs)} PVs but {len(values)} values"
            raise CaprotoValueError(message)
        self.bulk: Any = None
        self._requests: list[tuple[int, int]] = []
        self.status: list[int] = [_NORMAL] * len(pvs)
        self.errors: list[Any] = [None] * len(pvs)
        kind = getattr(getattr(values, "dtype", None), "kind", "")
        if hasattr(values, "tolist") and kind in tuple("iuf"):
            values = values.tolist()
        numbers = all(type(value) in (float, int) for value in values)
        if numbers and pvs:
            self._numbers(values, wait)
        else:
            for index, value in enumerate(values):
                self._one(index, value, wait)

    def _numbers(self, values: Any, wait: bool) -> None:
        length = len(self._pvs)
        ids = ffi.new("cc_id[]", [pv._id for pv in self._pvs])
        data = ffi.new("double[]", [float(value) for value in values])
        status = ffi.new("int32_t[]", length)
        if wait:
            bulk = lib.cc_put_many_wait(ids, length, data, status)
            if not bulk:
                raise MemoryError
            self.bulk = ffi.gc(bulk, lib.cc_bulk_release)
        else:
            lib.cc_put_many(ids, length, data, status)
        self.status = ffi.unpack(status, length)
        for index, code in enumerate(self.status):
            if code < 0:  # not a plain number for this channel
                self.status[index] = _NORMAL
                self._one(index, values[index], wait)

    def _one(self, index: int, value: Any, wait: bool) -> None:
        pv = self._pvs[index]
        native = lib.cc_field_type(pv._id) if pv._id else -1
        if native < 0:
            self.status[index] = _DISCONN
            return
        try:
            encoded = pv._encode(value, None, native)
        except (ValueError, TypeError) as exc:
            self.errors[index] = type(exc)(f"{pv.name}: {exc}")
            return
        assert not isinstance(encoded, int)
        if wait:
            request = lib.cc_put_request(pv._id, *encoded.parts, 0)
            if request > 0:
                self._requests.append((index, request))
            else:
                self.status[index] = -request
        else:
            self.status[index] = lib.cc_put(pv._id, *encoded.parts)

    def wait(self, context: BaseContext, deadline: float | None) -> None:
        """Wait for the answers, and collect them."""
        ca = context._engine.ca
        lib.cc_flush(ca.id)
        length = len(self._pvs)
        if self.bulk is not None:
            ca.wait(lib.cc_bulk_wait, self.bulk, left_at_least(deadline))
            state, results = ffi.new("uint8_t[]", length), ffi.new("int32_t[]", length)
            numbers = ffi.new("double[]", length)
            lib.cc_bulk_collect(self.bulk, results, state, numbers)
            slow = {index for index, _ in self._requests}
            for index, code in enumerate(ffi.unpack(results, length)):
                if self.status[index] == _NORMAL and index not in slow:
                    self.status[index] = code
        for index, request in self._requests:
            ca.wait(lib.cc_request_wait, request, left_at_least(deadline))
            record = ffi.new("cc_record *")
            answered = lib.cc_request_record(request, record) == _NORMAL
            self.status[index] = record.status if answered else _TIMEOUT
            lib.cc_request_release(request)

    def result(self, timeout: float | None, throw: bool) -> list[Any]:
        """Return an exception or None for each, or raise the first."""
        names = [pv.name for pv in self._pvs]
        if throw:
            for error in self.errors:
                if error is not None:
                    raise error
            if any(code != _NORMAL for code in self.status):
                raise_first(names, self.status, "write", timeout)
        for index, code in enumerate(self.status):
            if code != _NORMAL and self.errors[index] is None:
                try:
                    raise_first([names[index]], [code], "write", timeout)
                except CaprotoError as exc:
                    self.errors[index] = exc
        return self.errors


def write_many(
    context: BaseContext, names: Names, values: Any, wait: bool, timeout: Timeout, throw: bool
) -> list[Any]:
    """Write to PVs of a context; see `Context.write_many`."""
    limit = limit_of(context, timeout)
    deadline = deadline_after(limit)
    pvs = resolve(context, names)
    connect_many(pvs, deadline)
    write = WriteMany(pvs, values, wait)
    write.wait(context, deadline)
    return write.result(limit, throw)


class Stream:
    """Collects the updates of many PVs, for one reader.

    Args:
        context: the context.
        names: names, or PVs of the context.
        data_type: of the updates.
        mask: what is an update; None: value, alarm and property changes.
        wake: called on the dispatcher thread when something has come.
    """

    def __init__(
        self, context: BaseContext, names: Names, data_type: Any, mask: int | None, wake: Any
    ) -> None:
        self.context = context
        self.pvs = resolve(context, names)
        self._wake = wake
        self._batches: deque[tuple[int, EventAddResponse]] = deque()
        self._outbox = Outbox(context._engine.dirty, self._send)
        self._subscriptions = []
        self._tokens: list[int] = []
        with context._lock:
            for index, pv in enumerate(self.pvs):
                subscription = pv.subscribe(data_type=data_type, mask=mask)
                entry = Entry(lambda: None, False, self._outbox)
                entry.backlog = [(index, None, None)]
                token = next(subscription._tokens)
                subscription._add(token, entry)
                latest = subscription.most_recent_response
                if latest is not None:
                    self._batches.append((index, latest))
                self._subscriptions.append(subscription)
                self._tokens.append(token)

    def _send(self, items: list[Item]) -> None:
        self._batches.extend((entry.backlog[0][0], response) for entry, _, response in items)
        # Also when something was there: it may have been taken in between.
        self._wake()

    def take(self) -> list[tuple[int, EventAddResponse]]:
        """Take all that has come."""
        batch = []
        pop = self._batches.popleft
        try:
            while True:
                batch.append(pop())
        except IndexError:
            return batch

    def close(self) -> None:
        """End the subscriptions that nobody else uses."""
        for subscription, token in zip(self._subscriptions, self._tokens, strict=True):
            subscription._forget(token)
        self._subscriptions, self._tokens = [], []


class Updates:
    """The updates of many PVs as batches; closing ends it.

    Iterating gives lists of (index of the PV, `EventAddResponse`), or with ``numpy=True``
    structured arrays with the fields id, seconds, nanoseconds, severity, status and value.
    """

    def __init__(
        self, context: BaseContext, names: Names, data_type: Any, mask: int | None, numpy: bool
    ) -> None:
        self._condition = Condition()
        self._closed = False
        self._sink = open_sink(context, names, mask) if numpy else None
        self._stream = None if numpy else Stream(context, names, data_type, mask, self._notify)

    def _notify(self) -> None:
        with self._condition:
            self._condition.notify_all()

    def get(self, timeout: float | None = None) -> Any:
        """Take what has come, waiting for the first update; an empty batch after `timeout` s."""
        if self._sink is not None:
            return self._sink.get(timeout)
        assert self._stream is not None
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            batch = self._stream.take()
            left = left_until(deadline)
            if batch or self._closed or self._stream.context._closed or left == 0.0:
                return batch
            with self._condition:
                if not self._stream._batches:
                    self._condition.wait(SLICE if left is None else min(left, SLICE))

    def __iter__(self) -> Iterator[Any]:
        while not self._closed:
            batch = self.get()
            if not len(batch):
                return
            yield batch

    def close(self) -> None:
        """End it."""
        self._closed = True
        if self._stream is not None:
            self._stream.close()
        if self._sink is not None:
            self._sink.close()
        self._notify()

    def __enter__(self) -> Updates:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()


def open_sink(context: BaseContext, names: Names, mask: int | None) -> Any:
    """Open a sink of numbers, which come as structured arrays."""
    from cachannel.many import BulkSink

    plain = [name if isinstance(name, str) else name.name for name in names]
    return BulkSink(plain, 13 if mask is None else int(mask), context._engine.ca)
