"""A client without state: each call connects, does its work, and closes its channel.

The calls may be made from any thread. What is kept between calls is libca itself; no server
knows of this process when none is running.
"""

from __future__ import annotations

import itertools
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import Any, Literal, TypedDict, Unpack, overload

from cachannel.client.callbacks import Entry, Item, Outbox, warn_single, weak
from cachannel.client.common import GLOBAL_DEFAULT_TIMEOUT, TypeRequest, seconds
from cachannel.client.engine import Engine
from cachannel.client.responses import ReadNotifyResponse, ReadResponse, WriteNotifyResponse
from cachannel.client.values import choose_type
from cachannel.protocol.channel_types import ChannelType, SubscriptionType
from cachannel.protocol.errors import (
    CaprotoError,
    CaprotoTimeoutError,
    CaprotoTypeError,
    ErrorResponseReceived,
)
from cachannel.protocol.settings import ClientSettings
from cachannel.repeater import spawn_repeater
from cachannel.threading.client import PV, Context, SharedBroadcaster

__all__ = [
    "CaprotoError",
    "CaprotoTimeoutError",
    "ChannelType",
    "ErrorResponseReceived",
    "Subscription",
    "SubscriptionType",
    "block",
    "interrupt",
    "read",
    "read_write_read",
    "subscribe",
    "write",
]

_STEP = 0.05
_blocks: set[threading.Event] = set()
# A signal handler of the thread that holds it may call everything here, too.
_guard = threading.RLock()


class _Broadcaster(SharedBroadcaster):
    _endless = True


_shared: _Broadcaster | None = None


def _is_closed(broadcaster: _Broadcaster) -> bool:
    return broadcaster._made is not None and broadcaster._made.ca.closed


def _context(timeout: float | None, repeater: bool) -> Context:
    """Make a context on the one libca context of this module."""
    global _shared
    with _guard:
        broadcaster = _shared
        if broadcaster is None or _is_closed(broadcaster):
            made = _Broadcaster()
            made._made = Engine(repeater)
            broadcaster = _shared
            if broadcaster is None or _is_closed(broadcaster):
                broadcaster = _shared = made
            else:  # which a signal handler has made meanwhile
                made._made.close()
        elif repeater and broadcaster._made is not None and not broadcaster._made.repeater:
            broadcaster._made.repeater = True
            spawn_repeater()
        return Context(broadcaster, timeout=timeout)


@contextmanager
def connected(pv_name: str, priority: int, timeout: float | None, repeater: bool) -> Iterator[PV]:
    """Connect to a PV for the length of a block; the commands use it too.

    Raises:
        CaprotoTypeError: the name is not text.
        CaprotoTimeoutError: there was no connection in time.
    """
    if not isinstance(pv_name, str):
        message = f"the name of a PV is text, not {type(pv_name).__name__} {pv_name!r}"
        raise CaprotoTypeError(message)
    with _context(timeout, repeater) as context:
        (pv,) = context.get_pvs(pv_name, priority=priority)
        try:
            pv.wait_for_connection(timeout=timeout)
        except CaprotoTimeoutError:
            raise _not_found(pv_name, timeout) from None
        yield pv


def _not_found(pv_name: str, timeout: float | None) -> CaprotoTimeoutError:
    addresses = ClientSettings.from_environment().addresses
    where = ", ".join(f"{host}:{port}" for host, port in addresses)
    return CaprotoTimeoutError(
        f"no server of {pv_name!r} answered within {seconds(timeout)}; searched at {where}"
    )


def _read_type(pv: PV, data_type: TypeRequest, force_int_enums: bool) -> TypeRequest:
    if data_type is None and not force_int_enums and pv._native_type() == ChannelType.ENUM:
        return ChannelType.STRING
    return data_type


def _check_metadata(metadata: Any) -> None:
    if metadata is not None:
        message = "metadata is not sent: libca writes values only, and no server looks at more"
        warnings.warn(message, stacklevel=3)


class _Connecting(TypedDict, total=False):
    """Arguments that all functions take; for type checkers, as those below are."""

    timeout: float | None
    priority: int
    repeater: bool


class _Reading(_Connecting, total=False):
    data_type: TypeRequest
    data_count: int | None
    force_int_enums: bool


class _Writing(_Connecting, total=False):
    data_type: TypeRequest
    metadata: Any


class _ReadingTwice(_Connecting, total=False):
    read_data_type: TypeRequest
    write_data_type: TypeRequest
    metadata: Any
    force_int_enums: bool


@overload
def read(
    pv_name: str, *, notify: Literal[True] = True, **options: Unpack[_Reading]
) -> ReadNotifyResponse: ...


@overload
def read(pv_name: str, *, notify: Literal[False], **options: Unpack[_Reading]) -> ReadResponse: ...


@overload
def read(
    pv_name: str, *, notify: bool, **options: Unpack[_Reading]
) -> ReadNotifyResponse | ReadResponse: ...


def read(
    pv_name: str, *, data_type: TypeRequest = None, data_count: int | None = None,
    timeout: float | None = GLOBAL_DEFAULT_TIMEOUT, priority: int = 0, notify: bool = True,
    force_int_enums: bool = False, repeater: bool = True,
) -> ReadNotifyResponse | ReadResponse:  # fmt: skip
    """Read a PV.

    Args:
        pv_name: its name.
        data_type: None for the native type, the name of a group of types ('native', 'status',
            'time', 'graphic', 'control'), or a type.
        data_count: elements; None: the current length.
        timeout: seconds for each of the two steps, connecting and reading; None: no limit.
        priority: of the circuit, 0 to 99.
        notify: False gives an old-style `ReadResponse`.
        force_int_enums: enumerations as numbers; otherwise as text.
        repeater: start a repeater if none runs.

    Returns:
        A `ReadNotifyResponse`, whose status may be bad.

    Raises:
        CaprotoTimeoutError: no server was found, or it did not answer.
        KeyError, ValueError: no such type.
    """
    with connected(pv_name, priority, timeout, repeater) as pv:
        chosen = _read_type(pv, data_type, force_int_enums)
        response = pv.read(
            data_type=chosen, data_count=data_count, timeout=timeout, notify=notify, wait=True
        )
        assert response is not None  # it was waited for
        return response


@overload
def write(
    pv_name: str, data: Any, *, notify: Literal[False] = False, **options: Unpack[_Writing]
) -> None: ...


@overload
def write(
    pv_name: str, data: Any, *, notify: Literal[True], **options: Unpack[_Writing]
) -> WriteNotifyResponse: ...


@overload
def write(
    pv_name: str, data: Any, *, notify: bool, **options: Unpack[_Writing]
) -> WriteNotifyResponse | None: ...


def write(
    pv_name: str, data: Any, *, notify: bool = False, data_type: TypeRequest = None,
    metadata: Any = None, timeout: float | None = GLOBAL_DEFAULT_TIMEOUT, priority: int = 0,
    repeater: bool = True,
) -> WriteNotifyResponse | None:  # fmt: skip
    """Write to a PV.

    Args:
        pv_name: its name.
        data: a number, text, or a sequence of these.
        notify: wait until the server has completed the write.
        data_type: the type to send; None: the native one, or text for text to an enumeration.
        metadata: not sent, with a warning; no server looks at it.
        timeout: seconds for each step; None: no limit. A write may take effect even so.
        priority: of the circuit, 0 to 99.
        repeater: start a repeater if none runs.

    Returns:
        None, or with ``notify=True`` a `WriteNotifyResponse`, whose status may be bad.

    Raises:
        CaprotoTimeoutError: no server was found, or it did not answer.
        ErrorResponseReceived: the server answered with an error message.
        ValueError, TypeError: the data cannot be sent; nothing was.
    """
    _check_metadata(metadata)
    with connected(pv_name, priority, timeout, repeater) as pv:
        return pv.write(data, wait=notify, notify=notify, data_type=data_type, timeout=timeout)


@overload
def read_write_read(
    pv_name: str, data: Any, *, notify: Literal[False] = False, **options: Unpack[_ReadingTwice]
) -> tuple[ReadNotifyResponse, None, ReadNotifyResponse]: ...


@overload
def read_write_read(
    pv_name: str, data: Any, *, notify: Literal[True], **options: Unpack[_ReadingTwice]
) -> tuple[ReadNotifyResponse, WriteNotifyResponse, ReadNotifyResponse]: ...


@overload
def read_write_read(
    pv_name: str, data: Any, *, notify: bool, **options: Unpack[_ReadingTwice]
) -> tuple[ReadNotifyResponse, WriteNotifyResponse | None, ReadNotifyResponse]: ...


def read_write_read(
    pv_name: str, data: Any, *, notify: bool = False, read_data_type: TypeRequest = None,
    write_data_type: TypeRequest = None, metadata: Any = None,
    timeout: float | None = GLOBAL_DEFAULT_TIMEOUT, priority: int = 0,
    force_int_enums: bool = False, repeater: bool = True,
) -> tuple[ReadNotifyResponse, WriteNotifyResponse | None, ReadNotifyResponse]:  # fmt: skip
    """Read a PV, write to it, and read it again, on one connection.

    Without ``notify=True`` the last reading need not show the new value. The arguments are those
    of `read` and `write`.

    Returns:
        The first reading, what `write` returns, and the last reading.
    """
    _check_metadata(metadata)
    with connected(pv_name, priority, timeout, repeater) as pv:
        data_type = _read_type(pv, read_data_type, force_int_enums)
        first = pv.read(data_type=data_type, timeout=timeout)
        answer = pv.write(
            data, wait=notify, notify=notify, data_type=write_data_type, timeout=timeout
        )
        return first, answer, pv.read(data_type=data_type, timeout=timeout)


class Subscription:
    """What to follow, and who is told; inactive until `block`.

    Attributes:
        callbacks: weak references to the functions, by token.
    """

    def __init__(
        self, pv_name: str, priority: int = 0, data_type: Any = None,
        data_count: int | None = None, low: float = 0.0, high: float = 0.0, to: float = 0.0,
        mask: int | None = None,
    ) -> None:  # fmt: skip
        self.pv_name = pv_name
        self.priority = priority
        self.data_type = data_type
        self.data_count = data_count
        self.low = low
        self.high = high
        self.to = to
        default = SubscriptionType.DBE_VALUE | SubscriptionType.DBE_ALARM
        self.mask = default if mask is None else mask
        self.callbacks: dict[int, Any] = {}
        self._single: dict[int, bool] = {}
        self._tokens = itertools.count()

    def __repr__(self) -> str:
        return f"<Subscription to {self.pv_name!r}, {len(self.callbacks)} callbacks>"

    def add_callback(self, func: Callable[..., object]) -> int:
        """Register a function; it is held weakly, so keep a reference to it.

        Args:
            func: called as ``func(subscription, response)`` in the thread that blocks. If it
                takes only one argument it gets the response, and a warning is issued.

        Returns:
            A token for `remove_callback`.
        """
        token = next(self._tokens)
        self._single[token] = warn_single(func, 3)
        self.callbacks[token] = weak(func, lambda _: self.remove_callback(token))
        return token

    def remove_callback(self, cb_id: int) -> None:
        """Forget a function by its token; unknown tokens are ignored."""
        self.callbacks.pop(cb_id, None)
        self._single.pop(cb_id, None)

    def clear(self) -> None:
        """Forget all functions, and end a block that is running."""
        self.callbacks.clear()
        self._single.clear()
        self.interrupt()

    def process(self, response: Any) -> None:
        """Call the functions with a response, in the order of their tokens."""
        for token, ref in list(self.callbacks.items()):
            func = ref()
            if func is None:
                continue
            if self._single.get(token):
                func(response)
            else:
                func(self, response)

    def interrupt(self) -> None:
        """End every block that is running."""
        interrupt()

    def block(
        self, duration: float | None = None, timeout: float | None = 1,
        force_int_enums: bool = False, repeater: bool = True,
    ) -> None:  # fmt: skip
        """Follow the PV until Ctrl-C, `interrupt`, or the end of `duration`; see `block`."""
        block(
            self, duration=duration, timeout=timeout, force_int_enums=force_int_enums,
            repeater=repeater,
        )  # fmt: skip


def subscribe(
    pv_name: str, priority: int = 0, data_type: Any = None, data_count: int | None = None,
    low: float = 0.0, high: float = 0.0, to: float = 0.0, mask: int | None = None,
) -> Subscription:  # fmt: skip
    """Define a subscription; nothing happens before it is blocked on.

    Args:
        pv_name: name of the PV.
        priority: of the circuit, 0 to 99.
        data_type: kept; `block` asks for the type with alarm and time stamp.
        data_count: elements; None: the current length.
        low: without effect.
        high: without effect.
        to: without effect.
        mask: a `SubscriptionType`; None: value and alarm changes.
    """
    return Subscription(pv_name, priority, data_type, data_count, low, high, to, mask)


def interrupt() -> None:
    """End every block that is running, in any thread; without one nothing happens."""
    with _guard:
        for event in _blocks:
            event.set()


def block(
    *subscriptions: Subscription, duration: float | None = None,
    timeout: float | None = GLOBAL_DEFAULT_TIMEOUT, force_int_enums: bool = False,
    repeater: bool = True,
) -> None:  # fmt: skip
    """Follow PVs, calling their callbacks in this thread.

    Ends quietly with Ctrl-C, `interrupt`, or after `duration`. A server that goes away does not
    end it: updates go on when it is back.

    Args:
        subscriptions: what `subscribe` returned.
        duration: seconds from now, connecting included; None: for ever.
        timeout: seconds to connect within; None: no limit.
        force_int_enums: enumerations as numbers; otherwise as text.
        repeater: start a repeater if none runs.

    Raises:
        CaprotoTimeoutError: a PV was not found.
        Exception: what a callback raised.
    """
    end = None if duration is None else time.monotonic() + duration
    stop = threading.Event()
    with _guard:
        _blocks.add(stop)
    try:
        with _context(timeout, repeater) as context:
            _follow(context, subscriptions, stop, end, timeout, force_int_enums)
    except KeyboardInterrupt:
        return
    finally:
        with _guard:
            _blocks.discard(stop)


def _follow(
    context: Context, subscriptions: tuple[Subscription, ...], stop: threading.Event,
    end: float | None, timeout: float | None, force_int_enums: bool,
) -> None:  # fmt: skip
    updates: SimpleQueue[list[Item]] = SimpleQueue()
    outbox = Outbox(context._engine.dirty, updates.put)
    limit = None if timeout is None else time.monotonic() + timeout
    by_priority: dict[int, list[Subscription]] = {}
    for subscription in subscriptions:
        by_priority.setdefault(subscription.priority, []).append(subscription)
    waiting: list[tuple[PV, Subscription]] = []
    for priority, group in by_priority.items():
        pvs = context.get_pvs(*(s.pv_name for s in group), priority=priority)
        waiting += zip(pvs, group, strict=True)

    def begin(pv: PV, subscription: Subscription) -> bool:
        native = pv._native_type()
        if native is None:  # not connected, or gone again
            return False
        asked = choose_type("time", native)
        if native == ChannelType.ENUM and not force_int_enums:
            asked = ChannelType.TIME_STRING
        inner = pv.subscribe(
            data_type=asked, data_count=subscription.data_count, mask=subscription.mask
        )
        with context._lock:
            entry = Entry(lambda: subscription, False, outbox)
            inner._add(next(inner._tokens), entry)
            if inner.most_recent_response is not None:
                entry.outbox.post((entry, None, inner.most_recent_response))
        return True

    while not stop.is_set():
        now = time.monotonic()
        if end is not None and now >= end:
            return
        if waiting:
            waiting = [pair for pair in waiting if not begin(*pair)]
            if waiting and limit is not None and now >= limit:
                raise _not_found(waiting[0][0].name, timeout)
        step = 0.005 if waiting else _STEP
        try:
            items = updates.get(timeout=step if end is None else min(step, end - now))
        except Empty:
            continue
        for entry, _, response in items:
            entry.ref().process(response)
            if stop.is_set():
                return
