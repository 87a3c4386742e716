"""What `cachannel.ca` and class `CaChannel` are both made of.

The functions here take channel handles, speak CA statuses, and deliver records as they come from
the event queue; the two faces above turn those into their own dictionaries.
"""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, SupportsInt

import cachannel
from cachannel._ca.handles import FLOAT, INTEGER, Chid, DBRValue, Evid, Hooks
from cachannel._ca.unconnected import find_missing
from cachannel._native import ffi, lib
from cachannel.context import Context
from cachannel.errors import BadCountError, BadValueError, RangeError
from cachannel.protocol.enums import CA_OP, DBR, DBR_BY_NUMBER, ECA, eca
from cachannel.protocol.text import decode, encode as encode_text
from cachannel.values.encode import Encoded, encode, integer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cachannel.context import Deliver
    from cachannel.values.decode import Record

ANY = -1
_NO_TYPE = -2
_MOST = 2**31 - 1
_DROPPED = 8
_WAITED, _TELL_CONNECTION = 1, 2
_VALUE_OR_ALARM = 1 | 4


class _Local(threading.local):
    context: Context | None = None


local = _Local()


def attached() -> Context | None:
    context = local.context
    if context is not None and context.closed:
        local.context = context = None
    return context


def attach(context: Context) -> None:
    """Make the calling thread belong to a context, as the dispatcher thread does to its own."""
    local.context = context


def current() -> Context:
    """Return the calling thread's context; without one, make a non-preemptive one."""
    context = local.context
    if context is None or context.closed:
        local.context = context = Context(preemptive=False)
    return context


# The context of all `CaChannel` objects, and what guards making it.
_shared: Context | None = None
# A signal handler of the thread that holds it may need the context, too.
_sharing = threading.RLock()


def _after_fork() -> None:
    """Let go of a lock that a thread of the parent may have held."""
    global _sharing
    _sharing = threading.RLock()


os.register_at_fork(after_in_child=_after_fork)


def attach_shared() -> Context:
    """Return the context that all `CaChannel` objects share, and attach the calling thread.

    A preemptive context that the first thread has already becomes the shared one. A thread that
    has a context of its own keeps it: objects wait by their own context.
    """
    global _shared
    context = _shared
    if context is None or context.closed:
        with _sharing:
            context = _shared
            if context is None or context.closed:
                own = attached()
                if own is not None and own.preemptive:
                    context = _shared = own
                else:
                    made = Context(at_start=attach)
                    context = _shared
                    if context is None or context.closed:
                        context = _shared = made
                    else:  # which a signal handler has made meanwhile
                        made.close()
    mine = local.context
    if mine is None or mine.closed:
        local.context = context
    return context


def encode_name(name: object) -> bytes:
    if isinstance(name, str):
        data = encode_text(name)
    elif isinstance(name, bytes):
        data = name
    else:
        message = f"the name of a PV must be str or bytes, not {type(name).__name__}"
        raise TypeError(message)
    return data


def create_in(
    context: Context,
    name: str | bytes,
    callback: Callable[[Chid, CA_OP], object] | None,
    priority: int = 0,
) -> tuple[ECA | int, Chid | None]:
    """Make a channel in a context.

    Args:
        context: where.
        name: name of the PV.
        callback: called as ``callback(chid, op)`` on the dispatcher thread when the channel
            connects and disconnects. Without one, the next `pend_io` waits for the connection.
        priority: 0 to 99.

    Returns:
        ECA.NORMAL and the channel, or the status that says why there is none.
    """
    data = encode_name(name)
    if not data or b"\0" in data:
        return ECA.BADSTR, None
    if callback is None:
        channel = lib.cc_channel_create(context.id, data, priority, 0, _WAITED)
        if channel < 0:
            return eca(-channel), None
        return ECA.NORMAL, Chid(channel, name, context)
    hooks = Hooks()
    chid = Chid(0, name, context, hooks)
    hooks.token = context.own(connection(chid, callback))
    channel = lib.cc_channel_create(context.id, data, priority, hooks.token, _TELL_CONNECTION)
    if channel < 0:
        context.disown(hooks.token)
        return eca(-channel), None
    chid.known(channel)
    return ECA.NORMAL, chid


def create_waited(context: Context, name: str) -> int:
    """Make a channel whose connection the next `pend_io` waits for, in the shortest way.

    Returns:
        The C id; below 1 when there is none, which `create_in` explains.
    """
    data = encode_text(name)
    if not data or b"\0" in data:
        return 0
    channel: int = lib.cc_channel_create(context.id, data, 0, 0, _WAITED)
    return channel


def connection(chid: Chid, callback: Callable[[Chid, CA_OP], object]) -> Deliver:
    up, down = CA_OP.CONN_UP, CA_OP.CONN_DOWN

    def deliver(record: Record, buffer: Any, offset: int) -> None:
        if not chid.known(record[13]):
            return
        if record[1] == 1:
            callback(chid, up if record[7] == 6 else down)
        else:
            hooks = chid.hooks
            if hooks is not None and hooks.access is not None:
                hooks.access(rights(chid, record[7]))

    return deliver


def rights(chid: Chid, bits: int) -> dict[str, Any]:
    """Make the argument of an access rights callback."""
    return {"chid": chid, "read_access": bool(bits & 1), "write_access": bool(bits & 2)}


def change_connection(chid: Chid, callback: Callable[[Chid, CA_OP], object] | None) -> ECA | int:
    """Install, replace or remove ``callback(chid, op)``."""
    channel = chid.id
    if channel <= 0:
        return ECA.BADCHID
    context, hooks = chid.context, chid.hooks
    if callback is None:
        if hooks is None or not hooks.token:
            return ECA.NORMAL
        context.owners[hooks.token] = connection(chid, nothing)
        return eca(lib.cc_channel_tell_connection(channel, 0))
    token = give_token(chid)
    context.owners[token] = connection(chid, callback)
    return eca(lib.cc_channel_tell_connection(channel, 1))


def nothing(chid: Chid, op: CA_OP) -> None:
    """Do nothing about a connect or disconnect."""


def give_token(chid: Chid) -> int:
    """Let a channel be told of connects and access rights, if it is not yet."""
    hooks = chid.hooked()
    if not hooks.token:
        token = chid.context.own(connection(chid, nothing))
        lib.cc_channel_set_token(chid.id, token)
        hooks.token = token
    return hooks.token


def type_number(chtype: Any, chid: Chid, operation: str) -> int:
    """Take a request type; None: native.

    Raises:
        BadValueError: (ECA_BADTYPE) it is not a number.
    """
    if chtype is None:
        return ANY
    try:
        number = integer(chtype, "the type")
    except ValueError as exc:
        raise BadValueError(ECA.BADTYPE, chid.shown, operation, str(exc)) from exc
    return number if 0 <= number <= _MOST else _NO_TYPE


def count_number(count: Any, pvname: str, operation: str) -> int:
    """Take an element count; None: native.

    Raises:
        RangeError: (ECA_BADCOUNT) it is negative.
        BadCountError: (ECA_BADCOUNT) it is not a number.
    """
    if count is None:
        return ANY
    try:
        number = integer(count, "count")
    except ValueError as exc:
        raise BadCountError(ECA.BADCOUNT, pvname, operation, str(exc)) from exc
    if number < 0:
        detail = f"count must not be negative, not {number}"
        raise RangeError(ECA.BADCOUNT, pvname, operation, detail)
    return min(number, _MOST)


def mask_number(mask: Any, chid: Chid, operation: str) -> int:
    """Take a mask of events; None: changes of value and alarm.

    Raises:
        BadValueError: (ECA_BADMASK) it is not a number.
    """
    if mask is None:
        return _VALUE_OR_ALARM
    try:
        return integer(mask, "mask")
    except ValueError as exc:
        raise BadValueError(ECA.BADMASK, chid.shown, operation, str(exc)) from exc


def seconds(timeout: Any) -> float:
    """Take a time-out, any real number.

    Raises:
        TypeError: it is not a number.
        ValueError: it is NaN, and a wait would never end.
    """
    if isinstance(timeout, str | bytes):
        message = f"a time-out is a number of seconds, not {timeout!r}"
        raise TypeError(message)
    number = float(timeout)
    if number != number:
        message = "a time-out must not be NaN"
        raise ValueError(message)
    return number


def answer(chid: Chid, record: Record) -> dict[str, Any]:
    return {
        "chid": chid,
        "type": DBR_BY_NUMBER[record[3]] if record[3] >= 0 else DBR.INVALID,
        "count": record[8],
        "status": eca(record[7]),
    }


def once(chid: Chid, function: Deliver) -> Deliver:
    """Make the owner of one request: it is called once, and not after the channel was cleared."""
    owners = chid.context.owners

    def deliver(record: Record, buffer: Any, offset: int) -> None:
        owners.pop(record[0], None)
        if record[1] != _DROPPED and chid.id > 0:
            function(record, buffer, offset)

    return deliver


def subscribe_with(
    chid: Chid,
    deliver: Deliver,
    kind: int,
    elements: int,
    events: int,
) -> tuple[ECA | int, Evid | None]:
    """Make a subscription whose events go to `deliver` as they come from the queue."""
    if not 0 < events <= 0xFFFF:
        return ECA.BADMASK, None
    context = chid.context
    token = context.own(deliver)
    subscription = lib.cc_subscribe(chid.id, kind, elements, events, token, ffi.NULL)
    if subscription < 0:
        context.disown(token)
        return eca(-subscription), None
    chid.hooked().tokens.add(token)
    return ECA.NORMAL, Evid(subscription, chid, token)


def prepare(
    chid: Chid, value: Any, chtype: SupportsInt | None, count: SupportsInt | None, operation: str
) -> Encoded | int:
    """Convert a value for a channel, or return the status that says why it cannot be sent."""
    kind = type_number(chtype, chid, operation)
    elements = None if count is None else count_number(count, chid.shown, operation)
    if chid.id <= 0:
        return ECA.BADCHID
    native_type = lib.cc_field_type(chid.id)
    if native_type < 0:
        return ECA.BADTYPE if kind == ANY else ECA.DISCONN
    if kind == ANY:
        kind = native_type
    if not (0 <= kind <= 6 or kind in (35, 36)):
        return ECA.BADTYPE
    native = lib.cc_element_count(chid.id)
    encoded = encode(value, kind, native, elements, chid.shown, operation)
    if encoded.length == 0 and (elements == 0 or native == 1):
        return ECA.BADCOUNT
    return encoded


def put_with(chid: Chid, encoded: Encoded, deliver: Deliver) -> ECA | int:
    """Write with completion; the answer goes to `deliver` as it comes from the queue."""
    token = chid.context.own(once(chid, deliver))
    status = lib.cc_put_callback(chid.id, *encoded, token)
    if status != 1:
        chid.context.disown(token)
    return eca(status)


def exception_dict(context: Context, record: Record, buffer: Any, offset: int) -> dict[str, Any]:
    """Make the argument of an exception callback."""
    data = bytes(buffer[offset : offset + record[11]])
    where, file = data[8:].split(b"\0")[:2]
    channel = int.from_bytes(data[:8], sys.byteorder)
    chid = None
    if channel:
        buffer_ = ffi.new("char[]", 1024)
        lib.cc_name(channel, buffer_, 1024)
        chid = Chid(channel, ffi.string(buffer_), context)
    status = eca(record[7])
    return {
        "chid": chid,
        "type": DBR_BY_NUMBER[record[3]] if record[3] >= 0 else DBR.INVALID,
        "count": record[8],
        "addr": 0,
        "state": status,
        "stat": status,
        "op": CA_OP(int(record[12])),
        "ctx": decode(where),
        "file": decode(file),
        "lineNo": record[9],
    }


def wait_mine(
    context: Context,
    wait_own: Callable[[int, float], int],
    own: Sequence[int],
    timeout: float | None,
) -> None:
    """Wait for all that this thread has started, and in any case for some things of its own.

    A `pend_io` of another thread that times out makes everybody forget what is out. That must not
    end the wait here.

    Args:
        context: where.
        wait_own: waits for one channel or request, a ``lib.cc_*_wait`` function.
        own: their ids.
        timeout: seconds; None: without limit.
    """
    end = None if timeout is None else time.monotonic() + timeout
    if context.wait(lib.cc_wait_mine, context.id, timeout) != ECA.NORMAL:
        lib.cc_forget_mine(context.id)
        return
    is_through = _IS_THROUGH[wait_own]
    for target in own:
        if not is_through(target):
            left = None if end is None else max(end - time.monotonic(), 0.0)
            context.wait(wait_own, target, left)


def last_reading(channel: int) -> int | float | DBRValue | None:
    """What came of this thread's last `cc_read_number` when that was not a plain float.

    Args:
        channel: its channel, by id; this thread may have read another one in between, in a
            signal handler.

    Returns:
        The number; its request when it is not one or has not come yet; None when there is no
        request, which another way to read explains.
    """
    reading = lib.cc_last_reading(channel)
    if reading.state == INTEGER:
        return int(reading.number)
    if reading.state == FLOAT:
        return math.nan
    return DBRValue(reading.request, cachannel.USE_NUMPY) if reading.request > 0 else None


_IS_THROUGH: dict[Any, Callable[[int], int]] = {
    lib.cc_channel_wait: lib.cc_channel_is_connected,
    lib.cc_request_wait: lib.cc_request_state,
}


def pend_io_in(context: Context, timeout: float) -> tuple[int, str, list[str]]:
    """Do `pend_io` for a context.

    Args:
        context: where.
        timeout: seconds; 0: without limit; < 0: no wait.

    Returns:
        The CA status; after a time-out also words about what is missing, and the names.
    """
    limit = None if timeout == 0 else max(timeout, 0.0)
    status = context.wait(lib.cc_wait_all, context.id, limit)
    if status != ECA.TIMEOUT:
        return status, "", []
    words, names = find_missing(context)
    lib.cc_forget_all(context.id)
    return status, words, names
