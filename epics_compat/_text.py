"""The value of a `PV` as text."""

from __future__ import annotations

import time
from typing import Any

import numpy

from epics_compat import _values, ca, dbr
from epics_compat._state import State

__all__ = ["Text", "fmt_time"]


def fmt_time(tstamp: float | None = None) -> str:
    """Format a time (Unix seconds; None: now) as local ``YYYY-mm-dd HH:MM:SS.ddddd``."""
    if tstamp is None:
        tstamp = time.time()
    whole = int(tstamp)
    shown = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(whole))
    return f"{shown}.{round(1e5 * (tstamp - whole)):05.0f}"


class Text(State):
    """How a PV turns values into text, by its type and what it knows of the record."""

    def _text(self, value: Any, *, ask: bool) -> Any:
        """Convert a value to text.

        Args:
            value: as it was decoded.
            ask: read precision or states if they are not known.
        """
        args = self._args
        base = dbr.native_type(args["ftype"]) if args["ftype"] is not None else -1
        if isinstance(value, str) or (base == dbr.STRING and isinstance(value, list)):
            return [*value] if isinstance(value, list) else value
        if base == dbr.CHAR and args["nelm"] != 1:
            return _values.char_text(value)
        if isinstance(value, numpy.ndarray):
            return f"<array size={len(value)}, type={args['type']}>"
        if base in (dbr.FLOAT, dbr.DOUBLE):
            if args["precision"] is None and ask:
                self.get_ctrlvars()
            if args["precision"] is None or not isinstance(value, float):
                return str(value)
            return _values.float_text(value, args["precision"])
        if base == dbr.ENUM:
            if args["enum_strs"] is None and ask:
                self.get_ctrlvars()
            states = args["enum_strs"]
            return states[value] if states and 0 <= value < len(states) else str(value)
        return str(value)

    def _set_char_value(self, value: Any) -> None:
        args = self._kept or self._args
        if isinstance(value, float):
            args["char_value"] = _values.float_text(value, args["precision"])
        elif (
            isinstance(value, numpy.ndarray) and value.dtype.kind == "u"
            and (args["nelm"] or 0) >= ca.AUTOMONITOR_MAXLENGTH
        ):  # fmt: skip
            args["char_value"] = f"<array size={len(value)}, type={args['type']}>"
        else:
            args["char_value"] = self._text(value, ask=False)

    @property
    def char_value(self) -> Any:
        """The value as text: numbers with their precision, enums by the name of the state.

        ``'None'`` when there is no value.
        """
        args = self._args
        base = dbr.native_type(args["ftype"]) if args["ftype"] is not None else -1
        wanted = {dbr.FLOAT: "precision", dbr.DOUBLE: "precision", dbr.ENUM: "enum_strs"}.get(base)
        if wanted is not None and args[wanted] is None and self.connected:
            self.get_ctrlvars(timeout=1, warn=False)
        text = self._getarg("char_value")
        return "None" if text is None else text
