"""Requests that are sent together and whose answers come one by one.

10,000 reads are one call into C. Their answers come in runs, hundreds at a time, which the
dispatcher thread passes on as they are, packed, through an outbox; they are unpacked and the
responses made where it ends, on a worker thread or in an event loop. What is per request is
kept small, and objects that live as long as a request are kept few: the garbage collector looks
at all there are, again and again.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from cachannel._native import ffi, lib
from cachannel.client.statuses import NORMAL
from cachannel.values.decode import RECORD

if TYPE_CHECKING:
    from cachannel.client.callbacks import Outbox
    from cachannel.client.circuits import BaseCircuitManager
    from cachannel.client.engine import Engine
    from cachannel.values.decode import Record

__all__ = ["Answers", "Block", "pairs", "refusal"]

Answers = bytes | tuple[Any, Any]
"""Records of numbers, packed; or the record and the buffer of one answer."""


class Block:
    """Requests on one circuit that were sent with one call.

    Args:
        engine: the libca context they go through.
        outbox: where their answers go, see `call`.
        manager: the circuit; None when it is not known.
        together: answers that come together go into one call; otherwise each has its own,
            for which there may be another thread.
    """

    __slots__ = (
        "_ca",
        "_first",
        "_ids",
        "_manager",
        "_outbox",
        "_refused",
        "_taken",
        "_together",
        "_total",
    )  # fmt: skip

    prompt = True

    def __init__(
        self, engine: Engine, outbox: Outbox, manager: BaseCircuitManager | None, together: bool
    ) -> None:
        self._ca = engine.ca
        self._outbox = outbox
        self._manager = manager
        self._together = together
        self._first = 0
        self._ids: Sequence[int] = ()
        self._total = 0
        # How many answers have come, counted by the dispatcher, and how many requests were not
        # even sent, counted by who sends them: each number has one thread that changes it.
        self._taken = 0
        self._refused = 0

    def _prepare(self, length: int) -> int:
        """Be ready for the answers; return the first token."""
        self._total = length
        # In use until the last answer, or until nobody waits any more.
        self._ids = [0] * length if self._manager is None else self._manager.take_ioids(length)
        first = self._first = self._ca.own_run(self)
        return first

    def read(self, channels: Sequence[int], types: Sequence[int], counts: Sequence[int]) -> None:
        """Send reads.

        Args:
            channels: ids of channels.
            types: DBR types.
            counts: elements to ask for; 0: the current length.
        """
        length = len(channels)
        if length == 1:
            self._read_one(channels[0], types[0], counts[0])
            return
        status = ffi.new("int32_t[]", length)
        # What does not fit raises here, before anything is registered.
        columns = (
            ffi.new("cc_id[]", channels), length, ffi.new("int32_t[]", types),
            ffi.new("int64_t[]", counts),
        )  # fmt: skip
        if lib.cc_get_callback_many(*columns, self._prepare(length), status):
            self._refuse(ffi.unpack(status, length))

    def _read_one(self, channel: int, dbr_type: int, count: int) -> None:
        """Send a read as `read` does, without arrays: most loops read one PV after the other."""
        status = lib.cc_get_callback(channel, dbr_type, count, self._prepare(1))
        if status != NORMAL:
            self._refuse((status,))

    def write_numbers(self, channels: list[int], values: list[float]) -> list[int]:
        """Send writes of one number each, in the native type of its channel.

        Returns:
            The positions of numbers that do not fit their channels; nothing was sent for these.
        """
        length = len(channels)
        status = ffi.new("int32_t[]", length)
        columns = (ffi.new("cc_id[]", channels), length, ffi.new("double[]", values))
        if not lib.cc_put_callback_many(*columns, self._prepare(length), status):
            return []
        codes = ffi.unpack(status, length)
        unfit = [index for index, code in enumerate(codes) if code < 0]
        self._gone(len(unfit))
        self._refuse(codes)
        return unfit

    def write(self, channel: int, parts: tuple[int, int, Any]) -> None:
        """Send one write with completion."""
        first = self._prepare(1)
        status = lib.cc_put_callback(channel, *parts, first)
        if status != NORMAL:
            self._refuse((status,))

    def _refuse(self, codes: Sequence[int]) -> None:
        """Give requests that libca did not even send an answer."""
        refused = [index for index, code in enumerate(codes) if code != NORMAL and code > 0]
        for index in refused:
            record = refusal(self._first + index, codes[index])
            self._outbox.post((self, (record, None), self._is_late()))
        self._gone(len(refused))

    def _gone(self, number: int) -> None:
        """Await so many answers less; on the thread that sends."""
        self._refused += number
        self._look_for_end()

    def _look_for_end(self) -> None:
        if self._taken + self._refused == self._total:
            self.release()

    def take_run(self, records: bytes) -> None:
        """Take answers that are in their records, on the dispatcher thread."""
        late = self._is_late()
        if self._together:
            self._outbox.put((self, records, late))
        else:
            for record in RECORD.iter_unpack(records):
                self._outbox.put((self, (record, None), late))
        self._taken += len(records) // RECORD.size
        self._look_for_end()

    def take(self, record: Record, buffer: Any, offset: int) -> None:
        """Take an answer with data, on the dispatcher thread."""
        if record[2] == 2:
            buffer = bytearray(buffer[offset : offset + record[11]])
        self._outbox.put((self, (record, buffer), self._is_late()))
        self._taken += 1
        self._look_for_end()

    def _is_late(self) -> bool:
        """Tell whether an answer that comes now comes too late."""
        return False

    def call(self, answers: Answers, late: bool) -> None:
        """Complete the requests of answers, where the outbox ends.

        Args:
            answers: what has come.
            late: it came too late.
        """
        raise NotImplementedError

    def release(self) -> None:
        """Await no more answers, and let others use the numbers of the requests."""
        if self._ca.disown_run(self._first) and self._manager is not None:
            self._manager.release_ioids(self._ids)


def pairs(answers: Answers) -> Iterable[tuple[Record, Any]]:
    """Go through answers: the record of each, and its buffer or None."""
    if isinstance(answers, bytes):
        return zip(RECORD.iter_unpack(answers), itertools.repeat(None))
    return (answers,)


def refusal(token: int, status: int) -> Record:
    """Make the record of a request that libca did not send; its type says so."""
    return (token, 0, 0, -1, 0, 0, 0, status, 0, 0, 0, 0, 0.0, 0)
