"""pyepics' names over the engine of `cachannel`: ``import epics_compat as epics``.

`install` makes ``import epics`` mean this package; ``python -m epics_compat PROGRAM`` runs a
program with that. Importing starts nothing; the first call that needs Channel Access does.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

# First, because it tells users of an older Python that a newer one is needed.
import cachannel as _cachannel
from epics_compat import (
    alarm as alarm,
    ca as ca,
    dbr as dbr,
    device as device,
    motor as motor,
    multiproc as multiproc,
    pv as pv,
    utils as utils,
)
from epics_compat._bulk import (
    caget_many as caget_many,
    caput_many as caput_many,
)
from epics_compat._install import (
    install as install,
)
from epics_compat.alarm import (
    INVALID_ALARM as INVALID_ALARM,
    MAJOR_ALARM as MAJOR_ALARM,
    MINOR_ALARM as MINOR_ALARM,
    NO_ALARM as NO_ALARM,
    Alarm as Alarm,
)
from epics_compat.ca import (
    poll as poll,
)
from epics_compat.device import (
    Device as Device,
)
from epics_compat.motor import (
    Motor as Motor,
)
from epics_compat.multiproc import (
    CAPool as CAPool,
    CAProcess as CAProcess,
)
from epics_compat.pv import (
    PV as PV,
    get_pv as get_pv,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__version__ = "3.5.10"
"""The version of pyepics whose names and behaviour these are."""

_PVmonitors_: dict[str, Any] = {}
_MONITOR_INDEX = -999


def caput(
    pvname: str,
    value: Any,
    wait: bool = False,
    timeout: float = 60.0,
    connection_timeout: float = 5.0,
) -> int | None:
    """Write a PV by name; see `PV.put`.

    Returns:
        1; -1 when `wait` took longer than `timeout` seconds; None when the PV did not connect.
    """
    since = time.monotonic()
    thispv = get_pv(pvname, timeout=connection_timeout, connect=True)
    if not thispv.connected:
        _refuse(pvname, "caput")
        return None
    left = max(timeout - (time.monotonic() - since), 0.0)
    result: int | None = thispv.put(value, wait=wait, timeout=left)
    return result


def _refuse(pvname: str, operation: str) -> None:
    """Raise, if that is wanted, as there is no connection."""
    if ca.RAISE_ERRORS:
        message = f"{operation}: {pvname!r} is not connected"
        raise ca.ChannelAccessDisconnected(message, str(pvname))


def caget(
    pvname: str,
    as_string: bool = False,
    count: int | None = None,
    as_numpy: bool = True,
    use_monitor: bool = True,
    timeout: float = 5.0,
    connection_timeout: float = 5.0,
) -> Any:
    """Read a PV by name; see `PV.get`. None when it did not connect, or answer, in time."""
    since = time.monotonic()
    thispv = get_pv(pvname, timeout=connection_timeout, connect=True)
    if not thispv.connected:
        _refuse(pvname, "caget")
        return None
    if as_string:
        thispv.get_ctrlvars()
    left = max(timeout - (time.monotonic() - since), 0.0)
    value = thispv.get(
        count=count, timeout=left, use_monitor=use_monitor, as_string=as_string, as_numpy=as_numpy
    )
    poll()
    return value


def cainfo(
    pvname: str, print_out: bool = True, timeout: float = 5.0, connection_timeout: float = 5.0
) -> str | None:
    """Describe a PV: print `PV.info`, or return it."""
    since = time.monotonic()
    thispv = get_pv(pvname, timeout=connection_timeout, connect=True)
    if not thispv.connected:
        return None
    left = max(timeout - (time.monotonic() - since), 0.0)
    thispv.get(timeout=left)
    thispv.get_ctrlvars(timeout=left)
    text: str | None = thispv.info
    if not print_out:
        return text
    ca.write(text)
    return None


def camonitor(
    pvname: str,
    writer: Callable[[str], Any] | None = None,
    callback: Callable[..., Any] | None = None,
    connection_timeout: float = 5.0,
    monitor_delta: float | None = None,
) -> None:
    """Write a line, or call a function, at every change of a PV.

    Args:
        pvname: name of the PV.
        writer: gets the lines; None: `ca.write`.
        callback: called instead, with the keywords of `PV` callbacks, on the dispatcher thread.
        connection_timeout: seconds.
        monitor_delta: see `PV`.
    """
    thispv = get_pv(pvname, timeout=connection_timeout, connect=True, monitor_delta=monitor_delta)
    if not thispv.connected:
        return
    thispv.get()
    if callback is None:
        callback = _line_writer(ca.write if writer is None else writer)
    thispv.add_callback(callback, index=_MONITOR_INDEX, with_ctrlvars=True)
    _PVmonitors_[pvname] = thispv


def _line_writer(writer: Callable[[str], Any]) -> Callable[..., None]:
    def write_line(
        pvname: str | None = None, value: Any = None, char_value: Any = None, **kws: Any
    ) -> None:
        shown = repr(value) if char_value is None else char_value
        writer(f"{str(pvname)[:32]} {pv.fmt_time()} {shown}")

    return write_line


def camonitor_clear(pvname: str) -> None:
    """End what `camonitor` began; an unknown name is ignored."""
    thispv = _PVmonitors_.pop(pvname, None)
    if thispv is not None:
        thispv.remove_callback(index=_MONITOR_INDEX)
