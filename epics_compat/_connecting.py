"""The connection of a `PV`: its channel, its comings and goings, and its rights."""

from __future__ import annotations

import warnings
from typing import Any

from cachannel.context import report
from epics_compat import _core, _io, ca, dbr
from epics_compat._errors import ChannelAccessDisconnected
from epics_compat._state import ACCESS_TEXTS, FROM_ENTRY, NOTHING, State

__all__ = ["Connecting"]

_KINDS = {number: dbr.Name(number).lower() for number in range(35)}


class Connecting(State):
    """How a PV hangs on the channel of its name, which it shares with others."""

    def _hook(self) -> None:
        """Share the channel of the name; learn of its state if it is there already."""
        assert self.context is not None
        self._released = False
        entry, known = _core.open_entry(self.pvname, self.context, user=self)
        self._entry, self._chid = entry, FROM_ENTRY
        args = self._kept
        if args is not None and args["chid"] is None:
            args["chid"] = entry.chid_int
        # The news of a new channel may have come before the PV knew its entry.
        if entry.conn or (known and entry.sync()):
            self._arrive()

    def _checked(self) -> _core.Entry:
        """Return the entry of the channel; after a fork, make a new one.

        Raises:
            RuntimeError: the context of the PV was taken away.
        """
        entry = self._entry
        if self.context is None or entry is None:
            if ca.is_finalized():
                return _core.Entry(self.pvname, 0)
            message = f"PV {self.pvname!r} has no context"
            raise RuntimeError(message)
        if entry.closed and not ca.is_finalized() and self._entry_lost():
            assert self._entry is not None
            return self._entry
        return entry

    def _entry_lost(self) -> bool:
        """Whether the whole context is gone, as after a fork; then hook into the current one."""
        if _core.is_open(self.context) or self._released:
            return False
        self.connected = False
        self._monitor = self._properties = self._deadband = None
        self._seen = self._announced = 0
        # What came before is no news of the new channel.
        self._args["value"] = None
        self.context = _core.current()
        self._hook()
        return True

    # Events, on the dispatcher thread -------------------------------------------------------

    def _arrive(self) -> None:
        """Handle a connection: what is known of the channel, the callbacks, the monitor.

        Values are told of after the connection, also where the callbacks of the connection run in
        another thread than the dispatcher: then it has nothing to deliver before they are done.
        """
        self._settle(monitor=not (self._access_callbacks or self._connection_callbacks))
        self._announce()

    def _settle(self, monitor: bool = True) -> bool:
        """Take over what is known of the connected channel, once per connection.

        Args:
            monitor: begin the monitor if one is wanted.

        Returns:
            Whether there was something new.
        """
        entry = self._entry
        if entry is None:
            return False
        with entry.lock:
            if entry.closed or not entry.conn or self._seen == entry.connections:
                return False
            self._seen = entry.connections
            form = self.form
            self.ftype = ftype = dbr.promote(entry.ftype, form == "time", form == "ctrl")
            self._chid = FROM_ENTRY
            self._told = False
            args = self._kept
            if args is not None:
                self._note_connection(args)
            self.connected = True
            if self._auto_monitor is None:
                self._auto_monitor = entry.nelm < ca.AUTOMONITOR_MAXLENGTH
            if self._auto_monitor:
                if self._monitor is not None and self._monitored_type != ftype:
                    self._unsubscribe()
                if monitor and self._monitor is None:
                    self._subscribe()
        if self._delta is not None:
            self._write_deadband()
        return True

    def _note_connection(self, args: dict[str, Any]) -> None:
        entry = self._entry
        assert entry is not None
        args["pvname"] = self.pvname
        args["chid"] = entry.chid_int
        args["host"] = _io.channel_of(entry).host_name() if not entry.closed else None
        args["nelm"] = entry.nelm
        if args["value"] is None or args["count"] is None:
            args["count"] = entry.nelm if self._count is None else min(self._count, entry.nelm)
        if args["ftype"] != self.ftype:
            # Another record may have come back under the name.
            args["enum_strs"] = args["precision"] = args["units"] = None
        args["ftype"] = self.ftype
        args["type"] = args["typefull"] = _KINDS.get(-1 if self.ftype is None else self.ftype)
        _note_access(args, entry.rights)

    def _on_connection(self, *, conn: bool, **kws: Any) -> None:
        """Hear of a connect or disconnect of the channel."""
        if self._entry is None or self._released:
            return
        if conn:
            self._arrive()
            return
        self._seen = self._announced = 0
        self.connected = False
        if self._connection_callbacks:
            self._tell_connection(False)

    def _announce(self) -> None:
        """Run the access and connection callbacks, once per connection, and begin the monitor."""
        entry = self._entry
        assert entry is not None
        with entry.lock:
            if not entry.conn or self._announced == entry.connections:
                return
            self._announced = entry.connections
            self._rights = -1
        try:
            if self._access_callbacks:
                self._on_access(bool(entry.rights & 1), bool(entry.rights & 2))
            if self._connection_callbacks:
                self._tell_connection(True)
        finally:  # also when a callback ends its thread
            if self._auto_monitor and self._monitor is None:
                self._begin_monitor()

    def _begin_monitor(self) -> None:
        entry = self._entry
        assert entry is not None
        with entry.lock:
            gone = entry.closed or self._released or not self.connected
            if self._auto_monitor and self._monitor is None and not gone:
                self._subscribe()

    def _tell_connection(self, conn: bool) -> None:
        for function in list(self.connection_callbacks):
            if self._released:
                return
            if callable(function):
                try:
                    function(pvname=self.pvname, conn=conn, pv=self)
                except Exception as exc:
                    report(exc, function)
            elif not conn and self.verbose:
                ca.write(f"PV '{self.pvname}' disconnected.")

    def _on_access(self, read: bool, write: bool) -> None:
        """Hear of new rights."""
        rights = read | write << 1
        args = self._kept
        if args is not None and not self._released:
            _note_access(args, rights)
        # Those of a new connection are told of with it.
        if not self._access_callbacks or rights == self._rights or (rights and not self._announced):
            return
        self._rights = rights
        for function in list(self.access_callbacks):
            if self._released:
                return
            if callable(function):
                try:
                    function(read, write, pv=self)
                except Exception as exc:
                    report(exc, function)

    # Waiting, on any thread -----------------------------------------------------------------

    def wait_for_connection(self, timeout: float | None = None) -> bool:
        """Wait until the PV is connected.

        Args:
            timeout: seconds; None: `connection_timeout`.

        Returns:
            Whether it is.
        """
        entry = self._checked()
        if self.connected and entry.conn:
            return True
        if self._released:
            return False
        limit = self.connection_timeout if timeout is None else timeout
        if not entry.wait(limit):
            return False
        self._settle()
        return self.connected

    def connect(self, timeout: float | None = None) -> bool:
        """Wait until the PV is connected; see `wait_for_connection`."""
        return self.wait_for_connection(timeout)

    def _say_disconnected(self, operation: str) -> None:
        """Warn, once until the next connection, that None comes of having no connection.

        Raises:
            ChannelAccessDisconnected: `ca.RAISE_ERRORS` is set.
        """
        if ca.is_finalized():
            return
        text = f"PV '{self.pvname}' is not connected"
        if ca.RAISE_ERRORS:
            raise ChannelAccessDisconnected(f"{operation}: {text}", self.pvname)
        if not (self._told or self._released):
            self._told = True
            warnings.warn(f"{text}: {operation} returns None", stacklevel=4)

    def reconnect(self) -> bool:
        """Begin the connection anew, also after `disconnect`; waits `connection_timeout`."""
        self._checked()
        self._unsubscribe()
        self._revive()
        return self.wait_for_connection()

    def _revive(self) -> None:
        entry = self._entry
        assert entry is not None
        self._seen = 0
        self.connected = False
        self._args["pvname"] = self.pvname
        if entry.closed or self._released:
            entry.remove_user(self)
            self._hook()
        elif entry.sync():
            self._settle()

    def force_connect(
        self, pvname: str | None = None, chid: Any = None, conn: bool = True, **kws: Any
    ) -> None:
        """Handle a connection as if its event had come now, also after `disconnect`."""
        self._checked()
        self._unsubscribe()
        self._revive()
        if conn and self.connected:
            self._tell_connection(True)

    def force_read_access_rights(self) -> None:
        """Ask for the access rights again."""
        entry = self._checked()
        if not entry.closed:
            _note_access(self._args, max(_io.channel_of(entry).rights(), 0))

    def _let_go(self, deepclean: bool) -> None:
        """Forget the connection and all that came with it."""
        self._kept = NOTHING.copy()
        self._seen = self._announced = 0
        self._released = True
        self._watched = False
        entry, deadband = self._entry, self._deadband
        self._deadband = None
        if deadband is not None:
            deadband.close()
        if deepclean and entry is not None:
            _core.leave(entry, self)


def _note_access(args: dict[str, Any], rights: int) -> None:
    args["read_access"], args["write_access"] = bool(rights & 1), bool(rights & 2)
    args["access"] = ACCESS_TEXTS[rights & 3]
