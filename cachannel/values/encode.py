"""Python values to DBR data, without ever sending something else than was asked for.

Harmless values are converted: a whole or fractional number for an integer type (the fraction is
cut off), text that is a number for a numeric type, a number for a STRING, elements that are None or
masked for floating point (NaN). Everything else raises, and nothing is sent: a number that does not
fit, text that is not a number, an object that is not a value. None by itself is not a value: it is
what a read that failed gave, more often than a wish for NaN.
"""

from __future__ import annotations

import math
from decimal import Decimal
from struct import Struct, error as struct_error
from typing import Any, Final, NamedTuple

from cachannel.errors import BadValueError, RangeError, StringTooLongError, ValueTypeError
from cachannel.protocol import text
from cachannel.protocol.enums import DBR_BY_NUMBER, ECA
from cachannel.values.missing import is_masked, is_missing, warn_nan, with_nan

__all__ = ["Encoded", "encode", "integer"]

_STRING, _SHORT, _FLOAT, _ENUM, _CHAR, _LONG, _DOUBLE = range(7)
_CODES: Final = ("", "h", "f", "H", "B", "i", "d")
_SCALARS: Final = tuple(Struct("=" + code) for code in _CODES)
_DTYPES: Final = ("", "i2", "f4", "u2", "u1", "i4", "f8")
_LIMITS: Final = {
    _SHORT: (-32768, 32767),
    _ENUM: (0, 65535),
    _CHAR: (0, 255),
    _LONG: (-2147483648, 2147483647),
}
STRING_SIZE: Final = 40


class Encoded(NamedTuple):
    """What `ca_array_put` takes.

    Attributes:
        dbr_type: the type the data is sent as; text for an ENUM goes as DBR_STRING.
        length: number of elements.
        data: the elements, in host byte order.
    """

    dbr_type: int
    length: int
    data: bytes


class _RefusedError(Exception):
    """A conversion failed; `encode` adds the PV and the operation."""

    def __init__(self, cls: type[BadValueError] | type[ValueTypeError], detail: str) -> None:
        super().__init__(detail)
        self.cls = cls
        self.detail = detail


class _MissingError(_RefusedError):
    """An element is None or masked; `encode` writes NaN for it if the type has NaN."""

    def __init__(self, base: int) -> None:
        name = DBR_BY_NUMBER[base].name
        super().__init__(ValueTypeError, f"an element is None or masked, and {name} has no NaN")


def integer(value: Any, what: str) -> int:
    """Take anything that is an integer by its number protocol, floats included.

    Args:
        value: int, bool, enum member, numpy scalar, float; not text and not a sequence.
        what: name of the argument, for the message.

    Raises:
        ValueError: it is not a number.
    """
    if isinstance(value, str | bytes) or not (
        hasattr(value, "__index__") or hasattr(value, "__int__")
    ):
        message = f"{what} must be an integer, not {value!r}"
        raise ValueError(message)
    try:
        return int(value)
    except (TypeError, ValueError) as exc:
        message = f"{what} must be an integer, not {value!r}"
        raise ValueError(message) from exc


def _show(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) < 60 else shown[:57] + "..."


def _fits(number: int, base: int) -> int:
    low, high = _LIMITS[base]
    if low <= number <= high:
        return number
    name = DBR_BY_NUMBER[base].name
    raise _RefusedError(RangeError, f"{number} does not fit {name} ({low} to {high})")


def _number(value: Any, base: int) -> int | float:
    """Convert one element to what `struct` packs for a numeric base type."""
    floating = base in (_FLOAT, _DOUBLE)
    if isinstance(value, str | bytes):
        value = _parse(value, base)
    kind = type(value)
    if kind is int and not floating:
        return _fits(value, base)
    if kind is float and base == _DOUBLE:
        return value  # type: ignore[no-any-return]
    if kind is not int and kind is not float:
        if is_missing(value):
            raise _MissingError(base)
        if getattr(value, "ndim", None) == 0:
            # An array without a shape says that it is an index, and may hold anything.
            plain = value.item()
            if type(plain) is not kind:
                return _number(plain, base)
        if not floating and hasattr(value, "__index__") and not hasattr(value, "shape"):
            return _fits(value.__index__(), base)
    if not _is_number(value):
        raise _RefusedError(ValueTypeError, f"{_show(value)} is not a number")
    try:
        if not hasattr(value, "__float__") and not hasattr(value, "__index__"):
            value = int(value)
            return value if floating else _fits(value, base)
        number = float(value)
    except OverflowError as exc:
        raise _RefusedError(RangeError, f"{_show(value)} does not fit a double") from exc
    except (TypeError, ValueError) as exc:
        raise _RefusedError(ValueTypeError, f"{_show(value)} is not one number") from exc
    if math.isinf(number) and getattr(value, "dtype", None) is not None and value != number:
        raise _RefusedError(RangeError, f"{_show(value)} does not fit a double")
    if base == _DOUBLE:
        return number
    if base == _FLOAT:
        try:
            _SCALARS[_FLOAT].pack(number)
        except (OverflowError, struct_error) as exc:
            raise _RefusedError(RangeError, f"{number} does not fit FLOAT") from exc
        return number
    if not math.isfinite(number):
        raise _RefusedError(RangeError, f"{number} does not fit {DBR_BY_NUMBER[base].name}")
    return _fits(int(number), base)


def _parse(value: str | bytes, base: int) -> int | float:
    """Read text as a number, exactly where it is an integer for an integer type."""
    try:
        shown = text.decode(value) if isinstance(value, bytes) else value
        if base not in (_FLOAT, _DOUBLE):
            try:
                return int(shown)
            except ValueError:
                pass
        return float(shown)
    except ValueError as exc:
        raise _RefusedError(BadValueError, f"{_show(value)} is not a number") from exc


def _string(value: Any) -> bytes:
    """Convert one element to the bytes of a DBR_STRING, without its NUL padding."""
    if value is None:
        return b""
    if isinstance(value, str):
        data = _encoded(value)
    elif isinstance(value, bytes):
        data = bytes(value)
    elif is_missing(value):
        raise _MissingError(_STRING)
    elif _is_number(value):
        data = str(_plain(value)).encode()
    else:
        raise _RefusedError(ValueTypeError, f"{_show(value)} is neither text nor a number")
    if len(data) >= STRING_SIZE:
        raise _RefusedError(
            StringTooLongError, f"{len(data)} bytes of text, at most {STRING_SIZE - 1} fit a STRING"
        )
    return data


def _encoded(value: str, limit: int | None = None) -> bytes:
    try:
        return text.encode(value, limit=limit)
    except UnicodeEncodeError as exc:
        raise _RefusedError(BadValueError, f"{_show(value)} is not text: {exc.reason}") from exc


def _is_number(value: object) -> bool:
    return hasattr(value, "__float__") or hasattr(value, "__index__") or hasattr(value, "__int__")


def _plain(value: Any) -> object:
    """Return a number whose text is its value.

    That of an enum member or a bool is its name, that of a fraction is read as its numerator.
    """
    if hasattr(value, "item"):
        value = value.item()
    if hasattr(value, "__index__"):
        return value.__index__()
    if isinstance(value, float | Decimal):
        return value
    return float(value) if hasattr(value, "__float__") else int(value)


def _sequence(value: Any) -> Any | None:
    """Return an indexable sequence of the elements, or None for what is no sequence."""
    if hasattr(value, "dtype") and hasattr(value, "ndim"):
        if value.ndim == 0:
            return None
        return value.ravel() if value.ndim > 1 else value
    if isinstance(value, list | tuple | range | bytearray):
        return value
    if hasattr(value, "__len__") and hasattr(value, "__getitem__") and not hasattr(value, "keys"):
        # Not every sequence can be sliced: a deque cannot.
        return list(value)
    return None


def _pack_array(values: Any, base: int) -> bytes | None:
    """Convert an ndarray of numbers in one go; None when it has to go element by element."""
    import numpy as np

    kind = values.dtype.kind
    if kind not in "biuf":
        return None
    target = np.dtype(_DTYPES[base])
    if base in (_FLOAT, _DOUBLE):
        with np.errstate(over="ignore"):
            converted = values.astype(target)
        wider = values.dtype.itemsize > target.itemsize
        if wider and np.any(np.isinf(converted) & np.isfinite(values)):
            name = DBR_BY_NUMBER[base].name
            raise _RefusedError(RangeError, f"an element does not fit {name}")
        return bytes(converted.tobytes())
    low, high = _LIMITS[base]
    name = DBR_BY_NUMBER[base].name
    if kind == "f":
        if not np.all(np.isfinite(values)):
            raise _RefusedError(RangeError, f"an element is not finite and does not fit {name}")
        # In doubles: the limits of LONG and ENUM are no numbers of single or half precision.
        values = np.trunc(values.astype("f8"))
    if values.size and (values.min() < low or values.max() > high):
        raise _RefusedError(RangeError, f"an element does not fit {name} ({low} to {high})")
    return bytes(values.astype(target).tobytes())


def _pack(values: Any, base: int) -> bytes:
    if is_masked(values):
        if values.dtype.names is None and values.mask.any():
            raise _MissingError(base)
        values = values.data
    if base == _STRING:
        return b"".join(_string(value).ljust(STRING_SIZE, b"\0") for value in values)
    if hasattr(values, "dtype"):
        packed = _pack_array(values, base)
        if packed is not None:
            return packed
        values = values.tolist()
    return Struct(f"={len(values)}{_CODES[base]}").pack(*[_number(v, base) for v in values])


def _encode(value: Any, dbr_type: int, native: int, count: int | None) -> Encoded:
    """See `encode`."""
    limit = native if count is None else min(count, native)
    base = _ENUM if dbr_type in (35, 36) else dbr_type
    if isinstance(value, memoryview):
        import numpy as np

        # A memoryview itself reads neither other byte orders nor more than one dimension.
        value = np.asarray(value)
    if hasattr(value, "ndim") and hasattr(value, "item") and value.ndim == 0:
        if is_missing(value):
            raise _MissingError(base)
        value = value.item()
    value = _only_text(value, dbr_type)
    if isinstance(value, str | bytes):
        if dbr_type in (_STRING, _ENUM):
            return Encoded(_STRING, 1, _string(value).ljust(STRING_SIZE, b"\0"))
        if dbr_type == _CHAR:
            data = _encoded(value, limit) if isinstance(value, str) else value
            data = (data + b"\0")[:limit]
            return Encoded(_CHAR, len(data), data)
        return Encoded(dbr_type, 1, _SCALARS[base].pack(_number(value, base)))
    values = _sequence(value)
    if values is None:
        if isinstance(value, dict | set | frozenset) or not _is_number(value):
            raise _RefusedError(ValueTypeError, f"{_show(value)} cannot be written")
        if base == _STRING:
            return Encoded(dbr_type, 1, _string(value).ljust(STRING_SIZE, b"\0"))
        return Encoded(dbr_type, 1, _SCALARS[base].pack(_number(value, base)))
    number = min(len(values), limit)
    if dbr_type == _ENUM and number and isinstance(values[0], str | bytes):
        try:
            return Encoded(dbr_type, number, _pack(values[:number], base))
        except _RefusedError:
            # Names of states; the server knows them.
            dbr_type = base = _STRING
    return Encoded(dbr_type, number, _pack(values[:number], base))


def _only_text(value: Any, dbr_type: int) -> Any:
    """Take the text out of a sequence that has nothing else, for CHAR and ENUM.

    Text for them is a whole value: the bytes of an array, or the name of a state.
    """
    if dbr_type != _CHAR and dbr_type != _ENUM:
        return value
    size = getattr(value, "size", None)
    if size is not None:
        if size != 1 or is_masked(value):
            return value
        (first,) = value.flat if hasattr(value, "flat") else (value,)
    elif isinstance(value, list | tuple) and len(value) == 1:
        (first,) = value
    else:
        return value
    return first if isinstance(first, str | bytes) else value


def encode(
    value: Any,
    dbr_type: int,
    native: int,
    count: int | None,
    pvname: str = "",
    operation: str = "put",
) -> Encoded:
    """Convert a Python value for `ca_array_put`.

    Args:
        value: a number, text (str or bytes), or a sequence of them: list, tuple, range, array,
            memoryview, ndarray of any dtype, byte order and memory layout. A 2-d array is taken
            in C order. A number writes one element, whatever `count` says.
        dbr_type: DBR_STRING (0) to DBR_DOUBLE (6), DBR_PUT_ACKT or DBR_PUT_ACKS.
        native: element count of the channel.
        count: at most so many elements; None: as many as there are. More than `native` are
            never sent.
        pvname: name of the PV, for messages.
        operation: what is attempted, for messages.

    Raises:
        StringTooLongError: 40 bytes of text and more for a STRING.
        BadValueError: text that is not a number.
        RangeError: a number that the type cannot hold.
        ValueTypeError: an object that is not a value (None, dict, generator, ...); an element that
            is None or masked, for a type other than FLOAT and DOUBLE.

    Warns:
        UserWarning: elements that are None or masked are written as NaN.
    """
    try:
        try:
            return _encode(value, dbr_type, native, count)
        except _MissingError:
            if dbr_type not in (_FLOAT, _DOUBLE):
                raise
            # Only here, so that writes with nothing missing do not pay for the search.
            encoded = _encode(with_nan(value), dbr_type, native, count)
        warn_nan(f"{operation} of {pvname!r}" if pvname else operation)
        return encoded
    except _RefusedError as refused:
        status = ECA.BADSTR if refused.cls is StringTooLongError else ECA.NOCONVERT
        raise refused.cls(status, pvname, operation, refused.detail) from refused.__cause__
