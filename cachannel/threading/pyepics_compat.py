"""pyepics' PVs at the place where caproto has them; they are those of `epics_compat`.

ophyd's control layer for caproto stands on this module. The behaviour is that of pyepics, where the
two differ: the result of a PV that is not connected is None or False, not an exception.
"""

from __future__ import annotations

from typing import Any

import epics_compat
from cachannel.threading.client import Context
from epics_compat import caget, caget_many, cainfo, caput, caput_many
from epics_compat._client import shared
from epics_compat.ca import CASeverityException as AccessRightsException

__all__ = [
    "PV",
    "AccessRightsException",
    "caget",
    "caget_many",
    "cainfo",
    "caput",
    "caput_many",
    "get_pv",
]


class _DefaultContext:
    """An attribute of the class that is made when it is asked for."""

    def __get__(self, instance: Any, owner: type[PV]) -> Context:
        return owner.default_context()


class PV(epics_compat.PV):
    """A PV of `epics_compat`; see there."""

    _default_context = _DefaultContext()

    # What ophyd clears after it has set `auto_monitor` to False, which has ended the monitor.
    _auto_monitor_sub: Any = None

    @classmethod
    def default_context(cls) -> Context:
        """Return the context of the threading client of PVs that were given none."""
        return shared()


def get_pv(
    pvname: str, *args: Any, context: Context | None = None, connect: bool = False,
    timeout: float = 5.0, **kwargs: Any,
) -> PV:  # fmt: skip
    """Make a PV; unlike `epics_compat.get_pv` it is a new one at each call.

    Args:
        pvname: its name.
        args: arguments of `PV`.
        context: of the threading client.
        connect: wait for the connection.
        timeout: seconds to wait.
        kwargs: arguments of `PV`.
    """
    kwargs["context"] = context
    pv = PV(pvname, *args, **kwargs)
    if connect:
        pv.wait_for_connection(timeout=timeout)
    return pv
