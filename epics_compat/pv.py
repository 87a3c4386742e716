"""`PV`: a process variable with its value, its metadata and callbacks, and the cache of PVs.

Callbacks run on the dispatcher thread of the context, for one PV in the order of the events.
Anything may be called in them: gets, puts that wait, making and connecting other PVs.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from epics_compat import _client, _core, _info, ca, dbr
from epics_compat._callbacks import Callbacks
from epics_compat._connecting import Connecting
from epics_compat._errors import shorten
from epics_compat._monitoring import Monitoring
from epics_compat._properties import Properties
from epics_compat._reading import Reading
from epics_compat._text import Text, fmt_time
from epics_compat._writing import Writing

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PV", "after_fork", "clear_pvcache", "default_pv_class", "fmt_time", "get_pv"]

_PVcache_: dict[tuple[str, str, int | None], PV] = {}


class PV(Connecting, Reading, Writing, Monitoring, Callbacks, Text, Properties):
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
        monitor_delta: changes smaller than this are not wanted: it is written to MDEL of the
            record, if that is a scalar of floating point and may be written, and smaller changes
            are left out here. Changes of the alarm come in any case.
        context: an int: the context of `ca` to be in; a `cachannel.threading.client.Context`:
            where `_caproto_pv` comes from.

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
        self.pvname = pvname.strip()
        self.form = form = form.lower()
        self.verbose = verbose
        self.ftype = _UNKNOWN.get(form, -1)
        self.connection_timeout = (
            ca.DEFAULT_CONNECTION_TIMEOUT if connection_timeout is None else connection_timeout
        )
        self._auto_monitor = auto_monitor
        self._count = count
        self._delta = monitor_delta
        self.callbacks = {} if callback is None else _numbered(callback)
        if self.callbacks:
            self._metadata_wanted = True
        if connection_callback is not None:
            self._connection_callbacks = [connection_callback]
        if access_callback is not None:
            self._access_callbacks = [access_callback]
        if ca.is_finalized():
            return
        try:
            if context is None:
                self.context = _core.current()
            else:
                self._enter(context)
            self._hook()
        except Exception as exc:
            shorten(exc)
            raise

    def _enter(self, context: Any) -> None:
        """Be in the context that was asked for.

        Raises:
            RuntimeError: there is no such context.
        """
        if not isinstance(context, int):
            self._client = context
            self.context = _core.current()
            return
        _core.current()
        if not _core.is_open(context):
            message = f"PV {self.pvname!r}: there is no context {context}"
            raise RuntimeError(message)
        self.context = context

    def __repr__(self) -> str:
        if not self.connected:
            return f"<PV '{self.pvname}': not connected>"
        args = self._args
        count = args["count"]
        size = "1" if count == 1 else f"{count}/{args['nelm']}"
        return (
            f"<PV '{self.pvname}', count={size}, type={args['typefull']}, access={args['access']}>"
        )

    def _repr_html_(self) -> str:
        """A table for notebooks, of what is known; nothing is read for it."""
        return _info.table(self)

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
            for monitor in (self._monitor, self._properties):
                if monitor is not None:
                    monitor.close()
        except Exception:  # at the end of the interpreter anything may be gone
            return

    def disconnect(self, deepclean: bool = True) -> None:
        """Stop: no callback of this PV starts any more, and its values are forgotten.

        The channel stays open for others. May be called more than once.

        Args:
            deepclean: let go of the channel, so that the PV can be collected.
        """
        self._checked()
        self.connected = False
        self._unsubscribe()
        for key in ((self.pvname, self.form, self.context), self._cached_as):
            if key is not None and _PVcache_.get(key) is self:
                _PVcache_.pop(key, None)
        try:
            self.clear_callbacks(True, True)
        except TypeError:  # a subclass that takes no arguments
            self.clear_callbacks()
            self.access_callbacks = []
            self.connection_callbacks = []
        self._let_go(deepclean)

    def poll(self, evt: float = 1.0e-4, iot: float = 1.0) -> None:
        """Wait `evt` seconds, so that callbacks may run."""
        self._checked()
        ca.poll(evt=evt, iot=iot)

    def fmt_time(self, tstamp: float | None = None) -> str:
        """Format a time; see `fmt_time`."""
        return fmt_time(tstamp)

    @property
    def info(self) -> str | None:
        """A paragraph that describes the PV; None if it cannot connect."""
        return self._getinfo()

    def _getinfo(self) -> str | None:
        """Make the text of `info`; subclasses may have another."""
        return _info.paragraph(self)

    @property
    def _caproto_pv(self) -> Any:
        """The PV of this name in `cachannel.threading.client`, connected if this one is.

        Its ``context`` is the one that was given to `PV`, or one that all PVs share.
        """
        made = _client.pv_of(self.pvname, self._client)
        if self.connected and not made.connected:
            _client.wait(made, self.connection_timeout)
        return made


_UNKNOWN = {"time": dbr.TIME_STRING - 1, "ctrl": dbr.CTRL_STRING - 1}
"""What `PV.ftype` is before the connection, by the form; -1 for others."""


def _numbered(callback: Any) -> dict[Any, tuple[Callable[..., Any], dict[str, Any]]]:
    """Number the callbacks that a PV is made with, by their places in the list."""
    given = callback if isinstance(callback, list | tuple) else (callback,)
    return {index: (function, {}) for index, function in enumerate(given) if callable(function)}


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
        thispv._cached_as = (name, form, here)
    else:
        _add_to_known(thispv, connection_callback, access_callback, callback, auto_monitor)
    if connect and not (thispv.wait_for_connection(timeout=timeout) or ca.is_finalized()):
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
        if pv.connected and callable(callback) and type(pv).add_callback is PV.add_callback:
            pv._add_and_run(callback, None, {}, True, read=False)
        else:
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
