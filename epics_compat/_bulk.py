"""Many PVs with one call into C: one flush, and one wait for all."""

from __future__ import annotations

import time
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from cachannel.engine import ANY, connect_many, get_many, put_many, put_many_wait
from cachannel.protocol.enums import ECA, eca_message
from epics_compat import _core, _io, _values, ca, dbr, pv
from epics_compat._errors import (
    CASeverityException,
    ChannelAccessDisconnected,
    ChannelAccessTimeout,
    shorten,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cachannel.engine import Request
    from epics_compat._core import Entry

__all__ = ["caget_many", "caput_many"]


def _connected(names: Sequence[str], timeout: float) -> list[Entry | None]:
    """Connect to many names; None for what did not."""
    known = _core.cache[_core.current()]
    entries: list[Entry | None] = [known.get(name) for name in names]
    if None in entries:
        entries = _core.open_many(names, _core.current())
    missing = [entry for entry in entries if entry is not None and not entry.conn]
    if missing:
        connect_many([entry.channel for entry in missing if entry.channel], timeout)
    return [entry if entry is not None and entry.sync() else None for entry in entries]


def caget_many(
    pvlist: Iterable[str],
    as_string: bool = False,
    as_numpy: bool = True,
    count: int | None = None,
    timeout: float | None = 1.0,
    connection_timeout: float | None = 5.0,
    conn_timeout: float | None = None,
) -> list[Any]:
    """Read many PVs, all with one request to the network.

    Args:
        pvlist: names of PVs.
        as_string: values as text, as `ca.get` gives it; states by their names.
        as_numpy: False: arrays are ctypes arrays.
        count: at most so many elements of each.
        timeout: seconds for all answers.
        connection_timeout: seconds for all connections.
        conn_timeout: the same, and goes first.

    Returns:
        The values in the order of the names; None for what did not connect, or, with a warning,
        did not answer.

    Raises:
        CASeverityException: one of them may not be read.
    """
    if ca.is_finalized():
        return [None for _ in pvlist]
    limit = connection_timeout if conn_timeout is None else conn_timeout
    names = list(pvlist)
    entries = _connected(names, 5.0 if limit is None else limit)
    found = [entry for entry in entries if entry is not None]
    channels = [entry.channel for entry in found if entry.channel is not None]
    answers = iter(get_many(channels, ANY, 0 if count is None else count, timeout))
    try:
        return [
            None
            if entry is None
            else _value(entry, *next(answers), count, timeout, as_string, as_numpy)
            for entry in entries
        ]
    except Exception as exc:
        shorten(exc)
        raise


def _value(
    entry: Entry, status: int, answer: Any, count: int | None, timeout: float | None,
    as_string: bool, as_numpy: bool,
) -> Any:  # fmt: skip
    if status != dbr.ECA_NORMAL:
        if status == ECA.NORDACCESS:
            raise CASeverityException("get", eca_message(status))
        if status == ECA.TIMEOUT:
            warnings.warn(_io.late_text(entry.pvname, timeout or 0.0), stacklevel=4)
        return None
    kind = type(answer)
    if kind is not tuple:
        if entry.nelm == 1:
            return _text(entry, answer, count) if as_string else answer
        value = _values.one_of_many(answer, entry.ftype)
    else:
        value = _values.of_channel(answer[0], _values.elements(answer[0], answer[1], 0), entry.nelm)
    if as_string:
        return _text(entry, value, count)
    return value if as_numpy and ca.HAS_NUMPY else _values.ctypes_array(value, entry.ftype)


def _text(entry: Entry, value: Any, count: int | None) -> str:
    if entry.ftype == dbr.CHAR and entry.nelm > 1:
        return _values.char_text(value)
    if entry.nelm > 1:
        if count == 1:
            return str(value)
        number = min(count or entry.nelm, entry.nelm)
        return f"<array count={number}, type={entry.ftype}>"
    if entry.ftype == dbr.ENUM:
        items = _io.control(entry, "ctrl", 1.0, warn=False) or {}
        states = items.get("enum_strs", ())
        return states[value] if 0 <= value < len(states) else str(value)
    return str(value)


def caput_many(
    pvlist: Sequence[str],
    values: Sequence[Any],
    wait: Any = False,
    connection_timeout: float | None = 5.0,
    put_timeout: float = 60,
) -> list[int]:
    """Write many PVs, all with one request to the network.

    Args:
        pvlist: names of PVs.
        values: a value for each.
        wait: ``'each'``: each in turn until it has processed, `put_timeout` seconds at most;
            ``'all'``: until all have, `put_timeout` seconds at most; else no wait.
        connection_timeout: seconds for all connections.
        put_timeout: seconds, see `wait`.

    Returns:
        For each 1, or -1 if it did not connect, took too long, or was waited for and its record
        refused.

    Raises:
        ValueError: there are not as many values as names.
        CASeverityException: there is no write access to one of them.
        TypeError, ValueError: a value cannot be sent. In both cases the PVs before it are
            written, and the PVs after it are not.
    """
    names = list(pvlist)
    data = list(values)
    if len(names) != len(data):
        message = f"{len(names)} names, but {len(data)} values"
        raise ValueError(message)
    limit = 5.0 if connection_timeout is None else connection_timeout
    end = time.monotonic() + limit
    known, here = pv._PVcache_, _core.current()
    fresh = [name for name in names if (name, "time", here) not in known]
    if fresh:
        # All channels with one call; the PVs find them.
        _core.open_many(fresh, here)
    pvs = []
    for name in names:
        thispv = known.get((name, "time", here))
        if thispv is None:
            thispv = pv.get_pv(name, auto_monitor=False, timeout=limit)
        pvs.append(thispv)
    entries: list[Entry | None] = []
    for thispv in pvs:
        if not thispv.connected:
            thispv.wait_for_connection(timeout=max(end - time.monotonic(), 0.0))
        entries.append(thispv._entry if thispv.connected else None)
    try:
        if wait == "each":
            return [
                -1 if entry is None else _put_one(thispv, value, put_timeout)
                for thispv, entry, value in zip(pvs, entries, data, strict=True)
            ]
        return _put_all(pvs, entries, data, put_timeout if wait == "all" else None)
    except Exception as exc:
        shorten(exc)
        raise


def _put_one(thispv: Any, value: Any, timeout: float) -> int:
    """Write one PV and wait; -1 if its record refuses, if it is lost, or takes too long."""
    try:
        return 1 if thispv.put(value, wait=True, timeout=timeout) == 1 else -1
    except (ChannelAccessDisconnected, ChannelAccessTimeout):
        return -1
    except CASeverityException as exc:
        if exc.msg == eca_message(ECA.NOWTACCESS):
            raise
        return -1


def _put_all(
    pvs: Sequence[Any], entries: Sequence[Entry | None], data: Sequence[Any], timeout: float | None
) -> list[int]:
    """Write; with a `timeout` wait for all."""
    results = [-1] * len(pvs)
    end = None if timeout is None else time.monotonic() + timeout
    waiting: dict[int, Request] = {}
    fast: list[int] = []

    def start(index: int) -> None:
        """Take the long way: text, arrays, and numbers that have to wrap."""
        entry, value = entries[index], pvs[index]._state_number(data[index])
        assert entry is not None
        with suppress(ChannelAccessDisconnected):
            if end is None:
                results[index] = _io.put(entry, value, entry.ftype, False, 0.0)
            else:
                waiting[index] = _io.start_put(entry, value, entry.ftype)

    failure: Exception | None = None
    for index, (entry, value) in enumerate(zip(entries, data, strict=True)):
        if entry is None:
            continue
        if type(value) in (float, int) and entry.nelm == 1 and entry.ftype and entry.rights & 2:
            fast.append(index)
            continue
        try:
            start(index)
        except (CASeverityException, TypeError, ValueError, OverflowError) as exc:
            # Those that come after it are not written.
            failure = exc
            break
    channels: Any = [entries[index].channel for index in fast]  # type: ignore[union-attr]
    numbers = [float(data[index]) for index in fast]
    if timeout is None or failure is not None:
        codes = put_many(channels, numbers)
    else:
        codes = put_many_wait(channels, numbers, timeout)
    for index, code in zip(fast, codes, strict=True):
        if code < 0:
            start(index)
        else:
            results[index] = 1 if code == dbr.ECA_NORMAL else -1
    if failure is not None:
        raise failure
    for index, request in waiting.items():
        left = max((end or 0.0) - time.monotonic(), 0.0)
        done = request.wait(left) and _io.completion(request) == dbr.ECA_NORMAL
        results[index] = 1 if done else -1
    if timeout is not None and pvs:
        _core.engine_context().settle(_io.SETTLE)
    return results
