"""Requests that are sent together and whose answers come one by one.

10,000 reads are one call into C and one look-up per answer. What is per request is kept small:
the dispatcher thread only puts the record of an answer into an outbox; the response is made
where the outbox ends, on a worker thread or in an event loop. Objects that live as long as a
request are kept few, too: the garbage collector looks at all there are, again and again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cachannel._native import ffi, lib
from cachannel.client.statuses import NORMAL

if TYPE_CHECKING:
    from cachannel.client.callbacks import Outbox
    from cachannel.client.circuits import BaseCircuitManager
    from cachannel.client.engine import Engine
    from cachannel.values.decode import Record

__all__ = ["Block"]


class Block:
    """Requests on one circuit that were sent with one call.

    Args:
        engine: the libca context they go through.
        outbox: where their answers go, see `call`.
        manager: the circuit; None when it is not known.
        together: answers of one batch of events go into one call; otherwise each has its own,
            for which there may be another thread.

    Attributes:
        pending: what is known of each request without an answer, by token.
    """

    __slots__ = (
        "_engine", "_first", "_ids", "_manager", "_outbox", "_owners", "_together", "pending",
    )  # fmt: skip

    prompt = True

    def __init__(
        self, engine: Engine, outbox: Outbox, manager: BaseCircuitManager | None, together: bool
    ) -> None:
        self._engine = engine
        self._owners = engine.ca.owners
        self._outbox = outbox
        self._manager = manager
        self._together = together
        self._first = 0
        self._ids: Sequence[int] = ()
        self.pending: dict[int, Any] = {}

    def _prepare(self, requests: Sequence[Any]) -> int:
        """Be ready for the answers; return the first token."""
        length = len(requests)
        first = self._first = self._engine.tokens(length)
        tokens = range(first, first + length)
        # In use until the last answer.
        self._ids = [0] * length if self._manager is None else self._manager.take_ioids(length)
        self.pending.update(zip(tokens, requests, strict=True))
        self._owners.update(dict.fromkeys(tokens, self.take))
        return first

    def read(
        self, channels: Sequence[int], types: Sequence[int], counts: Sequence[int],
        requests: Sequence[Any],
    ) -> None:  # fmt: skip
        """Send reads.

        Args:
            channels: ids of channels.
            types: DBR types.
            counts: elements to ask for; 0: the current length.
            requests: what `pending` shall have for each.
        """
        length = len(requests)
        status = ffi.new("int32_t[]", length)
        first = self._prepare(requests)
        if lib.cc_get_callback_many(
            ffi.new("cc_id[]", channels), length, ffi.new("int32_t[]", types),
            ffi.new("int64_t[]", counts), first, status,
        ):  # fmt: skip
            self._refuse(first, status, length)

    def write_numbers(
        self, channels: list[int], values: list[float], requests: Sequence[Any]
    ) -> list[int]:
        """Send writes of one number each, in the native type of its channel.

        Returns:
            The positions of numbers that do not fit their channels; nothing was sent for these.
        """
        length = len(requests)
        status = ffi.new("int32_t[]", length)
        first = self._prepare(requests)
        unfit: list[int] = []
        if lib.cc_put_callback_many(
            ffi.new("cc_id[]", channels), length, ffi.new("double[]", values), first, status
        ):
            unfit = [index for index, code in enumerate(ffi.unpack(status, length)) if code < 0]
            for index in unfit:
                self._owners.pop(first + index, None)
                self.pending.pop(first + index, None)
            if not self.pending:
                self.release()
            self._refuse(first, status, length)
        return unfit

    def write(self, channel: int, parts: tuple[int, int, Any], request: Any) -> None:
        """Send one write with completion."""
        first = self._prepare((request,))
        status = lib.cc_put_callback(channel, *parts, first)
        if status != NORMAL:
            self._refuse(first, (status,), 1)

    def _refuse(self, first: int, status: Any, length: int) -> None:
        """Give requests that libca did not even send an answer."""
        codes = status if isinstance(status, tuple) else ffi.unpack(status, length)
        for index, code in enumerate(codes):
            if code != NORMAL and code > 0:
                self._owners.pop(first + index, None)
                self._outbox.post((self, [refusal(first + index, code), None], None))

    def take(self, record: Record, buffer: Any, offset: int) -> None:
        """Take an answer, on the dispatcher thread."""
        self._owners.pop(record[0], None)
        if record[2] == 2:
            buffer = bytearray(buffer[offset : offset + record[11]])
        # Outbox.put, without the call: this is done for every answer.
        outbox = self._outbox
        items = outbox._items
        if not items:
            outbox._dirty.append(outbox)
        elif self._together and items[-1][0] is self:
            items[-1][1].extend((record, buffer))
            return
        items.append((self, [record, buffer], None))

    def call(self, answers: list[Any], nothing: None) -> None:
        """Complete the requests of answers, where the outbox ends.

        Args:
            answers: record and buffer of the first, of the second, and so on.
            nothing: without meaning.
        """
        raise NotImplementedError

    def release(self) -> None:
        """Let others use the numbers of the requests."""
        ids, self._ids = self._ids, ()
        if self._manager is not None:
            self._manager.release_ioids(ids)


def refusal(token: int, status: int) -> Record:
    """Make the record of a request that libca did not send; its type says so."""
    return (token, 0, 0, -1, 0, 0, 0, status, 0, 0, 0, 0, 0.0, 0)
