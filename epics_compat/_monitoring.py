"""The monitor of a `PV`: what the server sends at every change."""

from __future__ import annotations

from typing import Any

from epics_compat import _io, _values, ca, dbr
from epics_compat._deadband import Deadband
from epics_compat._state import State
from epics_compat._text import fmt_time

__all__ = ["Monitoring"]

_EPOCH = 631152000.0
_NORMAL = dbr.ECA_NORMAL


class Monitoring(State):
    """How a PV is monitored."""

    @property
    def auto_monitor(self) -> Any:
        """None before the connection, then whether the PV is monitored; may be set at any time.

        True stands for `ca.DEFAULT_SUBSCRIPTION_MASK`; other numbers are masks, and read as such.
        """
        return self._auto_monitor

    @auto_monitor.setter
    def auto_monitor(self, value: Any) -> None:
        entry = self._checked()
        self._auto_monitor = value
        if not self.connected:
            return
        with entry.lock:
            if value is None:
                self._auto_monitor = value = entry.nelm < ca.AUTOMONITOR_MAXLENGTH
            mask = ca.DEFAULT_SUBSCRIPTION_MASK if value is True else int(value)
            if self._monitor is not None and (not value or mask != self.auto_monitor_mask):
                self._unsubscribe()
            if value and self._monitor is None and not entry.closed:
                self._subscribe()

    @property
    def _monref(self) -> tuple[Any, Any, int] | None:
        """As in pyepics: function, user data and id of the monitor; None without a monitor."""
        monitor = self._monitor
        return None if monitor is None else (self._on_event, self, monitor.id)

    def clear_auto_monitor(self) -> None:
        """Stop monitoring; the callbacks stay."""
        self._checked()
        self.auto_monitor = False

    def _on_event(self, record: Any, buffer: Any, offset: int) -> None:
        """Handle a change, on the dispatcher thread."""
        if record[7] != _NORMAL or self._released:
            return
        args = self._kept
        if args is None:
            args = self._args
        kind = record[3]
        # Numbers are many: for them this goes the shortest way.
        if record[2] == 1 and 14 <= kind < 21:
            value: Any = record[12]
            if kind == 20 or kind == 16:
                args["value"] = value
                args["char_value"] = _values.float_text(value, args["precision"])
            else:
                value = int(value)
                if kind == 18:
                    value = _values.of_channel(record, value, args["nelm"])
                args["value"] = value
                self._set_char_value(value)
            args["status"] = record[4]
            args["severity"] = record[5]
            args["posixseconds"] = seconds = record[9] + _EPOCH
            args["nanoseconds"] = nanoseconds = record[10]
            args["timestamp"] = seconds + 1e-6 * (nanoseconds // 1000)
        else:
            items = _values.event_items(record, buffer, offset)
            value = _values.of_channel(record, items["value"], args["nelm"])
            args.update(items, value=value)
            self._set_char_value(value)
        args["count"] = record[8]
        if self._delta and self._is_close(value, args["severity"]):
            return
        if self.verbose:
            ca.write(f"{self.pvname}: {args['char_value']} ({fmt_time(args['timestamp'])})")
        if self._first_pending:
            self._run_first()
        elif self.callbacks:
            self.run_callbacks()

    def _is_close(self, value: Any, severity: Any) -> bool:
        """Whether a change is smaller than `monitor_delta`, and the alarm is what it was."""
        if not isinstance(value, float | int) or self._delta is None:
            return False
        last = self._last_passed
        if last is not None and abs(value - last[0]) < self._delta and severity == last[1]:
            return True
        self._last_passed = (value, severity)
        return False

    def _write_deadband(self) -> None:
        """Let the record, too, leave out changes below `monitor_delta`."""
        entry = self._entry
        if self._deadband is None and self._delta is not None and entry is not None:
            is_float = entry.ftype in (dbr.FLOAT, dbr.DOUBLE)
            if is_float and entry.nelm == 1:
                self._deadband = Deadband(self.pvname, entry.context, self._delta)

    def _subscribe(self) -> None:
        assert self._entry is not None
        assert self.ftype is not None
        mask = self._auto_monitor
        if mask is True:
            mask = ca.DEFAULT_SUBSCRIPTION_MASK
        self.auto_monitor_mask = int(mask)
        channel = _io.channel_of(self._entry)
        kept = self._watched or (self.form == "ctrl" and ca.MONITOR_PROPERTIES)
        if kept or self._metadata_wanted:
            # Before the value, so that the first callback has units, precision and states.
            self._subscribe_properties()
        self._first_pending, self._told_early = True, None
        _, self._monitor = channel.subscribe(
            self.ftype, self._count or 0, int(mask), self._on_event
        )
        self._monitored_type = self.ftype
        channel.flush_soon()

    def _unsubscribe(self) -> None:
        monitors = self._monitor, self._properties
        self._monitor = self._properties = None
        self.auto_monitor_mask = None
        for monitor in monitors:
            if monitor is not None:
                monitor.close()

    # Metadata -------------------------------------------------------------------------------

    def _watch_properties(self) -> None:
        """Keep units, limits, precision and states current from now on."""
        entry = self._entry
        if self._properties is not None or entry is None or not ca.MONITOR_PROPERTIES:
            return
        with entry.lock:
            self._watched = True
            if self._monitor is not None and self._properties is None and not entry.closed:
                self._subscribe_properties()
                _io.channel_of(entry).flush_soon()

    def _subscribe_properties(self) -> None:
        """Monitor the CTRL form of one element, for DBE_PROPERTY only.

        The first event, which comes after each connect, brings what an IOC has after a restart.
        """
        assert self._entry is not None
        mask = self.auto_monitor_mask or 0
        if self._entry.ftype == dbr.STRING or (self.form == "ctrl" and mask & dbr.DBE_PROPERTY):
            # There is no CTRL form, or the monitor brings it already.
            return
        kind = dbr.promote(self._entry.ftype, False, True)
        channel = _io.channel_of(self._entry)
        _, self._properties = channel.subscribe(kind, 1, dbr.DBE_PROPERTY, self._on_properties)

    def _on_properties(self, record: Any, buffer: Any, offset: int) -> None:
        """Handle a change of the metadata, on the dispatcher thread; no callback is run."""
        if record[7] != dbr.ECA_NORMAL or self._released:
            return
        items = _values.metadata(record, buffer, offset)
        # The alarm goes with the value, which the monitor brings.
        items.pop("status", None)
        items.pop("severity", None)
        args = self._args
        args.update(items)
        if args["value"] is not None:
            self._set_char_value(args["value"])
        if not (ca.MONITOR_PROPERTIES or self._watched):
            self._end_properties()

    def _end_properties(self) -> None:
        """End what only the first event was wanted of."""
        entry = self._entry
        if entry is None:
            return
        with entry.lock:
            properties, self._properties = self._properties, None
        if properties is not None:
            properties.close()
