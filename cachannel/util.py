"""Functions like the command line tools: `caget`, `caput`, `camonitor`, `cainfo`.

Channels are made at their first use and kept in ``_channels_`` by name.  `caget` and `caput` also
take a list of names; the whole list then costs about as much as a single name.
"""

from __future__ import annotations

import collections
import datetime
import itertools
import numbers
import os
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeGuard, overload

import cachannel as _package
from cachannel import ca
from cachannel._ca.core import encode_name
from cachannel.channel import CaChannel, CaChannelException
from cachannel.many import connect_many, get_many, put_many
from cachannel.protocol.text import decode
from cachannel.values.decode import text

# Scripts that take everything from here go on with the class and the constants.
__all__ = [  # with the modules that a star import has always brought
    "CaChannel",
    "ca",
    "caget",
    "cainfo",
    "camonitor",
    "caput",
    "collections",
    "datetime",
    "itertools",
    "numbers",
    "sys",
    "threading",
]

_Name = str | bytes
_Callback = Callable[[dict[str, Any], tuple[Any, ...]], object]

_channels_: dict[_Name, CaChannel] = {}
# Two threads that ask for the same new name shall end up with the same channel.
_lock = threading.RLock()


def _after_fork() -> None:
    """In the child of a fork the channels are of no use, and the lock may be held by nobody."""
    global _lock
    _lock = threading.RLock()
    _channels_.clear()


os.register_at_fork(after_in_child=_after_fork)


def _keep(name: _Name, channel: CaChannel) -> CaChannel:
    with _lock:
        return _channels_.setdefault(name, channel)


def _channel(name: Any) -> CaChannel:
    """Find the channel of a name, or connect it.

    Raises:
        CaChannelException: ECA_TIMEOUT when it did not connect, ECA_BADSTR when it is empty or
            None; it is not kept then.
        TypeError: it is neither str nor bytes.
    """
    if name is not None:
        encode_name(name)
    channel = _channels_.get(name)
    if channel is None:
        channel = CaChannel(name)
        channel.searchw()
        channel = _keep(name, channel)
    return channel


def _channels(names: Sequence[_Name]) -> list[CaChannel]:
    """Find the channels of many names, and connect the missing ones all at once.

    Raises:
        CaChannelException: ECA_TIMEOUT, naming those that did not connect. No new one is kept.
    """
    missing = [name for name in dict.fromkeys(names) if name not in _channels_]
    if missing:
        for name, channel in zip(missing, connect_many(missing, CaChannel.ca_timeout), strict=True):
            _keep(name, channel)
    return [_channels_[name] for name in names]


def _are_many(name: object) -> TypeGuard[Sequence[_Name]]:
    """Tell a list of names from a single one, and from what is no name, which `_channel` tells."""
    return not isinstance(name, (str, bytes)) and hasattr(name, "__len__")


def _text(name: _Name) -> str:
    return name if isinstance(name, str) else decode(name)


@overload
def caget(name: _Name, as_string: bool = False, count: int | None = None) -> Any: ...


@overload
def caget(
    name: Sequence[_Name], as_string: bool = False, count: int | None = None
) -> list[Any]: ...


def caget(name: _Name | Sequence[_Name], as_string: bool = False, count: int | None = None) -> Any:
    """Read the value of a PV, or of many.

    Args:
        name: Name of the PV, or a list of names.
        as_string: Return the state of an enum as its text, and char data as text.
        count: Number of elements to read; the native count when None.

    Returns:
        The value as int, float or str, for several elements a list (or a NumPy array of shape
        ``(count,)`` when ``USE_NUMPY`` is set). For a list of names the list of the values, in
        the same order.

    Raises:
        CaChannelException: ECA_TIMEOUT when a PV did not connect or answer in time, another
            status when it cannot be read.
    """
    # There 0 stands for the current length, here for one element, as in `CaChannel.getw`.
    elements = 1 if count == 0 else count
    if _are_many(name):
        return get_many(_channels(name), as_string, elements, use_numpy=_package.USE_NUMPY)
    channel = _channel(name)
    native = channel.field_type() if as_string else ca.DBF.NOTCONN
    is_text = as_string and ca.dbr_type_is_CHAR(native)
    # With a request of its own, since the threads of a script share the channel.
    answer = channel._get_wait(
        ca.DBR_STRING if as_string and ca.dbr_type_is_ENUM(native) else None,
        elements,
        channel.getTimeout(),
        use_numpy=_package.USE_NUMPY,
        operation="caget",
    )
    value = answer["pv_value"]
    return _as_text(value) if is_text else value


def _as_text(value: Any) -> str:
    """Join char data, one number or several, up to the first NUL."""
    return text(bytes([value]) if isinstance(value, int) else bytes(list(value)))


@overload
def caput(name: _Name, value: Any, wait: bool = False, timeout: float | None = None) -> None: ...


@overload
def caput(
    name: Sequence[_Name], value: Sequence[Any], wait: bool = False, timeout: float | None = None
) -> None: ...


def caput(
    name: _Name | Sequence[_Name], value: Any, wait: bool = False, timeout: float | None = None
) -> None:
    """Write the value of a PV, or of many.

    Args:
        name: Name of the PV, or a list of names.
        value: What to write: a number or text, a sequence for an array; for a list of names a
            sequence with one value each.
        wait: Return when the record and all that it triggered has processed.
        timeout: With ``wait``, seconds after which to return although it has not; None waits
            without limit. The write goes on then.

    Raises:
        CaChannelException: ECA_TIMEOUT when a PV did not connect in time, another status when it
            cannot be written; with ``wait`` also when the record failed (ECA_PUTFAIL).
        ValueError, TypeError, OverflowError: A value cannot be sent as the type of its PV, or
            there are not as many values as names. That value was not written; of a list, those
            before it may have been.
    """
    if not _are_many(name):
        channels, values = [_channel(name)], [value]
    else:
        if isinstance(value, (str, bytes)) or not hasattr(value, "__len__"):
            raise TypeError(f"caput: {len(name)} names need a sequence of {len(name)} values")
        if len(value) != len(name):
            raise ValueError(f"caput: {len(name)} names, but {len(value)} values")
        channels, values = _channels(name), value

    if wait and timeout is not None and timeout <= 0:
        # The engine takes 0 for "no limit"; here it means not to wait at all.
        for channel, one in zip(channels, values, strict=True):
            channel.array_put_callback(one, None, None, _ignore)
        channels[0].flush_io()
    elif not wait and isinstance(name, (str, bytes)):
        channels[0].array_put(value)
        channels[0].flush_io()
    else:
        try:
            if isinstance(name, (str, bytes)):
                channels[0]._put_wait(value, timeout=timeout, operation="caput")
            else:
                put_many(channels, values, wait, timeout)
        except CaChannelException as error:
            if not wait or error.status != ca.ECA.TIMEOUT:
                raise


def _ignore(epics_args: dict[str, Any], user_args: tuple[Any, ...]) -> None:
    """Take no notice of a completed put."""


def camonitor(
    name: _Name,
    as_string: bool = False,
    count: int | None = None,
    callback: Any = None,
) -> None:
    """Print or report each change of a PV's value or alarm.

    A PV has one monitor; calling again replaces it.

    Args:
        name: Name of the PV.
        as_string: Report the state of an enum as its text, and char arrays as text.
        count: Number of elements; the native count when None, the current length when 0.
        callback: None prints a line with name, time and value for each event; the time is that
            of the record as local time. A function is called with a dictionary as by
            `CaChannel.add_masked_array_event`, with TIME items, and an empty tuple, on the
            dispatcher thread of the context. Anything else ends the monitor.

    Raises:
        CaChannelException: ECA_TIMEOUT when the PV did not connect in time, or the monitor is
            refused.
    """
    channel = _channel(name)
    if callback is None:
        report = _printer(_text(name))
    elif callable(callback):
        report = callback
    else:
        channel.clear_event()
        channel.flush_io()
        return

    native = channel.field_type()
    dbr_type = ca.dbf_type_to_DBR_TIME(native)
    if as_string and ca.dbr_type_is_ENUM(native):
        dbr_type = ca.DBR.TIME_STRING
    elif as_string and ca.dbr_type_is_CHAR(native) and channel.element_count() != 1:
        # A single byte is a number, such as the PACT field of a record.
        report = _with_text(report)
    channel.add_masked_array_event(dbr_type, count, None, report)
    channel.flush_io()


def _printer(label: str) -> _Callback:
    """Make the callback that prints a line for each event."""

    def report(epics_args: dict[str, Any], user_args: tuple[Any, ...]) -> None:
        print(label, _local_time(epics_args), epics_args["pv_value"])

    return report


def _with_text(report: _Callback) -> _Callback:
    """Wrap a callback so that char data reaches it as text."""

    def report_text(epics_args: dict[str, Any], user_args: tuple[Any, ...]) -> None:
        value = epics_args.get("pv_value")
        if value is not None:
            epics_args["pv_value"] = _as_text(value)
        report(epics_args, user_args)

    return report_text


def _local_time(epics_args: dict[str, Any]) -> str:
    """Show the time stamp of an event; '-' for an event without one (no read access)."""
    if "pv_seconds" not in epics_args:
        return "-"
    seconds = epics_args["pv_seconds"] + ca.POSIX_TIME_AT_EPICS_EPOCH
    # By whole numbers: a float of today's seconds is only good to 0.2 microseconds.
    moment = datetime.datetime.fromtimestamp(seconds)
    moment = moment.replace(microsecond=epics_args["pv_nseconds"] // 1000)
    return f"{moment:%Y-%m-%d %H:%M:%S.%f}"


def cainfo(name: _Name) -> None:
    """Print what is known about a PV: connection, type, access and alarm.

    Args:
        name: Name of the PV.

    Raises:
        CaChannelException: ECA_TIMEOUT when the PV did not connect or answer in time.
    """
    channel = _channel(name)
    # The lines are printed together: nothing comes out when the read fails.
    is_connected = channel.state() == ca.ChannelState.CONN
    can_read, can_write = channel.read_access(), channel.write_access()
    native = channel.field_type()
    access = ("R" if can_read else "") + ("W" if can_write else "")
    lines = {
        "State": "Connected" if is_connected else "Not connected",
        "Host": channel.host_name(),
        "Data type": ca.dbf_text(native),
        "Element count": channel.element_count(),
        "Access": access or "No access",
    }
    if is_connected and can_read:
        # A single element: the alarm of a large array shall not cost its transfer.
        info = channel.getw(ca.dbf_type_to_DBR_CTRL(native), 1)
        lines["Status"] = ca.alarmStatusString(info["pv_status"])
        lines["Severity"] = ca.alarmSeverityString(info["pv_severity"])
        if ca.dbr_type_is_ENUM(native):
            lines["Enumerates"] = info["pv_statestrings"]
    print(_text(name))
    for title, value in lines.items():
        print(f"    {title + ':':<16}{value}")
