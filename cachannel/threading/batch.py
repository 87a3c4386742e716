"""Many reads and writes in one go, each with a callback of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from cachannel._native import ffi, lib
from cachannel.client.blocks import Answers, Block, pairs
from cachannel.client.common import (
    DisconnectedError,
    TypeRequest,
    deadline_after,
    limit_in_seconds,
)
from cachannel.client.pv import logger
from cachannel.client.responses import ReadNotifyResponse, WriteNotifyResponse
from cachannel.client.statuses import DROPPED, LOST, NORMAL, NOWTACCESS
from cachannel.client.values import Encoded, choose_count, choose_type
from cachannel.errors import describe
from cachannel.protocol.errors import CaprotoError, ErrorResponseReceived
from cachannel.values.decode import RECORD

if TYPE_CHECKING:
    from cachannel.client.callbacks import Outbox
    from cachannel.client.context import BaseContext
    from cachannel.threading.pv import PV
    from cachannel.values.decode import Record

__all__ = ["Batch"]

_new_response = ReadNotifyResponse.__new__

_READ, _NUMBER, _NUMBER_TOLD, _OTHER = range(4)
_COLUMNS: Final = 6
"""What a run of reads has for each: PV, type, count, callback, id and circuit."""
_FLOATS: Final = (2, 6)
_LONG: Final = 5
_SIZES: Final = {2: 4, 5: 4, 6: 8}


class _Answers(Block):
    """Requests of a batch on one circuit, with a deadline for their answers."""

    __slots__ = ("_deadline", "_timeout")

    def __init__(
        self, context: BaseContext, manager: Any, timeout: float | None, deadline: float | None
    ) -> None:
        outbox: Outbox = context._outbox if manager is None else manager.outbox
        super().__init__(context._engine, outbox, manager, context.max_workers == 1)
        self._timeout = timeout
        self._deadline = deadline

    def _is_late(self) -> bool:
        return self._deadline is not None and time.monotonic() > self._deadline

    def call(self, answers: Answers, late: bool) -> None:
        for record, buffer in pairs(answers):
            index = record[0] - self._first
            try:
                if late:
                    what = self._what(index)
                    logger.warning("a %s was answered after %g s", what, self._timeout)
                elif record[1] != DROPPED:
                    self._answer(index, record, buffer)
            except BaseException:  # also SystemExit: it must not end the thread
                logger.exception("a callback failed: %r", self)

    def _answer(self, index: int, record: Record, buffer: Any) -> None:
        """Complete the request of one answer."""
        raise NotImplementedError

    def _what(self, index: int) -> str:
        """Say what a request is, for a message."""
        raise NotImplementedError


class _Reads(_Answers):
    """Reads."""

    __slots__ = ("_any_length", "_callbacks", "_counts", "_pvs", "_types")

    def send(
        self, pvs: list[PV], types: list[int], counts: list[int],
        callbacks: list[Callable[[ReadNotifyResponse], object]], channels: list[int],
    ) -> None:  # fmt: skip
        """Send the reads, given as columns."""
        self._pvs = pvs
        self._types = types
        self._counts = counts
        self._callbacks = callbacks
        self._any_length = not any(counts)
        self.read(channels, types, counts)

    def call(self, answers: Answers, late: bool) -> None:
        if late or not self._any_length or not isinstance(answers, bytes):
            super().call(answers, late)
            return
        first, callbacks, ids = self._first, self._callbacks, self._ids
        for record in RECORD.iter_unpack(answers):
            index = record[0] - first
            try:
                if record[7] != NORMAL:
                    if record[1] != DROPPED:
                        self._answer(index, record, None)
                    continue
                # ReadNotifyResponse.from_record, without the call: this is done for every answer.
                response = _new_response(ReadNotifyResponse)
                response._record = record
                response._buffer = response._data = None
                response._ident = ids[index]
                callbacks[index](response)
            except BaseException:
                logger.exception("a callback failed: %r", self)

    def _answer(self, index: int, record: Record, buffer: Any) -> None:
        dbr_type, count = self._types[index], self._counts[index]
        pv, ioid = self._pvs[index], self._ids[index]
        self._callbacks[index](pv._read_response(record, buffer, dbr_type, count, ioid))  # type: ignore[arg-type]

    def _what(self, index: int) -> str:
        return f"read of {self._pvs[index].name}"


class _Writes(_Answers):
    """Writes whose completion is asked for."""

    __slots__ = ("_writes",)

    def send_numbers(self, channels: list[int], writes: list[Any]) -> list[int]:
        """Send writes of a number each; return the positions of those that do not fit."""
        self._writes = writes
        return self.write_numbers(channels, [write[1] for write in writes])

    def send(self, pv: PV, encoded: Encoded, callback: Any) -> None:
        """Send one write."""
        self._writes = [(pv, encoded, callback)]
        self.write(pv._id, encoded.parts)

    def _answer(self, index: int, record: Record, buffer: Any) -> None:
        pv, value, callback = self._writes[index]
        if not isinstance(value, Encoded):
            native = pv._native
            value = Encoded(native, 1, bytes(_SIZES[native]), 1)
        response = pv._write_response(record[7], record[3], value, self._ids[index])
        if isinstance(response, ErrorResponseReceived):
            logger.warning("%s", response)
        else:
            callback(response)

    def _what(self, index: int) -> str:
        return f"write to {self._writes[index][0].name}"


class Batch:
    """Collects reads and writes, and sends them together when its block ends.

    They reach the servers in the order in which they were made. Leaving the block does not wait
    for answers; after an exception in the block, what was collected is sent all the same.

    Args:
        timeout: seconds from the end of the block after which answers are ignored (a WARNING is
            logged for each); None: never.
    """

    def __init__(self, timeout: float | None = 2.0) -> None:
        self.timeout = limit_in_seconds(timeout)
        self._reset()

    def _reset(self) -> None:
        self._runs: list[tuple[int, BaseContext, list[Any]]] = []
        self._run: list[Any] = []
        self._kind = -1
        self._context: BaseContext | None = None

    def __repr__(self) -> str:
        counts = {_READ: 0}
        for kind, _, run in self._runs:
            length = len(run) // _COLUMNS if kind == _READ else len(run)
            counts[kind] = counts.get(kind, 0) + length
        reads = counts.pop(_READ)
        return f"<Batch reads={reads} writes={sum(counts.values())} timeout={self.timeout}>"

    def __enter__(self) -> Batch:
        return self

    def __exit__(self, *args: object) -> None:
        runs = self._runs
        self._reset()
        deadline = deadline_after(self.timeout)
        try:
            for kind, context, run in runs:
                if kind == _READ:
                    for manager, columns in _reads_by_circuit(run):
                        _Reads(context, manager, self.timeout, deadline).send(*columns)
                    continue
                for manager, group in _writes_by_circuit(run):
                    self._write(kind, context, manager, group, deadline)
        finally:
            for context in dict.fromkeys(context for _, context, _ in runs):
                context._flush_soon()

    def _begin(self, kind: int, context: BaseContext) -> list[Any]:
        """Begin a run of requests of one kind, which are sent with one call."""
        self._kind, self._context, self._run = kind, context, []
        self._runs.append((kind, context, self._run))
        return self._run

    def _write(
        self,
        kind: int,
        context: BaseContext,
        manager: Any,
        group: list[Any],
        deadline: float | None,
    ) -> None:
        channels = [request[0]._id for request in group]
        if kind == _NUMBER:
            status = ffi.new("int32_t[]", len(group))
            if lib.cc_put_many(channels, len(group), [write[1] for write in group], status):
                for write, code in zip(group, ffi.unpack(status, len(group)), strict=True):
                    _look_at(write, code)
        elif kind == _NUMBER_TOLD:
            writes = _Writes(context, manager, self.timeout, deadline)
            for index in writes.send_numbers(channels, group):
                pv, value, callback = group[index]
                encoded = pv._encode(value, None, pv._native)
                _Writes(context, manager, self.timeout, deadline).send(pv, encoded, callback)
        else:
            for pv, encoded, callback in group:
                if callback is None:
                    pv._put(encoded)
                else:
                    _Writes(context, manager, self.timeout, deadline).send(pv, encoded, callback)

    @staticmethod
    def _native(pv: PV, operation: str) -> int:
        """Return the native type of a connected PV."""
        native: int = lib.cc_field_type(pv._id) if pv._id else -1
        if native < 0:
            message = f"{operation} of {pv.name!r}: it is not connected"
            raise DisconnectedError(message)
        # The news of the connection is on its way to the PV, and a refusal may overtake it.
        pv._native = native
        return native

    def read(
        self, pv: PV, callback: Callable[[ReadNotifyResponse], object],
        data_type: TypeRequest = None, data_count: int | None = None,
    ) -> None:  # fmt: skip
        """Read a connected PV.

        Args:
            pv: the PV.
            callback: gets the response on a worker thread of the circuit; held strongly.
            data_type: None for the native type, the name of a group of types, or a type.
            data_count: elements; None: the current length.

        Raises:
            DisconnectedError: the PV is not connected.
            KeyError, ValueError: no such type.
        """
        native = pv._native if pv._up else self._native(pv, "read")
        dbr_type = native if data_type is None else choose_type(data_type, native)
        count = 0 if data_count is None else choose_count(data_count)
        context = pv.context
        if self._kind != _READ or self._context is not context:
            self._begin(_READ, context)
        # Id and circuit, too: to look at 10,000 PVs once more costs more than the columns. All in
        # one list, as 10,000 tuples that stay would make the garbage collector run for longer
        # than the reads take.
        self._run += (pv, dbr_type, count, callback, pv._id, pv._manager)

    def write(
        self, pv: PV, data: Any, callback: Callable[[WriteNotifyResponse], object] | None = None,
        data_type: TypeRequest = None, data_count: int | None = None,
    ) -> None:  # fmt: skip
        """Write to a connected PV.

        Args:
            pv: the PV.
            data: a number, text, or a sequence of these.
            callback: gets the response on a worker thread of the circuit; held strongly. None:
                no answer is asked for. A server's error message is logged.
            data_type: the type to send; None: the native one.
            data_count: at most so many elements.

        Raises:
            DisconnectedError: the PV is not connected.
            ValueError, TypeError: the data cannot be sent.
        """
        native = pv._native if pv._up else self._native(pv, "write")
        value = data[0] if type(data) is list and len(data) == 1 and data_count is None else data
        kind = type(value)
        if data_type is None and (
            (native in _FLOATS and (kind is float or kind is int))
            or (native == _LONG and kind is int and -(2**31) <= value < 2**31)
        ):
            kinds, request = (_NUMBER if callback is None else _NUMBER_TOLD), value
        else:
            kinds, request = _OTHER, pv._encode(data, data_type, native, data_count)
            if isinstance(request, int):
                message = f"write of {pv.name!r}: no write can have the type {data_type!r}"
                raise CaprotoError(message)
        context = pv.context
        if self._kind != kinds or self._context is not context:
            self._begin(kinds, context)
        self._run.append((pv, request, callback))


def _reads_by_circuit(run: list[Any]) -> list[tuple[Any, list[list[Any]]]]:
    """Group reads by their circuits, keeping the order on each; each group is columns."""
    *columns, managers = (run[column::_COLUMNS] for column in range(_COLUMNS))
    if len(set(managers)) == 1 and managers[0] is not None:
        return [(managers[0], columns)]
    groups: dict[Any, list[list[Any]]] = {}
    for row in zip(*columns, strict=True):
        group = groups.setdefault(row[0].circuit_manager, [[] for _ in columns])
        for column, field in zip(group, row, strict=True):
            column.append(field)
    return list(groups.items())


def _writes_by_circuit(run: list[Any]) -> list[tuple[Any, list[Any]]]:
    """Group writes by their circuits, keeping the order on each."""
    managers = {write[0]._manager for write in run}
    if len(managers) == 1 and None not in managers:
        return [(managers.pop(), run)]
    groups: dict[Any, list[Any]] = {}
    for write in run:
        groups.setdefault(write[0].circuit_manager, []).append(write)
    return list(groups.items())


def _look_at(write: tuple[PV, float, None], status: int) -> None:
    """Take the status of a write that nobody waits for."""
    pv, value, _ = write
    if status < 0:
        # Only a FLOAT that is too large: the usual way makes it infinite.
        pv._put(pv._encode(value, None, pv._native))  # type: ignore[arg-type]
    elif status != NORMAL and status not in LOST and status != NOWTACCESS:
        logger.warning("%s: write refused: %s", pv.name, describe(status))
