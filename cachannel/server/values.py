"""Values as Python code and puts give them: their shape, and numbers of a channel's type.

A number is taken if the channel's type can hold it: an integer type has a range, and its floats
may have a fraction, which readers of an integer do not see. A floating point type takes any
number, and NaN for None and for masked elements. Texts that are numbers count as numbers. A value
that is not taken raises, and nothing is stored.
"""

from __future__ import annotations

import math
from array import array
from typing import Any, Final

from cachannel.protocol.channel_types import ChannelType
from cachannel.protocol.dbr import LAYOUTS
from cachannel.protocol.errors import CaprotoConversionError, CaprotoValueError
from cachannel.protocol.text import decode, encode, until_nul

from .encoding import STRING, convert_number, is_array, numpy, parse_number

__all__ = [
    "NOT_GIVEN",
    "RANGES",
    "bytes_of",
    "encoded_text",
    "is_masked",
    "is_sequence",
    "number",
    "numbers",
    "numbers_from_wire",
    "plain_text",
    "shaped",
    "without_mask",
]

_LARGEST: Final = 1.7976931348623157e308

RANGES: Final[dict[int, tuple[float, float]]] = {
    # Integers that a DOUBLE cannot hold are out of range too.
    ChannelType.DOUBLE: (-_LARGEST, _LARGEST),
    ChannelType.FLOAT: (-_LARGEST, _LARGEST),
    ChannelType.LONG: (-0x80000000, 0x7FFFFFFF),
    ChannelType.INT: (-0x8000, 0x7FFF),
    # Channel Access calls CHAR unsigned; records and drivers have signed bytes as well.
    ChannelType.CHAR: (-0x80, 0xFF),
    ChannelType.ENUM: (0, 0xFFFF),
}
"""The least and the greatest integer of each numeric type."""

_NAMES: Final = {ChannelType.INT: "16 bit", ChannelType.LONG: "32 bit", ChannelType.CHAR: "8 bit"}
# Arrays of these types need no look at their elements.
_FITTING: Final[dict[int, tuple[str, ...]]] = {
    ChannelType.LONG: ("i4", "i2", "u2", "i1", "u1", "b1"),
    ChannelType.INT: ("i2", "i1", "u1", "b1"),
    ChannelType.CHAR: ("u1", "i1", "b1"),
    ChannelType.ENUM: ("u2", "u1", "b1"),
}
_CODES: Final[dict[int, str]] = {ChannelType.LONG: "i", ChannelType.INT: "h"}
_FLOAT_ONLY: Final = frozenset((float,))
_FLOATING: Final = (ChannelType.DOUBLE, ChannelType.FLOAT)
_SPACE: Final = " \t\n\v\f\r"


NOT_GIVEN: Final[Any] = type("NotGiven", (), {"__repr__": lambda _: "<not given>"})()
"""The default of arguments for which None is a value."""


def plain_text(value: Any) -> Any:
    """Return str for NumPy's texts and bytes for NumPy's bytes; any other value as it is."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bytes):
        return bytes(value)
    return value


def is_masked(value: Any) -> bool:
    """Tell whether a value is a masked element of `numpy.ma`, or has one."""
    return _has_mask(value) and bool(numpy().ma.is_masked(value))


def _has_mask(value: Any) -> bool:
    # Data frames have a method of this name.
    return hasattr(value, "mask") and isinstance(value, numpy().ma.MaskedArray)


def is_sequence(value: Any) -> bool:
    """Tell whether a value that is not an array has elements, as `array.array` and range have."""
    if isinstance(value, (list, tuple)):
        return True
    return (
        hasattr(value, "__len__")
        and hasattr(value, "__getitem__")
        and not isinstance(value, (str, bytes, dict))
        and not hasattr(value, "dtype")
    )


def shaped(value: Any, max_length: int, where: str) -> Any:
    """Bring a value into the shape that a channel stores.

    A sequence of one element becomes a scalar if the channel is one, and a scalar becomes a list
    if it is not.

    Args:
        value: a scalar, a sequence or an array.
        max_length: the channel's.
        where: the PV, for messages.

    Raises:
        CaprotoValueError: too many elements, none for a scalar, or more than one dimension.
    """
    if isinstance(value, (str, bytes)):
        return value if max_length == 1 else [value]
    if is_array(value):
        if value.ndim != 1:
            raise CaprotoValueError(
                f"write to {where}: an array of shape {value.shape} has to be flattened"
                " first; Channel Access has one dimension only"
            )
    elif not is_sequence(value):
        if getattr(value, "ndim", None) == 0 and not is_masked(value):
            value = value[()]  # an array without dimension is a scalar
        return value if max_length == 1 else [value]
    count = len(value)
    if count > max_length:
        raise CaprotoValueError(
            f"write to {where}: {count} elements are more than max_length ({max_length})"
        )
    if max_length == 1:
        if count == 0:
            raise CaprotoValueError(f"write to {where}: no element for a scalar")
        return value[0]
    return value


def _refusal(value: Any, where: str) -> CaprotoValueError:
    return CaprotoValueError(f"write to {where}: {value!r} is not a number")


def _out_of_range(value: Any, base: int, where: str) -> CaprotoValueError:
    low, high = RANGES[base]
    if base in _FLOATING:
        return CaprotoValueError(f"write to {where}: an integer that is too large for a float")
    return CaprotoValueError(
        f"write to {where}: {value!r} is out of the {_NAMES.get(ChannelType(base), '16 bit')}"
        f" range {low} to {high}"
    )


def _number_in(text: str | bytes, base: int, where: str) -> int | float:
    """Return the number that a text is; Python's underscores are not taken."""
    digits = decode(until_nul(text)) if isinstance(text, bytes) else text
    digits = digits.strip(_SPACE)
    if digits.isascii() and "_" not in digits:
        try:
            return int(digits)
        except ValueError:
            pass
        try:
            found = float(digits)
        except ValueError:
            pass
        else:
            if base in _FLOATING:
                return found
            if math.isfinite(found):
                return int(found)
            raise _out_of_range(text, base, where)
    raise _refusal(text, where)


def number(value: Any, base: int, where: str) -> Any:
    """Return a number that a type can hold; what is a number already stays as it is.

    Args:
        value: any object.
        base: the type, ``ChannelType.LONG`` for one.
        where: the PV, for messages.

    Raises:
        CaprotoValueError: not a number, or out of range.
    """
    low, high = RANGES[base]
    kind = type(value)
    if kind is not float and kind is not int:
        if value is None or is_masked(value):
            if base in _FLOATING:
                return math.nan
            if value is None:
                raise _refusal(None, where)
            raise CaprotoValueError(f"write to {where}: masked elements have no value")
        if isinstance(value, (str, bytes)):
            value = _number_in(value, base, where)
        elif hasattr(value, "dtype"):
            if value.shape != () or value.dtype.kind not in "biufUSO":
                raise _refusal(value, where)
            plain = value.item()
            if not isinstance(plain, (int, float)):
                if value.dtype.kind != "f":
                    return number(plain, base, where)
                plain = float(value)  # a long double
            _check(plain, base, low, high, where)
            return value
        elif not isinstance(value, (int, float)):
            value = _converted(value, where)
    _check(value, base, low, high, where)
    return value


def _check(value: int | float, base: int, low: float, high: float, where: str) -> None:
    if isinstance(value, int):
        if not low <= value <= high:
            raise _out_of_range(value, base, where)
    elif base not in _FLOATING and not low - 1 < value < high + 1:  # NaN included
        raise _out_of_range(value, base, where)


def _converted(value: Any, where: str) -> int | float:
    """Return the number that an object such as a Decimal says it is."""
    try:
        if hasattr(value, "__index__"):
            return int(value.__index__())
        if hasattr(value, "__float__"):
            return float(value)
    except (TypeError, ValueError, OverflowError) as exc:
        raise _refusal(value, where) from exc
    raise _refusal(value, where)


def numbers(values: Any, base: int, where: str) -> Any:
    """Return a sequence or array of numbers that a type can hold.

    If all elements are such numbers, the very object that was given is returned.

    Args:
        values: a sequence, or a one-dimensional array.
        base: the type.
        where: the PV, for messages.

    Raises:
        CaprotoValueError: an element is not a number, or out of range.
    """
    if is_array(values):
        dtype = values.dtype
        if type(values) is numpy().ndarray and (
            dtype.kind in "fiub" if base in _FLOATING else dtype.str[1:] in _FITTING.get(base, ())
        ):
            return values  # nearly all: no element has to be looked at
        return _array(values, base, where)
    if base in _FLOATING:
        if set(map(type, values)) <= _FLOAT_ONLY:
            return values
    elif base in _CODES and type(values) in (list, tuple):
        try:
            array(_CODES[base], values)  # the quickest way to look at all of them
        except (TypeError, OverflowError):
            pass  # below it is seen which one it is
        else:
            return values
    taken = [number(value, base, where) for value in values]
    return values if all(map(_same, taken, values)) else taken


def _same(one: object, other: object) -> bool:
    return one is other


def without_mask(values: Any, base: int, where: str) -> Any:
    """Return a plain array for a masked one: NaN for masked elements of floating point.

    Raises:
        CaprotoValueError: masked elements for another type.
    """
    if not _has_mask(values):
        return values
    if not is_masked(values):
        return numpy().ma.getdata(values)
    if base not in _FLOATING or values.dtype.kind not in "biuf":
        raise CaprotoValueError(f"write to {where}: masked elements have no value")
    return values.astype("f8").filled(math.nan)


def _array(values: Any, base: int, where: str) -> Any:
    if values.dtype.kind == "O" and base in _FLOATING and is_masked(values):
        values = values.filled(None)
    values = without_mask(values, base, where)
    plain = numpy().asarray(values)  # the same object, unless it is of another library
    kind = plain.dtype.kind
    if kind in "OUS":
        taken = [number(value, base, where) for value in plain.tolist()]
        return numpy().array(taken) if kind != "O" else taken
    if kind not in "biuf":
        raise CaprotoValueError(f"write to {where}: an array of {plain.dtype} is not of numbers")
    if base in _FLOATING or not len(plain):
        return values
    low, high = RANGES[base]
    least, most = plain.min().item(), plain.max().item()  # of a NaN, both are NaN
    fits = low - 1 < least and most < high + 1
    if not fits:
        bad = next(value for value in plain.tolist() if not low - 1 < value < high + 1)
        raise _out_of_range(bad, base, where)
    return values


def encoded_text(text: str, encoding: str | None, where: str) -> bytes:
    """Return a text that Python code gave as bytes.

    Args:
        text: the text.
        encoding: what the channel declares, None for UTF-8.
        where: the PV, for messages.

    Raises:
        CaprotoValueError: half of a UTF-16 pair, which has no encoding.
    """
    try:
        return encode(text, encoding)
    except UnicodeEncodeError as exc:
        raise CaprotoValueError(f"write to {where}: {text!r} cannot be encoded") from exc


def bytes_of(values: Any, where: str, *, texts: bool = False, encoding: str | None = None) -> bytes:
    """Join a sequence of bytes, of the numbers of bytes, or of texts.

    Args:
        values: a sequence, or a one-dimensional array.
        where: the PV, for messages.
        texts: take texts.
        encoding: of texts, None for UTF-8.

    Raises:
        CaprotoValueError: an element is none of these, or a number that is not -128 to 255.
    """
    if is_array(values) and values.dtype.kind not in "USO":
        taken = numbers(values, ChannelType.CHAR, where)
        # By way of integers: how C casts a negative float to unsigned depends on the processor.
        raw: bytes = taken.astype("i2").astype("u1").tobytes()
        return raw
    parts = values.tolist() if hasattr(values, "tolist") else list(values)
    joined = (str, bytes, bytearray) if texts else (bytes, bytearray)
    if parts and all(isinstance(part, joined) for part in parts):
        return b"".join(
            encoded_text(part, encoding, where) if isinstance(part, str) else bytes(part)
            for part in parts
        )
    if any(isinstance(part, (str, bytes)) for part in parts):
        raise CaprotoValueError(f"write to {where}: {values!r} is neither text nor numbers")
    return bytes(int(number(part, ChannelType.CHAR, where)) & 0xFF for part in parts)


def numbers_from_wire(data: Any, base: int, native: int, scalar: bool, where: str) -> Any:
    """Return put elements as numbers of a channel's type.

    Args:
        data: the elements as `decode_elements` gives them.
        base: their type.
        native: the channel's.
        scalar: the channel has one number always.
        where: the PV, for messages.

    Raises:
        CaprotoConversionError: a text that is not a number, or a number out of range.
    """
    if base == STRING:
        try:
            parsed = [parse_number(part, native) for part in data]
        except CaprotoConversionError as exc:
            raise CaprotoConversionError(f"write to {where}: {exc}") from exc
        if len(parsed) == 1 and scalar:
            return parsed[0]
        return numpy().array(parsed, LAYOUTS[native].dtype)
    if not scalar and not is_array(data):
        # One element is an array too where there can be several.
        data = numpy().array([data], LAYOUTS[base].dtype)
    if base == native:
        return data
    try:
        data = numbers(data, native, where) if is_array(data) else number(data, native, where)
    except CaprotoValueError as exc:
        raise CaprotoConversionError(str(exc)) from exc
    if is_array(data):
        np = numpy()
        with np.errstate(invalid="ignore", over="ignore"):
            return data.astype(LAYOUTS[native].dtype)
    return convert_number(data, native)
