"""The channels of properties: channel data that knows its name, group, hooks and record."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Sequence
from enum import IntEnum
from types import GenericAlias, MethodType
from typing import Any

from cachannel.protocol.channel_types import AccessRights, ChannelType
from cachannel.protocol.errors import CaprotoKeyError, CaprotoValueError

from .alarm import ChannelAlarm
from .data import EPOCH_NS, ChannelData, standard
from .describing import described, value_text
from .numeric import (
    ChannelByte,
    ChannelDouble,
    ChannelFloat,
    ChannelInteger,
    ChannelNumeric,
    ChannelShort,
)
from .text import ChannelChar, ChannelEnum, ChannelString

__all__ = [
    "PvpropertyBoolEnum",
    "PvpropertyBoolEnumRO",
    "PvpropertyByte",
    "PvpropertyByteRO",
    "PvpropertyChar",
    "PvpropertyCharRO",
    "PvpropertyData",
    "PvpropertyDouble",
    "PvpropertyDoubleRO",
    "PvpropertyEnum",
    "PvpropertyEnumRO",
    "PvpropertyFloat",
    "PvpropertyFloatRO",
    "PvpropertyInteger",
    "PvpropertyIntegerRO",
    "PvpropertyReadOnlyData",
    "PvpropertyShort",
    "PvpropertyShortRO",
    "PvpropertyString",
    "PvpropertyStringRO",
    "of_one_number",
    "pvspec_type_map",
    "pvspec_type_map_read_only",
]

_default_log = logging.getLogger("cachannel.server")


class _ClassDoc:
    """The docstring of a class whose instances have another one, or None."""

    def __init__(self, text: str | None) -> None:
        self._text = text

    def __get__(self, instance: Any, owner: type | None = None) -> str | None:
        return self._text if instance is None else None


class PvpropertyData(ChannelData):
    """What a property's channel has beyond a `ChannelData`.

    Args:
        pvname: the PV's name.
        group: the group it belongs to; None for a `PVSpec` on its own.
        pvspec: what the property says.
        doc: description.
        record: record type, by name or class.
        logger: for what concerns this channel; the group's if absent.
        **kwargs: see the data class.
    """

    pvname: str = ""
    group: Any = None
    pvspec: Any = None
    putter: Any = None
    startup: Any = None
    shutdown: Any = None
    scan: Any = None
    record_type: str | None = None
    _logger: logging.Logger | None = None

    def __init__(
        self,
        *,
        pvname: str = "",
        group: Any = None,
        pvspec: Any = None,
        doc: str | None = None,
        record: Any = None,
        logger: logging.Logger | None = None,
        **kwargs: Any,
    ) -> None:
        self.pvname = pvname
        self.group = group
        self.pvspec = pvspec
        if logger is not None:
            self._logger = logger
        if doc is not None:
            self.__doc__ = doc
        super().__init__(**kwargs)
        self._bind(group, pvspec)
        if record is not None:
            from .field_spec import get_record_class

            record_class = get_record_class(record)
            self.record_type = record_class._record_type
            self.reported_record_type = self.record_type or self.reported_record_type
            fields = record_class(prefix="", parent=self, name=f"{self.name}.fields")
            # A property without a value has the default of its type, but is not defined yet.
            given = kwargs.get("value") if pvspec is None else pvspec.value
            if given is not None:
                fields.value_stored(self._value)
            self._field_inst = fields

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # The doc of a channel is the property's description, and DESC shows it.
        cls.__doc__ = _ClassDoc(cls.__doc__)  # type: ignore[assignment]

    @classmethod
    def _of_number(
        cls, pvname: str, value: float, group: Any, pvspec: Any, alarm: ChannelAlarm | None
    ) -> Any:
        """Make a channel of one number that has only defaults besides.

        The constructors come to the same, five calls later; IOCs have such channels by the ten
        thousand, and this is what their start takes longest for.
        """
        channel = cls.__new__(cls)
        channel.pvname = pvname
        channel.group = group
        channel.pvspec = pvspec
        if alarm is not None:
            channel.alarm = alarm
        if pvspec.doc is not None:
            channel.__doc__ = pvspec.doc
        channel._value = channel.preprocess_value(value)
        channel._stamp_ns = time.time_ns() - EPOCH_NS
        if value != value and isinstance(channel, ChannelNumeric):  # NaN
            channel._judge_first()
        return channel

    def _bind(self, group: Any, pvspec: Any) -> None:
        """Make the hooks methods of the group; only those that there are take memory."""
        if pvspec is None:
            return

        def bound(hook: Any) -> Any:
            return hook if group is None else MethodType(hook, group)

        if pvspec.get is not None:
            self._getter = bound(pvspec.get)
        elif group is not None and group._has_group_read:
            self._getter = group.group_read
        if pvspec.put is not None:
            self.putter = bound(pvspec.put)
        elif group is not None and group._has_group_write:
            self.putter = group.group_write
        if pvspec.startup is not None:
            self.startup = bound(pvspec.startup)
        if pvspec.shutdown is not None:
            self.shutdown = bound(pvspec.shutdown)
        if pvspec.scan is not None:
            self.scan = bound(pvspec.scan)

    def __class_getitem__(cls, record: Any) -> GenericAlias:
        return GenericAlias(cls, record)

    def __repr__(self) -> str:
        value = ""
        # A channel whose constructor still runs, or whose class has a `value` of its own, has none.
        with contextlib.suppress(Exception):
            value = value_text(self.value, self.max_length)
        return described(
            self,
            repr(self.__dict__.get("pvname", "")),
            value,
            f"record {self.record_type!r}" if self.record_type else "",
        )

    def __getstate__(self) -> dict[str, Any]:
        # Hooks are made from the specification again; the group is not pickled.
        dropped = ("group", "_getter", "putter", "startup", "shutdown", "scan", "_logger")
        state = super().__getstate__()
        for key in dropped:
            state.pop(key, None)
        return state

    def __deepcopy__(self, memo: dict[int, Any]) -> PvpropertyData:
        import copy

        fresh = self.__class__.__new__(self.__class__)
        memo[id(self)] = fresh
        fresh.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        if self.group is not None:
            # Within a copied group the copy belongs to the new one, else to the old one.
            fresh.group = memo.get(id(self.group), self.group)
        fresh._bind(fresh.group, fresh.pvspec)
        return fresh

    @property
    def name(self) -> str:
        """``<group's name>.<attribute>``, the PV's name where there is no group."""
        if self.group is None or self.pvspec is None:
            return self.pvname or type(self).__name__
        return f"{self.group.name}.{self.pvspec.attr}"

    @property
    def log(self) -> logging.Logger:
        """The logger that was given or assigned, else the group's."""
        if self._logger is not None:
            return self._logger
        log: logging.Logger = self.group.log if self.group is not None else _default_log
        return log

    @log.setter
    def log(self, logger: logging.Logger) -> None:
        self._logger = logger

    @property
    def _channel_log(self) -> logging.Logger:
        return self.log

    @property
    def _label(self) -> str:
        return self.pvname or type(self).__name__

    @property
    def fields(self) -> Any:
        """The record's fields by name; empty without a record."""
        return {} if self._field_inst is None else self._field_inst.fields

    @property
    def field_inst(self) -> Any:
        """The record's fields by attribute, None without a record; it may be set."""
        return self._field_inst

    @field_inst.setter
    def field_inst(self, fields: Any) -> None:
        self._field_inst = fields

    @property
    def getter(self) -> Any:
        """The hook of reads, ``await getter(channel)``, or None; it may be set."""
        return self._getter

    @getter.setter
    def getter(self, hook: Any) -> None:
        self._getter = hook

    def get_field(self, name: str) -> ChannelData:
        """Return the channel of a field; '' and 'VAL' are this channel.

        Raises:
            KeyError: there is no such field.
        """
        if name in ("", "VAL"):
            return self
        if self._field_inst is not None:
            found = self._field_inst.fields.get(name)
            if found is not None:
                return found  # type: ignore[no-any-return]
        raise CaprotoKeyError(f"{self._label} has no field {name!r}")

    @standard
    async def verify_value(self, value: Any) -> Any:
        """Run the checks of the data class, then the putter.

        Returns:
            The putter's value, or the checked one if it returned None.
        """
        value = await super().verify_value(value)
        putter = self.putter
        if putter is not None:
            result = await putter(self, value)
            return value if result is None else result
        if self.group is not None:
            self.group._log_write(self, value)
        return value

    def _is_plain(self) -> bool:
        return (
            self._standard
            and self.putter is None
            and self._field_inst is None
            and (self.group is None or not self.group._logs_writes)
        )


PvpropertyData.__doc__ = _ClassDoc(PvpropertyData.__doc__)  # type: ignore[assignment]


class PvpropertyReadOnlyData(PvpropertyData):
    """A channel that clients may only read; Python code may write it."""

    @standard
    def check_access(self, hostname: str, username: str) -> AccessRights:
        """Return READ, for everybody."""
        return AccessRights.READ


class PvpropertyChar(PvpropertyData, ChannelChar):
    """Text, served as CHAR."""


class PvpropertyCharRO(PvpropertyReadOnlyData, ChannelChar):
    """Text, served as CHAR, read only."""


class PvpropertyByte(PvpropertyData, ChannelByte):
    """Bytes."""


class PvpropertyByteRO(PvpropertyReadOnlyData, ChannelByte):
    """Bytes, read only."""


class PvpropertyInteger(PvpropertyData, ChannelInteger):
    """32 bit integers."""


class PvpropertyIntegerRO(PvpropertyReadOnlyData, ChannelInteger):
    """32 bit integers, read only."""


class PvpropertyShort(PvpropertyData, ChannelShort):
    """16 bit integers."""


class PvpropertyShortRO(PvpropertyReadOnlyData, ChannelShort):
    """16 bit integers, read only."""


class _Precise(PvpropertyData):
    """A floating point number; if it is the field of a record, the record says its precision."""

    def _text_digits(self) -> int | None:
        digits: int | None = super()._text_digits()  # type: ignore[misc]
        if digits is None and self.group is not None:
            digits = self.group._text_digits()
        return digits


class PvpropertyDouble(_Precise, ChannelDouble):
    """Double precision numbers."""


class PvpropertyDoubleRO(PvpropertyReadOnlyData, _Precise, ChannelDouble):
    """Double precision numbers, read only."""


class PvpropertyFloat(_Precise, ChannelFloat):
    """Single precision numbers."""


class PvpropertyFloatRO(PvpropertyReadOnlyData, _Precise, ChannelFloat):
    """Single precision numbers, read only."""


class PvpropertyString(PvpropertyData, ChannelString):
    """Short texts."""


class PvpropertyStringRO(PvpropertyReadOnlyData, ChannelString):
    """Short texts, read only."""


def enum_class_strings(enum_class: type[IntEnum]) -> tuple[str, ...]:
    """Return the names of an enumeration by number; numbers between them are ``unset_<n>``.

    Raises:
        CaprotoValueError: a negative number, or more than 16 states.
    """
    names = {int(member): member.name for member in enum_class}
    if not names or min(names) < 0 or max(names) > 15:
        raise CaprotoValueError(
            f"{enum_class.__name__} is no enumeration of states: its numbers must be 0 to 15"
        )
    return tuple(names.get(number, f"unset_{number}") for number in range(max(names) + 1))


class PvpropertyEnum(PvpropertyData, ChannelEnum):
    """Named states.

    Args:
        enum_class: an ``IntEnum`` that names the states, instead of ``enum_strings``.
        **kwargs: see `ChannelEnum` and `PvpropertyData`.
    """

    def __init__(
        self,
        *,
        enum_class: type[IntEnum] | None = None,
        enum_strings: Sequence[str] | None = None,
        value: Any = None,
        **kwargs: Any,
    ) -> None:
        if enum_class is not None:
            if enum_strings is not None:
                raise CaprotoValueError(
                    f"enum_strings go with no enumeration: {enum_class.__name__} has the names"
                )
            enum_strings = enum_class_strings(enum_class)
        if isinstance(value, IntEnum):
            value = value.name
        super().__init__(enum_strings=enum_strings, value=value, **kwargs)


class PvpropertyEnumRO(PvpropertyReadOnlyData, PvpropertyEnum):
    """Named states, read only."""


class PvpropertyBoolEnum(PvpropertyData, ChannelEnum):
    """Two states, Off and On unless named otherwise."""

    def __init__(self, *, enum_strings: Sequence[str] | None = None, **kwargs: Any) -> None:
        super().__init__(enum_strings=enum_strings or ("Off", "On"), **kwargs)


class PvpropertyBoolEnumRO(PvpropertyReadOnlyData, PvpropertyBoolEnum):
    """Two states, read only."""


of_one_number: frozenset[type[ChannelData]] = frozenset(
    (PvpropertyInteger, PvpropertyIntegerRO, PvpropertyDouble, PvpropertyDoubleRO)
)
"""Classes that `PvpropertyData._of_number` can make: their constructors do nothing else."""

pvspec_type_map: dict[Any, type[ChannelData]] = {
    str: PvpropertyChar,
    bytes: PvpropertyByte,
    int: PvpropertyInteger,
    float: PvpropertyDouble,
    bool: PvpropertyBoolEnum,
    IntEnum: PvpropertyEnum,
    ChannelType.STRING: PvpropertyString,
    ChannelType.INT: PvpropertyShort,
    ChannelType.LONG: PvpropertyInteger,
    ChannelType.DOUBLE: PvpropertyDouble,
    ChannelType.FLOAT: PvpropertyFloat,
    ChannelType.ENUM: PvpropertyEnum,
    ChannelType.CHAR: PvpropertyChar,
}
"""dtype to data class."""

pvspec_type_map_read_only: dict[Any, type[ChannelData]] = {
    str: PvpropertyCharRO,
    bytes: PvpropertyByteRO,
    int: PvpropertyIntegerRO,
    float: PvpropertyDoubleRO,
    bool: PvpropertyBoolEnumRO,
    IntEnum: PvpropertyEnumRO,
    ChannelType.STRING: PvpropertyStringRO,
    ChannelType.INT: PvpropertyShortRO,
    ChannelType.LONG: PvpropertyIntegerRO,
    ChannelType.DOUBLE: PvpropertyDoubleRO,
    ChannelType.FLOAT: PvpropertyFloatRO,
    ChannelType.ENUM: PvpropertyEnumRO,
    ChannelType.CHAR: PvpropertyCharRO,
}
"""dtype to read only data class."""
