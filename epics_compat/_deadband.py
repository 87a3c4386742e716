"""`monitor_delta` written to the record, so that small changes are not even sent."""

from __future__ import annotations

import logging

from epics_compat import _core, _io
from epics_compat._errors import CASeverityException, ChannelAccessException

__all__ = ["Deadband"]

logger = logging.getLogger("cachannel.epics_compat")


class Deadband:
    """Keeps MDEL of a record at a value, through restarts of the IOC, until `close`.

    A record that has no MDEL or does not allow the put stays as it is; the PV leaves small
    changes out by itself then.

    Args:
        pvname: name of the PV; for fields other than VAL nothing is done.
        context: the context, an int.
        delta: the value.
    """

    def __init__(self, pvname: str, context: int, delta: float) -> None:
        self._delta = delta
        self._entry: _core.Entry | None = None
        record = pvname.removesuffix(".VAL")
        if "." in record:
            return
        entry, known = _core.open_entry(f"{record}.MDEL", context, user=self)
        self._entry = entry
        if entry.conn or (known and entry.sync()):
            self._on_connection(conn=True)

    def _on_access(self, read: bool, write: bool) -> None:
        """Do nothing; the put finds out."""

    def _on_connection(self, *, conn: bool) -> None:
        entry = self._entry
        if not conn or entry is None:
            return
        try:
            _io.put(entry, self._delta, entry.ftype, False, 0.0)
        except (CASeverityException, ChannelAccessException) as exc:
            logger.info("%s is not written: %s", entry.pvname, exc)

    def close(self) -> None:
        """Let the record be."""
        if self._entry is not None:
            _core.leave(self._entry, self)
