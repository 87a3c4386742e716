"""The gets of `ca`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy

from cachannel.protocol.enums import ECA, eca_message
from epics_compat import _core, _io, _values, dbr
from epics_compat._core import entry_of
from epics_compat._decorators import withCHID, withMaybeConnectedCHID
from epics_compat._errors import CASeverityException, ChannelAccessDisconnected

if TYPE_CHECKING:
    from epics_compat._core import Entry

__all__ = [
    "decode",
    "get",
    "get_complete",
    "get_complete_with_metadata",
    "get_ctrlvars",
    "get_enum_strings",
    "get_precision",
    "get_severity",
    "get_timestamp",
    "get_timevars",
    "get_with_metadata",
]


def _text(entry: Entry, value: Any, ftype: int, count: int | None) -> Any:
    """Convert a value to text as `get` does."""
    base = dbr.native_type(ftype)
    if count is not None:
        count = min(count, entry.nelm)
    if base == dbr.CHAR and entry.nelm > 1:
        return _values.char_text(value)
    if base == dbr.ENUM and count == 1 and isinstance(value, int):
        strings = get_enum_strings(entry.chid)
        return strings[value] if strings and 0 <= value < len(strings) else str(value)
    if count is not None and count > 1:
        return f"<array count={count}, type={ftype}>"
    return str(value)


def decode(
    entry: Entry, answer: tuple[Any, Any], ftype: int, count: int | None, as_string: bool,
    as_numpy: bool,
) -> dict[str, Any]:  # fmt: skip
    """Make the dict of a get from an answer."""
    value = _values.of_channel(answer[0], _values.elements(answer[0], answer[1], 0), entry.nelm)
    items = _values.metadata(answer[0], answer[1], 0)
    if as_string:
        value = _text(entry, value, ftype, count)
    elif not (as_numpy and _core.settings.HAS_NUMPY):
        value = _values.ctypes_array(value, dbr.native_type(ftype))
    items["value"] = value
    return items


def _unpack(
    chid: Any, data: Any, count: int | None = None, ftype: int | None = None, as_numpy: bool = True
) -> Any:
    """Give the value of what `sg_get` and the C types hold: a scalar, list, or array."""
    if isinstance(data, tuple) and len(data) == 2:
        value = _values.elements(data[0], data[1], 0)
    else:
        value = getattr(data, "value", data)
    if as_numpy or not isinstance(value, numpy.ndarray):
        return value
    return _values.ctypes_array(value, dbr.native_type(ftype or 0))


@withMaybeConnectedCHID
def get_with_metadata(
    chid: Any,
    ftype: int | None = None,
    count: int | None = None,
    wait: bool = True,
    timeout: float | None = None,
    as_string: bool = False,
    as_numpy: bool = True,
) -> dict[str, Any] | None:
    """Read a channel.

    Args:
        chid: the channel; one that is not connected is waited for, `timeout` or
            `DEFAULT_CONNECTION_TIMEOUT` seconds.
        ftype: DBR type; None: native.
        count: elements; None: as many as there are.
        wait: False: only start it, for `get_complete_with_metadata`.
        timeout: seconds; None: ``1 + log10(elements)``.
        as_string: the value as text.
        as_numpy: False: arrays are ctypes arrays.

    Returns:
        A dict with ``value`` and what the type carries, or None.

    Raises:
        CASeverityException: there is no read access.
        ChannelAccessGetFailure: the server answered with an error.
        ChannelAccessDisconnected, ChannelAccessTimeout: in place of None, when `RAISE_ERRORS` is
            set.
    """
    entry = entry_of(chid)
    if not entry.conn:
        if _core.settings.RAISE_ERRORS:
            message = f"get: {entry.pvname!r} is not connected"
            raise ChannelAccessDisconnected(message, entry.pvname)
        return None
    kind = entry.ftype if ftype is None else int(ftype)
    number = 0 if count is None else min(int(count), max(entry.nelm, 1))
    if not wait:
        _io.begin(entry, kind, number)
        return None
    limit = _io.default_timeout(number or entry.nelm) if timeout is None else timeout
    answer = _io.fetch(entry, kind, number, limit)
    if answer is None:
        return None
    _io.keep(entry, kind, number, answer)
    return decode(entry, answer, kind, count, as_string, as_numpy)


def get(
    chid: Any,
    ftype: int | None = None,
    count: int | None = None,
    wait: bool = True,
    timeout: float | None = None,
    as_string: bool = False,
    as_numpy: bool = True,
) -> Any:
    """Read a channel; the value of `get_with_metadata`, or None."""
    items = get_with_metadata(
        chid, ftype=ftype, count=count, wait=wait, timeout=timeout, as_string=as_string,
        as_numpy=as_numpy,
    )  # fmt: skip
    return None if items is None else items["value"]


@withMaybeConnectedCHID
def get_complete_with_metadata(
    chid: Any,
    ftype: int | None = None,
    count: int | None = None,
    timeout: float | None = None,
    as_string: bool = False,
    as_numpy: bool = True,
) -> dict[str, Any] | None:
    """Wait for a get that was started with ``wait=False`` and the same `ftype`.

    What the last `get` of this type gave is given again, unless it was a large array.
    """
    entry = entry_of(chid)
    kind = entry.ftype if ftype is None else int(ftype)
    answer = _io.complete(entry, kind, timeout)
    return None if answer is None else decode(entry, answer, kind, count, as_string, as_numpy)


def get_complete(
    chid: Any,
    ftype: int | None = None,
    count: int | None = None,
    timeout: float | None = None,
    as_string: bool = False,
    as_numpy: bool = True,
) -> Any:
    """Wait for a get; the value of `get_complete_with_metadata`, or None."""
    items = get_complete_with_metadata(
        chid, ftype=ftype, count=count, timeout=timeout, as_string=as_string, as_numpy=as_numpy
    )
    return None if items is None else items["value"]


def _control(chid: Any, form: str, timeout: float | None, warn: bool) -> dict[str, Any] | None:
    entry = entry_of(chid)
    if not entry.conn:
        raise CASeverityException("get", eca_message(ECA.DISCONN))
    return _io.control(entry, form, timeout, warn=warn)


@withMaybeConnectedCHID
def get_ctrlvars(
    chid: Any, timeout: float | None = 5.0, warn: bool = True
) -> dict[str, Any] | None:
    """Read units, limits, precision or states; None when the time was over.

    Raises:
        CASeverityException: not connected in time, or there is no read access.
    """
    return _control(chid, "ctrl", timeout, warn)


@withMaybeConnectedCHID
def get_timevars(
    chid: Any, timeout: float | None = 5.0, warn: bool = True
) -> dict[str, Any] | None:
    """Read alarm and time stamp; see `get_ctrlvars`."""
    return _control(chid, "time", timeout, warn)


def get_timestamp(chid: Any) -> Any:
    """Read the time stamp (Unix seconds)."""
    return (get_timevars(chid) or {}).get("timestamp", 0)


def get_severity(chid: Any) -> Any:
    """Read the severity of the alarm."""
    return (get_timevars(chid) or {}).get("severity", 0)


@withCHID
def get_precision(chid: Any) -> Any:
    """Read how many digits to show; None unless it is connected, and of FLOAT or DOUBLE."""
    if entry_of(chid).ftype not in (dbr.FLOAT, dbr.DOUBLE):
        return None
    return (get_ctrlvars(chid) or {}).get("precision", 0)


@withCHID
def get_enum_strings(chid: Any) -> Any:
    """Read the names of the states; None unless it is connected, and of ENUM."""
    if entry_of(chid).ftype != dbr.ENUM:
        return None
    return (get_ctrlvars(chid) or {}).get("enum_strs")
