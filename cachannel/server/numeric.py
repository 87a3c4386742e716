"""Channels of numbers: LONG, INT, DOUBLE, FLOAT, and bytes."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Final

from cachannel.protocol.channel_types import (
    AlarmSeverity,
    AlarmStatus,
    ChannelType,
    SubscriptionType,
)
from cachannel.protocol.dbr import MAX_UNITS_SIZE, DbrLayout
from cachannel.protocol.errors import (
    CannotExceedLimits,
    CaprotoConversionError,
    CaprotoTypeError,
    CaprotoValueError,
)
from cachannel.protocol.text import decode, encode, until_nul

from .alarm import NO_ALARM, State
from .data import ChannelData, standard
from .encoding import Elements, convert_number, is_array, numpy, pack_numbers, pack_texts
from .metadata import LIMITS, LIMITS_CHANGED
from .number_text import double_text, float_text, shortest_float
from .values import (
    RANGES,
    bytes_of,
    encoded_text,
    is_masked,
    is_sequence,
    numbers_from_wire,
    without_mask,
)

__all__ = [
    "ChannelByte",
    "ChannelDouble",
    "ChannelFloat",
    "ChannelInteger",
    "ChannelNumeric",
    "ChannelShort",
]

_CHAR: Final = int(ChannelType.CHAR)
_VALUE: Final = int(SubscriptionType.DBE_VALUE)
_LOG: Final = int(SubscriptionType.DBE_LOG)
_ALARM: Final = int(SubscriptionType.DBE_ALARM)
_PROPERTY: Final = int(SubscriptionType.DBE_PROPERTY)

_LARGEST_FLOAT: Final = 3.4028234663852886e38

_BASE_OF_CODE: Final = {"h": 1, "B": 4, "i": 5}

# Limits of which one alone may be given, upper and lower: the other one is NaN then.
_PAIRS: Final = (
    ("upper_alarm_limit", "lower_alarm_limit"),
    ("upper_warning_limit", "lower_warning_limit"),
    ("upper_ctrl_limit", "lower_ctrl_limit"),
)
# In the order of `ChannelNumeric._limit_severities`.
_ALARM_LIMITS: Final = (
    "upper_alarm_limit",
    "lower_alarm_limit",
    "upper_warning_limit",
    "lower_warning_limit",
)
# A control limit, and what a record without drive limits reports in its place.
_DISPLAY_OF: Final = {
    "upper_ctrl_limit": "_upper_disp_limit",
    "lower_ctrl_limit": "_lower_disp_limit",
}


def _is_same(number: Any, other: Any) -> bool:
    """Tell whether two numbers are equal, or both NaN."""
    return bool(number == other or (number != number and other != other))


def _limit(value: float, code: str) -> int | float:
    """Return a limit as a request type carries it: as rsrv does, by C's conversion."""
    if code == "d":
        return float(value)
    if code == "f":
        number = float(value)
        if abs(number) > _LARGEST_FLOAT:
            return math.copysign(math.inf, number)
        return number
    return convert_number(value, _BASE_OF_CODE[code])


class ChannelNumeric(ChannelData):
    """A number or an array of numbers.

    Args:
        units: engineering units; clients see the first seven bytes.
        upper_disp_limit: highest number to display; no write is refused for it.
        lower_disp_limit: lowest number to display.
        upper_alarm_limit: at or above it the alarm is HIHI.
        lower_alarm_limit: at or below it the alarm is LOLO.
        upper_warning_limit: at or above it the alarm is HIGH.
        lower_warning_limit: at or below it the alarm is LOW.
        upper_ctrl_limit: a write above it is refused, and so is NaN.
        lower_ctrl_limit: a write below it is refused, and so is NaN.
        value_atol: how far the value has to move for an event with DBE_VALUE; 0 for always.
        log_atol: the same for DBE_LOG.
        **kwargs: see `ChannelData`.

    A limit of alarm, warning or control that is NaN does not exist. If one limit of a pair is
    given, the other one is NaN. A pair of equal limits is off, and so are control limits of which
    the lower one is above the upper one. NaN as the value of a floating point number is the alarm
    UDF, INVALID.
    """

    # Most channels never have any: the class says so, an instance only what differs.
    _units: str = ""
    _upper_disp_limit: float = 0
    _lower_disp_limit: float = 0
    _upper_alarm_limit: float = 0
    _lower_alarm_limit: float = 0
    _upper_warning_limit: float = 0
    _lower_warning_limit: float = 0
    _upper_ctrl_limit: float = 0
    _lower_ctrl_limit: float = 0
    _value_atol: float = 0.0
    _log_atol: float = 0.0
    _precision: int = 0
    _limited = False
    # Names of metadata that were given, if only as their defaults.
    _given: frozenset[str] = frozenset()
    # What the type holds, see `RANGES`.
    _least: ClassVar[float] = RANGES[ChannelType.LONG][0]
    _most: ClassVar[float] = RANGES[ChannelType.LONG][1]

    # Severities of the four limits: HIHI, LOLO, HIGH, LOW. Records have fields for them.
    _limit_severities: tuple[int, ...] = (
        AlarmSeverity.MAJOR_ALARM,
        AlarmSeverity.MAJOR_ALARM,
        AlarmSeverity.MINOR_ALARM,
        AlarmSeverity.MINOR_ALARM,
    )
    # The severity of a value that is NaN; records have a field for it.
    _nan_severity: int = AlarmSeverity.INVALID_ALARM

    _metadata_keys: ClassVar[frozenset[str]] = frozenset(
        (*LIMITS, "units", "value_atol", "log_atol")
    )

    def __init__(
        self,
        *,
        units: str = "",
        upper_disp_limit: float | None = None,
        lower_disp_limit: float | None = None,
        upper_alarm_limit: float | None = None,
        lower_alarm_limit: float | None = None,
        upper_warning_limit: float | None = None,
        lower_warning_limit: float | None = None,
        upper_ctrl_limit: float | None = None,
        lower_ctrl_limit: float | None = None,
        value_atol: float = 0.0,
        log_atol: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        given: dict[str, Any] = {
            "upper_disp_limit": upper_disp_limit,
            "lower_disp_limit": lower_disp_limit,
            "upper_alarm_limit": upper_alarm_limit,
            "lower_alarm_limit": lower_alarm_limit,
            "upper_warning_limit": upper_warning_limit,
            "lower_warning_limit": lower_warning_limit,
            "upper_ctrl_limit": upper_ctrl_limit,
            "lower_ctrl_limit": lower_ctrl_limit,
            "units": units or None,
            "value_atol": value_atol or None,
            "log_atol": log_atol or None,
        }
        given = {key: value for key, value in given.items() if value is not None}
        if given:  # most channels have none; the class has the defaults
            self._set_metadata(given)
            self._last_value_posted = self._last_log_posted = None  # nothing was posted yet
        self._judge_first()

    def _judge_first(self) -> None:
        """Let the alarm be that of the initial value, which has its own time stamp."""
        state = self._limit_alarm(self._value)
        if state is not None and state[1]:
            stamp = self._stamp_ns
            status, severity = self.alarm.follows_limits(self, state)
            self.alarm.update(status=status, severity=severity)
            self._stamp_ns = stamp

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._least, cls._most = RANGES.get(cls.data_type, RANGES[ChannelType.LONG])

    units = property(lambda self: self._units, doc="Engineering units.")
    upper_disp_limit = property(lambda self: self._upper_disp_limit, doc="Display maximum.")
    lower_disp_limit = property(lambda self: self._lower_disp_limit, doc="Display minimum.")
    upper_alarm_limit = property(lambda self: self._upper_alarm_limit, doc="HIHI from here up.")
    lower_alarm_limit = property(lambda self: self._lower_alarm_limit, doc="LOLO from here down.")
    upper_warning_limit = property(lambda self: self._upper_warning_limit, doc="HIGH, up.")
    lower_warning_limit = property(lambda self: self._lower_warning_limit, doc="LOW, down.")
    upper_ctrl_limit = property(lambda self: self._upper_ctrl_limit, doc="Largest write.")
    lower_ctrl_limit = property(lambda self: self._lower_ctrl_limit, doc="Smallest write.")

    @property
    def value_atol(self) -> float:
        """Deadband of DBE_VALUE; it may be set."""
        return self._value_atol

    @value_atol.setter
    def value_atol(self, distance: float) -> None:
        self._set_metadata({"value_atol": distance})
        self._last_value_posted = None  # the next value is posted, as after the start

    @property
    def log_atol(self) -> float:
        """Deadband of DBE_LOG; it may be set."""
        return self._log_atol

    @log_atol.setter
    def log_atol(self, distance: float) -> None:
        self._set_metadata({"log_atol": distance})
        self._last_log_posted = None

    def _data_keys(self) -> tuple[str, ...]:
        return ("units", *LIMITS, *(("precision",) if "precision" in self._metadata_keys else ()))

    def _properties(self) -> list[Any]:
        return [self._units, self._precision, *(getattr(self, "_" + name) for name in LIMITS)]

    def _set_metadata(self, metadata: dict[str, Any]) -> int:
        known = [key for key in metadata if key in self._metadata_keys]
        if not known:
            return 0
        before = self._properties()
        for key in known:
            value = metadata[key]
            if key == "units":
                if isinstance(value, bytes):
                    value = decode(until_nul(value), self._encoding)
                elif not isinstance(value, str):
                    raise CaprotoTypeError(f"units of {self._label} must be text, not {value!r}")
                value = str(value)
                encoded_text(value, self._encoding, f"units of {self._label}")
            elif key == "precision":
                value = int(value)
            elif not isinstance(value, (int, float)):
                try:
                    value = float(value)  # NumPy scalars, decimals and the like
                except (TypeError, ValueError):
                    raise CaprotoTypeError(
                        f"{key} of {self._label} must be a number, not {value!r}"
                    ) from None
            if key == "value_atol" and not self._value_atol:
                self._last_value_posted = self._value  # up to now every value was posted
            elif key == "log_atol" and not self._log_atol:
                self._last_log_posted = self._value
            setattr(self, "_" + key, value)
        given = self._given = self._given.union(known)
        for upper, lower in _PAIRS:
            if (upper in given) != (lower in given):
                setattr(self, "_" + (lower if upper in given else upper), math.nan)
        self._limited = (
            self._upper_alarm_limit != self._lower_alarm_limit
            or self._upper_warning_limit != self._lower_warning_limit
            or self._upper_ctrl_limit != self._lower_ctrl_limit
        )
        if self._field_inst is not None:
            self._field_inst.metadata_changed()
        changed = [not _is_same(*pair) for pair in zip(before, self._properties(), strict=True)]
        if not any(changed):
            return 0
        return _PROPERTY | LIMITS_CHANGED if any(changed[4:8]) else _PROPERTY

    async def _write_severities(self, severities: tuple[int, ...]) -> None:
        """Set the severities of the limits, in the order of `_limit_severities`."""
        if severities != self._limit_severities:
            self._limit_severities = severities
            mask = _PROPERTY | self._judge_again()
            self._invalidate()  # a limit without severity is reported as NaN
            await self.publish(mask)

    async def _write_nan_severity(self, severity: int) -> None:
        """Set the severity of a value that is NaN."""
        if severity != self._nan_severity:
            self._nan_severity = severity
            state = self._limit_alarm(self._value)
            if state is None or self._value == self._value or self.alarm.status != AlarmStatus.UDF:
                return
            if self._take_alarm(*self.alarm.follows(self, state, state)):
                await self.publish(_ALARM)

    def _operating_limit(self, name: str) -> float:
        """Return a display limit, or the control limit of that side where only that was given."""
        if name not in self._given:
            limit: float = getattr(self, "_" + name.replace("disp", "ctrl"))
            return limit if limit == limit else 0
        shown: float = getattr(self, "_" + name)
        return shown

    @standard
    def preprocess_value(self, value: Any) -> Any:
        """Bring a value into shape and check it; see `ChannelData.preprocess_value`."""
        # Nearly all integers; the rest is for the general way.
        if type(value) is int and self._max_length == 1 and self._least <= value <= self._most:
            return value
        return super().preprocess_value(value)

    def _check(self, value: Any) -> Any:
        if self._limited and self._max_length == 1 and value is not None:
            low, high = self._lower_ctrl_limit, self._upper_ctrl_limit
            if low <= value <= high or low >= high:  # nearly all; NaN is for the rest
                return value
            is_bounded = low == low or high == high
            if value < low or value > high or (value != value and is_bounded):
                raise CannotExceedLimits(
                    f"write to {self._label}: {value!r} is outside the control limits"
                    f" {low!r} to {high!r}"
                )
        return value

    def _limit_alarm(self, value: Any) -> State | None:
        if self._max_length != 1 or value is None:
            return None
        if value != value:  # NaN
            severity = self._nan_severity
            return (AlarmStatus.UDF, severity) if severity else NO_ALARM
        if not self._limited:
            return NO_ALARM
        hihi, lolo, high, low = self._limit_severities
        if self._lower_alarm_limit != self._upper_alarm_limit:
            if value <= self._lower_alarm_limit and lolo:
                return AlarmStatus.LOLO, lolo
            if value >= self._upper_alarm_limit and hihi:
                return AlarmStatus.HIHI, hihi
        if self._lower_warning_limit != self._upper_warning_limit:
            if value <= self._lower_warning_limit and low:
                return AlarmStatus.LOW, low
            if value >= self._upper_warning_limit and high:
                return AlarmStatus.HIGH, high
        return NO_ALARM

    def _value_mask(self, value: Any) -> int:
        if (not self._value_atol and not self._log_atol) or self._max_length != 1:
            return _VALUE | _LOG
        mask = 0
        last = self._last_value_posted
        # "not within" instead of "beyond", so that a NaN always counts as a change.
        if not self._value_atol or last is None or not abs(value - last) <= self._value_atol:
            self._last_value_posted = value
            mask |= _VALUE
        last = self._last_log_posted
        if not self._log_atol or last is None or not abs(value - last) <= self._log_atol:
            self._last_log_posted = value
            mask |= _LOG
        return mask

    def _reported_limits(self) -> dict[str, float]:
        """Return the limits as GR and CTRL types have them: those that are off are NaN."""
        found: dict[str, float] = {name: getattr(self, "_" + name) for name in LIMITS}
        for upper, lower in (_ALARM_LIMITS[:2], _ALARM_LIMITS[2:]):
            if found[upper] == found[lower]:
                found[upper] = found[lower] = math.nan
        for name, severity in zip(_ALARM_LIMITS, self._limit_severities, strict=True):
            if not severity:
                found[name] = math.nan
        fields = self._field_inst
        if fields is not None and not fields.has_drive_limits:
            upper, lower = _DISPLAY_OF
            if found[upper] == found[lower]:
                for name, display in _DISPLAY_OF.items():
                    found[name] = getattr(self, display)
        return found

    def _fill_metadata(self, layout: DbrLayout, values: list[Any]) -> None:
        limits = self._reported_limits()
        for index, field in enumerate(layout.fields):
            name = field.name
            if name == "units":
                values[index] = encode(self._units, self._encoding, MAX_UNITS_SIZE - 1)
            elif name == "precision":
                values[index] = max(-0x8000, min(self._precision, 0x7FFF))
            elif name in limits:
                limit = limits[name]
                if limit == limit:
                    values[index] = _limit(limit, field.code)
                else:
                    values[index] = math.nan if field.code in "fd" else 0


class ChannelInteger(ChannelNumeric):
    """32 bit integers. For the arguments see `ChannelNumeric`."""

    data_type = ChannelType.LONG


class ChannelShort(ChannelNumeric):
    """16 bit integers. For the arguments see `ChannelNumeric`."""

    data_type = ChannelType.INT


class ChannelDouble(ChannelNumeric):
    """Double precision numbers.

    Args:
        precision: digits after the decimal point, for display. The text that a STRING request
            gets has that many, by the rules of EPICS base: all digits up to 1e16, three after the
            point above 1e7, an exponent beyond and for a precision above 8 or below 0; halves
            are rounded away from zero. Without a record, 0 means the shortest exact text.
        **kwargs: see `ChannelNumeric`.
    """

    data_type = ChannelType.DOUBLE

    _metadata_keys = ChannelNumeric._metadata_keys | {"precision"}

    def __init__(self, *, precision: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if precision:
            self._precision = int(precision)

    precision = property(lambda self: self._precision, doc="Digits after the decimal point.")

    @standard
    def preprocess_value(self, value: Any) -> Any:
        """Bring a value into shape and check it; see `ChannelData.preprocess_value`."""
        if type(value) is float and self._max_length == 1:  # nearly all
            return value
        return super().preprocess_value(value)

    def _text_digits(self) -> int | None:
        """Return the precision of the text of the value, None for the shortest exact text."""
        if self._precision or self._field_inst is not None:
            return self._precision
        return None

    def _number_text(self, value: Any) -> bytes:
        digits = self._text_digits()
        if digits is not None:
            return self._text_of(float(value), digits).encode()
        if isinstance(value, int):
            return str(int(value)).encode()
        return self._shortest(float(value)).encode()

    @staticmethod
    def _text_of(number: float, digits: int) -> str:
        return double_text(number, digits)

    @staticmethod
    def _shortest(number: float) -> str:
        return repr(number)


class ChannelFloat(ChannelDouble):
    """Single precision numbers. For the arguments see `ChannelDouble`."""

    data_type = ChannelType.FLOAT

    @staticmethod
    def _text_of(number: float, digits: int) -> str:
        return float_text(number, digits)

    @staticmethod
    def _shortest(number: float) -> str:
        return shortest_float(number)


class ChannelByte(ChannelNumeric):
    """Bytes: CHAR elements that are not text.

    Args:
        strip_null_terminator: cut NULs from the end of bytes; 8 bit arrays that Python code
            writes, and a single byte, stay as they are.
        **kwargs: see `ChannelNumeric`; a ``string_encoding`` is refused.
    """

    data_type = ChannelType.CHAR
    default_value = b""

    def __init__(self, *, strip_null_terminator: bool = True, **kwargs: Any) -> None:
        if kwargs.pop("string_encoding", None):
            raise CaprotoValueError("ChannelByte holds bytes; it takes no string_encoding")
        self.strip_null_terminator = strip_null_terminator
        super().__init__(**kwargs)

    @standard
    def calculate_length(self, value: Any) -> int:
        """Return the number of bytes."""
        if isinstance(value, str):
            return len(encoded_text(value, None, self._label))
        if isinstance(value, bytes):
            return len(value)
        return len(value) if is_array(value) or is_sequence(value) else 1

    @standard
    def preprocess_value(self, value: Any) -> Any:
        """Make bytes of text, numbers or a list of them; 8 bit arrays stay as they are.

        Raises:
            CaprotoValueError: too many bytes, or an element that is not a number from -128 to 255.
        """
        as_it_is = False
        if is_array(value):
            if value.ndim != 1:
                raise CaprotoValueError(
                    f"write to {self._label}: an array of shape {value.shape} has to be flattened"
                )
            value = without_mask(value, _CHAR, self._label)
            as_it_is = value.dtype.kind in "uib" and value.dtype.itemsize == 1
            if not as_it_is:
                value = self._join(value)
        elif isinstance(value, str):
            value = encoded_text(value, None, self._label)
        elif isinstance(value, (bytes, bytearray, memoryview)):
            value = bytes(value)  # what is behind the latter two may change, or go
        elif getattr(value, "ndim", None) == 0 and getattr(value, "dtype", None) is not None:
            if not is_masked(value) and hasattr(value, "__setitem__"):
                return self.preprocess_value(value[()])  # an array without dimension
            value = self._join([value])
        elif is_sequence(value):
            value = self._join(value)
        else:
            value = self._join([value])
        if not as_it_is:
            value = self._stripped(value)
        if len(value) > self._max_length:
            raise CaprotoValueError(
                f"write to {self._label}: {len(value)} bytes are more than max_length"
                f" ({self._max_length})"
            )
        return value

    def _nothing(self) -> Any:
        return b""

    def _stripped(self, raw: bytes) -> bytes:
        strip = self.strip_null_terminator and self._max_length > 1
        return raw.rstrip(b"\0") if strip else raw

    def _join(self, value: Any) -> bytes:
        return bytes_of(value, self._label)

    def _check(self, value: Any) -> Any:
        if self._limited:
            super()._check(self._number(value))
        return value

    def _limit_alarm(self, value: Any) -> tuple[int, int] | None:
        return super()._limit_alarm(self._number(value))

    def _number(self, value: Any) -> int | None:
        """Return the number of a single byte, None where there can be several or is none."""
        return value[0] if self._max_length == 1 and len(value) else None

    def _value_mask(self, value: Any) -> int:
        return _VALUE | _LOG

    def _from_wire(self, base: int, data: Any) -> Any:
        """Return put elements as bytes.

        Raises:
            CaprotoConversionError: a text that is not a number, or a number that is not a byte.
        """
        if base == 0 and not data and self._max_length == 1:
            data = [b""]
        # One number in each text, as EPICS base takes them.
        taken = numbers_from_wire(data, base, _CHAR, False, self._label)
        return self._stripped(taken.astype("u1").tobytes())

    def _elements(self, base: int) -> Elements:
        value = self._value
        if self._max_length == 1 and len(value) == 0:
            value = b"\0"  # one CHAR always has a value
        if is_array(value):
            if base == int(ChannelType.CHAR):
                return Elements(len(value), value.tobytes())
            return self._convert(value.view("u1"), base)
        raw = bytes(value)
        if base == int(ChannelType.CHAR):
            return Elements(len(raw), raw)
        return self._convert(raw, base)

    @staticmethod
    def _convert(values: Any, base: int) -> Elements:
        if base == 0:
            return pack_texts([str(number).encode() for number in values])
        if isinstance(values, bytes):
            values = numpy().frombuffer(values, "u1")
        return pack_numbers(values, base)


def number_of(channel: ChannelData) -> float:
    """Return a channel's value as one number, for deadbands.

    Raises:
        CaprotoConversionError: it is not a number.
    """
    value = channel.value
    try:
        return float(value)
    except (TypeError, ValueError):
        raise CaprotoConversionError(f"{channel._label} has no single number") from None
