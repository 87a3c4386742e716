"""The low-level functions of pyepics: libca call by call, on channel ids.

A channel id is a `dbr.chid_t`; the functions take it, its int, or the int that callbacks get.
Callbacks run on the dispatcher thread of the context, in the order of the events, and may call
anything here. A thread needs no context: without one of its own it works in the initial context,
which the first call makes.

The variables in capitals are read when they are needed, so assigning them has effect.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

import numpy

from cachannel.engine import Context
from cachannel.protocol.enums import eca_message
from epics_compat import (
    _core,
    _io,
    _values,
    dbr as dbr,
    utils as utils,
)
from epics_compat._channels import (
    ACCESS_TEXTS as ACCESS_TEXTS,
    access as access,
    clear_channel as clear_channel,
    element_count as element_count,
    field_type as field_type,
    host_name as host_name,
    isConnected as isConnected,
    name as name,
    promote_fieldtype as promote_fieldtype,
    promote_type as promote_type,
    read_access as read_access,
    replace_access_rights_event as replace_access_rights_event,
    state as state,
    write_access as write_access,
)
from epics_compat._core import (
    Entry as Entry,
    cache as cache,
    chid_cache as chid_cache,
    entry_of as entry_of,
)
from epics_compat._decorators import (
    PySEVCHK as PySEVCHK,
    withCA as withCA,
    withCHID as withCHID,
    withConnectedCHID as withConnectedCHID,
    withInitialContext as withInitialContext,
    withMaybeConnectedCHID as withMaybeConnectedCHID,
    withSEVCHK as withSEVCHK,
)
from epics_compat._errors import (
    CASeverityException as CASeverityException,
    ChannelAccessDisconnected as ChannelAccessDisconnected,
    ChannelAccessException as ChannelAccessException,
    ChannelAccessGetFailure as ChannelAccessGetFailure,
    ChannelAccessTimeout as ChannelAccessTimeout,
)
from epics_compat._gets import (
    _unpack,
    get as get,
    get_complete as get_complete,
    get_complete_with_metadata as get_complete_with_metadata,
    get_ctrlvars as get_ctrlvars,
    get_enum_strings as get_enum_strings,
    get_precision as get_precision,
    get_severity as get_severity,
    get_timestamp as get_timestamp,
    get_timevars as get_timevars,
    get_with_metadata as get_with_metadata,
)
from epics_compat._io import (
    put_completes as put_completes,
)
from epics_compat.utils import (
    IOENCODING as IOENCODING,
    bytes2str as bytes2str,
    clib_search_path as clib_search_path,
    str2bytes as str2bytes,
    strjoin as strjoin,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from cachannel.engine import Subscription

HAS_NUMPY = True
PREEMPTIVE_CALLBACK = True
AUTO_CLEANUP = True
WITH_CA_MESSAGES = False
AUTOMONITOR_MAXLENGTH = 65536
DEFAULT_CONNECTION_TIMEOUT = 2.0
DEFAULT_SUBSCRIPTION_MASK = dbr.DBE_VALUE | dbr.DBE_ALARM
MONITOR_PROPERTIES = True
"""Whether a monitored PV keeps its units, limits, precision and states current.

A second subscription (DBE_PROPERTY) does it, from the first time that they are asked for.
"""
RAISE_ERRORS = False
"""Whether gets and puts that fail for want of a connection, or of time, raise.

They raise `ChannelAccessDisconnected` and `ChannelAccessTimeout` then; pyepics' programs expect
None and -1, which is the default.
"""

libca: Any = None
initial_context: int | None = None
_cache = cache
_chid_cache = chid_cache
_put_completes = put_completes
_CacheItem = Entry


class Empty:
    """Class of `GET_PENDING`."""

    def __repr__(self) -> str:
        return "GET_PENDING"


GET_PENDING = Empty()


class _Library:
    """What `libca` is while Channel Access is in use."""

    def __init__(self) -> None:
        self._name = utils.clib_search_path("ca") or "libca"

    def __repr__(self) -> str:
        return f"<libca {self._name!r}>"


class _Finalized:
    """What `libca` is after `finalize_libca`."""

    def __repr__(self) -> str:
        return "<libca finalized>"


_FINALIZED = _Finalized()
_starting = threading.RLock()
_clearing: list[Callable[[], Any]] = []


# Library --------------------------------------------------------------------------------------


def find_lib(inp_lib_name: str = "ca") -> str:
    """Find the file of a library: PYEPICS_LIBCA, or the one of the epicscorelibs distribution.

    Raises:
        ChannelAccessException: there is none.
    """
    given = os.environ.get("PYEPICS_LIBCA")
    if given and os.path.exists(given):
        if inp_lib_name == "ca":
            return given
        folder, name = os.path.split(given)
        beside = os.path.join(folder, name.replace("ca", inp_lib_name))
        if os.path.exists(beside):
            return beside
    found = utils.clib_search_path(inp_lib_name)
    if found is None:
        message = "cannot find Epics CA DLL"
        raise ChannelAccessException(message)
    return found


def find_libCom() -> str:
    """Find the file of libCom; see `find_lib`."""
    return find_lib("Com")


def find_libca() -> str:
    """Find the file of libca; see `find_lib`."""
    return find_lib("ca")


def initialize_libca() -> Any:
    """Start Channel Access and make the initial context; may be called again.

    Sets EPICS_CA_MAX_ARRAY_BYTES to 16 MiB in the environment unless it is set.
    """
    global libca, initial_context
    with _starting:
        if initial_context is None or libca is _FINALIZED or libca is None:
            os.environ.setdefault("EPICS_CA_MAX_ARRAY_BYTES", str(2**24))
            if libca is None or libca is _FINALIZED:
                libca = _Library()
            _core.detach()
            initial_context = _core.new_context(bool(PREEMPTIVE_CALLBACK))
            if AUTO_CLEANUP:
                atexit.unregister(finalize_libca)
                atexit.register(finalize_libca)
        return libca


def finalize_libca(maxtime: float = 10.0) -> None:
    """End Channel Access: all channels and contexts. Other functions then return None quietly.

    Args:
        maxtime: at most so many seconds, in pyepics; here it takes no time.
    """
    global libca, initial_context
    with _starting:
        if libca is None or libca is _FINALIZED:
            return
        libca = _FINALIZED
        from epics_compat import _client

        _client.close()
        for function in list(_clearing):
            function()
        for context in _core.all_contexts():
            _core.destroy(context.id)
        initial_context = None


def forget_all() -> None:
    """In the child of a fork: as if Channel Access had not been used yet."""
    global libca, initial_context, _starting
    _starting = threading.RLock()
    initial_context = None
    libca = None
    put_completes.clear()
    from epics_compat import pv

    pv.after_fork()


def is_finalized() -> bool:
    """Whether `finalize_libca` was called, and nothing started Channel Access since."""
    return libca is _FINALIZED


# Messages -------------------------------------------------------------------------------------

ca_printf: Any = None


def write(msg: Any, newline: bool = True, flush: bool = True) -> None:
    """Write text to standard output."""
    sys.stdout.write(f"{msg}\n" if newline else f"{msg}")
    if flush:
        sys.stdout.flush()


def apply_messages(context: Context) -> None:
    """Tell a context where libca's messages go."""
    if ca_printf is not None:
        context.on_message(ca_printf)
    elif WITH_CA_MESSAGES:
        context.on_message(write_error)


def write_error(text: str) -> None:
    """Write text as it is to standard error."""
    sys.stderr.write(text)
    sys.stderr.flush()


@withCA
def replace_printf_handler(writer: Callable[[str], Any] | None = None) -> None:
    """Install who gets libca's messages, formatted; None: nobody.

    Raises:
        ChannelAccessException: it cannot be called.
    """
    global ca_printf
    if writer is not None and not callable(writer):
        message = "argument 'writer' must be callable"
        raise ChannelAccessException(message)
    ca_printf = _swallow if writer is None else writer
    for context in _core.all_contexts():
        context.on_message(ca_printf)


def _swallow(text: str) -> None:
    """Let a message of libca go nowhere."""


def disable_ca_messages() -> None:
    """Let libca's messages go nowhere."""
    replace_printf_handler(None)


def enable_ca_messages(writer: Any = "stderr") -> None:
    """Let libca's messages go to ``'stderr'``, ``'stdout'`` or a function; None: nowhere."""
    if writer == "stderr":
        writer = write_error
    elif writer == "stdout":
        writer = sys.stdout.write
    replace_printf_handler(writer)


@withCA
def message(status: int) -> str:
    """Give libca's text for a status."""
    return eca_message(status)


@withCA
def version() -> str:
    """Give the version of the Channel Access protocol."""
    return "4.13"


# Contexts -------------------------------------------------------------------------------------


@withCA
def context_create(ctx: int | None = None) -> int:
    """Make a context for the calling thread.

    Args:
        ctx: 1: callbacks run at any time; 0: only in `poll`, `pend_io` and `pend_event`; None:
            as `PREEMPTIVE_CALLBACK` says.
    """
    _core.new_context(bool(PREEMPTIVE_CALLBACK if ctx is None else ctx))
    return dbr.ECA_NORMAL


def create_context(ctx: int | None = None) -> None:
    """Make a context for the calling thread; see `context_create`."""
    context_create(ctx)


@withCA
def context_destroy() -> None:
    """End the context of the calling thread, with all its channels and PVs."""
    global initial_context
    number = _core.attached()
    if number is None or _core.local.borrowed:
        return
    _core.destroy(number)
    if number == initial_context:
        initial_context = None


def destroy_context() -> None:
    """End the context of the calling thread; see `context_destroy`."""
    context_destroy()


@withCA
def attach_context(context: int) -> int:
    """Let the calling thread be in a context.

    Returns:
        1, or 424 (ECA_ISATTACHED) when it is in one already.

    Raises:
        CASeverityException: there is no such context.
    """
    return _core.attach(context)


@withCA
def detach_context() -> int:
    """Let the calling thread be in no context. Returns 0."""
    _core.detach()
    return 0


@withCA
def use_initial_context() -> int:
    """Let the calling thread be in the initial context. Returns 1; is never needed."""
    if initial_context is None:
        initialize_libca()
    _core.detach()
    status = _core.attach(int(initial_context or 0))
    return dbr.ECA_NORMAL if status == dbr.ECA_ISATTACHED else status


@withCA
def current_context() -> int | None:
    """Return the context of the calling thread; without one, the initial context."""
    return _core.current()


@withCA
def client_status(context: int, level: int) -> None:
    """Tell of a context: its state, and from `level` 1 on its channels; see `write`."""
    engine = _core.engine_context(context)
    write(f"{engine!r}: {len(cache[context])} channels")
    if level > 0:
        for entry in list(cache[context].values()):
            write(f"    {entry!r}")


def register_clear_cache(callback: Callable[[], Any] | None) -> None:
    """Have a function called by `clear_cache`.

    Raises:
        RuntimeError: it cannot be called.
    """
    if callback is None:
        return
    if not callable(callback):
        text = f"{callback!r} is not callable"
        raise RuntimeError(text)
    if callback not in _clearing:
        _clearing.append(callback)


@withCA
def clear_cache() -> None:
    """Close all channels, empty the caches, and begin in a new context."""
    global initial_context
    for function in list(_clearing):
        function()
    for names in list(cache.values()):
        for entry in list(names.values()):
            entry.close()
    cache.clear()
    chid_cache.clear()
    old = _core.attached()
    was_initial = old is not None and old == initial_context
    if old is not None:
        _core.destroy(old)
    number = _core.new_context(bool(PREEMPTIVE_CALLBACK))
    if was_initial or initial_context is None:
        initial_context = number


@withCA
def show_cache(print_out: bool = True) -> str | None:
    """List the channels: name, id and context, whether connected. Prints, or returns the text."""
    lines = ["#  PVName        ChannelID/Context Connected?", "#" + "-" * 44]
    for number, names in list(cache.items()):
        for pvname, entry in list(names.items()):
            lines.append(f" {pvname:15s} {entry.chid!r}/{number}  {isConnected(entry.chid)}")
    text = "\n".join(lines)
    if not print_out:
        return text
    write(text)
    return None


@withCA
def get_cache(pvname: str) -> Entry | None:
    """Return the entry of a name in the current context, or None."""
    return cache[_core.current()].get(pvname)


# Waiting --------------------------------------------------------------------------------------


@withCA
def flush_io() -> int:
    """Send what is buffered."""
    return _core.engine_context().flush()


@withCA
def pend_io(timeout: float = 1.0) -> int:
    """Send what is buffered; no call here leaves anything to wait for. Returns the status."""
    context = _core.engine_context()
    status = context.flush()
    if not context.preemptive:
        context.pend(0.0)
    return status


@withCA
def pend_event(timeout: float = 1.0e-5) -> int:
    """Wait, and let callbacks run. Returns 80 (ECA_TIMEOUT), which is its normal answer."""
    _core.engine_context().pend(max(timeout, 0.0))
    return dbr.ECA_TIMEOUT


@withCA
def poll(evt: float = 1.0e-5, iot: float = 1.0) -> int:
    """Wait `evt` seconds and send what is buffered. Returns the status of the latter."""
    pend_event(evt)
    return int(pend_io(iot))


@withCA
def test_io() -> bool:
    """Whether all requests of the calling thread are complete: they always are."""
    return True


# Channels -------------------------------------------------------------------------------------


@withCA
def create_channel(
    pvname: str | bytes,
    connect: bool = False,
    auto_cb: bool = True,
    callback: Callable[..., Any] | None = None,
) -> Any:
    """Find or make the channel of a name in the current context.

    Args:
        pvname: name of the PV, text or bytes.
        connect: wait for the connection, `DEFAULT_CONNECTION_TIMEOUT` seconds.
        auto_cb: has no effect.
        callback: called as ``callback(pvname=, chid=<int>, conn=<bool>)`` at every connect and
            disconnect, on the dispatcher thread; at once, here, when it is connected.

    Returns:
        The `dbr.chid_t`.

    Raises:
        CASeverityException: the name cannot be one.
        TypeError: it is no text.
    """
    if isinstance(pvname, bytes):
        pvname = pvname.decode("utf-8", "surrogateescape")
    entry, known = _core.open_entry(pvname, _core.current(), callback)
    entry.explicit = True
    if known and callback is not None and entry.sync():
        callback(pvname=pvname, chid=entry.chid_int, conn=True)
    if connect:
        entry.wait(DEFAULT_CONNECTION_TIMEOUT)
    elif not known and entry.channel is not None:
        entry.channel.flush()
    return entry.chid


@withCHID
def connect_channel(chid: Any, timeout: float | None = None, verbose: bool = False) -> bool:
    """Wait for a channel to connect; default `DEFAULT_CONNECTION_TIMEOUT` seconds."""
    entry = entry_of(chid)
    connected = entry.wait(DEFAULT_CONNECTION_TIMEOUT if timeout is None else timeout)
    if verbose:
        write(f"{entry.pvname}: {'connected' if connected else 'not connected'}")
    return connected


# Writing --------------------------------------------------------------------------------------


@withConnectedCHID
def put(
    chid: Any,
    value: Any,
    wait: bool = False,
    timeout: float = 30,
    callback: Callable[..., Any] | None = None,
    callback_data: Any = None,
    ftype: int | None = None,
) -> int:
    """Write a channel.

    Args:
        chid: the channel; one that is not connected is waited for.
        value: number, text or sequence.
        wait: wait until the record, and all it triggered, has processed.
        timeout: seconds.
        callback: called when it has, as ``callback(pvname=, data=callback_data)``, or with the
            items of `callback_data` when that is a dict; with ``status=`` (the CA status) as
            well if it has a parameter of this name. On the dispatcher thread.
        callback_data: see there.
        ftype: DBR type to send; None: native.

    Returns:
        1, or -1 when the time was over.

    Raises:
        ChannelAccessException: not connected in time.
        CASeverityException: there is no write access.
        TypeError, ValueError: the value cannot be sent.
        ChannelAccessTimeout: in place of -1, when `RAISE_ERRORS` is set.
    """
    entry = entry_of(chid)
    kind = entry.ftype if ftype is None else int(ftype)
    told = None if callback is None else _io.Completion(entry.pvname, callback, callback_data)
    return _io.put(entry, value, kind, wait, timeout, told)


# Subscribing ----------------------------------------------------------------------------------


_subscriptions: dict[int, Subscription] = {}


@withCHID
def create_subscription(
    chid: Any,
    use_time: bool = False,
    use_ctrl: bool = False,
    ftype: int | None = None,
    mask: int | None = None,
    callback: Callable[..., Any] | None = None,
    count: int = 0,
    timeout: float | None = None,
) -> tuple[Any, Any, int]:
    """Have a function called at every change of a channel.

    Args:
        chid: the channel. Unless `ftype` is given, its connection is waited for.
        use_time: with alarm and time stamp.
        use_ctrl: with units, limits and states.
        ftype: DBR type; default native, made TIME or CTRL by the arguments before.
        mask: DBE_* bits; None: `DEFAULT_SUBSCRIPTION_MASK`.
        callback: called on the dispatcher thread with keywords: value, ftype, count, chid,
            pvname and what the type carries.
        count: elements; 0: as many as there are.
        timeout: seconds to wait for the connection; None: `DEFAULT_CONNECTION_TIMEOUT`.

    Returns:
        A tuple whose last item goes to `clear_subscription`. It need not be kept.

    Raises:
        ChannelAccessException: not connected in time.
        CASeverityException: Channel Access refuses it.
    """
    entry = entry_of(chid)
    if ftype is None and not entry.sync():
        limit = DEFAULT_CONNECTION_TIMEOUT if timeout is None else timeout
        if not entry.wait(limit):
            text = f"create_subscription: {entry.pvname!r} is not connected"
            raise ChannelAccessException(text)
    kind = dbr.promote(entry.ftype, use_time, use_ctrl) if ftype is None else int(ftype)

    def deliver(record: Any, buffer: Any, offset: int) -> None:
        if record[7] != dbr.ECA_NORMAL or callback is None:
            return
        value = _values.of_channel(record, _values.elements(record, buffer, offset), entry.nelm)
        items = _values.metadata(record, buffer, offset)
        callback(
            value=value, ftype=record[3], count=record[8], chid=entry.chid_int,
            pvname=entry.pvname, **items,
        )  # fmt: skip

    channel = _io.channel_of(entry)
    events = DEFAULT_SUBSCRIPTION_MASK if mask is None else mask
    status, subscription = channel.subscribe(kind, count, events, deliver)
    if subscription is None:
        raise CASeverityException("create_subscription", eca_message(status), entry.pvname)
    channel.flush()
    _subscriptions[subscription.id] = subscription
    return callback, deliver, subscription.id


@withCA
def clear_subscription(event_id: Any) -> int:
    """End a subscription; may be called again."""
    subscription = _subscriptions.pop(getattr(event_id, "value", event_id), None)
    if subscription is not None:
        subscription.close()
    return dbr.ECA_NORMAL


class CAThread(threading.Thread):
    """A thread that works in the initial context, as all threads do here."""

    def run(self) -> None:
        """Enter the initial context and run the target."""
        if not is_finalized():
            use_initial_context()
        super().run()


_core.settings = sys.modules[__name__]

from epics_compat._groups import (  # noqa: E402
    sg_block as sg_block,
    sg_create as sg_create,
    sg_delete as sg_delete,
    sg_get as sg_get,
    sg_put as sg_put,
    sg_reset as sg_reset,
    sg_test as sg_test,
)
