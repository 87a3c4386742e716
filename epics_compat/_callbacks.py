"""The callbacks of `PV`."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, ClassVar

from cachannel.context import report
from epics_compat import ca
from epics_compat._state import State

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Callbacks"]


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
        indices = list(self.callbacks)
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
        if len(indices) > 1:
            try:
                indices.sort()
            except TypeError:
                indices.sort(key=str)
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
            with_ctrlvars: read units, limits, precision or states now, if connected.
            kw: more keywords for it.

        Returns:
            The index.
        """
        self._checked()
        if not callable(callback):
            return index
        if index is None:
            numbers = [number for number in self.callbacks if isinstance(number, int)]
            index = 1 + max(numbers, default=0)
        self.callbacks[index] = (callback, kw)
        if self.connected and self._monitor is None and not self._auto_monitor and not run_now:
            self._warn_unmonitored()
        if with_ctrlvars and self.connected:
            self.get_ctrlvars()
        if run_now:
            self.get(as_string=True)
            if self.connected:
                self.run_callback(index)
        return index

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
