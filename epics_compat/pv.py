"""`PV`: a process variable with its value, its metadata and callbacks, and the cache of PVs.

Callbacks run on the dispatcher thread of the context, for one PV in the order of the events.
Anything may be called in them: gets, puts that wait, making and connecting other PVs.
"""

from __future__ import annotations

import time
import warnings
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy

from cachannel.context import report
from epics_compat import _core, _info, _io, _values, ca, dbr
from epics_compat._callbacks import Callbacks
from epics_compat._properties import Properties
from epics_compat._text import Text, fmt_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from cachannel.engine import Subscription
    from epics_compat._core import Entry

__all__ = ["PV", "after_fork", "clear_pvcache", "default_pv_class", "fmt_time", "get_pv"]

_PVcache_: dict[tuple[str, str, int | None], PV] = {}

_NOTHING: dict[str, Any] = dict.fromkeys(
    (
        "pvname", "value", "char_value", "status", "ftype", "chid", "host", "count", "access",
        "write_access", "read_access", "severity", "timestamp", "posixseconds", "nanoseconds",
        "precision", "units", "enum_strs", "monitor_delta", *dbr.ctrl_limits, "nelm", "type",
        "typefull",
    )
)  # fmt: skip
_TIME_ITEMS = frozenset(_values.TIME_ITEMS)
_EPOCH = 631152000.0


class PV(Callbacks, Text, Properties):
    """A process variable. It connects in the background; nothing here waits for it.

    Args:
        pvname: name of the PV.
        callback: called with keywords at every change; a list gives several.
        form: ``'time'`` (with alarm and time stamp), ``'ctrl'`` or ``'native'``.
        verbose: print every change.
        auto_monitor: None: monitor what has less than `ca.AUTOMONITOR_MAXLENGTH` elements;
            True, False, or a mask of DBE_* bits.
        count: at most so many elements, in the monitor and by default in gets.
        connection_callback: called as ``f(pvname=, conn=, pv=)`` at every connect and
            disconnect.
        connection_timeout: seconds that calls wait for the connection; None:
            `ca.DEFAULT_CONNECTION_TIMEOUT`.
        access_callback: called as ``f(read_access, write_access, pv=)`` at every change.
        monitor_delta: changes smaller than this are not wanted.
        context: accepted and ignored.

    A PV that nobody refers to stays alive and goes on calling back, until `disconnect`.
    """

    def __init__(
        self,
        pvname: str,
        callback: Any = None,
        form: str = "time",
        verbose: bool = False,
        auto_monitor: Any = None,
        count: int | None = None,
        connection_callback: Callable[..., Any] | None = None,
        connection_timeout: float | None = None,
        access_callback: Callable[..., Any] | None = None,
        monitor_delta: float | None = None,
        context: Any = None,
    ) -> None:
        self.context: int | None = None
        self._entry: Entry | None = None
        self.pvname = pvname.strip()
        self.form = form.lower()
        self.verbose = verbose
        self._auto_monitor = auto_monitor
        self.auto_monitor_mask: int | None = None
        self.connected = False
        self.connection_timeout = (
            ca.DEFAULT_CONNECTION_TIMEOUT if connection_timeout is None else connection_timeout
        )
        self.ftype: int | None = dbr.promote(-1, self.form == "time", self.form == "ctrl")
        self._count = count
        self._seen = 0
        self._monitor: Subscription | None = None
        self._monitored_type = -1
        self._put_complete: bool | None = None
        self._delta = monitor_delta
        self._passed: Any = None
        self._args: dict[str, Any] = dict(
            _NOTHING, pvname=self.pvname, count=count, nelm=-1, type="unknown",
            typefull="unknown", access="unknown", ftype=self.ftype, monitor_delta=monitor_delta,
        )  # fmt: skip
        self.callbacks: dict[Any, tuple[Callable[..., Any], dict[str, Any]]] = {}
        if callback is not None:
            given = callback if isinstance(callback, list | tuple) else (callback,)
            for index, function in enumerate(given):
                if callable(function):
                    self.callbacks[index] = (function, {})
        self.connection_callbacks: list[Any] = []
        if connection_callback is not None:
            self.connection_callbacks.append(connection_callback)
        self.access_callbacks: list[Any] = []
        if access_callback is not None:
            self.access_callbacks.append(access_callback)
        self.chid: Any = None
        if ca.is_finalized():
            return
        self.context = _core.current()
        self._hook()

    def _hook(self) -> None:
        """Share the channel of the name; learn of its state if it is there already."""
        assert self.context is not None
        entry, known = _core.open_entry(
            self.pvname, self.context, self._on_connection, self._on_access
        )
        self._entry, self.chid = entry, entry.chid
        if self._args["chid"] is None:
            self._args["chid"] = entry.chid_int
        if known and entry.sync() and self._settle():
            self._on_access(bool(entry.rights & 1), bool(entry.rights & 2))
            self._tell_connection(True)

    def __repr__(self) -> str:
        if not self.connected:
            return f"<PV '{self.pvname}': not connected>"
        count, nelm = self._args["count"], self._args["nelm"]
        size = "1" if count == 1 else f"{count}/{nelm}"
        return (
            f"<PV '{self.pvname}', count={size}, type={self._args['typefull']}, "
            f"access={self._args['access']}>"
        )

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __getstate__(self) -> Any:
        message = "a PV cannot be pickled; pass its name"
        raise ValueError(message)

    def __copy__(self) -> Any:
        message = "a PV cannot be copied; make another with its name"
        raise ValueError(message)

    def __del__(self) -> None:
        try:
            if self._monitor is not None:
                self._monitor.close()
        except Exception:  # at the end of the interpreter anything may be gone
            return

    # Connection -----------------------------------------------------------------------------

    def _checked(self) -> Entry:
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
        if _core.is_open(self.context) or self._args["pvname"] is None:
            return False
        self._forget_connection()
        self.context = _core.current()
        self._hook()
        return True

    def _forget_connection(self) -> None:
        self.connected = False
        self._monitor = None
        self._seen = 0
        # What came before is no news of the new channel.
        self._args["value"] = None

    def _settle(self) -> bool:
        """Take over what is known of the connected channel, once per connection.

        Returns:
            Whether there was something new.
        """
        entry = self._entry
        if entry is None:
            return False
        with entry.lock:
            if entry.closed or not entry.conn or self._seen == entry.connections:
                return False
            channel = _io.channel_of(entry)
            self._seen = entry.connections
            ftype = dbr.promote(entry.ftype, self.form == "time", self.form == "ctrl")
            kind = dbr.Name(ftype).lower()
            self.ftype = ftype
            self.chid = entry.chid
            args = self._args
            args["pvname"] = self.pvname
            args["chid"] = entry.chid_int
            args["host"] = channel.host_name()
            args["nelm"] = entry.nelm
            if self._count is None and (args["value"] is None or args["count"] is None):
                args["count"] = entry.nelm
            if args["ftype"] != ftype:
                # Another record may have come back under the name.
                args["enum_strs"] = args["precision"] = args["units"] = None
            args["ftype"] = ftype
            args["type"] = args["typefull"] = kind
            self._put_access(entry.rights)
            self.connected = True
            if self._auto_monitor is None:
                self._auto_monitor = entry.nelm < ca.AUTOMONITOR_MAXLENGTH
            if self._auto_monitor:
                if self._monitor is not None and self._monitored_type != ftype:
                    self._monitor.close()
                    self._monitor = None
                if self._monitor is None:
                    self._subscribe()
        return True

    def _put_access(self, rights: int) -> None:
        args = self._args
        args["read_access"], args["write_access"] = bool(rights & 1), bool(rights & 2)
        args["access"] = ca.ACCESS_TEXTS[rights & 3]

    def _subscribe(self) -> None:
        assert self._entry is not None
        assert self.ftype is not None
        mask = self._auto_monitor
        if mask is True:
            mask = ca.DEFAULT_SUBSCRIPTION_MASK
        channel = _io.channel_of(self._entry)
        _, self._monitor = channel.subscribe(
            self.ftype, self._count or 0, int(mask), self._on_event
        )
        self._monitored_type = self.ftype
        self.auto_monitor_mask = int(mask)
        channel.flush_soon()

    def _unsubscribe(self) -> None:
        monitor, self._monitor = self._monitor, None
        self.auto_monitor_mask = None
        if monitor is not None:
            monitor.close()

    def _on_connection(self, pvname: str, chid: int, conn: bool, **kws: Any) -> None:
        """Hear of a connect or disconnect of the channel."""
        if conn:
            self._settle()
        else:
            self._seen = 0
            self.connected = False
        self._tell_connection(conn)

    def _tell_connection(self, conn: bool) -> None:
        for function in list(self.connection_callbacks):
            if callable(function):
                try:
                    function(pvname=self.pvname, conn=conn, pv=self)
                except Exception as exc:
                    report(exc, function)
            elif not conn and self.verbose:
                ca.write(f"PV '{self.pvname}' disconnected.")

    def _on_access(self, read: bool, write: bool) -> None:
        """Hear of new rights."""
        self._put_access(read | write << 1)
        for function in list(self.access_callbacks):
            if callable(function):
                try:
                    function(read, write, pv=self)
                except Exception as exc:
                    report(exc, function)

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
        if self._args["pvname"] is None or self._disconnected(entry):
            return False
        limit = self.connection_timeout if timeout is None else timeout
        if not entry.wait(limit):
            return False
        self._settle()
        return self.connected

    def _disconnected(self, entry: Entry) -> bool:
        return self._on_connection not in entry.callbacks

    def connect(self, timeout: float | None = None) -> bool:
        """Wait until the PV is connected; see `wait_for_connection`."""
        return self.wait_for_connection(timeout)

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
        if entry.closed or self._disconnected(entry):
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
            self._put_access(max(_io.channel_of(entry).rights(), 0))

    def disconnect(self, deepclean: bool = True) -> None:
        """Stop: no callback of this PV starts any more, and its values are forgotten.

        The channel stays open for others. May be called more than once.

        Args:
            deepclean: let go of the channel, so that the PV can be collected.
        """
        entry = self._entry
        self.connected = False
        self._unsubscribe()
        for key, kept in list(_PVcache_.items()):
            if kept is self:
                _PVcache_.pop(key, None)
        try:
            self.clear_callbacks(True, True)
        except TypeError:  # a subclass that takes no arguments
            self.clear_callbacks()
            self.access_callbacks = []
            self.connection_callbacks = []
        self._args.update(_NOTHING)
        self._seen = 0
        if deepclean and entry is not None:
            _core.leave(entry, self._on_connection, self._on_access)

    # Reading --------------------------------------------------------------------------------

    def get(
        self,
        count: int | None = None,
        as_string: bool = False,
        as_numpy: bool = True,
        timeout: float | None = None,
        with_ctrlvars: bool = False,
        use_monitor: bool = True,
    ) -> Any:
        """Read the value; see `get_with_metadata`. None when that gives None."""
        entry = self._entry
        if (
            use_monitor and not as_string and count is None and self.connected
            and not with_ctrlvars and self._monitor is not None and entry is not None
            and entry.conn and self.context is not None
        ):  # fmt: skip
            value = self._args["value"]
            if type(value) in (float, int, str) and self._args["nelm"] == 1:
                return value
        items = self.get_with_metadata(
            count=count, as_string=as_string, as_numpy=as_numpy, timeout=timeout,
            with_ctrlvars=with_ctrlvars, use_monitor=use_monitor,
        )  # fmt: skip
        return None if items is None else items["value"]

    def get_with_metadata(
        self,
        count: int | None = None,
        as_string: bool = False,
        as_numpy: bool = True,
        timeout: float | None = None,
        with_ctrlvars: bool = False,
        form: str | None = None,
        use_monitor: bool = True,
        as_namespace: bool = False,
    ) -> Any:
        """Read the value and what comes with it.

        Args:
            count: at most so many elements.
            as_string: the value as text.
            as_numpy: False: arrays are lists.
            timeout: seconds, for the connection and again for the answer; None:
                `connection_timeout`, and ``1 + log10(elements)``.
            with_ctrlvars: read units, limits, precision or states as well.
            form: ``'time'``, ``'ctrl'`` or ``'native'``; None: that of the PV.
            use_monitor: take what the monitor brought last.
            as_namespace: return a namespace.

        Returns:
            All that is known when the value is the monitor's, else what the form carries. None
            when the PV does not connect, or the answer does not come in time.

        Raises:
            CASeverityException: there is no read access.
            ChannelAccessGetFailure: the server answered with an error.
        """
        since = time.monotonic()
        if not self.wait_for_connection(timeout):
            return None
        args = self._args
        wanted = self.form if form is None else form.lower()
        limit = None if timeout is None else _io.remaining(timeout, since)
        value = args["value"]
        cached = (
            use_monitor and self._monitor is not None and wanted == self.form
            and value is not None and not with_ctrlvars
            and (count is None or count <= _length(value))
        )  # fmt: skip
        if cached:
            items = dict(args)
        else:
            fresh = self._fresh(count, wanted, limit)
            if fresh is None:
                return None
            items = fresh
            value = items["value"]
            if with_ctrlvars:
                self.get_ctrlvars()
                items = dict(args, value=value)
        items["value"] = self._shape(value, count, as_string, as_numpy)
        return SimpleNamespace(**items) if as_namespace else items

    def _fresh(self, count: int | None, form: str, timeout: float | None) -> dict[str, Any] | None:
        entry = self._checked()
        if not entry.conn:
            return None
        number = self._count if count is None else count
        number = 0 if number is None else min(int(number), max(entry.nelm, 1))
        if timeout is None:
            timeout = _io.default_timeout(number or entry.nelm)
        ftype = dbr.promote(entry.ftype, form == "time", form == "ctrl")
        answer = _io.fetch(entry, ftype, number, timeout)
        if answer is None:
            return None
        record, buffer = answer
        value = _values.elements(record, buffer, 0)
        items = _values.metadata(record, buffer, 0)
        args = self._args
        args.update(items)
        args["value"] = value
        args["count"] = record[8]
        self._set_char_value(value)
        items["value"] = value
        return items

    def _shape(self, value: Any, count: int | None, as_string: bool, as_numpy: bool) -> Any:
        """Give a raw value the form the caller wants."""
        nelm = self._args["nelm"]
        if as_string:
            return self._text(value, ask=True)
        if isinstance(value, numpy.ndarray):
            if count is not None and count < len(value):
                value = value[:count]
            return value if as_numpy and ca.HAS_NUMPY else value.tolist()
        if isinstance(value, list):
            value = value[:count] if count is not None else value
            return numpy.array(value, dtype=None if value else "U1") if as_numpy else value
        if nelm is not None and nelm > 1 and value is not None:
            if not (as_numpy and ca.HAS_NUMPY):
                return [value]
            if isinstance(value, str):
                return numpy.array([value])
            assert self.ftype is not None
            return numpy.array([value], dtype=dbr.NP_Map[dbr.native_type(self.ftype)])
        return value

    def get_ctrlvars(self, timeout: float = 5, warn: bool = True) -> dict[str, Any] | None:
        """Read units, limits, precision or states; None when there is no answer in time."""
        return self._control("ctrl", timeout, warn)

    def get_timevars(self, timeout: float = 5, warn: bool = True) -> dict[str, Any] | None:
        """Read alarm and time stamp; None when there is no answer in time."""
        return self._control("time", timeout, warn)

    def _control(self, form: str, timeout: float, warn: bool) -> dict[str, Any] | None:
        if not self.wait_for_connection():
            return None
        entry = self._checked()
        items = _io.control(entry, form, timeout, warn=warn)
        if items is None:
            return None
        if form == "ctrl":
            self.force_read_access_rights()
        args = self._args
        args.update(items)
        if form == "ctrl" and args["value"] is not None:
            self._set_char_value(args["value"])
        return dict(items)

    def _getarg(self, arg: str) -> Any:
        """Give an item of `_args`, and fetch it when it is not known."""
        args = self._args
        if args["value"] is None:
            self.get()
        if args[arg] is None:
            if arg in _TIME_ITEMS:
                self.get_timevars(timeout=1, warn=False)
            else:
                self.get_ctrlvars(timeout=1, warn=False)
        return args[arg]

    # Writing --------------------------------------------------------------------------------

    def put(
        self,
        value: Any,
        wait: bool = False,
        timeout: float = 30.0,
        use_complete: bool = False,
        callback: Callable[..., Any] | None = None,
        callback_data: Any = None,
    ) -> int | None:
        """Write the PV.

        Args:
            value: number, text (also the name of a state) or sequence.
            wait: wait until the record, and all it triggered, has processed.
            timeout: seconds of that wait.
            use_complete: `put_complete` tells when it has.
            callback: called when it has, as ``callback(pvname=, data=callback_data)``, or with
                the items of `callback_data` when that is a dict. On the dispatcher thread; with
                `wait` in the calling thread, before this returns.
            callback_data: see there.

        Returns:
            1; -1 when the wait took too long, or the server was lost meanwhile; None when the PV
            did not connect.

        Raises:
            CASeverityException: there is no write access; with `wait` also when the record
                refuses.
            TypeError, ValueError: the value cannot be sent.
        """
        if not self.wait_for_connection():
            return None
        entry = self._checked()
        value = self._state_number(value)
        if not (use_complete or callback is not None):
            self._put_complete = None
            return _io.put(entry, value, entry.ftype, wait, timeout)
        self._put_complete = False

        def completed(**keywords: Any) -> None:
            self._put_complete = True
            if callback is not None:
                callback(**keywords)

        return _io.put(entry, value, entry.ftype, wait, timeout, completed, callback_data)

    def _state_number(self, value: Any) -> Any:
        """Give the number of a state for its name; other values stay."""
        if not isinstance(value, str) or self._checked().ftype != dbr.ENUM:
            return value
        if self._args["enum_strs"] is None:
            self.get_ctrlvars()
        states = self._args["enum_strs"] or ()
        return states.index(value) if value in states else value

    # Monitoring -----------------------------------------------------------------------------

    @property
    def auto_monitor(self) -> Any:
        """None before the connection, then whether the PV is monitored; may be set at any time.

        True stands for `ca.DEFAULT_SUBSCRIPTION_MASK`, other numbers are masks.
        """
        mode = self._auto_monitor
        return mode if mode is None else bool(mode)

    @auto_monitor.setter
    def auto_monitor(self, value: Any) -> None:
        entry = self._entry
        self._auto_monitor = value
        if entry is None or not self.connected:
            return
        with entry.lock:
            if value is None:
                self._auto_monitor = value = entry.nelm < ca.AUTOMONITOR_MAXLENGTH
            mask = ca.DEFAULT_SUBSCRIPTION_MASK if value is True else int(value)
            if self._monitor is not None and (not value or mask != self.auto_monitor_mask):
                self._unsubscribe()
            if value and self._monitor is None and not entry.closed:
                self._subscribe()

    def clear_auto_monitor(self) -> None:
        """Stop monitoring; the callbacks stay."""
        self._checked()
        self.auto_monitor = False

    def _on_event(self, record: Any, buffer: Any, offset: int) -> None:
        """Handle a change, on the dispatcher thread."""
        if record[7] != 1:
            return
        args = self._args
        if args["pvname"] is None:
            return
        kind = record[3]
        if record[2] == 1 and 14 <= kind < 21:
            value: Any = record[12]
            if kind != 20 and kind != 16:
                value = int(value)
            args["value"] = value
            args["status"] = record[4]
            args["severity"] = record[5]
            args["posixseconds"] = seconds = record[9] + _EPOCH
            args["nanoseconds"] = nanoseconds = record[10]
            args["timestamp"] = seconds + 1e-6 * (nanoseconds // 1000)
        else:
            items = _values.event_items(record, buffer, offset)
            value = items["value"]
            args.update(items)
        args["count"] = record[8]
        self._set_char_value(value)
        if self._delta and self._is_close(value):
            return
        if self.verbose:
            ca.write(f"{self.pvname}: {args['char_value']} ({fmt_time(args['timestamp'])})")
        if self.callbacks:
            self.run_callbacks()

    def _is_close(self, value: Any) -> bool:
        """Whether a change is smaller than `monitor_delta`."""
        if not isinstance(value, float | int):
            return False
        last, delta = self._passed, self._delta
        if last is not None and delta is not None and abs(value - last) < delta:
            return True
        self._passed = value
        return False

    # Others ---------------------------------------------------------------------------------

    def poll(self, evt: float = 1.0e-4, iot: float = 1.0) -> None:
        """Wait `evt` seconds, so that callbacks may run."""
        ca.poll(evt=evt, iot=iot)

    def fmt_time(self, tstamp: float | None = None) -> str:
        """Format a time; see `fmt_time`."""
        return fmt_time(tstamp)

    @property
    def info(self) -> str | None:
        """A paragraph that describes the PV; None if it cannot connect."""
        return _info.paragraph(self)

    @property
    def put_complete(self) -> bool | None:
        """Whether the last put has processed; None if it was made without completion."""
        return self._put_complete


def _length(value: Any) -> int:
    return len(value) if isinstance(value, numpy.ndarray | list) else 1


default_pv_class: Any = PV
"""The class that `get_pv` makes PVs of; may be assigned."""


def get_pv(
    pvname: Any,
    form: str = "time",
    connect: bool = False,
    context: Any = None,
    timeout: float = 5.0,
    connection_callback: Callable[..., Any] | None = None,
    access_callback: Callable[..., Any] | None = None,
    callback: Any = None,
    verbose: bool = False,
    count: int | None = None,
    auto_monitor: Any = None,
    monitor_delta: float | None = None,
) -> Any:
    """Find the PV of a name and form in the cache, or make it with `default_pv_class`.

    Args:
        pvname: name, or a PV.
        form: ``'time'``, ``'ctrl'`` or ``'native'``; anything else is taken as ``'time'``.
        connect: wait for the connection; a line is printed if there is none in time.
        context: deprecated.
        timeout: seconds of that wait, and `connection_timeout` of a new PV.
        connection_callback: added; called at once if the PV is connected.
        access_callback: added; called at once if the PV is connected.
        callback: added; called at once if the PV is connected.
        verbose: see `PV`; only for a new PV.
        count: see `PV`; only for a new PV.
        auto_monitor: see `PV`; a cached PV is never switched off.
        monitor_delta: see `PV`; only for a new PV.
    """
    if form not in ("native", "time", "ctrl"):
        form = "time"
    name = pvname.pvname if isinstance(pvname, PV) else pvname
    here = _core.current() if not ca.is_finalized() else None
    if context is not None:
        warnings.warn("get_pv: the argument 'context' is deprecated", stacklevel=2)
        if context != here and (name, form, context) not in _PVcache_:
            message = f"get_pv: {name!r} is not known in context {context}"
            raise RuntimeError(message)
        here = context
    thispv = _PVcache_.get((name, form, here))
    if thispv is None:
        thispv = default_pv_class(
            name, form=form, callback=callback, verbose=verbose, count=count,
            auto_monitor=auto_monitor, connection_timeout=timeout,
            connection_callback=connection_callback, access_callback=access_callback,
            **({} if monitor_delta is None else {"monitor_delta": monitor_delta}),
        )  # fmt: skip
        _PVcache_[(name, form, here)] = thispv
    else:
        _add_to_known(thispv, connection_callback, access_callback, callback, auto_monitor)
    if connect and not thispv.wait_for_connection(timeout=timeout):
        ca.write(f"cannot connect to {name}")
    return thispv


def _add_to_known(
    pv: Any,
    connection_callback: Callable[..., Any] | None,
    access_callback: Callable[..., Any] | None,
    callback: Any,
    auto_monitor: Any,
) -> None:
    """Add to a PV of the cache what `get_pv` was given."""
    if connection_callback is not None:
        if pv.connected:
            connection_callback(pvname=pv.pvname, conn=True, pv=pv)
        pv.connection_callbacks.append(connection_callback)
    if access_callback is not None:
        if pv.connected:
            access_callback(pv.read_access, pv.write_access, pv=pv)
        pv.access_callbacks.append(access_callback)
    if callback is not None:
        index = pv.add_callback(callback)
        if pv.connected:
            pv.run_callback(index)
    if auto_monitor and not pv.auto_monitor:
        pv.auto_monitor = auto_monitor


def clear_pvcache() -> None:
    """Disconnect and forget all PVs of the cache."""
    for pv in list(_PVcache_.values()):
        try:
            pv.disconnect()
        except RuntimeError:  # its context was taken away
            continue
    _PVcache_.clear()


def after_fork() -> None:
    """In the child of a fork: the PVs of the parent are not those of the cache."""
    _PVcache_.clear()


ca.register_clear_cache(clear_pvcache)
