"""The reading properties of `PV`."""

from __future__ import annotations

from typing import Any

from epics_compat import dbr
from epics_compat._state import State

__all__ = ["Properties"]


class Properties(State):
    """What a PV knows, as attributes. What is not known yet is fetched by `_getarg`."""

    @property
    def value(self) -> Any:
        """The value that is known, one element of an array as a scalar; read when none is.

        Assigning it is a put.
        """
        return self._getarg("value")

    @value.setter
    def value(self, v: Any) -> None:
        self.put(v)

    @property
    def status(self) -> Any:
        """The alarm status, an int."""
        return self._getarg("status")

    @property
    def char_status(self) -> str:
        """The name of the alarm status."""
        return _name(dbr.AlarmStatus, self.status)

    @property
    def severity(self) -> Any:
        """The alarm severity, an int."""
        return self._getarg("severity")

    @property
    def char_severity(self) -> str:
        """The name of the alarm severity."""
        return _name(dbr.AlarmSeverity, self.severity)

    @property
    def type(self) -> str:
        """The DBR type, such as ``'time_double'``; ``'unknown'`` before the connection."""
        kind = self._args["type"]
        return "unknown" if kind is None else str(kind)

    @property
    def typefull(self) -> str:
        """The same as `type`."""
        return self.type

    @property
    def host(self) -> Any:
        """``'name:port'`` of the server."""
        return self._getarg("host")

    @property
    def count(self) -> Any:
        """How many elements the last value had, or the ``count`` of the PV."""
        known = self._args["count"]
        return self._getarg("count") if known is None else known

    @property
    def nelm(self) -> Any:
        """How many elements the channel can hold; 0 before the connection."""
        if self.connected:
            self._checked()
        return max(self._getarg("nelm") or 0, 0)

    @property
    def read_access(self) -> Any:
        """Whether the PV may be read."""
        return self._getarg("read_access")

    @property
    def write_access(self) -> Any:
        """Whether the PV may be written."""
        return self._getarg("write_access")

    @property
    def access(self) -> Any:
        """The rights as text."""
        return self._getarg("access")

    @property
    def monitor_delta(self) -> Any:
        """Changes smaller than this are not wanted."""
        return self._args["monitor_delta"]

    @property
    def timestamp(self) -> Any:
        """When the value was processed: Unix seconds, cut to microseconds."""
        return self._getarg("timestamp")

    @property
    def posixseconds(self) -> Any:
        """The whole seconds of the time stamp, a float."""
        return self._getarg("posixseconds")

    @property
    def nanoseconds(self) -> Any:
        """The nanoseconds of the time stamp."""
        return self._getarg("nanoseconds")

    @property
    def precision(self) -> Any:
        """Digits to show; None for types other than FLOAT and DOUBLE."""
        return self._getarg("precision")

    @property
    def units(self) -> Any:
        """The units."""
        return self._getarg("units")

    @property
    def enum_strs(self) -> Any:
        """The names of the states, a tuple; None for types other than ENUM."""
        return self._getarg("enum_strs")


def _name(kind: Any, number: Any) -> str:
    if number is None:
        return "UNKNOWN"
    return str(kind(number).name)


def _limit(name: str) -> property:
    def limit(self: Properties) -> Any:
        return self._getarg(name)

    limit.__name__ = name
    limit.__doc__ = f"The {name.replace('_', ' ')} of the record."
    return property(limit)


for _limit_name in dbr.ctrl_limits:
    setattr(Properties, _limit_name, _limit(_limit_name))
