"""Python values to DBR data, by the rules of pyepics where they make sense.

Integers wrap as in C and fractions are cut off; numeric text is read as a number. Elements that are
None or masked are NaN for floating point, and refused by other types. None by itself is refused: it
is what a get that failed gave, more often than a wish for NaN.
"""

from __future__ import annotations

from typing import Any, Final

import numpy

from cachannel.engine import Encoded
from cachannel.protocol import text
from cachannel.protocol.enums import ECA, eca_message
from cachannel.values.missing import has_missing, is_masked, is_missing, warn_nan, with_nan
from epics_compat import dbr, utils
from epics_compat._errors import CASeverityException

__all__ = ["encode", "only_text"]

_DTYPES: Final = ("", "i2", "f4", "u2", "u1", "i4", "f8")
_BITS: Final = {1: 16, 3: 16, 4: 8, 5: 32}
_FLOATS: Final = (2, 6)
_BASES: Final = {35: 3, 36: 3}


class _MissingError(TypeError):
    """An element is None or masked; `encode` writes NaN for it if the type has NaN."""

    def __init__(self, base: int) -> None:
        super().__init__(f"an element is None or masked, and {dbr.Name(base)} has no NaN")


def _integer(value: Any, base: int) -> int:
    if isinstance(value, str | bytes):
        number = int(utils.bytes2str(value), 0)
    elif hasattr(value, "__index__"):
        number = value.__index__()
    else:
        number = int(float(value))
    bits = _BITS[base]
    return number & ((1 << bits) - 1)


def _number(value: Any, base: int) -> float | int:
    """Convert one element.

    Raises:
        TypeError: it is not one number.
        ValueError: it is text that is no number.
    """
    if is_missing(value):
        raise _MissingError(base)
    if isinstance(value, dict | set):
        message = f"a number is required, not {type(value).__name__}"
        raise TypeError(message)
    if base in _FLOATS:
        return float(utils.bytes2str(value) if isinstance(value, bytes) else value)
    return _integer(value, base)


def _string(value: Any) -> bytes:
    """Encode one element of STRING.

    Raises:
        TypeError: it is neither text nor a number.
        ValueError: it has more than 40 bytes.
        CASeverityException: it has 40 bytes, and no room for its end.
    """
    if is_masked(value):
        raise _MissingError(0)
    if isinstance(value, int | float | numpy.integer | numpy.floating | numpy.bool_):
        value = str(value)
    data = utils.str2bytes(value)
    if len(data) > dbr.MAX_STRING_SIZE:
        message = f"{len(data)} bytes of text; a STRING holds {dbr.MAX_STRING_SIZE - 1}"
        raise ValueError(message)
    if len(data) == dbr.MAX_STRING_SIZE:
        raise CASeverityException("put", eca_message(ECA.BADSTR))
    return data.ljust(dbr.MAX_STRING_SIZE, b"\0")


def _wrap(values: Any, base: int) -> bytes:
    """Convert an ndarray of numbers in one go; integers wrap. Not for fractions to integers."""
    target = numpy.dtype(_DTYPES[base])
    with numpy.errstate(over="ignore", invalid="ignore"):
        return bytes(values.astype(target).tobytes())


def _array(values: Any, base: int, nelm: int) -> Encoded:
    if isinstance(values, numpy.ndarray) and values.ndim > 1:
        values = values.ravel()
    if not hasattr(values, "__getitem__") or not hasattr(values, "__len__"):
        values = list(values)
    if nelm == 1 and base != 0 and len(values) != 1:
        message = f"one value is required, not {len(values)}"
        raise TypeError(message)
    given = values = values[:nelm]
    if is_masked(values):
        if has_missing(values):
            raise _MissingError(base)
        values = values.data
    if not len(values):
        # As pyepics has it: an empty list clears the whole array.
        size = dbr.MAX_STRING_SIZE if base == 0 else numpy.dtype(_DTYPES[base]).itemsize
        return Encoded(base, nelm, bytes(size * nelm))
    if base == 0:
        return Encoded(0, len(values), b"".join(_string(value) for value in values))
    if not isinstance(values, numpy.ndarray):
        try:
            array = numpy.asarray(values)
        except ValueError:
            array = numpy.asarray(values, dtype=object)
        if array.ndim > 1:
            array = array.ravel()[:nelm]
        values = array
    fractions = values.dtype.kind == "f" and base not in _FLOATS
    if fractions and has_missing(given):
        raise _MissingError(base)
    if fractions and nelm > 1:
        message = "an array of integers takes integers only"
        raise TypeError(message)
    if values.dtype.kind in "biuf" and not fractions:
        return Encoded(base, len(values), _wrap(values, base))
    try:
        data = [_number(value, base) for value in values]
    except ValueError as exc:
        raise TypeError(*exc.args) from None
    kind = "f8" if base in _FLOATS else "i8"
    return Encoded(base, len(data), _wrap(numpy.array(data, dtype=kind), base))


def _is_sequence(value: Any) -> bool:
    if isinstance(value, numpy.ndarray):
        return value.ndim > 0
    return not isinstance(value, str | bytes | dict) and (
        hasattr(value, "__len__") or hasattr(value, "__next__")
    )


def only_text(value: Any) -> str | bytes | None:
    """Return text, also out of a sequence that has nothing else; None for other values."""
    if isinstance(value, list | tuple):
        value = value[0] if len(value) == 1 else None
    elif isinstance(value, numpy.ndarray) and value.size == 1:
        value = value.flat[0]
    return value if isinstance(value, str | bytes) else None


def encode(value: Any, ftype: int, nelm: int, pvname: str = "") -> Encoded:
    """Convert a value.

    Args:
        value: number, text, bytes, or a sequence of them (any array; taken in C order).
        ftype: native DBR type, or PUT_ACKT, PUT_ACKS.
        nelm: elements the channel can hold; the elements beyond are cut off.
        pvname: name of the PV, for the warning.

    Raises:
        TypeError: the value is not of a kind that can be sent; several for a scalar,
            fractions for an array of integers, or None and masked elements for a type other than
            FLOAT and DOUBLE.
        ValueError: text that is not a number, or is too long.
        CASeverityException: text of exactly 40 bytes.

    Warns:
        UserWarning: elements that are None or masked are written as NaN.
    """
    base = _BASES.get(ftype, dbr.native_type(ftype) if ftype < 35 else 0)
    try:
        return _encode(value, ftype, base, nelm)
    except _MissingError:
        if base not in _FLOATS:
            raise
        # Only here, so that writes with nothing missing do not pay for the search.
        encoded = _encode(with_nan(value), ftype, base, nelm)
    warn_nan(f"put of {pvname!r}")
    return encoded


def _encode(value: Any, ftype: int, base: int, nelm: int) -> Encoded:
    """See `encode`."""
    if isinstance(value, numpy.ndarray) and value.ndim == 0 and not is_missing(value):
        value = value.item()
    if base == 4 and nelm > 1:
        only = only_text(value)
        if only:
            # No character is cut: a part of it would make the whole text invalid.
            data = only if isinstance(only, bytes) else text.encode(only, utils.IOENCODING, nelm)
            data = (data + b"\0")[:nelm]
            return Encoded(4, len(data), data)
    if nelm > 1 and base != 0 and isinstance(value, str | bytes):
        value = list(utils.str2bytes(value))
    if _is_sequence(value) and not (isinstance(value, set) and (nelm == 1 or base == 0)):
        encoded = _array(value, base, nelm)
        return encoded if ftype < 7 else encoded._replace(dbr_type=ftype)
    if base == 0:
        return Encoded(0, 1, _string(value))
    if value is None:
        message = "a number is required, not NoneType"
        raise TypeError(message)
    number = _number(value, base)
    data = _wrap(numpy.array([number], dtype="f8" if base in _FLOATS else "i8"), base)
    return Encoded(ftype if ftype >= 35 else base, 1, data)
