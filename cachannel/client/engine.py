"""One libca context for the client contexts that share a broadcaster."""

from __future__ import annotations

import itertools
import logging
import socket
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from cachannel._libca_texts import exception_line
from cachannel._native import lib
from cachannel.context import Context
from cachannel.protocol.enums import ECA
from cachannel.protocol.errors import CaprotoNotImplementedError
from cachannel.protocol.settings import ClientSettings
from cachannel.values.decode import Record

if TYPE_CHECKING:
    from cachannel.client.callbacks import Outbox
    from cachannel.client.context import BaseContext
    from cachannel.client.pv import BasePV

__all__ = ["BaseBroadcaster", "Engine", "SearchResults", "by_address"]

logger = logging.getLogger("cachannel.ctx")
_channel_logger = logging.getLogger("cachannel.ch")
_search_logger = logging.getLogger("cachannel.bcast.search")


class Engine:
    """A libca context, its outboxes, and its tokens.

    Attributes:
        ca: the libca context.
        lock: guards the state of everything on this engine. It is held for moments only and
            never while user code runs.
        dirty: outboxes that have something since the current batch began.
        kept: subscriptions and handlers with callbacks, and PVs that are waited for. The engine
            keeps these alive, and with them their client context; a context with none of them
            ends when the program has dropped it.
        watchdog: seconds without a sign of life after which libca takes a server for dead.
    """

    def __init__(self, repeater: bool = True) -> None:
        self.lock = threading.RLock()
        self.dirty: list[Outbox] = []
        self._tokens = itertools.count(1 << 32)
        self._flush_wanted = False
        self._holding = 0
        # libca itself warns of a number that it does not take.
        self.watchdog: float = ClientSettings.from_environment().values["EPICS_CA_CONN_TMO"]
        self.repeater = repeater
        # libca starts a repeater of its own with the first channel, unless the port is taken.
        self._port_holder = None if repeater else _hold_repeater_port()
        self.ca = Context(repeater=repeater)
        self.ca.after_batch.append(self._hand_over)
        self.ca.on_exception(_log_exception)
        self._addresses: dict[str, tuple[str, int] | None] = {}
        self.kept: set[object] = set()

    def _hand_over(self) -> None:
        if self.dirty:
            dirty = self.dirty[:]
            self.dirty.clear()
            for outbox in dirty:
                outbox.flush()
        if self._flush_wanted:
            self._flush_wanted = False
            lib.cc_flush(self.ca.id)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Send what is asked for meanwhile at the end; with the lock held for its length."""
        with self.lock:
            self._holding += 1
            try:
                yield
            finally:
                self._holding -= 1
        if not self.ca.closed:
            self.flush()

    def flush(self) -> None:
        """Send what has been asked for, now or with more."""
        if self._holding:
            return
        if self.in_batch:
            self._flush_wanted = True
        else:
            lib.cc_flush(self.ca.id)

    @property
    def in_batch(self) -> bool:
        """Whether the calling thread is the dispatcher, with a batch in its hands."""
        return self.ca.in_callback

    def own(self, deliver: Callable[[Record, Any, int], None]) -> int:
        """Register the owner of a request, and return its token."""
        token = self.tokens(1)
        self.ca.owners[token] = deliver
        return token

    def tokens(self, length: int) -> int:
        """Take tokens that follow one another, and return the first."""
        with self.lock:
            first = next(self._tokens)
            self._tokens = itertools.count(first + max(1, length))
        return first

    def own_block(self, deliver: Callable[[Record, Any, int], None], length: int) -> int:
        """Register one owner with tokens that follow one another, and return the first."""
        first = self.tokens(length)
        self.ca.owners.update(dict.fromkeys(range(first, first + length), deliver))
        return first

    def address(self, text: str) -> tuple[str, int] | None:
        """Return the dotted address of what libca calls a host."""
        try:
            return self._addresses[text]
        except KeyError:
            from cachannel.client.circuits import resolve

            found = resolve(text)
            if found is not None:
                self._addresses[text] = found
            return found

    def first_channel_made(self) -> None:
        """Let go of what kept libca from starting a repeater."""
        holder, self._port_holder = self._port_holder, None
        if holder is not None:
            holder.close()

    def close(self) -> None:
        """End the libca context."""
        self.first_channel_made()
        self.ca.close()


def _hold_repeater_port() -> socket.socket | None:
    """Take the port of the repeater; None when one runs."""
    from cachannel.repeater import (
        RepeaterAlreadyRunning,
        check_for_running_repeater,
        repeater_port,
    )

    try:
        return check_for_running_repeater(("0.0.0.0", repeater_port()))
    except (RepeaterAlreadyRunning, OSError):
        return None


def _log_exception(record: Record, buffer: Any, offset: int) -> None:
    """Log what libca says about no request in particular."""
    status = record[7]
    name, line = exception_line(record, bytes(buffer[offset : offset + record[11]]))
    if status == ECA.DBLCHNL:
        _search_logger.warning("%s", line)
    elif status == ECA.DISCONN:
        logger.debug("%s", line)
    elif name:
        # A plain write that the server refused: no caller waits for an answer.
        _channel_logger.warning("%s", line, extra={"pv": name, "role": "CLIENT", "status": status})
    else:
        logger.warning("%s", line)


class SearchResults:
    """What a broadcaster knows about names."""

    def __init__(self, broadcaster: BaseBroadcaster) -> None:
        self._broadcaster = broadcaster

    @property
    def unanswered_searches(self) -> dict[int, str]:
        """Names that are searched for, by the numbers of their PVs."""
        return {pv._number: pv.name for pv in self._broadcaster._pvs() if pv._searching()}

    @property
    def name_to_addrs(self) -> dict[str, tuple[str, int]]:
        """Address of each name that was found."""
        found = {}
        for pv in self._broadcaster._pvs():
            manager = pv.circuit_manager
            if manager is not None:
                found[pv.name] = manager.circuit.address
        return found

    def cancel(self, *names: str) -> None:
        """Stop searching for names."""
        self._broadcaster.cancel(*names)

    def print_debug_information(self) -> None:
        """Log and print what is searched for and what was found."""
        lines = ["unanswered: " + ", ".join(sorted(self.unanswered_searches.values()))]
        lines += [f"{name}: {address}" for name, address in sorted(self.name_to_addrs.items())]
        sys.stdout.write("\n".join(lines) + "\n")


class BaseBroadcaster:
    """What contexts share: one libca context, which searches for all of them.

    Args:
        registration_retry_time: kept; libca registers with the repeater by itself.
    """

    _endless: ClassVar[bool] = False
    """Whether the libca context outlives the last client context."""

    def __init__(self, *, registration_retry_time: float = 10.0) -> None:
        self.registration_retry_time = registration_retry_time
        self._made: Engine | None = None
        self._contexts: weakref.WeakSet[BaseContext] = weakref.WeakSet()
        self._numbers = itertools.count()
        self.results = SearchResults(self)

    def __repr__(self) -> str:
        state = "unused" if self._made is None else repr(self._made.ca)
        return f"<{type(self).__name__} contexts={len(self._contexts)} {state}>"

    @property
    def _engine(self) -> Engine:
        if self._made is None:
            self._made = Engine()
        return self._made

    @property
    def listeners(self) -> list[BaseContext]:
        """The contexts that use this broadcaster."""
        return list(self._contexts)

    def add_listener(self, listener: BaseContext) -> None:
        """Let a context use this broadcaster."""
        self._contexts.add(listener)

    def new_id(self) -> int:
        """Return a number that no channel has."""
        return next(self._numbers)

    def _pvs(self) -> list[BasePV[Any, Any]]:
        return [pv for context in self._contexts for pv in list(context.pvs.values())]

    def _remove(self, listener: BaseContext) -> None:
        self._contexts.discard(listener)
        # The set may count a context that was collected together with this.
        if not self.listeners:
            # The next call of the sync client counts from 0, as each does on its own circuit.
            self._numbers = itertools.count()
            if not self._endless:
                self._close()

    def _close(self) -> None:
        if self._made is not None:
            self._made.close()

    @staticmethod
    def _refuse(commands: tuple[Any, ...]) -> None:
        """Raise if there is a datagram to send."""
        for command in commands:
            message = f"{type(command).__name__} cannot be sent by hand: libca searches"
            raise CaprotoNotImplementedError(message)

    def cancel(self, *names: str) -> None:
        """Stop searching for names until `Context.get_pvs` asks for them again."""
        wanted = set(names)
        for pv in self._pvs():
            if pv.name in wanted and not pv.connected:
                pv._cancel()

    def time_since_last_heard(self) -> dict[tuple[str, int], float]:
        """Return seconds since the last sign of life of each known server, by address."""
        found: dict[tuple[str, int], float] = {}
        for context in self._contexts:
            for manager in list(context.circuit_managers.values()):
                silence = manager.silence
                if silence is not None:
                    address = manager.circuit.address
                    found[address] = min(silence, found.get(address, silence))
        return found

    @property
    def server_protocol_versions(self) -> dict[tuple[str, int], int]:
        """Minor protocol version of each known server, by address."""
        return {
            manager.circuit.address: manager.server_protocol_version
            for context in self._contexts
            for manager in list(context.circuit_managers.values())
        }


def by_address(pvs: Sequence[BasePV[Any, Any]]) -> list[tuple[tuple[str, int], list[str]]]:
    """Group the names of PVs that were found by the addresses of their servers."""
    found: dict[tuple[str, int], list[str]] = {}
    for pv in pvs:
        manager = pv.circuit_manager
        if manager is not None:
            found.setdefault(manager.circuit.address, []).append(pv.name)
    return list(found.items())
