"""The callbacks of `PV`."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, ClassVar

import numpy

from cachannel.context import report
from epics_compat import ca
from epics_compat._state import State

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Callbacks"]


def _are_same(told: tuple[Any, ...], present: tuple[Any, ...]) -> bool:
    if told[1:] != present[1:]:
        return False
    one, other = told[0], present[0]
    if isinstance(one, numpy.ndarray) and isinstance(other, numpy.ndarray):
        return one is other or numpy.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    return type(one) is type(other) and bool(one == other or (one != one and other != other))


def _in_order(callbacks: dict[Any, Any]) -> list[Any]:
    indices = list(callbacks)
    if len(indices) > 1:
        try:
            indices.sort()
        except TypeError:
            indices.sort(key=str)
    return indices


class Callbacks(State):
    """Functions that are called at every change, by their indices."""

    _runs_its_own: ClassVar[bool] = False
    """Whether a subclass has a `run_callback` of its own."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._runs_its_own = cls.run_callback is not Callbacks.run_callback

    def run_callbacks(self) -> None:
        """Run all callbacks here and now, in the order of their indices."""
        if self.context is None:
            self._checked()
        indices = _in_order(self.callbacks)
        if len(indices) == 1 and not self._runs_its_own:
            # The usual case, and many times a second: without one more call.
            index = indices[0]
            function, extra = self.callbacks[index]
            keywords = (self._kept or self._args).copy()
            if extra:
                keywords.update(extra)
            keywords["cb_info"] = index, self
            if callable(function):
                try:
                    function(**keywords)
                except Exception as exc:
                    report(exc, function)
            return
        for index in indices:
            self.run_callback(index)

    def run_callback(self, index: Any) -> None:
        """Run one callback here and now; an unknown index is ignored.

        An exception in it is reported to `sys.unraisablehook`, and stops nothing.
        """
        if self.context is None:
            self._checked()
        try:
            function, extra = self.callbacks[index]
        except KeyError:
            return
        keywords = {**(self._kept or self._args), **extra, "cb_info": (index, self)}
        if callable(function):
            try:
                function(**keywords)
            except Exception as exc:
                report(exc, function)

    def add_callback(
        self,
        callback: Callable[..., Any] | None = None,
        index: Any = None,
        run_now: bool = False,
        with_ctrlvars: bool = True,
        **kw: Any,
    ) -> Any:
        """Have a function called at every change, with keywords.

        Args:
            callback: the function. If it cannot be called nothing happens.
            index: what it replaces and is removed by; None: a new number.
            run_now: run it once now, here.
            with_ctrlvars: read units, limits, precision or states now; if not connected, with
                the first event.
            kw: more keywords for it.

        Returns:
            The index.
        """
        self._checked()
        if not callable(callback):
            return index
        if run_now:
            return self._add_and_run(callback, index, kw, with_ctrlvars, read=True)
        index = self._add(callback, index, kw)
        if self.connected and self._monitor is None and not self._auto_monitor:
            self._warn_unmonitored()
        if with_ctrlvars:
            self._want_metadata()
        return index

    def _add(self, callback: Callable[..., Any], index: Any, extra: dict[str, Any]) -> Any:
        if index is None:
            numbers = [number for number in self.callbacks if isinstance(number, int)]
            index = 1 + max(numbers, default=0)
        self.callbacks[index] = (callback, extra)
        return index

    def _want_metadata(self) -> None:
        """Read units, limits, precision or states; without a connection let an event bring them."""
        self._metadata_wanted = True
        if self.connected:
            self.get_ctrlvars()

    def _add_and_run(
        self, callback: Callable[..., Any], index: Any, extra: dict[str, Any], with_ctrlvars: bool,
        *, read: bool,
    ) -> Any:  # fmt: skip
        """Add a callback and run it for the present value, once.

        The monitor may have begun just now: then its first event brings the same value. It is
        added after all waits, and `_run_first` leaves it out if the event has no news.
        """
        try:
            if with_ctrlvars:
                self._want_metadata()
            if read:
                self.get(as_string=True)
        except BaseException:
            self._add(callback, index, extra)
            raise
        with self._checked().lock:
            index = self._add(callback, index, extra)
            now = self.connected
            if now and self._first_pending and self._monitor is not None:
                self._told_early = {**(self._told_early or {}), index: self._present()}
        if now:
            self.run_callback(index)
        return index

    def _present(self) -> tuple[Any, ...]:
        """What tells an event from the one before it."""
        args = self._args
        stamp = (None, None) if self.form == "native" else (args["timestamp"], args["status"])
        return args["value"], args["severity"], *stamp

    def _run_first(self) -> None:
        """Run the callbacks for the first event of the monitor, but those that know its value.

        A callback that is added from now on is run by `_add_and_run`, and not here.
        """
        entry = self._entry
        if entry is None:
            return
        with entry.lock:
            told, self._told_early, self._first_pending = self._told_early or {}, None, False
            indices = _in_order(self.callbacks)
        present = self._present() if told else ()
        for index in indices:
            if index not in told or not _are_same(told[index], present):
                self.run_callback(index)

    def _warn_unmonitored(self) -> None:
        if self._args["nelm"] is not None and self._args["nelm"] >= ca.AUTOMONITOR_MAXLENGTH:
            warnings.warn(
                f"PV '{self.pvname}' is not monitored (it has {self._args['nelm']} elements): "
                "callbacks run when auto_monitor is set",
                stacklevel=3,
            )

    def remove_callback(self, index: Any = None) -> None:
        """Remove a callback; an unknown index is ignored."""
        self._checked()
        self.callbacks.pop(index, None)

    def clear_callbacks(
        self, with_access_callback: bool = False, with_connect_callback: bool = False
    ) -> None:
        """Remove the callbacks of changes, and if asked those of access and connection."""
        self.callbacks = {}
        if with_access_callback:
            self.access_callbacks = []
        if with_connect_callback:
            self.connection_callbacks = []
