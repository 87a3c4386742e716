"""Channel Access call by call: the functions of libca for the CaChannel family.

Functions that start something return a status; functions that create something return
``(status, thing)``, and ``(status, None)`` when they fail. CA errors never raise here, only
arguments that make no sense. Callbacks take one argument, a dict.

Contexts. A thread belongs to at most one context. One that calls a function which needs a context
and has none gets a non-preemptive one: its callbacks run only inside `pend_event`, `pend_io`,
`poll` and `sg_block` of that thread. With ``create_context(True)`` callbacks run on a dispatcher
thread of the context. Functions that take a chid work from any thread.

Inside a callback every function works; `pend_event` and `poll` return ECA_EVDISALLOW at once
there, since no other callback could run meanwhile.
"""

from __future__ import annotations

# The extension module of CaChannel let these three show, and scripts took them from here.
import os  # noqa: F401
import warnings  # noqa: F401
from enum import IntEnum  # noqa: F401
from typing import TYPE_CHECKING, Any, SupportsFloat, SupportsInt

from cachannel._ca.constants import *  # noqa: F403 - the constants are half of this module
from cachannel._ca.constants import __all__ as _constants
from cachannel._ca.core import (
    ANY,
    answer,
    attach,
    attached,
    change_connection,
    count_number,
    create_in,
    current,
    encode_name,
    exception_dict,
    give_token,
    local as _local,
    mask_number,
    once,
    pend_io_in,
    prepare,
    put_with,
    rights,
    seconds,
    subscribe_with,
    type_number,
)
from cachannel._ca.groups import (
    sg_block,
    sg_create,
    sg_delete,
    sg_get,
    sg_put,
    sg_reset,
    sg_test,
)
from cachannel._ca.handles import Chid, DBRValue, Evid, format_dbr
from cachannel._ca.texts import *  # noqa: F403 - likewise
from cachannel._ca.texts import __all__ as _texts
from cachannel._native import ffi, lib
from cachannel.context import Context, report
from cachannel.errors import StringTooLongError
from cachannel.protocol.enums import (
    CA_K,
    CA_OP,
    CA_PRIORITY,
    CHANNEL_STATES,
    DBE,
    DBF,
    DBR,
    ECA,
    AlarmCondition,
    AlarmSeverity,
    ChannelState,
    eca,
)
from cachannel.protocol.text import decode
from cachannel.values.decode import Record, ca_value
from cachannel.values.encode import integer

if TYPE_CHECKING:
    from collections.abc import Callable

    from cachannel.context import Deliver

    Callback = Callable[[dict[str, Any]], object]

__all__ = [
    "CA_K",
    "CA_OP",
    "CA_PRIORITY",
    "DBE",
    "DBF",
    "DBR",
    "ECA",
    "AlarmCondition",
    "AlarmSeverity",
    "ChannelState",
    "Chid",
    "DBRValue",
    "Evid",
    "HAS_NUMPY",
    "add_exception_event",
    "attach_context",
    "beacon_period",
    "change_connection_event",
    "clear_channel",
    "clear_subscription",
    "create_channel",
    "create_context",
    "create_subscription",
    "current_context",
    "destroy_context",
    "detach_context",
    "element_count",
    "field_type",
    "flush_io",
    "format_dbr",
    "get",
    "host_minor_protocol",
    "host_name",
    "name",
    "pend",
    "pend_event",
    "pend_io",
    "poll",
    "put",
    "read_access",
    "receive_watchdog_delay",
    "replace_access_rights_event",
    "replace_printf_handler",
    "search_attempts",
    "sg_block",
    "sg_create",
    "sg_delete",
    "sg_get",
    "sg_put",
    "sg_reset",
    "sg_test",
    "show_context",
    "state",
    "test_io",
    "version",
    "write_access",
    *_constants,
    *_texts,
]

HAS_NUMPY = 1
"""Numbers can be had as ndarrays. Always 1 here: numpy is a dependency."""


# Contexts -----------------------------------------------------------------------------------


def create_context(preemptive_callback: bool = True) -> ECA:
    """Make a context for the calling thread (ca_context_create).

    Args:
        preemptive_callback: callbacks run on a dispatcher thread, and other threads may attach.

    Returns:
        ECA.NORMAL, also when the thread has a context that will do; ECA.NOTTHREADED when it has
        one without preemptive callbacks and they are asked for.
    """
    context = attached()
    if context is None:
        _local.context = Context(preemptive=bool(preemptive_callback), at_start=attach)
    elif preemptive_callback and not context.preemptive:
        return ECA.NOTTHREADED
    return ECA.NORMAL


def destroy_context() -> None:
    """End the calling thread's context with all its channels (ca_context_destroy)."""
    context = attached()
    if context is not None:
        _local.context = None
        context.close()


def attach_context(context: Context) -> ECA:
    """Make the calling thread join a preemptive context (ca_attach_context).

    Returns:
        ECA.NORMAL; ECA.ISATTACHED when the thread has a context, even this one; ECA.NOTTHREADED
        when the context has no preemptive callbacks.

    Raises:
        TypeError: `context` is nothing that `current_context` returned.
    """
    if not isinstance(context, Context):
        message = f"a context is expected, not {context!r}"
        raise TypeError(message)
    if attached() is not None:
        return ECA.ISATTACHED
    if not context.preemptive:
        return ECA.NOTTHREADED
    if context.closed:
        return ECA.NOCACTX
    _local.context = context
    return ECA.NORMAL


def detach_context() -> None:
    """Make the calling thread leave its context, which goes on (ca_detach_context)."""
    _local.context = None


def current_context() -> Context | None:
    """Return the calling thread's context or None, for `attach_context`."""
    return attached()


def show_context(context: Context | None = None, level: int = 0) -> None:
    """Print the state of a context to standard output (ca_context_status).

    Args:
        context: None: that of the calling thread.
        level: 0 to about 3, more is more.
    """
    if context is None:
        context = current()
    elif not isinstance(context, Context):
        message = f"a context is expected, not {context!r}"
        raise TypeError(message)
    lib.cc_context_show(context.id, int(level))


# Channels -----------------------------------------------------------------------------------


def _id(chid: Chid) -> int:
    if not isinstance(chid, Chid):
        message = f"a chid is expected, not {chid!r}"
        raise TypeError(message)
    return chid.checked()


def _open(chid: Chid) -> int:
    """Return the C id; 0 for a channel that has been cleared."""
    if not isinstance(chid, Chid):
        message = f"a chid is expected, not {chid!r}"
        raise TypeError(message)
    return max(chid.id, 0)


def create_channel(
    name: str | bytes, callback: Callback | None = None, priority: SupportsInt = 0
) -> tuple[ECA | int, Chid | None]:
    """Start to connect to a PV (ca_create_channel).

    Args:
        name: name of the PV; a str is sent as UTF-8.
        callback: called with ``{'chid', 'op'}`` on each connect and disconnect, op being
            CA_OP.CONN_UP or CA_OP.CONN_DOWN. Without one, the next `pend_io` waits for the first
            connection.
        priority: 0 to 99; the server serves the circuits of higher ones first.

    Returns:
        ``(ECA.NORMAL, chid)``; ``(ECA.BADSTR, None)`` for an empty name or None,
        ``(ECA.BADPRIORITY, None)``.

    Raises:
        TypeError: the name is neither str nor bytes.
    """
    if name is None:
        return ECA.BADSTR, None
    encode_name(name)
    number = integer(priority, "priority")
    if not 0 <= number <= 99:
        return ECA.BADPRIORITY, None
    return create_in(current(), name, _of_connection(callback), number)


def _of_connection(callback: Callback | None) -> Callable[[Chid, CA_OP], object] | None:
    if not callable(callback):
        return None
    return lambda chid, op: callback({"chid": chid, "op": op})


def change_connection_event(chid: Chid, callback: Callback | None = None) -> ECA | int:
    """Install, replace or remove (None) the connection callback.

    This is ca_change_connection_event. The callback is not called for a channel that is
    connected already. On a channel that is still connecting it ends the wait of `pend_io` for it.

    Returns:
        ECA.NORMAL, or ECA.BADCHID for a channel that has been cleared.
    """
    return change_connection(chid, _of_connection(callback))


def clear_channel(chid: Chid) -> ECA | int:
    """End a channel and its subscriptions (ca_clear_channel). Calls nobody.

    Returns:
        ECA.NORMAL, or ECA.BADCHID for a channel that has been cleared before.
    """
    if not isinstance(chid, Chid):
        message = f"a chid is expected, not {chid!r}"
        raise TypeError(message)
    return eca(chid.clear())


def field_type(chid: Chid) -> DBF:
    """Return the native type; DBF.NOTCONN while the channel is not connected."""
    return DBF(max(lib.cc_field_type(_id(chid)), -1))


def element_count(chid: Chid) -> int:
    """Return the native element count; 0 while the channel is not connected."""
    return max(int(lib.cc_element_count(_id(chid))), 0)


def name(chid: Chid) -> str | bytes:
    """Return the name of the PV: a str, or bytes if they are not UTF-8."""
    _id(chid)
    given = chid.pvname
    if isinstance(given, str):
        return given
    try:
        return given.decode()
    except UnicodeDecodeError:
        return given


def state(chid: Chid | None) -> ChannelState:
    """Return the state of a channel.

    Returns:
        ChannelState.NEVER_SEARCH for None, CLOSED once the channel has been cleared.
    """
    if chid is None:
        return ChannelState.NEVER_SEARCH
    channel = _open(chid)
    number = lib.cc_state(channel) if channel else 3
    return CHANNEL_STATES[number if 0 <= number <= 4 else 3]


def host_name(chid: Chid) -> str:
    """Return ``'host:port'`` of the server, or ``'<disconnected>'``."""
    buffer = ffi.new("char[]", 512)
    lib.cc_host_name(_id(chid), buffer, 512)
    return decode(ffi.string(buffer))


def read_access(chid: Chid) -> bool:
    """Tell whether this client may read the PV."""
    return bool(max(lib.cc_access(_id(chid)), 0) & 1)


def write_access(chid: Chid) -> bool:
    """Tell whether this client may write the PV."""
    return bool(max(lib.cc_access(_id(chid)), 0) & 2)


def _info(chid: Chid) -> Any:
    info = ffi.new("cc_channel_info *")
    lib.cc_channel_info_get(_id(chid), info)
    return info


def search_attempts(chid: Chid) -> int:
    """Return how often the PV has been searched for (ca_search_attempts)."""
    return int(_info(chid).search_attempts)


def beacon_period(chid: Chid) -> float:
    """Return the server's beacon period in seconds; negative: unknown."""
    return float(_info(chid).beacon_period)


def receive_watchdog_delay(chid: Chid) -> float:
    """Return how long the circuit may still be silent (ca_receive_watchdog_delay).

    Returns:
        Seconds until it counts as unresponsive; negative while it is down.
    """
    return float(_info(chid).watchdog_delay)


def host_minor_protocol(chid: Chid) -> int:
    """Return the server's minor protocol version (ca_host_minor_protocol).

    Returns:
        13 for current servers; 0 when down, and always with a libca older than EPICS 7.0.10, which
        does not tell.
    """
    return int(_info(chid).minor_protocol)


def version() -> str:
    """Return the protocol version of the library, such as ``'4.13'``."""
    return str(ffi.string(lib.ca_version()).decode())


# Reading ------------------------------------------------------------------------------------


def _deliver_value(chid: Chid, callback: Callback, use_numpy: bool) -> Deliver:
    def deliver(record: Record, buffer: Any, offset: int) -> None:
        result = answer(chid, record)
        known = record[7] == 1 and record[2] and record[3] >= 0
        empty = record[7] == 1 and not record[2] and record[3] >= 0
        result["value"] = ca_value(record, buffer, offset, use_numpy) if known or empty else None
        callback(result)

    return deliver


def get(
    chid: Chid,
    chtype: SupportsInt | None = None,
    count: SupportsInt | None = None,
    callback: Callback | None = None,
    use_numpy: bool = False,
) -> tuple[ECA | int, DBRValue | None]:
    """Ask for the value of a PV (ca_array_get, ca_array_get_callback).

    Args:
        chid: the channel.
        chtype: request type (DBR_*); None: the native type.
        count: at most so many elements; None: the native count. 0 is one element without
            callback, and as many as there are now with callback.
        callback: called on the dispatcher thread with ``{'chid', 'type', 'count', 'status',
            'value'}``; after a failure `status` says why and `value` is None.
        use_numpy: several numbers come as an ndarray of shape ``(count,)``.

    Returns:
        The status, and without callback a `DBRValue` that has the value after `pend_io`. The
        status is ECA.BADTYPE, ECA.DISCONN, ECA.NORDACCESS or ECA.BADCHID when nothing was asked.

    Raises:
        OverflowError: `count` is negative.
        ValueError: `chtype` or `count` is no number.
    """
    channel = _open(chid)
    kind, elements = type_number(chtype, chid, "get"), count_number(count, chid.shown, "get")
    if not channel:
        return ECA.BADCHID, None
    if not callable(callback):
        request = lib.cc_get(channel, kind, elements, 0, 1)
        if request < 0:
            return eca(-request), None
        return ECA.NORMAL, DBRValue(request, bool(use_numpy))
    token = chid.context.own(once(chid, _deliver_value(chid, callback, bool(use_numpy))))
    status = lib.cc_get_callback(channel, kind, elements, token)
    if status != 1:
        chid.context.disown(token)
    return eca(status), None


def create_subscription(
    chid: Chid,
    callback: Callback | None,
    chtype: SupportsInt | None = None,
    count: SupportsInt | None = None,
    mask: SupportsInt | None = None,
    use_numpy: bool = False,
) -> tuple[ECA | int, Evid | None]:
    """Ask for every change of a PV (ca_create_subscription).

    Args:
        chid: the channel. If it is not connected, `chtype` must be given.
        callback: called on the dispatcher thread as for `get`: soon after the flush with the
            present value, with every change, and again after every reconnect.
        chtype: request type (DBR_*); None: the native type.
        count: at most so many elements; None: the native count; 0: as many as there are each
            time.
        mask: DBE_* bits; None: DBE_VALUE | DBE_ALARM.
        use_numpy: several numbers come as an ndarray of shape ``(count,)``.

    Returns:
        ``(ECA.NORMAL, evid)``, or the status that says why not and None.
    """
    channel, operation = _open(chid), "create_subscription"
    kind = type_number(chtype, chid, operation)
    elements = count_number(count, chid.shown, operation)
    events = mask_number(mask, chid, operation)
    if not channel:
        return ECA.BADCHID, None
    if not callable(callback):
        callback = _ignore
    return subscribe_with(
        chid, _deliver_value(chid, callback, bool(use_numpy)), kind, elements, events
    )


def _ignore(event: dict[str, Any]) -> None:
    """Do nothing with an event."""


def clear_subscription(evid: Evid) -> ECA | int:
    """End a subscription (ca_clear_subscription).

    When this returns its callback does not start any more.

    Returns:
        ECA.NORMAL, or ECA.BADMONID when it or its channel has been cleared before.
    """
    if not isinstance(evid, Evid):
        message = f"an evid is expected, not {evid!r}"
        raise TypeError(message)
    return eca(evid.clear())


# Writing ------------------------------------------------------------------------------------


def _quick(value: Any, chtype: Any, count: Any) -> bool:
    kind = type(value)
    small = kind is float or (kind is int and -0x80000000 <= value < 0x80000000)
    return small and chtype is None and count is None


def put(
    chid: Chid,
    value: Any,
    chtype: SupportsInt | None = None,
    count: SupportsInt | None = None,
    callback: Callback | None = None,
) -> ECA | int:
    """Write a PV (ca_array_put, ca_array_put_callback). Sent with the next flush.

    Args:
        chid: the channel.
        value: number, text, or a sequence of them, see `cachannel.values.encode.encode`.
        chtype: type to send it as, DBR_STRING to DBR_DOUBLE; None: the native type.
        count: at most so many elements; None: as many as there are.
        callback: called on the dispatcher thread with ``{'chid', 'type', 'count', 'status'}``
            when the record and all that it triggered has processed, or when that failed. After
            success libca tells neither type nor count: DBR.INVALID and 0.

    Returns:
        ECA.NORMAL; ECA.BADTYPE, ECA.DISCONN, ECA.NOWTACCESS, ECA.BADSTR, ECA.BADCOUNT or
        ECA.BADCHID when nothing was sent.

    Raises:
        BadValueError, RangeError, ValueTypeError: the value cannot be converted; nothing was
            sent.
    """
    channel = _open(chid)
    if not callable(callback) and channel and _quick(value, chtype, count):
        status = lib.cc_put_number(channel, ANY, value)
        if status > 0:
            return eca(status)
    try:
        encoded = prepare(chid, value, chtype, count, "put")
    except StringTooLongError:
        return ECA.BADSTR
    if isinstance(encoded, int):
        return eca(encoded)
    if not callable(callback):
        return eca(lib.cc_put(channel, *encoded))
    return put_with(chid, encoded, lambda record, *_: callback(answer(chid, record)))


# Access rights, exceptions, messages ----------------------------------------------------------


def replace_access_rights_event(chid: Chid, callback: Callback | None = None) -> ECA | int:
    """Install, replace or remove (None) the access rights callback.

    Args:
        chid: the channel.
        callback: called with ``{'chid', 'read_access', 'write_access'}``: at once, in the calling
            thread, if the channel is connected; later on the dispatcher thread, just before the
            connection callback on connect, just after it on disconnect, and when the rights
            change.

    Returns:
        ECA.NORMAL, or ECA.BADCHID for a channel that has been cleared.
    """
    channel = _open(chid)
    if not channel:
        return ECA.BADCHID
    hooks = chid.hooked()
    if not callable(callback):
        hooks.access = None
        return eca(lib.cc_channel_tell_access(channel, 0))
    give_token(chid)
    hooks.access = callback
    status = lib.cc_channel_tell_access(channel, 1)
    if status == 1 and lib.cc_channel_is_connected(channel) == 1:
        try:
            callback(rights(chid, max(lib.cc_access(channel), 0)))
        except Exception as exc:  # as on the dispatcher thread
            report(exc, callback)
    return eca(status)


def add_exception_event(callback: Callback | None = None) -> ECA:
    """Install, replace or remove (None) the context's exception callback.

    Args:
        callback: called on the dispatcher thread with ``{'chid' (or None), 'type', 'count',
            'state' and 'stat' (the status), 'op', 'ctx', 'addr', 'file', 'lineNo'}`` for faults
            that belong to no callback, such as a put without callback that the server refuses.
            Without one they go to the logger ``cachannel.libca``.
    """
    context = current()
    if not callable(callback):
        context.on_exception(None)
    else:
        context.on_exception(
            lambda record, buffer, offset: callback(exception_dict(context, record, buffer, offset))
        )
    return ECA.NORMAL


def replace_printf_handler(callback: Callable[[str], object] | None = None) -> ECA:
    """Install, replace or remove (None) who gets libca's messages.

    Args:
        callback: called on the dispatcher thread with one str, already formatted. One diagnostic
            comes in several pieces, with their newlines. Without one, messages go to the logger
            ``cachannel.libca``.
    """
    context = current()
    context.on_message(callback if callable(callback) else None)
    lib.cc_context_messages(context.id, 2 if callable(callback) else context.preemptive)
    return ECA.NORMAL


# Waiting ------------------------------------------------------------------------------------


def pend_io(timeout: SupportsFloat) -> ECA | int:
    """Flush, and wait for gets and first connections without callback (ca_pend_io).

    Args:
        timeout: seconds; 0: **without limit**; negative: do not wait.

    Returns:
        ECA.NORMAL when all are through, at once if nothing is out. ECA.TIMEOUT otherwise, and
        what is out is not waited for any more; so it is, without waiting, when the server refused
        a get.
    """
    status, _, _ = pend_io_in(current(), seconds(timeout))
    return ECA.TIMEOUT if status == ECA.GETFAIL else eca(status)


def pend_event(timeout: SupportsFloat) -> ECA:
    """Flush, and let callbacks run for a time (ca_pend_event).

    Args:
        timeout: seconds; 0: **for ever**.

    Returns:
        ECA.TIMEOUT after that time, always; ECA.EVDISALLOW at once inside a callback.
    """
    length = seconds(timeout)
    context = current()
    if context.in_callback:
        context.flush()
        return ECA.EVDISALLOW
    context.pend(-1.0 if length == 0 else max(length, 0.0))
    return ECA.TIMEOUT


def poll() -> ECA:
    """Flush, and let callbacks run that are due.

    Returns:
        ECA.TIMEOUT always, as `pend_event`; ECA.EVDISALLOW inside a callback.
    """
    context = current()
    if context.in_callback:
        context.flush()
        return ECA.EVDISALLOW
    context.pend(0.0)
    return ECA.TIMEOUT


def pend(timeout: SupportsFloat, early: bool) -> ECA | int:
    """Do `pend_io` if `early`, otherwise `pend_event`."""
    return pend_io(timeout) if early else pend_event(timeout)


def flush_io() -> ECA | int:
    """Send what is buffered (ca_flush_io)."""
    return eca(current().flush())


def test_io() -> ECA:
    """Tell whether something is out that `pend_io` would wait for.

    Returns:
        ECA.IOINPROGRESS or ECA.IODONE.
    """
    return ECA.IOINPROGRESS if lib.cc_outstanding(current().id) else ECA.IODONE
