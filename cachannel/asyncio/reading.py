"""Reads under way in an event loop, without a task for each.

Most of what a read of a coroutine costs is the task around it: `asyncio.gather` makes one for
each coroutine and none for a future. So a read of a connected PV is a `Reading`: a future that
can also be driven like a coroutine, and so is good for ``await``, `asyncio.gather`,
`asyncio.wait_for`, `asyncio.create_task` and task groups alike.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

from cachannel.client.blocks import Answers, Block, pairs
from cachannel.client.callbacks import logger
from cachannel.client.common import ContextDisconnectedError, one_of
from cachannel.client.responses import ReadNotifyResponse
from cachannel.client.statuses import DROPPED, NORMAL

if TYPE_CHECKING:
    from cachannel.asyncio.client import Context
    from cachannel.asyncio.pv import PV
    from cachannel.client.pv import BasePV
    from cachannel.values.decode import Record

__all__ = ["LostError", "ReadBlock", "Reading", "all_disconnected", "disconnected"]


class LostError(Exception):
    """The channel went away while it was being read; for the coroutine that tries again."""


class Reading(asyncio.Future[Any]):
    """The answer to a read, to be awaited; cancelling it drops the answer.

    Attributes:
        pv: what is read.
        dbr_type: the type that is asked for.
        count: elements that are asked for; 0: the current length.
        limit: the time-out that the caller knows, seconds.
        again: read again when the channel goes away meanwhile; else raise `LostError`.
    """

    __slots__ = ("_steps", "again", "count", "dbr_type", "limit", "pv")

    pv: PV
    dbr_type: int
    count: int
    limit: float | None
    again: bool
    _steps: Generator[Any, None, Any]

    # What makes it a coroutine: a task that is made of it drives the future's own iterator.

    def send(self, value: None) -> Any:
        """Go on, as a coroutine does; for tasks."""
        try:
            steps = self._steps
        except AttributeError:
            steps = self._steps = self.__await__()
        return steps.send(value)

    def throw(self, *exception: Any) -> Any:
        """Raise an exception inside, as a coroutine does; for tasks."""
        try:
            steps = self._steps
        except AttributeError:
            steps = self._steps = self.__await__()
        return steps.throw(*exception)

    def close(self) -> None:
        """Give the answer up, as a coroutine does."""
        self.cancel()

    def fail(self, exception: BaseException) -> None:
        """Raise an exception where the answer is awaited, if it still is."""
        if not self.done():
            self.set_exception(exception)


class ReadBlock(Block):
    """Reads of a context on one circuit, with one deadline."""

    __slots__ = ("_context", "_left", "_readings", "deadline")

    def __init__(
        self, context: Context, manager: Any, deadline: float | None, readings: Sequence[Reading]
    ) -> None:
        super().__init__(context._engine, context._loop_outbox, manager, True)
        self._context = context
        self._readings: list[Reading | None] = list(readings)
        self._left = len(readings)
        self.deadline = deadline

    def done(self) -> bool:
        """Whether nothing is awaited any more."""
        return not self._left

    def call(self, answers: Answers, late: bool) -> None:
        """Complete reads, in the loop."""
        first, readings, ids = self._first, self._readings, self._ids
        for record, buffer in pairs(answers):
            index = record[0] - first
            reading = readings[index]
            if reading is None:  # its time was over
                continue
            readings[index] = None
            self._left -= 1
            reading.pv._pending -= 1
            try:
                if reading.done():
                    continue
                if record[7] == NORMAL and not reading.count:
                    ioid = ids[index]
                    reading.set_result(ReadNotifyResponse.from_record(record, buffer, ioid))
                else:
                    self._settle(reading, record, buffer, ids[index])
            except Exception as exc:
                logger.exception("an answer was lost")
                reading.fail(exc)
        if not self._left:
            self._end()

    def _settle(self, reading: Reading, record: Record, buffer: Any, ioid: int) -> None:
        pv = reading.pv
        if record[1] == DROPPED or pv._is_lost(record[7]):
            if reading.again:
                pv._read_again(reading, self.deadline)
            else:
                reading.set_exception(LostError())
            return
        try:
            response = pv._read_response(record, buffer, reading.dbr_type, reading.count, ioid)
        except ValueError as exc:
            reading.set_exception(exc)
        else:
            reading.set_result(response)

    def late(self) -> None:
        """End all that are left: their time is over."""
        for reading in self._give_up():
            if not reading.done():
                reading.set_exception(reading.pv._timed_out("read", reading.limit))

    def closed(self) -> None:
        """End all that are left: the context is."""
        for reading in self._give_up():
            reading.fail(disconnected(reading.pv, "read"))

    def _give_up(self) -> list[Reading]:
        left = [reading for reading in self._readings if reading is not None]
        self._readings = [None] * len(self._readings)
        self._left = 0
        for reading in left:
            reading.pv._pending -= 1
        self._end()
        return left

    def _end(self) -> None:
        self.release()
        self._context._blocks.discard(self)


def disconnected(pv: BasePV[Any, Any], operation: str) -> ContextDisconnectedError:
    """Make the exception of a request that its context has not outlived."""
    return all_disconnected([pv], operation)


def all_disconnected(pvs: Sequence[BasePV[Any, Any]], operation: str) -> ContextDisconnectedError:
    """Make the exception of a request to many PVs that their context has not outlived."""
    names = one_of([pv.name for pv in pvs])
    return ContextDisconnectedError(
        f"{operation} of {names}: the context was disconnected meanwhile"
    )
