"""What users ask for and what they write, in the terms of libca."""

from __future__ import annotations

import os
import sys
from collections.abc import Sized
from dataclasses import dataclass
from operator import index
from typing import Any, Final

from cachannel.protocol import text
from cachannel.protocol.channel_types import ChannelType, field_types
from cachannel.protocol.dbr import LAYOUTS, MAX_STRING_SIZE
from cachannel.protocol.errors import CaprotoKeyError, CaprotoTypeError, CaprotoValueError
from cachannel.values.decode import IN_RECORD, Record
from cachannel.values.missing import is_masked, is_missing, warn_nan, with_nan

__all__ = [
    "Encoded",
    "choose_count",
    "choose_type",
    "count_of",
    "encode",
    "is_text",
    "naming",
    "own_buffer",
    "padded",
]

_STRING, _ENUM, _CHAR = 0, 3, 4
_FLOATS: Final = (2, 6)
_LIMITS: Final = {1: (-(2**15), 2**16 - 1), 3: (0, 2**16 - 1), 4: (-128, 255),
                  5: (-(2**31), 2**32 - 1)}  # fmt: skip
_TYPES: Final = tuple(ChannelType)


def choose_type(data_type: Any, native: int) -> int:
    """Find the type to ask a channel of a native type for.

    Args:
        data_type: None (native), the name of a group in any case, a type, or its number.
        native: the native type.

    Raises:
        KeyError: there is no such group.
        ValueError: there is no such type.
    """
    if data_type is None:
        return native
    if isinstance(data_type, str):
        try:
            return int(field_types[data_type.lower()][_TYPES[native]])
        except KeyError as exc:
            raise NoSuchGroupError(*exc.args) from None
    return int(ChannelType(data_type))


def choose_count(data_count: Any) -> int:
    """Find the number of elements to ask for; 0: the current length.

    Raises:
        CaprotoTypeError: not an integer.
        CaprotoValueError: less than 0, or more than any array has.
    """
    if data_count is None:
        return 0
    try:
        count = index(data_count)
    except TypeError:
        message = f"data_count is an integer or None, not {data_count!r}"
        raise CaprotoTypeError(message) from None
    if not 0 <= count < 2**31:
        message = f"data_count is 0 to 2147483647, not {data_count!r}"
        raise CaprotoValueError(message)
    return count


class NoSuchGroupError(CaprotoKeyError):
    """A name that no group of types has; it is the argument."""

    def __str__(self) -> str:
        return f"there is no group of types {self.args[0]!r}, only {', '.join(sorted(field_types))}"


def naming(exc: ValueError | TypeError, what: str) -> ValueError | TypeError:
    """Make the same exception that also says what was attempted."""
    if isinstance(exc, UnicodeEncodeError):
        # It has more than a text, and makes its own of that.
        reason = f"{exc.reason}, in a {what}"
        return UnicodeEncodeError(exc.encoding, exc.object, exc.start, exc.end, reason)
    return type(exc)(f"{what}: {exc}")


def check_type(data_type: Any) -> None:
    """Refuse at once what `choose_type` would refuse once the channel is connected."""
    choose_type(data_type, _STRING)


def string_encoding() -> str | None:
    """Return the encoding of text that the environment declares, for `cachannel.protocol.text`."""
    environ = os.environ
    return (
        environ.get("CACHANNEL_STRING_ENCODING") or environ.get("CAPROTO_STRING_ENCODING") or None
    )


class MissingElementError(CaprotoTypeError):
    """An element is None or masked."""

    def __init__(self, base: int) -> None:
        super().__init__(f"an element is None or masked, which {_TYPES[base].name} cannot express")


@dataclass(frozen=True, slots=True)
class Encoded:
    """A value in the form that libca takes.

    Attributes:
        dbr_type: its type.
        count: elements that are sent.
        data: the elements in the byte order of the machine.
        asked: elements that the user wanted to send.
    """

    dbr_type: int
    count: int
    data: Any
    asked: int

    @property
    def parts(self) -> tuple[int, int, Any]:
        """Type, count and data."""
        return self.dbr_type, self.count, self.data


def is_text(data: Any) -> bool:
    """Tell whether data is text or begins with it."""
    if isinstance(data, str | bytes):
        return True
    return (
        isinstance(data, list | tuple) and len(data) > 0 and isinstance(data[0], str | bytes)
    ) or getattr(getattr(data, "dtype", None), "kind", "") in tuple("SU")


def _string(value: Any) -> bytes:
    if isinstance(value, str):
        data = text.encode(value, string_encoding(), MAX_STRING_SIZE - 1)
    elif isinstance(value, bytes | bytearray):
        data = bytes(value)
    elif isinstance(value, bool):
        data = str(int(value)).encode()
    elif is_missing(value):
        raise MissingElementError(_STRING)
    elif hasattr(value, "__float__"):
        data = str(value.item() if hasattr(value, "item") else value).encode()
    else:
        message = f"{type(value).__name__} {value!r} cannot be written"
        raise CaprotoTypeError(message)
    return data[: MAX_STRING_SIZE - 1].ljust(MAX_STRING_SIZE, b"\0")


def _number(value: Any, base: int) -> int | float:
    kind = type(value)
    if kind is float and base in _FLOATS:
        return value  # type: ignore[no-any-return]
    if kind is not int and kind is not float:
        if is_missing(value):
            raise MissingElementError(base)
        if isinstance(value, bytes):
            value = text.decode(value, string_encoding())
    try:
        if base in _FLOATS:
            return float(value)
        if isinstance(value, str):
            try:
                return int(value, 0)
            except ValueError:
                return int(float(value))
        number = int(value)
    except (ValueError, OverflowError) as exc:
        message = f"{value!r} cannot be written as {_TYPES[base].name}"
        raise CaprotoValueError(message) from exc
    except TypeError as exc:
        message = f"{type(value).__name__} {value!r} cannot be written"
        raise CaprotoTypeError(message) from exc
    return number


def _elements(data: Any, base: int) -> bytes:
    import numpy as np

    dtype = LAYOUTS[base].dtype
    kind = getattr(getattr(data, "dtype", None), "kind", None)
    if kind is None or kind not in "biuf":
        data = [_number(item, base) for item in data]
        kind = "f" if base in _FLOATS else "i"
        try:
            array = np.array(data, "f8" if base in _FLOATS else "i8") if data else np.empty(0)
        except OverflowError as exc:
            message = f"a value does not fit {_TYPES[base].name}"
            raise CaprotoValueError(message) from exc
    else:
        if is_masked(data) and np.ma.getmaskarray(data).any():
            raise MissingElementError(base)
        array = np.asarray(data).ravel()
    if base in _FLOATS or not array.size:
        # A number that is too large for FLOAT is sent as infinity, as C converts it.
        with np.errstate(over="ignore"):
            return array.astype(dtype).tobytes()
    if kind == "f":
        array = np.trunc(array)
    low, high = _LIMITS[base]
    if not (array.min() >= low and array.max() <= high):
        message = f"a value does not fit {_TYPES[base].name}"
        raise CaprotoValueError(message)
    # Numbers above the signed range are taken for unsigned ones with the same bits.
    return array.astype("i8").astype(dtype).tobytes()


def _text_of(data: Any, limit: int) -> Any:
    """Make text for a CHAR array bytes, be it bare or all that a sequence has.

    Of text that is too long no character is cut in the middle; bytes are returned as they are.
    """
    if not isinstance(data, str | bytes | bytearray) and is_text(data) and len(data) == 1:
        (data,) = data
    if not isinstance(data, str):
        return data
    encoded = text.encode(data, string_encoding())
    if len(encoded) <= limit:
        return encoded
    # As many bytes as were asked for, of which the last ones are not sent.
    return text.cut(encoded, limit).ljust(len(encoded), b"\0")


def count_of(data: Any) -> int:
    """Return how many elements a user wants to write; text is one."""
    if isinstance(data, str | bytes | bytearray) or not isinstance(data, Sized):
        return 1
    return len(data)


def encode(data: Any, data_type: Any, native: int, native_count: int, name: str) -> Encoded:
    """Convert data for a write.

    Args:
        data: a number, text, or a sequence of these. For CHAR, text is the array itself. For
            floating point, elements that are None or masked are written as NaN.
        data_type: see `choose_type`.
        native: native type of the channel.
        native_count: its capacity; more elements are not sent.
        name: of the PV, for the warning.

    Raises:
        TypeError: data is nothing that can be written, such as a generator, or has missing
            elements and is not for floating point.
        ValueError: text that is not a number, for a number; a number that does not fit.

    Warns:
        UserWarning: elements that are None or masked are written as NaN.
    """
    try:
        return _encode(data, data_type, native, native_count)
    except MissingElementError as exc:
        # Whoever adds the name of the PV makes the exception anew of its message.
        if LAYOUTS[choose_type(data_type, native)].base_type not in _FLOATS:
            raise CaprotoTypeError(*exc.args) from None
    # Only here, so that writes without missing elements do not pay for the search.
    encoded = _encode(with_nan(data), data_type, native, native_count)
    warn_nan(f"write of {name!r}")
    return encoded


def _encode(data: Any, data_type: Any, native: int, native_count: int) -> Encoded:
    dbr_type = choose_type(data_type, native)
    if data_type is None and native == _ENUM and is_text(data):
        dbr_type = _STRING
    base = LAYOUTS[dbr_type].base_type
    if isinstance(data, memoryview):
        import numpy as np

        data = np.asarray(data)
    if hasattr(data, "ndim") and hasattr(data, "item") and data.ndim == 0:
        if is_missing(data):
            raise MissingElementError(base)
        data = data.item()
    if base == _CHAR:
        data = _text_of(data, native_count)
    if isinstance(data, str) or (isinstance(data, bytes | bytearray) and base != _CHAR):
        data = [data]
    elif isinstance(data, bytes | bytearray):
        raw = bytes(data)[:native_count]
        return Encoded(dbr_type, len(raw), raw, len(data))
    elif not isinstance(data, Sized) or isinstance(data, dict | set | frozenset):
        if hasattr(data, "__next__") or not hasattr(data, "__float__"):
            message = f"{type(data).__name__} {data!r} cannot be written"
            raise CaprotoTypeError(message)
        data = [data]
    asked = len(data) if getattr(data, "ndim", 1) == 1 else data.size
    if getattr(data, "ndim", 1) != 1:
        data = data.ravel()
    count = min(asked, native_count)
    if asked != count:
        data = data[:count]
    raw = b"".join(map(_string, data)) if base == _STRING else _elements(data, base)
    return Encoded(dbr_type, count, raw, asked)


def own_buffer(record: Record, buffer: Any, offset: int) -> Any:
    """Keep the data of a record beyond the batch it came in."""
    if record[2] == 2:
        return bytearray(buffer[offset : offset + record[11]])
    return buffer


def padded(record: Record, buffer: Any, count: int) -> tuple[Record, Any]:
    """Fill a value up with zeros to the number of elements that was asked for."""
    if record[7] != 1 or record[8] >= count or record[3] > 34 or record[3] < 0:
        return record, buffer
    layout = LAYOUTS[record[3]]
    if record[2] == IN_RECORD:
        number: int | float = record[12] if layout.base_type in _FLOATS else int(record[12])
        size = layout.element_size
        body = (
            _elements([number], layout.base_type)
            if layout.base_type in _FLOATS
            else int(number).to_bytes(size, sys.byteorder, signed=number < 0)
        )
        fields: tuple[Any, ...] = ()
        if record[3] >= 7:
            fields = (record[4], record[5]) if record[3] < 14 else (*record[4:6], *record[9:11])
        data = bytearray(layout.native.pack(*fields) + body)
    else:
        data = bytearray(buffer[: record[11]] if buffer is not None else b"")
    full = layout.value_offset + count * layout.element_size
    data.extend(bytes(max(0, full - len(data))))
    return (*record[:2], 2, *record[3:8], count, *record[9:11], len(data), 0.0, 0), data


def refused(record: Record, dbr_type: int) -> Record:
    """Show a failed read as one of its own type with no elements."""
    return (*record[:2], 0, dbr_type, 0, 0, 0, record[7], 0, *record[9:])
