"""Many PVs at once: one call into C, one flush, one wait, one deadline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, overload

from cachannel._native import ffi, lib
from cachannel.client.common import (
    CONTEXT_DEFAULT_TIMEOUT,
    ContextClosedError,
    Timeout,
    deadline_after,
    left_until,
    limit_in_seconds,
    one_of,
    seconds,
)
from cachannel.client.context import BaseContext
from cachannel.client.pv import BasePV
from cachannel.client.responses import ReadNotifyResponse
from cachannel.client.values import Encoded, choose_count, choose_type, padded, refused
from cachannel.errors import describe
from cachannel.protocol.errors import CaprotoError, CaprotoTimeoutError, CaprotoValueError
from cachannel.values.decode import RECORD, elements
from cachannel.values.missing import is_masked

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Names = Sequence[str | BasePV[Any, Any]]
"""Names, or PVs of the context."""

__all__ = [
    "Many",
    "Names",
    "ReadMany",
    "Readings",
    "WriteMany",
    "read_many",
    "resolve",
    "write_many",
]

_GRACE: Final = 0.25
"""Seconds that connected PVs have to answer when unknown ones have used up the time."""
_ANY: Final = -1
_NORMAL, _TIMEOUT, _DISCONN = 1, 80, 192
_BADTYPE: Final = 114
_UNREACHED: Final = (_TIMEOUT, _DISCONN, 410)
"""Statuses of PVs that did not answer."""
_DOUBLE: Final = 6
_ABSENT: Final = (0, 0, 0, -1, 0, 0, 0, _DISCONN, 0, 0, 0, 0, 0.0, 0)
"""The record of a PV that was not connected."""
_PENDING: Final = _TIMEOUT
_FLOAT, _INTEGER, _OTHER, _FAILED = 1, 2, 3, 4
_VARIANTS: Final = {None: 0, "native": 0, "status": 7, "time": 14, "graphic": 21, "control": 28}


def resolve(context: BaseContext, names: Names) -> list[BasePV[Any, Any]]:
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
    return limit_in_seconds(context.timeout if timeout is CONTEXT_DEFAULT_TIMEOUT else timeout)


class Part(NamedTuple):
    """Reads that were sent with one call.

    Attributes:
        indices: positions among all names.
        bulk: the request.
        types: the DBR type of each, or of all.
    """

    indices: Sequence[int]
    bulk: Any
    types: list[int] | int


def _collect(part: Part) -> tuple[list[int], list[int], Any, int]:
    """Look at the answers: statuses, states, numbers, and how many are plain floats."""
    length = len(part.indices)
    status, state = ffi.new("int32_t[]", length), ffi.new("uint8_t[]", length)
    numbers = ffi.new("double[]", length)
    floats = lib.cc_bulk_collect(part.bulk, status, state, numbers)
    if not length:
        return [], [], numbers, 0
    return ffi.unpack(status, length), ffi.unpack(state, length), numbers, floats


class Readings(Sequence[ReadNotifyResponse]):
    """The answers to a read of many PVs, in the order of the names.

    Nothing is decoded before it is asked for. Indexing gives responses; `values` and `array` are
    quicker than going through them.

    Attributes:
        names: of the PVs.
        status: CA status of each, 1 for success.
    """

    def __init__(self, names: list[str], parts: list[Part], count: int = 0) -> None:
        length = len(names)
        self.names = names
        self._count = count
        self._parts = parts
        self._where: list[tuple[Any, int]] | None = None
        self._reasons: dict[int, str] = {}
        if len(parts) == 1 and len(parts[0].indices) == length:
            self.status, self._state, self._numbers, self._floats = _collect(parts[0])
            return
        # Some were connected later than others: put the pieces into the order of the names.
        self.status, self._state = [_DISCONN] * length, [_FAILED] * length
        self._numbers = ffi.new("double[]", length)
        self._floats = 0
        where: list[Any] = [None] * length
        for part in parts:
            status, state, numbers, floats = _collect(part)
            self._floats += floats
            for position, index in enumerate(part.indices):
                self.status[index], self._state[index] = status[position], state[position]
                self._numbers[index] = numbers[position]
                where[index] = (part, position)
        self._where = where

    def _find(self, index: int) -> tuple[Part, int] | None:
        """Find where an answer is; None for a PV that was not connected."""
        return (self._parts[0], index) if self._where is None else self._where[index]

    def __len__(self) -> int:
        return len(self.names)

    def _record(self, index: int) -> tuple[Any, ...]:
        found = self._find(index)
        if found is None:
            return _ABSENT
        part, position = found
        record = lib.cc_bulk_record(part.bulk, position)
        return RECORD.unpack(ffi.buffer(record, RECORD.size))

    def _answer(self, index: int) -> tuple[Any, Any]:
        record = self._record(index)
        buffer = None
        if record[13]:
            buffer = bytearray(ffi.buffer(ffi.cast("char *", record[13]), record[11]))
        record = (*record[:2], 2 if record[2] == 3 else record[2], *record[3:])
        return padded(record, buffer, self._count)

    @overload
    def __getitem__(self, index: int) -> ReadNotifyResponse: ...

    @overload
    def __getitem__(self, index: slice) -> list[ReadNotifyResponse]: ...

    def __getitem__(self, index: int | slice) -> ReadNotifyResponse | list[ReadNotifyResponse]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        record, buffer = self._answer(index)
        status = self.status[index]
        if status != _NORMAL:
            found = self._find(index)
            number = _DOUBLE
            if found is not None:
                part, position = found
                number = part.types if isinstance(part.types, int) else part.types[position]
            record = refused((*record[:7], status, *record[8:]), max(0, number))
        return ReadNotifyResponse.from_record(record, buffer, index & 0xFFFF)

    @property
    def ok(self) -> bool:
        """Whether all were read."""
        return self._floats == len(self.names) or all(s == _NORMAL for s in self.status)

    @property
    def failed(self) -> dict[str, str]:
        """What went wrong, by name; a PV that was not connected is "never connected" or lost."""
        return {
            name: self._reasons.get(index) or describe(status)
            for index, (name, status) in enumerate(zip(self.names, self.status, strict=True))
            if status != _NORMAL
        }

    @property
    def values(self) -> list[Any]:
        """The values: a number, or text, or an array for each; None for a failure."""
        values: list[Any] = ffi.unpack(self._numbers, len(self)) if self.names else []
        arrays = self._count > 1
        if self._floats == len(values) and not arrays:
            return values
        for index, state in enumerate(self._state):
            if state == _INTEGER and not arrays:
                values[index] = int(values[index])
            elif state == _OTHER or (arrays and state in (_FLOAT, _INTEGER)):
                record, buffer = self._answer(index)
                values[index] = elements(record, buffer, 0, True)
            elif state != _FLOAT:
                values[index] = None
        return values

    @property
    def array(self) -> npt.NDArray[np.float64]:
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
    def timestamps(self) -> npt.NDArray[np.float64]:
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
    pvs: Sequence[BasePV[Any, Any]], data_type: Any, count: int
) -> tuple[Any, list[int] | int]:
    """Begin to read connected PVs with one call; ones that are not connected fail."""
    ids = ffi.new("cc_id[]", [pv._id for pv in pvs])
    key = data_type.lower() if isinstance(data_type, str) else data_type
    if key in _VARIANTS and (key is None or key in ("native", "status", "time")):
        bulk = lib.cc_get_many(ids, len(pvs), _ANY, count, _VARIANTS[key])
        types: list[int] | int = _VARIANTS[key] + 6
    elif isinstance(key, str):
        # Strings have other types in these groups, so each channel is asked for its own.
        raise_for = [choose_type(key, max(0, lib.cc_field_type(pv._id))) for pv in pvs]
        types = raise_for
        bulk = lib.cc_get_many(ids, len(pvs), _ANY, count, _VARIANTS[key])
    else:
        types = choose_type(data_type, 0)
        bulk = lib.cc_get_many(ids, len(pvs), types, count, 0)
    if not bulk:
        raise MemoryError
    return ffi.gc(bulk, lib.cc_bulk_release), types


def first_failure(
    names: list[str], status: Sequence[int], operation: str, timeout: float | None,
    reasons: dict[int, str],
) -> CaprotoError:  # fmt: skip
    """Make the exception of the first bad status, and of all PVs that have it for its reason."""
    index, first = next((i, s) for i, s in enumerate(status) if s != _NORMAL)
    reason = reasons.get(index, "")
    same = one_of(
        [n for i, n in enumerate(names) if status[i] == first and reasons.get(i, "") == reason]
    )
    late = first in _UNREACHED
    if late:
        message = f"{operation} did not finish within {seconds(timeout)}: {same}"
        return CaprotoTimeoutError(f"{message} ({reason})" if reason else message)
    return CaprotoError(f"{operation} failed: {describe(first)}: {same}")


def connect_many(pvs: Sequence[BasePV[Any, Any]], deadline: float | None) -> None:
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


class Many:
    """A request to many PVs under way: first to the connected ones, then to the rest.

    Attributes:
        pvs: the PVs in the order of the names.
        missing: positions of those that were not connected at the beginning.
        operation: what is done, for messages.
    """

    operation: ClassVar[str]

    def __init__(self, context: BaseContext, names: Names) -> None:
        self.pvs = resolve(context, names)
        if context._closed:
            raise ContextClosedError.of(self.operation, [pv.name for pv in self.pvs])
        connected = lib.cc_channel_is_connected
        self.missing = [
            index for index, pv in enumerate(self.pvs) if not pv._id or connected(pv._id) != 1
        ]

    def begin(self) -> None:
        """Send what can be sent at once."""
        if not self.missing:
            self._start(range(len(self.pvs)))
        elif len(self.missing) < len(self.pvs):
            missing = set(self.missing)
            self._start([index for index in range(len(self.pvs)) if index not in missing])

    def go_on(self) -> None:
        """Send the rest; PVs that are not connected even now fail."""
        connected = lib.cc_channel_is_connected
        ready = [
            index
            for index in self.missing
            if self.pvs[index]._id and connected(self.pvs[index]._id) == 1
        ]
        if ready:
            self._start(ready)

    def reasons(self, status: Sequence[int]) -> dict[int, str]:
        """Say of PVs that did not answer whether they have ever been connected; by position."""
        found = {}
        for index, code in enumerate(status):
            if code in _UNREACHED and not self.pvs[index].connected:
                lost = self.pvs[index]._native >= 0
                found[index] = "connection lost" if lost else "never connected"
        return found

    @property
    def absent(self) -> list[BasePV[Any, Any]]:
        """The PVs that were not connected at the beginning."""
        return [self.pvs[index] for index in self.missing]

    def _start(self, indices: Sequence[int]) -> None:
        raise NotImplementedError


class ReadMany(Many):
    """A read of many PVs under way."""

    operation = "read"

    def __init__(
        self, context: BaseContext, names: Names, data_type: Any, count: int | None
    ) -> None:
        super().__init__(context, names)
        self._data_type, self._count = data_type, choose_count(count)
        self.parts: list[Part] = []

    def _start(self, indices: Sequence[int]) -> None:
        pvs = self.pvs
        chosen = pvs if len(indices) == len(pvs) else [pvs[index] for index in indices]
        self.parts.append(Part(indices, *start_read(chosen, self._data_type, self._count)))

    @property
    def bulks(self) -> list[Any]:
        """What to wait for."""
        return [part.bulk for part in self.parts]

    def result(self, timeout: float | None, throw: bool) -> Readings:
        """Look at the answers, and raise for the first failure if asked to."""
        readings = Readings([pv.name for pv in self.pvs], self.parts, self._count)
        if not readings.ok:
            for index, code in enumerate(readings.status):
                # libca's word for a channel that was lost just before it was read.
                if code == _BADTYPE and not self.pvs[index].connected:
                    readings.status[index] = _DISCONN
            readings._reasons = self.reasons(readings.status)
        if throw and not readings.ok:
            raise first_failure(readings.names, readings.status, "read", timeout, readings._reasons)
        return readings


def read_many(
    context: BaseContext, names: Names, timeout: Timeout, data_type: Any, count: int | None,
    throw: bool,
) -> Readings:  # fmt: skip
    """Read PVs of a context; see `Context.read_many`."""
    limit = limit_of(context, timeout)
    deadline = deadline_after(limit)
    read = ReadMany(context, names, data_type, count)
    read.begin()
    connect_many(read.absent, deadline)
    read.go_on()
    for bulk in read.bulks:
        wait_bulk(context, bulk, deadline)
    return read.result(limit, throw)


class WriteMany(Many):
    """A write to many PVs under way.

    Attributes:
        status: of each, 1 for success.
        errors: what is wrong with a value, or None, for each.
        others: position and data of the writes whose completion the flavours wait for.
        bulks: what else to wait for, with the positions.
    """

    operation = "write"

    def __init__(self, context: BaseContext, names: Names, values: Any, wait: bool) -> None:
        super().__init__(context, names)
        length = len(self.pvs)
        if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
            values = [values] * length
        if len(values) != length:
            message = f"write of {length} PVs: there are {len(values)} values"
            raise CaprotoValueError(message)
        kind = getattr(getattr(values, "dtype", None), "kind", "")
        if is_masked(values):
            values = list(values)
        elif hasattr(values, "tolist") and kind in tuple("iuf"):
            values = values.tolist()
        self._values = values
        self._wait = wait
        self._numbers = all(type(value) in (float, int) for value in values)
        self.status: list[int] = [_DISCONN] * length
        self.errors: list[Exception | None] = [None] * length
        self.others: list[tuple[int, Encoded]] = []
        self.bulks: list[tuple[Sequence[int], Any]] = []

    def _start(self, indices: Sequence[int]) -> None:
        if self._numbers:
            self._send_numbers(indices)
            return
        for index in indices:
            self._send_one(index)

    def _send_numbers(self, indices: Sequence[int]) -> None:
        length = len(indices)
        ids = ffi.new("cc_id[]", [self.pvs[index]._id for index in indices])
        data = ffi.new("double[]", [float(self._values[index]) for index in indices])
        status = ffi.new("int32_t[]", length)
        if self._wait:
            bulk = lib.cc_put_many_wait(ids, length, data, status)
            if not bulk:
                raise MemoryError
            self.bulks.append((indices, ffi.gc(bulk, lib.cc_bulk_release)))
        else:
            lib.cc_put_many(ids, length, data, status)
        codes = ffi.unpack(status, length) if length else []
        for index, code in zip(indices, codes, strict=True):
            self.status[index] = code
            if code < 0:  # not a plain number for this channel
                self._send_one(index)

    def _send_one(self, index: int) -> None:
        pv = self.pvs[index]
        native = lib.cc_field_type(pv._id) if pv._id else -1
        if native < 0:
            self.status[index] = _DISCONN
            return
        try:
            encoded = pv._encode(self._values[index], None, native)
        except (ValueError, TypeError) as exc:
            self.status[index] = _NORMAL
            self.errors[index] = exc.with_traceback(None)  # not the frames, too
            return
        assert not isinstance(encoded, int)
        if self._wait:
            self.status[index] = _PENDING
            self.others.append((index, encoded))
        else:
            self.status[index] = lib.cc_put(pv._id, *encoded.parts)

    def collect(self) -> None:
        """Look at the answers of what was sent in bulk."""
        for indices, bulk in self.bulks:
            status, _, _, _ = _collect(Part(indices, bulk, 0))
            for index, code in zip(indices, status, strict=True):
                if self.status[index] == _NORMAL:
                    self.status[index] = code

    def result(self, timeout: float | None, throw: bool) -> list[Exception | None]:
        """Return an exception or None for each, or raise the first."""
        names = [pv.name for pv in self.pvs]
        reasons = self.reasons(self.status)
        if throw:
            for error in self.errors:
                if error is not None:
                    raise error
            if any(code != _NORMAL for code in self.status):
                raise first_failure(names, self.status, "write", timeout, reasons)
        for index, code in enumerate(self.status):
            if code != _NORMAL and self.errors[index] is None:
                why = {0: reasons[index]} if index in reasons else {}
                self.errors[index] = first_failure([names[index]], [code], "write", timeout, why)
        return self.errors


def write_many(
    context: BaseContext, names: Names, values: Any, wait: bool, timeout: Timeout, throw: bool
) -> list[Exception | None]:
    """Write to PVs of a context; see `Context.write_many`."""
    limit = limit_of(context, timeout)
    deadline = deadline_after(limit)
    write = WriteMany(context, names, values, wait)
    write.begin()
    requests = _requests(write)
    connect_many(write.absent, deadline)
    write.go_on()
    requests += _requests(write)
    ca = context._engine.ca
    lib.cc_flush(ca.id)
    for _, bulk in write.bulks:
        ca.wait(lib.cc_bulk_wait, bulk, left_at_least(deadline))
    write.collect()
    for index, request in requests:
        ca.wait(lib.cc_request_wait, request, left_at_least(deadline))
        record = ffi.new("cc_record *")
        answered = lib.cc_request_record(request, record, ffi.NULL, 0) == _NORMAL
        write.status[index] = record.status if answered else _TIMEOUT
        lib.cc_request_release(request)
    return write.result(limit, throw)


def _requests(write: WriteMany) -> list[tuple[int, int]]:
    """Send the writes of a `WriteMany` that are no plain numbers, for somebody to wait."""
    requests = []
    for index, encoded in write.others:
        request = lib.cc_put_request(write.pvs[index]._id, *encoded.parts, 0)
        if request > 0:
            requests.append((index, request))
        else:
            write.status[index] = -request
    write.others = []
    return requests
