"""Contexts and the cache of channels: what `ca` and `PV` stand on.

A thread needs no context: without one of its own it works in the initial context, which the
first call makes. Channels are shared by name in each context.

Lock order: `_lock` (the registry), then the lock of an entry, then libca's. No user code runs
and nobody waits while one of them is held.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, Protocol

from cachannel.context import report
from cachannel.engine import CONNECTION, Channel, Context, create_channels
from cachannel.protocol.enums import ECA, eca_message
from cachannel.protocol.text import encode
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


# Entries share locks, as there may be very many. Nobody holds the locks of two entries, but
# `open_many`, which holds `_lock`; and nobody who holds one waits for `_lock`.
_LOCKS: Final = 64
_entry_locks = [threading.RLock() for _ in range(_LOCKS)]
_counter = itertools.count()


class _Local(threading.local):
    context: int | None = None
    borrowed: bool = False
    """Whether the thread works in the context without having been attached to it."""


local = _Local()


class User(Protocol):
    """What hangs on a channel: a PV, for one. Called on the dispatcher thread."""

    def _on_connection(self, *, conn: bool) -> None:
        """Hear of a connect or disconnect."""

    def _on_access(self, read: bool, write: bool) -> None:
        """Hear of the rights; at a connect before it, at a disconnect too."""


class Pending:
    """A get that was started, or the answer that was taken (then without the request)."""

    __slots__ = ("answer", "count", "request", "taken")

    def __init__(self, request: Request | None, count: int) -> None:
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
        callbacks: what is called as ``f(pvname=, chid=, conn=)`` at every change; to read.
        access_event_callback: what is called as ``f(read, write)``; to read.
        context: the context it belongs to, an int.
        get_results: gets that wait to be taken, by DBR type.
    """

    __slots__ = (
        "__weakref__", "_access_callbacks", "_callbacks", "_chid", "_early", "_user", "_users",
        "channel",
        "chid_int", "closed", "conn", "connections", "context", "explicit", "failures",
        "ftype", "get_results", "lock", "nelm", "pvname", "rights", "ts",
    )  # fmt: skip

    def __init__(self, pvname: str, context: int) -> None:
        self.pvname = pvname
        self.context = context
        self.chid_int = 0
        self.conn = False
        self.ts = 0.0
        self.failures = 0
        self.get_results: dict[int, Pending] = {}
        self.lock = _entry_locks[next(_counter) % _LOCKS]
        self.channel: Channel | None = None
        self.connections = 0
        self.rights = 0
        self.ftype = -1
        self.nelm = 0
        self.explicit = False
        self.closed = False
        self._early = False
        self._chid: Any = None
        # Most channels have one user, and no list for more: there may be very many channels.
        self._user: User | None = None
        self._users: list[User] | None = None
        self._callbacks: list[Callable[..., Any]] | None = None
        self._access_callbacks: list[Callable[[bool, bool], Any]] | None = None

    @property
    def chid(self) -> Any:
        """The `dbr.chid_t`, or None before the channel exists."""
        if self._chid is None and self.chid_int:
            self._chid = dbr.chid_t(self.chid_int)
        return self._chid

    @property
    def callbacks(self) -> list[Callable[..., Any]]:
        """The functions that hear of the connection."""
        return [*(user._on_connection for user in self.users), *(self._callbacks or ())]

    @property
    def access_event_callback(self) -> list[Callable[[bool, bool], Any]]:
        """The functions that hear of the rights."""
        return [*(user._on_access for user in self.users), *(self._access_callbacks or ())]

    def add_callback(self, callback: Callable[..., Any]) -> None:
        """Have a function hear of the connection."""
        if self._callbacks is None:
            self._callbacks = []
        self._callbacks.append(callback)

    def add_access_callback(self, callback: Callable[[bool, bool], Any]) -> None:
        """Have a function hear of the rights."""
        if self._access_callbacks is None:
            self._access_callbacks = []
        self._access_callbacks.append(callback)

    @property
    def users(self) -> tuple[User, ...]:
        """The objects that hear of the connection and the rights."""
        first, others = self._user, self._users
        if others:
            return (*others,) if first is None else (first, *others)
        return () if first is None else (first,)

    def add_user(self, user: User) -> None:
        """Have an object hear of the connection and the rights; the channel stays open for it."""
        with self.lock:
            if self._users is not None:
                self._users.append(user)
            elif self._user is None:
                self._user = user
            else:
                self._users = [user]

    def remove_user(self, user: User) -> None:
        """Let an object go, if it is there."""
        with self.lock:
            if self._user is user:
                self._user = None
            elif self._users is not None and user in self._users:
                self._users.remove(user)

    @property
    def unused(self) -> bool:
        """Whether nobody hears of it, and nobody made it by itself."""
        heard = self._user or self._users or self._callbacks or self._access_callbacks
        return not (heard or self.explicit)

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
        chid_cache[channel.id] = self

    # Events, on the dispatcher thread -------------------------------------------------------

    def __call__(self, record: Record, buffer: Any, offset: int) -> None:
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
            if self.get_results:
                self.get_results.clear()
        read, write = bool(self.rights & 1), bool(self.rights & 2)
        if self._access_callbacks:
            self._tell_access(self._access_callbacks, read, write)
        for user in self.users:
            try:
                user._on_access(read, write)
                user._on_connection(conn=up)
            except Exception as exc:
                report(exc, user)
        for callback in tuple(self._callbacks or ()):
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
        read, write = bool(rights & 1), bool(rights & 2)
        self._tell_access(self.access_event_callback, read, write)

    def _tell_access(
        self, callbacks: list[Callable[[bool, bool], Any]], read: bool, write: bool
    ) -> None:
        for callback in tuple(callbacks):
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
            self._user = self._users = None
            self._callbacks = self._access_callbacks = None


# Contexts -------------------------------------------------------------------------------------


def new_context(preemptive: bool) -> int:
    """Make a context and let the calling thread be in it."""
    context = Context(preemptive=preemptive)
    with _lock:
        _contexts[context.id] = context
    local.context, local.borrowed = context.id, False
    settings.apply_messages(context)
    return context.id


def current() -> int:
    """Return the context of the calling thread.

    In a callback that is the one of the PV; a thread without one is in the initial context.
    """
    number = local.context
    if number is not None and number in _contexts:
        return number
    for other, context in list(_contexts.items()):
        if context.in_callback:
            # The dispatcher of a context is in that context.
            local.context, local.borrowed = other, False
            return other
    initial = settings.initial_context
    made = initial is None or initial not in _contexts
    if made:
        settings.initialize_libca()
        initial = settings.initial_context
    local.context, local.borrowed = initial, not made
    return int(initial)


def attach(number: int) -> int:
    """Let the calling thread be in a context. Returns the CA status."""
    if local.context in _contexts and not local.borrowed:
        return dbr.ECA_ISATTACHED
    if number not in _contexts:
        raise CASeverityException("attach_context", eca_message(ECA.NOCACTX))
    local.context, local.borrowed = number, False
    return dbr.ECA_NORMAL


def detach() -> None:
    """Let the calling thread be in no context."""
    local.context = None
    local.borrowed = False


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
        TypeError: it is no text.
    """
    if not isinstance(pvname, str):
        message = f"the name of a PV is text, not {type(pvname).__name__}"
        raise TypeError(message)
    data = encode(pvname)
    if not data or b"\0" in data:
        raise CASeverityException("create_channel", eca_message(ECA.BADSTR))
    return data


def open_entry(
    pvname: str,
    number: int,
    callback: Callable[..., Any] | None = None,
    user: User | None = None,
) -> tuple[Entry, bool]:
    """Find or make the channel of a name.

    Args:
        pvname: name of the PV.
        number: the context.
        callback: see `Entry.add_callback`.
        user: see `Entry.add_user`.

    Returns:
        The entry and whether it was there before.
    """
    names = cache[number]
    with _lock:
        entry = names.get(pvname)
        if entry is not None:
            if callback is not None:
                entry.add_callback(callback)
            if user is not None:
                entry.add_user(user)
            return entry, True
        name = encode_name(pvname)
        entry = Entry(pvname, number)
        if callback is not None:
            entry.add_callback(callback)
        if user is not None:
            entry._user = user
        with entry.lock:
            channel = Channel(_contexts[number], name, entry)
            if not channel.id:
                raise CASeverityException("create_channel", eca_message(channel.status), pvname)
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
            channels = create_channels(_contexts[number], encoded, entries)
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


def leave(entry: Entry, user: User) -> None:
    """Let a user go; a channel that nobody uses any more ends a little later."""
    global _reaper
    with _lock:
        entry.remove_user(user)
        if not entry.unused or entry.closed:
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
            if entry.closed or not entry.unused:
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
    # In place: what a thread of the parent held stays held for ever.
    _entry_locks[:] = [threading.RLock() for _ in range(_LOCKS)]
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
