"""Between Python values and DBR payloads: elements, metadata, whole replies.

Everything here is big-endian, as the wire is. Numbers that do not fit a narrower type wrap as C's
conversions do; nothing that a client may ask for raises anything but `CaprotoConversionError`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from struct import Struct, error as struct_error
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cachannel.protocol.dbr import LAYOUTS, MAX_STRING_SIZE
from cachannel.protocol.errors import CaprotoConversionError
from cachannel.protocol.messages import EXTENSION, HEADER
from cachannel.protocol.text import cut, decode

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "Elements",
    "Reply",
    "convert_number",
    "decode_elements",
    "failure",
    "is_array",
    "pack_numbers",
    "pack_scalar",
    "pack_texts",
    "parse_number",
    "reply",
]

STRING, SHORT, FLOAT, ENUM, CHAR, LONG, DOUBLE = range(7)

_NORMAL: Final = 1  # ECA_NORMAL
_READ_NOTIFY: Final = 15
_EVENT_ADD: Final = 1

_HEAD: Final = Struct(">HHHHI")

# A large array is turned into wire order right inside its message; below this many elements
# plain `struct` is quicker than NumPy.
_SMALL_ARRAY: Final = 8

_PACKERS: Final = {
    SHORT: Struct(">h").pack,
    FLOAT: Struct(">f").pack,
    ENUM: Struct(">H").pack,
    CHAR: Struct(">B").pack,
    LONG: Struct(">i").pack,
    DOUBLE: Struct(">d").pack,
}
_UNPACKERS: Final = {
    SHORT: Struct(">h").unpack_from,
    FLOAT: Struct(">f").unpack_from,
    ENUM: Struct(">H").unpack_from,
    CHAR: Struct(">B").unpack_from,
    LONG: Struct(">i").unpack_from,
    DOUBLE: Struct(">d").unpack_from,
}
_BITS: Final = {SHORT: 16, ENUM: 16, CHAR: 8, LONG: 32}
_SIGNED: Final = frozenset((SHORT, LONG))

_numpy: Any = None


def numpy() -> Any:
    """Return NumPy, imported when an array first needs it."""
    global _numpy
    if _numpy is None:
        import numpy as np

        _numpy = np
    return _numpy


def is_array(value: object) -> bool:
    """Tell whether a value is a NumPy array (of any shape)."""
    return hasattr(value, "dtype") and hasattr(value, "shape") and value.shape != ()


class Elements(NamedTuple):
    """Some elements in wire form.

    Attributes:
        length: number of elements.
        data: bytes, or a NumPy array that `fill` writes in wire order.
        fill: the wire dtype when `data` is an array, else ''.
    """

    length: int
    data: bytes | np.ndarray[Any, Any]
    fill: str = ""


class Reply(NamedTuple):
    """A message without its id: ``head + id + rest`` is what is sent.

    Attributes:
        read_head: the first 12 bytes of a READ_NOTIFY reply.
        event_head: the same of a subscription's event.
        rest: what follows the id: the extension of the header, if any, metadata, elements and
            padding.
        size: bytes of the whole message.
    """

    read_head: bytes
    event_head: bytes
    rest: bytes | bytearray
    size: int


def wrap(number: int, base: int) -> int:
    """Return the bits of an integer that an integer type keeps, as C's cast does."""
    bits = _BITS[base]
    number &= (1 << bits) - 1
    if base in _SIGNED and number >> (bits - 1):
        number -= 1 << bits
    return number


def to_integer(value: Any) -> int:
    """Return a number without its fraction.

    A float that 32 bits do not hold, or that is none, becomes the lowest integer, as the
    processors do that EPICS mostly runs on.
    """
    if isinstance(value, float) and not -0x80000000 <= value < 0x80000000:
        return -0x80000000
    try:
        return int(value)
    except (OverflowError, ValueError):  # other kinds of NaN and infinity
        return -0x80000000


def convert_number(value: Any, base: int) -> int | float:
    """Return a number as the base type has it: cut, wrapped, or as float."""
    if base in (DOUBLE, FLOAT):
        return float(value)
    return wrap(to_integer(value), base)


def pack_scalar(value: Any, base: int) -> bytes:
    """Pack one number of any kind as a numeric base type.

    Raises:
        CaprotoConversionError: not a number.
    """
    try:
        return _PACKERS[base](value)
    except (struct_error, OverflowError, TypeError, ValueError):
        pass
    try:
        if base == FLOAT:
            # Too large for single precision: an infinity, as C makes of it.
            number = float(value)
            return _PACKERS[FLOAT](math.copysign(math.inf, number))
        if base == DOUBLE:
            return _PACKERS[DOUBLE](float(value))
        return _PACKERS[base](wrap(to_integer(value), base))
    except (TypeError, ValueError, OverflowError) as exc:
        raise CaprotoConversionError(f"{value!r} is not a number") from exc


def pack_numbers(values: Any, base: int) -> Elements:
    """Make elements of a sequence of numbers or a one-dimensional array.

    Raises:
        CaprotoConversionError: something in it is not a number.
    """
    if not is_array(values):
        if len(values) <= _SMALL_ARRAY:
            return Elements(len(values), b"".join(pack_scalar(value, base) for value in values))
        np = numpy()
        try:
            values = np.asarray(values)
        except ValueError as exc:
            raise CaprotoConversionError(f"not an array of numbers: {exc}") from exc
    if values.ndim != 1 or values.dtype.kind not in "biuf":
        try:
            values = values.astype("f8").reshape(-1)
        except (TypeError, ValueError) as exc:
            raise CaprotoConversionError(f"not an array of numbers: {exc}") from exc
    return Elements(len(values), values, LAYOUTS[base].wire_dtype)


def _fitting(text: bytes) -> bytes:
    """Return what of a text leaves room for its NUL, as in EPICS base, in whole characters."""
    return text if len(text) < MAX_STRING_SIZE else cut(text, MAX_STRING_SIZE - 1)


def pack_texts(texts: Sequence[bytes]) -> Elements:
    """Make DBR_STRING elements: at most 39 bytes of whole characters, and NULs."""
    data = b"".join([_fitting(text).ljust(MAX_STRING_SIZE, b"\0") for text in texts])
    return Elements(len(texts), data)


_SPACE: Final = b" \t\n\v\f\r"
_LEADING_FLOAT: Final = re.compile(
    rb"[+-]?(?:(0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)(?:[pP][+-]?\d+)?)"
    rb"|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|inf(?:inity)?|nan)",
    re.IGNORECASE,
)
_LEADING_INTEGER: Final = re.compile(rb"([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9]\d*)")

_LIMITS: Final = {
    SHORT: (-0x8000, 0x7FFF),
    ENUM: (0, 0xFFFF),
    # Both the signed and the unsigned bytes of a record.
    CHAR: (-0x80, 0xFF),
    LONG: (-0x80000000, 0x7FFFFFFF),
}
# The least and the greatest that base takes for a floating point type, zero and infinity apart.
_NORMAL_FLOATS: Final = {
    FLOAT: (1.1754943508222875e-38, 3.4028234663852886e38),
    DOUBLE: (2.2250738585072014e-308, 1.7976931348623157e308),
}


def number_in_text(text: bytes, base: int) -> int | float:
    """Return the number that a text starts with, as reading a text as a number gives it.

    Raises:
        CaprotoConversionError: the text does not start with a number, or the base type is ENUM,
            which EPICS base never reads from a text.
    """
    if base == ENUM:
        raise CaprotoConversionError(f"{_shown(text)} is not a state")
    return parse_number(text, base)


def parse_number(text: bytes, base: int) -> int | float:
    """Return the number that a text starts with, as EPICS base reads it; an empty text is 0.

    Units and the like may follow. Integers may be hexadecimal (``0x10``) or octal (``010``), and
    end at a decimal point.

    Raises:
        CaprotoConversionError: the text does not start with a number, or the type cannot hold it.

    Source:
        epicsStdlib.c, ``epicsParseInt32`` and its kin; dbConvert.c, ``putStringLong``.
    """
    if not text:
        return 0.0 if base in (DOUBLE, FLOAT) else 0
    trimmed = text.lstrip(_SPACE)
    if base in (DOUBLE, FLOAT):
        match = _LEADING_FLOAT.match(trimmed)
        if match is None:
            raise CaprotoConversionError(f"{_shown(text)} is not a number")
        return _float_of(match, text, base)
    match = _LEADING_INTEGER.match(trimmed)
    if match is None:
        raise CaprotoConversionError(f"{_shown(text)} is not an integer")
    sign, digits = match.groups()
    radix = 16 if digits[1:2] in (b"x", b"X") else 8 if digits[0] == 0x30 else 10
    # Python limits the digits of a conversion; a text of so many is out of range anyway.
    found = int(digits, radix) if len(digits) <= 40 else 1 << 100
    if sign == b"-":
        found = -found
    low, high = _LIMITS[base]
    if not low <= found <= high:
        raise CaprotoConversionError(f"{_shown(text)} is out of the range {low} to {high}")
    return wrap(found, base)


def _float_of(match: re.Match[bytes], text: bytes, base: int) -> float:
    """Return the number of a match, refused if it would be rounded to 0 or to infinity."""
    digits = match[0].decode().lower()
    try:
        found = float.fromhex(digits) if match[1] else float(digits)
    except OverflowError:
        found = math.inf
    if "n" in digits:  # infinity and NaN by name
        return found
    mantissa = digits.partition("p" if match[1] else "e")[0]
    is_zero = not mantissa.strip("+-0x.")
    least, most = _NORMAL_FLOATS[base]
    if not (is_zero or least <= abs(found) <= most):
        raise CaprotoConversionError(f"{_shown(text)} is out of range")
    return found


def _shown(text: bytes) -> str:
    return repr(decode(text))


def decode_elements(base: int, count: int, data: memoryview) -> Any:
    """Return the elements of a put as Python values.

    Returns:
        For STRING a list of bytes, each of at most 39 bytes and cut at its first NUL. For one
        number, an int or float.
        For several (or none), a NumPy array in host order that owns its memory.
    """
    if base == STRING:
        # rsrv lets the last text be shorter than 40 bytes.
        raw = bytes(data)
        if count == 1:
            return [_fitting(raw[:MAX_STRING_SIZE].partition(b"\0")[0])]
        return [
            _fitting(raw[start : start + MAX_STRING_SIZE].partition(b"\0")[0])
            for start in range(0, count * MAX_STRING_SIZE, MAX_STRING_SIZE)
        ]
    if count == 1:
        return _UNPACKERS[base](data)[0]
    np = numpy()
    layout = LAYOUTS[base]
    return np.frombuffer(data, layout.wire_dtype, count).astype(layout.dtype)


def number_elements(value: Any, scalar: bool, base: int, text: Callable[[Any], bytes]) -> Elements:
    """Make elements of what a channel of numbers holds.

    Args:
        value: one number, or a sequence or array of them; None is 0, or no element.
        scalar: there is one number always.
        base: the base type.
        text: makes the text of one number.

    Raises:
        CaprotoConversionError: something in it is not a number.
    """
    if scalar:
        if base == STRING:
            return pack_texts([text(value)])
        return Elements(1, pack_scalar(0 if value is None else value, base))
    if value is None:
        return Elements(0, b"")
    if base == STRING:
        numbers = value.tolist() if hasattr(value, "tolist") else value
        return pack_texts([text(number) for number in numbers])
    return pack_numbers(value, base)


def reply(dbr_type: int, metadata: bytes, elements: Elements, count: int) -> Reply:
    """Put a message together.

    Args:
        dbr_type: the request type.
        metadata: what precedes the elements.
        elements: the elements there are.
        count: how many to send: more are zeros, fewer are cut; 0 sends what there is.
    """
    layout = LAYOUTS[dbr_type]
    element_size = layout.element_size
    sent = count or elements.length
    body = len(metadata) + sent * element_size
    size = body + -body % 8
    extended = size >= 0xFFFF or sent >= 0xFFFF
    if extended:
        read_head = _HEAD.pack(_READ_NOTIFY, 0xFFFF, dbr_type, 0, _NORMAL)
        event_head = _HEAD.pack(_EVENT_ADD, 0xFFFF, dbr_type, 0, _NORMAL)
    else:
        read_head = _HEAD.pack(_READ_NOTIFY, size, dbr_type, sent, _NORMAL)
        event_head = _HEAD.pack(_EVENT_ADD, size, dbr_type, sent, _NORMAL)
    given = min(sent, elements.length)
    data = elements.data
    if isinstance(data, bytes):
        data = data[: given * element_size]
        rest = metadata + data
        fill = size - len(rest)
        if fill:
            rest += bytes(fill)
        if extended:
            rest = EXTENSION.pack(size, sent) + rest
        return Reply(read_head, event_head, rest, HEADER.size + len(rest))
    start = len(metadata)
    if extended:
        metadata = EXTENSION.pack(size, sent) + metadata
        start += EXTENSION.size
        size += EXTENSION.size
    buffer = bytearray(size)
    buffer[:start] = metadata
    np = numpy()
    target = np.frombuffer(buffer, elements.fill, given, start)
    with np.errstate(invalid="ignore", over="ignore"):
        np.copyto(target, data[:given], casting="unsafe")
    return Reply(read_head, event_head, buffer, HEADER.size + size)


def failure(dbr_type: int, count: int, status: int) -> Reply:
    """Return a reply that carries a status and zeros, as rsrv answers what it cannot read."""
    layout = LAYOUTS[dbr_type]
    data = bytes(count * layout.element_size)
    good = reply(dbr_type, bytes(layout.value_offset), Elements(count, data), count)
    code = status.to_bytes(4, "big")
    return good._replace(read_head=good.read_head[:8] + code, event_head=good.event_head[:8] + code)
