"""The paragraph that `PV.info` and `cainfo` show."""

from __future__ import annotations

import html
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from epics_compat.pv import PV

__all__ = ["paragraph"]

_FIRST = ("char_value", "count", "nelm", "type", "units", "precision", "host", "access",
          "monitor_delta", "status", "char_status", "severity", "char_severity", "timestamp",
          "posixseconds", "nanoseconds", "upper_ctrl_limit", "lower_ctrl_limit",
          "upper_disp_limit", "lower_disp_limit", "upper_alarm_limit", "lower_alarm_limit",
          "upper_warning_limit", "lower_warning_limit")  # fmt: skip
_SHOWN = 5


def _row(name: str, text: str) -> str:
    width = 15 if len(name) <= 14 else 20
    return f"   {name:{width}s} = {text}"


def _scalar(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


def _value(value: Any) -> str:
    if value is None or isinstance(value, str | int | float):
        return _row("value", _scalar(value))
    shown = ",".join(_scalar(getattr(item, "item", lambda i=item: i)()) for item in value[:_SHOWN])
    more = ",...." if len(value) > 10 else ""
    return _row("value", f" array  [{shown}{more}]")


_IN_TABLE = ("units", "type", "severity", "status", "timestamp", "access", "host")


def table(pv: PV) -> str:
    """Describe a PV in HTML, by what is known of it."""
    args = pv._args
    rows = {"PV": pv.pvname}
    if not pv.connected:
        rows["connection"] = "not connected"
    else:
        rows["value"] = str(args["char_value"])
        rows |= {name: str(args[name]) for name in _IN_TABLE if args[name] is not None}
        if args["severity"] is not None:
            rows |= {"severity": pv.char_severity, "status": pv.char_status}
        if args["timestamp"] is not None:
            rows["timestamp"] = pv.fmt_time(args["timestamp"])
        if args["nelm"] != 1:
            rows["count"] = f"{args['count']} of {args['nelm']}"
    cells = (
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(text)}</td></tr>"
        for name, text in rows.items()
    )
    return f"<table>{''.join(cells)}</table>"


def paragraph(pv: PV) -> str | None:
    """Describe a PV; None if it cannot connect."""
    if not pv.wait_for_connection():
        return None
    if pv._args["value"] is None:
        pv.get()
    # The states of an enum are wanted for the text of its value.
    if pv._args["precision"] is None and pv._args["enum_strs"] is None:
        pv.get_ctrlvars()
    kind = pv.type
    lines = [f"== {pv.pvname}  ({kind if '_' in kind else 'native_' + kind}) =="]
    lines.append(_value(pv.value))
    for name in _FIRST:
        item = getattr(pv, name)
        if item is None:
            continue
        if name == "char_value":
            text = f"'{item}'"
        elif name == "timestamp":
            text = f"{item:.3f} ({pv.fmt_time(item)})"
        else:
            text = str(item)
        lines.append(_row(name, text))
    if pv.enum_strs:
        lines.append("   enum strings: ")
        lines += [f"       {number} = {state}" for number, state in enumerate(pv.enum_strs)]
    if pv._monitor is None:
        lines.append("   PV is NOT internally monitored")
    else:
        lines.append(
            f"   PV is internally monitored, with {len(pv.callbacks)} user-defined callbacks"
        )
        for index in sorted(pv.callbacks, key=str):
            function = pv.callbacks[index][0]
            code = getattr(function, "__code__", None)
            name = getattr(function, "__name__", repr(function))
            file = os.path.basename(code.co_filename) if code is not None else "?"
            lines.append(f"      {name} in file '{file}'")
    lines.append("=" * 29)
    return "\n".join(lines)
