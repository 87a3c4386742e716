"""Reading a `PV`: from its monitor, or fresh from the server."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import numpy

from epics_compat import _io, _values, ca, dbr
from epics_compat._errors import shorten
from epics_compat._state import State

__all__ = ["Reading"]

_TIME_ITEMS = frozenset(_values.TIME_ITEMS)


class Reading(State):
    """The gets of a PV."""

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
            args = self._args
            value = args["value"]
            if type(value) in (float, int, str) and args["nelm"] == 1:
                return value
        try:
            items = self.get_with_metadata(
                count=count, as_string=as_string, as_numpy=as_numpy, timeout=timeout,
                with_ctrlvars=with_ctrlvars, use_monitor=use_monitor,
            )  # fmt: skip
        except Exception as exc:
            shorten(exc)
            raise
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
            when the PV does not connect (with a warning the first time), or the answer does not
            come in time (with a warning each time). A connection that is lost meanwhile is waited
            for as long as there is time.

        Raises:
            CASeverityException: there is no read access.
            ChannelAccessGetFailure: the server answered with an error.
            ChannelAccessDisconnected, ChannelAccessTimeout: in place of None, when
                `ca.RAISE_ERRORS` is set.
        """
        since = time.monotonic()
        if not self.wait_for_connection(timeout):
            self._say_disconnected("get")
            return None
        args = self._args
        wanted = self.ftype if form is None else self._type_of(form)
        limit = None if timeout is None else _io.remaining(timeout, since)
        value = args["value"]
        cached = (
            use_monitor and self._monitor is not None and wanted == self.ftype
            and value is not None and not with_ctrlvars
            and (count is None or count <= _length(value))
        )  # fmt: skip
        if cached:
            items = dict(args)
        else:
            try:
                fresh = self._fresh(count, self._type_of(form), limit)
            except Exception as exc:
                shorten(exc)
                raise
            if fresh is None:
                return None
            items = fresh
            value = items["value"]
            if with_ctrlvars:
                self.get_ctrlvars()
                items = dict(args, value=value)
        items["value"] = self._shape(value, count, as_string, as_numpy)
        return SimpleNamespace(**items) if as_namespace else items

    def _type_of(self, form: str | None) -> int:
        """Give the DBR type of a form; None: that of the PV, and any other text is native."""
        form = self.form if form is None else form.lower()
        return dbr.promote(self._checked().ftype, form == "time", form == "ctrl")

    def _fresh(self, count: int | None, ftype: int, timeout: float | None) -> dict[str, Any] | None:
        entry = self._checked()
        number = self._count if count is None else count
        number = 0 if number is None else min(int(number), max(entry.nelm, 1))
        if timeout is None:
            timeout = _io.default_timeout(number or entry.nelm)
        answer = _io.fetch(entry, ftype, number, timeout)
        if answer is None:
            return None
        record, buffer = answer
        value = _values.of_channel(record, _values.elements(record, buffer, 0), entry.nelm)
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

    def get_ctrlvars(self, timeout: float | None = 5, warn: bool = True) -> dict[str, Any] | None:
        """Read units, limits, precision or states; None when there is no answer in time."""
        return self._control("ctrl", timeout, warn)

    def get_timevars(self, timeout: float | None = 5, warn: bool = True) -> dict[str, Any] | None:
        """Read alarm and time stamp; None when there is no answer in time."""
        return self._control("time", timeout, warn)

    def _control(self, form: str, timeout: float | None, warn: bool) -> dict[str, Any] | None:
        if not self.wait_for_connection():
            if warn:
                self._say_disconnected(f"get_{form}vars")
            return None
        entry = self._checked()
        try:
            items = _io.control(entry, form, timeout, warn=warn)
        except Exception as exc:
            shorten(exc)
            raise
        if items is None:
            return None
        if form == "ctrl":
            self.force_read_access_rights()
        args = self._args
        args.update(items)
        if form == "ctrl":
            if args["value"] is not None:
                self._set_char_value(args["value"])
            self._watch_properties()
        return dict(items)

    def _getarg(self, arg: str) -> Any:
        """Give an item of `_args`, and fetch it when it is not known."""
        args = self._args
        if args["value"] is None and not (self.connected and args[arg] is not None):
            self.get()
        if args[arg] is None:
            if arg in _TIME_ITEMS:
                self.get_timevars(timeout=1, warn=False)
            else:
                self.get_ctrlvars(timeout=1, warn=False)
        return args[arg]


def _length(value: Any) -> int:
    return len(value) if isinstance(value, numpy.ndarray | list) else 1
