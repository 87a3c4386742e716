"""`Alarm`: tell when the value of a PV passes a trip point."""

from __future__ import annotations

import operator
import time
from typing import TYPE_CHECKING, Any

from epics_compat import ca, pv

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["INVALID_ALARM", "MAJOR_ALARM", "MINOR_ALARM", "NO_ALARM", "Alarm"]

NO_ALARM = 0
MINOR_ALARM = 1
MAJOR_ALARM = 2
INVALID_ALARM = 3


class Alarm:
    """Watches a PV, and calls a function when its value turns bad.

    Args:
        pvname: name of the PV, or a PV.
        comparison: ``eq == ne != le <= lt < ge >= gt >``, or ``f(value, trip_point) -> bool``.
        trip_point: what the value is compared with.
        callback: called on the dispatcher thread as ``callback(pvname=, value=, char_value=,
            trip_point=, comparison=, ...)`` with all keywords of a PV callback; None: print.
        alert_delay: seconds after an alert in which there is no other.

    Raises:
        UserWarning: there is no comparison or no trip point.

    Only changes are looked at, and only the first of a row of bad values gives an alert.
    """

    ops: dict[str, Callable[[Any, Any], Any]] = {  # noqa: RUF012
        "eq": operator.eq,
        "==": operator.eq,
        "ne": operator.ne,
        "!=": operator.ne,
        "le": operator.le,
        "<=": operator.le,
        "lt": operator.lt,
        "<": operator.lt,
        "ge": operator.ge,
        ">=": operator.ge,
        "gt": operator.gt,
        ">": operator.gt,
    }

    def __init__(
        self,
        pvname: Any,
        comparison: Any = None,
        trip_point: Any = None,
        callback: Callable[..., Any] | None = None,
        alert_delay: float = 10,
    ) -> None:
        if isinstance(pvname, pv.PV):
            self.pv: Any = pvname
        else:
            self.pv = pv.get_pv(pvname)
            self.pv.connect()
        if comparison is None or trip_point is None:
            message = "an Alarm needs a comparison and a trip point"
            raise UserWarning(message)
        self.trip_point = trip_point
        self.last_alert = 0.0
        self.alert_delay = alert_delay
        self.user_callback = callback
        self.cmp: Callable[[Any, Any], Any] | None = None
        self.comp_name = "Not Defined"
        if callable(comparison):
            self.comp_name = getattr(comparison, "__name__", repr(comparison))
            self.cmp = comparison
        else:
            word = str(comparison).replace("_", "")
            if word in self.ops:
                self.comp_name = str(comparison)
                self.cmp = self.ops[word]
        self.alarm_state = False
        self.pv.add_callback(self.check_alarm)

    def __repr__(self) -> str:
        name, word = self.pv.pvname, self.comp_name
        return f"<Alarm pvname='{name}',comp='{word}','trip_point={self.trip_point}>"

    def reset(self) -> None:
        """Forget that the value was bad, and the time of the last alert."""
        self.last_alert = 0.0
        self.alarm_state = False

    def check_alarm(
        self, pvname: str | None = None, value: Any = None, char_value: Any = None, **kw: Any
    ) -> None:
        """Look at a value: the callback of the PV."""
        if value is None or self.cmp is None:
            return
        before = self.alarm_state
        self.alarm_state = bool(self.cmp(value, self.trip_point))
        now = time.time()
        if not self.alarm_state or before or now - self.last_alert <= self.alert_delay:
            return
        self.last_alert = now
        if callable(self.user_callback):
            self.user_callback(
                pvname=pvname, value=value, char_value=char_value, trip_point=self.trip_point,
                comparison=self.comp_name, **kw,
            )  # fmt: skip
        else:
            ca.write(f"Alarm: {pvname}={char_value} ({time.ctime()})")
