"""Contexts and the cache of channels: what `ca` and `PV` stand on.

A thread needs no context: without one of its own it works in the initial context, which the
first call makes. Channels are shared by name in each context.

Lock order: `_lock` (the registry), then the lock of an entry, then libca's. No user code runs
and nobody waits while one of them is held.
"""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from cachannel.context import report
from cachannel.engine import CONNECTION, Channel, Context, create_channels
from cachannel.protocol.enums import ECA, eca_message
from epics_compat import dbr
from epics_compat._errors import CASeverityException, ChannelAccessException

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cachannel.engine import Request
    from cachannel.values.decode import Record

IDLE: Final = 3.0
"""Seconds that a channel without any PV stays open, so that making the PV again is cheap."""

_lock = threading.RLock()
_contexts: dict[int, Context] = {}
cache: defaultdict[int | None, dict[str, Entry]] = defaultdict(dict)
chid_cache: dict[int, Entry] = {}
settings: Any = None
"""The module `ca`: its variables are read when they are needed."""


class _Local(threading.local):
    context: int | None = None


local = _Local()


class Pending:
    """A get that was started and not yet taken."""

    __slots__ = ("answer", "count", "request", "taken")

    def __init__(self, request: Request, count: int) -> None:
        self.request = request
        self.count = count
        self.taken = False
        self.answer: Any = None


class Entry:
    """A channel as the cache knows it; its attributes are also its items.

    Attributes:
        pvname: name of the PV.
        chid: `dbr.chid_t`, or None before the channel exists.
        chid_int: the same as an int.
        conn: whether it is connected.
        ts: time of the last connection event, or of the last wait that failed (Unix seconds).
        failures: how many waits failed.
        callbacks: called as ``f(pvname=, chid=, conn=)`` at every change.
        access_event_callback: called as ``f(read, write)``.
        context: the context it belongs to, an int.
        get_results: gets that wait to be taken, by DBR type.
    """

    __slots__ = (
        "__weakref__", "_early", "access_event_callback", "callbacks", "channel", "chid",
        "chid_int", "closed", "conn", "connections", "context", "explicit", "failures",
        "ftype", "get_results", "lock", "nelm", "pvname", "rights", "ts",
    )  # fmt: skip

    def __init__(self, pvname: str, context: int) -> None:
        self.pvname = pvname
        self.context = context
        self.chid: Any = None
        self.chid_int = 0
        self.conn = False
        self.ts = 0.0
        self.failures = 0
        self.callbacks: list[Callable[..., Any]] = []
        self.access_event_callback: list[Callable[[bool, bool], Any]] = []
        self.get_results: dict[int, Pending] = {}
        self.lock = threading.RLock()
        self.channel: Channel | None = None
        self.connections = 0
        self.rights = 0
        self.ftype = -1
        self.nelm = 0
        self.explicit = False
        self.closed = False
        self._early = False

    def __getitem__(self, key: str) -> Any:
        try:
            return getattr(self, key)
        except AttributeError:
            raise KeyError(key) from None

    def __repr__(self) -> str:
        state = "connected" if self.conn else "disconnected"
        return (
            f"<_CacheItem {self.pvname!r} {state} failures={self.failures} "
            f"callbacks={len(self.callbacks)} access_callbacks="
            f"{len(self.access_event_callback)} chid={self.chid_int}>"
        )

    def adopt(self, channel: Channel) -> None:
        """Take the channel that was made for this entry."""
        self.channel = channel
        self.chid_int = channel.id
        self.chid = dbr.chid_t(channel.id)
        chid_cache[channel.id] = self

    # Events, on the dispatcher thread -------------------------------------------------------

    def deliver(self, record: Record, buffer: Any, offset: int) -> None:
        """Handle a connection or access event."""
        if record[1] != CONNECTION:
            self._access(record[7])
            return
        up = record[7] == dbr.OP_CONN_UP
        # The lock is held while the channel is made: its first event may be earlier.
        with self.lock:
            if self.closed:
                return
            if not up:
                self.conn = self._early = False
                self.rights = 0
                self.ts = time.time()
            elif self._early:
                self._early = False
                self.rights = record[9]
            else:
                self._up(record[3], record[8], record[9])
            self.get_results.clear()
        for access in list(self.access_event_callback):
            self._call(access, bool(self.rights & 1), bool(self.rights & 2))
        for callback in list(self.callbacks):
            try:
                callback(pvname=self.pvname, chid=self.chid_int, conn=up)
            except Exception as exc:
                report(exc, callback)

    def _up(self, ftype: int, nelm: int, rights: int) -> None:
        self.ftype, self.nelm, self.rights = ftype, nelm, rights
        self.connections += 1
        self.conn = True
        self.ts = time.time()

    def _access(self, rights: int) -> None:
        with self.lock:
            # The rights at connection come with the connection.
            if self.closed or not self.conn or rights == self.rights:
                return
            self.rights = rights
        for callback in list(self.access_event_callback):
            self._call(callback, bool(rights & 1), bool(rights & 2))

    def _call(self, callback: Callable[[bool, bool], Any], read: bool, write: bool) -> None:
        try:
            callback(read, write)
        except Exception as exc:
            report(exc, callback)

    # Waiting, on any thread -----------------------------------------------------------------

    def sync(self) -> bool:
        """Learn of a connection that the dispatcher has not told of yet."""
        if self.conn or self.closed or self.channel is None:
            return self.conn
        if not self.channel.connected:
            return False
        with self.lock:
            if not self.conn and not self.closed:
                info = self.channel.info()
                if info.state != dbr.CS_CONN:
                    return False
                rights = info.read_access | info.write_access << 1
                self._up(info.field_type, info.element_count, rights)
                self._early = True
        return self.conn

    def wait(self, timeout: float | None) -> bool:
        """Wait for the connection; count a failure if there is none in time."""
        if self.conn:
            return True
        channel = self.channel
        if not self.closed and channel is not None and channel.id:
            channel.wait(timeout)
            if self.sync():
                return True
        self.ts = time.time()
        self.failures += 1
        return False

    def close(self) -> int:
        """End the channel and forget it. Returns the CA status."""
        self.forget()
        return self.channel.close() if self.channel is not None else dbr.ECA_BADCHID

    def forget(self) -> None:
        """Take it out of the caches; the next user of the name gets a new channel."""
        with _lock:
            with self.lock:
                self.closed = True
                self.conn = False
            chid_cache.pop(self.chid_int, None)
            names = cache.get(self.context)
            if names is not None and names.get(self.pvname) is self:
                del names[self.pvname]
            self.get_results.clear()
            self.callbacks.clear()
            self.access_event_callback.clear()


# Contexts -------------------------------------------------------------------------------------


def new_context(preemptive: bool) -> int:
    """Make a context and let the calling thread be in it."""
    context = Context(preemptive=preemptive)
    with _lock:
        _contexts[context.id] = context
    local.context = context.id
    settings.apply_messages(context)
    return context.id


def current() -> int:
    """Return the context of the calling thread; without one that is the initial context."""
    number = local.context
    if number is not None and number in _contexts:
        return number
    initial = settings.initial_context
    if initial is None or initial not in _contexts:
        settings.initialize_libca()
        initial = settings.initial_context
    local.context = initial
    return int(initial)


def attach(number: int) -> int:
    """Let the calling thread be in a context. Returns the CA status."""
    if local.context is not None and local.context in _contexts:
        return dbr.ECA_ISATTACHED
    if number not in _contexts:
        raise CASeverityException("attach_context", eca_message(ECA.NOCACTX))
    local.context = number
    return dbr.ECA_NORMAL


def detach() -> None:
    """Let the calling thread be in no context."""
    local.context = None


def attached() -> int | None:
    """Return the context of the calling thread, or None; makes none."""
    number = local.context
    return number if number in _contexts else None


def is_open(number: int | None) -> bool:
    """Whether a context is open."""
    return number in _contexts


def engine_context(number: int | None = None) -> Context:
    """Return the engine's context of a number; default the calling thread's."""
    return _contexts[current() if number is None else number]


def all_contexts() -> list[Context]:
    """Return the contexts that are open."""
    return list(_contexts.values())


def destroy(number: int) -> None:
    """End a context and all its channels."""
    with _lock:
        context = _contexts.pop(number, None)
        for entry in list(cache.pop(number, {}).values()):
            drop(entry)
    if local.context == number:
        local.context = None
    if context is not None:
        context.close()


def drop(entry: Entry) -> None:
    """Forget an entry whose context ends, or has ended."""
    chid_cache.pop(entry.chid_int, None)
    entry.closed = True
    entry.conn = False


def entry_of(chid: Any) -> Entry:
    """Find the entry of a channel id.

    Raises:
        ChannelAccessException: it is none.
    """
    number = getattr(chid, "value", chid)
    if isinstance(number, int):
        entry = chid_cache.get(number)
        if entry is not None:
            return entry
    text = f"{chid!r} is not a valid chid"
    raise ChannelAccessException(text)


# Channels -------------------------------------------------------------------------------------


def encode_name(pvname: str) -> bytes:
    """Encode the name of a PV.

    Raises:
        CASeverityException: it is empty or holds a NUL.
    """
    data = pvname.encode("utf-8", "surrogateescape")
    if not data or b"\0" in data:
        raise CASeverityException("create_channel", eca_message(ECA.BADSTR))
    return data


def open_entry(
    pvname: str,
    number: int,
    callback: Callable[..., Any] | None = None,
    access: Callable[[bool, bool], Any] | None = None,
) -> tuple[Entry, bool]:
    """Find or make the channel of a name.

    Args:
        pvname: name of the PV.
        number: the context.
        callback: goes to `Entry.callbacks`.
        access: goes to `Entry.access_event_callback`.

    Returns:
        The entry and whether it was there before.
    """
    names = cache[number]
    with _lock:
        entry = names.get(pvname)
        if entry is not None:
            with entry.lock:
                if callback is not None:
                    entry.callbacks.append(callback)
                if access is not None:
                    entry.access_event_callback.append(access)
            return entry, True
        name = encode_name(pvname)
        entry = Entry(pvname, number)
        if callback is not None:
            entry.callbacks.append(callback)
        if access is not None:
            entry.access_event_callback.append(access)
        with entry.lock:
            channel = Channel(_contexts[number], name, entry.deliver)
            if not channel.id:
                raise CASeverityException("create_channel", eca_message(channel.status))
            entry.adopt(channel)
        names[pvname] = entry
    return entry, False


def open_many(pvnames: Sequence[str], number: int) -> list[Entry | None]:
    """Find or make the channels of many names; None for what is no name."""
    names = cache[number]
    with _lock:
        fresh: dict[str, Entry] = {}
        encoded = []
        for pvname in pvnames:
            if pvname in names or pvname in fresh:
                continue
            try:
                encoded.append(encode_name(pvname))
            except (AttributeError, CASeverityException):
                continue
            fresh[pvname] = Entry(pvname, number)
        entries = list(fresh.values())
        for entry in entries:
            entry.lock.acquire()
        try:
            channels = create_channels(
                _contexts[number], encoded, [entry.deliver for entry in entries]
            )
            for entry, channel in zip(entries, channels, strict=True):
                if channel.id:
                    entry.adopt(channel)
                    names[entry.pvname] = entry
        finally:
            for entry in entries:
                entry.lock.release()
        return [names.get(pvname) for pvname in pvnames]


_idle: dict[Entry, float] = {}
_reaper: threading.Timer | None = None


def leave(entry: Entry, callback: Callable[..., Any], access: Callable[..., Any]) -> None:
    """Unhook a PV; a channel that nobody uses any more ends a little later."""
    global _reaper
    with _lock:
        with entry.lock:
            if callback in entry.callbacks:
                entry.callbacks.remove(callback)
            if access in entry.access_event_callback:
                entry.access_event_callback.remove(access)
            unused = not (entry.callbacks or entry.access_event_callback or entry.explicit)
        if not unused or entry.closed:
            return
        _idle[entry] = time.monotonic()
        if _reaper is None:
            _reaper = threading.Timer(IDLE, _reap)
            _reaper.daemon = True
            _reaper.start()


def _reap() -> None:
    global _reaper
    ended = []
    with _lock:
        now = time.monotonic()
        for entry, since in list(_idle.items()):
            if entry.closed or entry.callbacks or entry.access_event_callback or entry.explicit:
                del _idle[entry]
            elif now - since >= 0.9 * IDLE:
                del _idle[entry]
                ended.append(entry)
        _reaper = None
        if _idle:
            _reaper = threading.Timer(IDLE, _reap)
            _reaper.daemon = True
            _reaper.start()
        for entry in ended:
            entry.forget()
    for entry in ended:
        entry.close()


def _after_fork() -> None:
    """In the child of a fork all starts anew; what the parent opened is only forgotten."""
    global _lock, _reaper
    _lock = threading.RLock()
    _reaper = None
    _idle.clear()
    _contexts.clear()
    for names in list(cache.values()):
        for entry in list(names.values()):
            entry.lock = threading.RLock()
            drop(entry)
    cache.clear()
    chid_cache.clear()
    local.context = None
    if settings is not None:
        settings.forget_all()


os.register_at_fork(after_in_child=_after_fork)
