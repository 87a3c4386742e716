"""Contexts: what the threading and the asyncio client share.

Events arrive on the dispatcher thread of the libca context. It keeps the state here and puts the
calls of user code into outboxes; no user code runs on it. The flavours add how to wait.

Lock order: `Engine.lock` first; nothing that waits for user code is done with it held. libca may
be called with it held, as libca's threads never take it.
"""

from __future__ import annotations

import atexit
import itertools
import logging
import sys
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar, Final

from cachannel._native import ffi, lib
from cachannel.client.callbacks import Outbox, Workers
from cachannel.client.circuits import BaseCircuitManager
from cachannel.client.common import (
    GLOBAL_DEFAULT_TIMEOUT,
    ContextDisconnectedError,
    Timeout,
    one_of,
)
from cachannel.client.engine import BaseBroadcaster, Engine
from cachannel.client.pv import BasePV
from cachannel.context import create_many
from cachannel.protocol.errors import CaprotoTypeError, ValidationError
from cachannel.values.decode import Record

__all__ = ["BaseContext"]

_context_logger = logging.getLogger("cachannel.ctx")

_TELL_CONNECTION: Final = 2
_HURRY_SECONDS: Final = 1.0
"""How often a program may have the same name searched for at once."""
_END_SECONDS: Final = 2.0
"""How long the exit of the process waits for the end of a dropped context."""


class BaseContext:
    """What the contexts of the flavours have in common.

    Attributes:
        broadcaster: what searches; may be shared by contexts.
        timeout: default of all requests, seconds; None: no limit.
        pvs: by name and priority.
    """

    _broadcaster_class: ClassVar[type[BaseBroadcaster]] = BaseBroadcaster
    _pv_class: ClassVar[type[BasePV[Any, Any]]] = BasePV
    _circuit_class: ClassVar[type[BaseCircuitManager]] = BaseCircuitManager

    log = _context_logger

    _after_callbacks: Callable[[], object] | None = None
    """Called after each batch of callbacks on a worker thread."""

    def __init__(
        self,
        broadcaster: Any = None,
        *,
        timeout: float | None = GLOBAL_DEFAULT_TIMEOUT,
        host_name: str | None = None,
        client_name: str | None = None,
        max_workers: int = 1,
    ) -> None:
        # Until there is something to end: `__del__` looks at it.
        self._closed = True
        self.broadcaster = self._broadcaster_class() if broadcaster is None else broadcaster
        self.timeout = timeout
        self._host_name = host_name
        self._client_name = client_name
        self.max_workers = max_workers
        self.pvs: dict[tuple[str, int], Any] = {}
        self._circuits: dict[tuple[tuple[str, int], int], Any] = {}
        self._engine: Engine = self.broadcaster._engine
        self._lock = self._engine.lock
        # Of channels, by the tokens of their events.
        self._by_token: dict[int, BasePV[Any, Any]] = {}
        self._deliver = _delivery(self)
        # When PVs were asked for again, by their numbers; on the clock of `time.monotonic`.
        self._asked: dict[int, float] = {}
        # Of plain functions for PVs whose circuit is not known yet.
        self._workers = Workers(max_workers, self._after_callbacks)
        self._outbox = Outbox(self._engine.dirty, self._workers.send)
        self.broadcaster.add_listener(self)
        self._closed = False
        _check_identity(host_name, client_name)

    @property
    def host_name(self) -> str:
        """The name that the caller gave, or that of this host, which servers are told."""
        return _host_name() if self._host_name is None else self._host_name

    @property
    def client_name(self) -> str:
        """The name that the caller gave, or that of the user, which servers are told."""
        return _user_name() if self._client_name is None else self._client_name

    @property
    def circuit_managers(self) -> dict[tuple[tuple[str, int], int], Any]:
        """The circuits by ((host, port), priority)."""
        for pv in list(self.pvs.values()):
            pv.circuit_manager  # noqa: B018 - finds the circuit
        with self._lock:
            return {key: c for key, c in self._circuits.items() if c.pvs}

    def _counts(self) -> tuple[int, int, int]:
        idle = sum(pv._idle for pv in list(self.pvs.values()))
        return len(self.circuit_managers), len(self.pvs), idle

    def __repr__(self) -> str:
        return "<Context circuits={} pvs={} idle={}>".format(*self._counts())

    def _circuit(self, address: tuple[str, int], priority: int) -> Any:
        key = (address, priority)
        with self._lock:
            found = self._circuits.get(key)
            if found is None or found.dead.is_set():
                found = self._circuit_class(self, address, priority)
                self._circuits[key] = found
            return found

    def _flush_soon(self) -> None:
        """Send what has been asked for, now or with more."""
        self._engine.flush()

    def _make_pvs(
        self, names: tuple[str, ...], priority: int, connection: Any, access: Any, timeout: Timeout
    ) -> list[Any]:
        if self._closed:
            message = f"this context has been disconnected: no {one_of(map(str, names))}"
            raise ContextDisconnectedError(message)
        if not 0 <= priority <= 99:
            message = f"a priority is 0 to 99, not {priority}"
            raise ValidationError(message)
        for name in names:
            if not isinstance(name, str):
                message = f"the name of a PV is text, not {type(name).__name__} {name!r}"
                raise CaprotoTypeError(message)
        make, pvs = self._pv_class, self.pvs
        found, new, waiting = [], [], []
        with self._lock:
            for name in names:
                pv = pvs.get((name, priority))
                if pv is None:
                    pv = pvs[name, priority] = make(name, priority, self, timeout)
                    new.append(pv)
                elif not pv._id and not pv._idle:
                    new.append(pv)
                elif not pv._up:
                    waiting.append(pv)
                found.append(pv)
            if connection is not None or access is not None:
                for pv in found:
                    pv._add_callbacks(connection, access)
            if new:
                self._create(new)
        if waiting:
            self._hurry(waiting)
        return found

    def _hurry(self, pvs: list[Any]) -> None:
        """Ask at once for PVs that are searched for; for each once in a while only."""
        now = time.monotonic()
        with self._lock:
            asked = self._asked
            due = [pv for pv in pvs if now - asked.get(pv._number, 0.0) > _HURRY_SECONDS]
            asked.update((pv._number, now) for pv in due)
        ids = [pv._id for pv in due if pv._searching()]
        if ids:
            lib.cc_search_hurry(ffi.new("cc_id[]", ids), len(ids))
            self._flush_soon()

    def _create(self, pvs: list[Any]) -> None:
        """Make the channels of PVs of one priority, with one call; with the lock held."""
        engine = self._engine
        names = []
        for pv in pvs:
            data = pv.name.encode("utf-8", "surrogateescape")
            # An empty name is refused by libca; it is a name that is never found.
            names.append(data.split(b"\0")[0])
        first = engine.own_block(self._deliver, len(pvs))
        self._by_token.update(zip(itertools.count(first), pvs, strict=False))
        ids = create_many(engine.ca, names, pvs[0].priority, first, _TELL_CONNECTION)
        engine.first_channel_made()
        for index, (pv, channel) in enumerate(zip(pvs, ids, strict=True)):
            pv._cancelled = pv._idle = False
            pv._token = first + index
            if channel > 0:
                pv._id = channel
                if pv._access_handler is not None:
                    pv._watch_access()
            else:
                self._disown(first + index)
        self._flush_soon()

    def _disown(self, token: int) -> None:
        """Forget the owner of a channel's events."""
        self._engine.ca.owners.pop(token, None)
        self._by_token.pop(token, None)

    def _end(self, grace: float = 0.0) -> bool:
        """End channels, circuits and threads.

        Args:
            grace: seconds to wait for a callback that is running, on each circuit.

        Returns:
            False if the context has already ended.
        """
        if self._closed:
            return False
        circuits = self._shut()
        self.broadcaster._remove(self)
        self._workers.stop(grace)
        for circuit in circuits:
            circuit.workers.stop(grace)
        return True

    def _end_dropped(self) -> None:
        """End a context that the program has dropped; called by its finalizer.

        The garbage collector may call it on any thread, with any lock held, and libca takes
        a while to end its context; so that is done on another thread.
        """
        if not sys.is_finalizing():  # a thread that is started then never runs
            thread = threading.Thread(target=self._end, name="cachannel-end", daemon=True)
            with suppress(RuntimeError):  # the same, as later Pythons say it
                _ends.add(thread)
                thread.start()
                return
        self._end()

    def _shut(self) -> list[BaseCircuitManager]:
        """End everything; on a broadcaster of its own the libca context ends with it."""
        with self._lock:
            if self._closed:
                return []
            self._closed = True
            alone = not self.broadcaster._endless and all(
                c is self for c in self.broadcaster._contexts
            )
            for pv in self.pvs.values():
                pv._let_go()
                if alone:
                    pv._id, pv._up = 0, False
                    for subscription in pv.subscriptions.values():
                        subscription._id, subscription.subscriptionid = 0, None
                else:
                    pv._close()
                pv._manager = None
                pv._idle = False
            circuits = list(self._circuits.values())
            self._circuits = {}
            for circuit in circuits:
                circuit.pvs = {}
                circuit._set_dead()
        return circuits


def _delivery(context: BaseContext) -> Callable[[Record, Any, int], None]:
    """Make the owner of the events of a context's channels.

    The dispatcher thread refers to owners for as long as their channels live. It must not keep
    alive a context that the program has dropped, as nobody could end it then.
    """
    reference = weakref.ref(context)

    def deliver(record: Record, buffer: Any, offset: int) -> None:
        found = reference()
        pv = None if found is None else found._by_token.get(record[0])
        if pv is not None:
            pv._deliver(record, buffer, offset)

    return deliver


_ends: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
"""Threads that end dropped contexts."""


def _await_ends() -> None:
    """At exit: libca must not be torn down while a thread ends a context."""
    for thread in list(_ends):
        if thread.is_alive():
            thread.join(_END_SECONDS)


# Registered after the function of `cachannel.context`, and so called before it.
atexit.register(_await_ends)

_warned = False


def _host_name() -> str:
    import socket

    return socket.gethostname()


def _user_name() -> str:
    import getpass

    # A user without a name (in a container, say) makes getuser raise.
    with suppress(OSError, KeyError):
        return getpass.getuser()
    return ""


def _check_identity(host_name: str | None, client_name: str | None) -> None:
    """Warn once that servers are told the real names."""
    global _warned
    if _warned or (host_name is None and client_name is None):
        return
    if host_name not in (None, _host_name()) or client_name not in (None, _user_name()):
        _warned = True
        _context_logger.warning(
            "libca tells servers its own host and user name; host_name and client_name "
            "are kept but not sent"
        )
