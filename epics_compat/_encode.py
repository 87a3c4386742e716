"""Python values to DBR data, by the rules of pyepics where they make sense.

Integers wrap as in C and fractions are cut off; numeric text is read as a number.
"""

from __future__ import annotations

from typing import Any, Final

import numpy

from cachannel.engine import Encoded
from cachannel.protocol.enums import ECA, eca_message
from epics_compat import dbr, utils
from epics_compat._errors import CASeverityException

__all__ = ["encode"]

_DTYPES: Final = ("", "i2", "f4", "u2", "u1", "i4", "f8")
_BITS: Final = {1: 16, 3: 16, 4: 8, 5: 32}
_FLOATS: Final = (2, 6)
_BASES: Final = {35: 3, 36: 3}


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
    if value is None or isinstance(value, dict | set):
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
    """Convert an ndarray of numbers in one go; integers wrap."""
    target = numpy.dtype(_DTYPES[base])
    if values.dtype.kind == "f" and base not in _FLOATS:
        values = numpy.trunc(values).astype("i8")
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
    values = values[:nelm]
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
    if values.dtype.kind == "f" and base not in _FLOATS and nelm > 1:
        message = "an array of integers takes integers only"
        raise TypeError(message)
    if values.dtype.kind in "biuf":
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


def encode(value: Any, ftype: int, nelm: int) -> Encoded:
    """Convert a value.

    Args:
        value: number, text, bytes, or a sequence of them (any array; taken in C order).
        ftype: native DBR type, or PUT_ACKT, PUT_ACKS.
        nelm: elements the channel can hold; what is beyond is cut off.

    Raises:
        TypeError: the value is not of a kind that can be sent; several for a scalar, or
            fractions for an array of integers.
        ValueError: text that is no number, or is too long.
        CASeverityException: text of exactly 40 bytes.
    """
    base = _BASES.get(ftype, dbr.native_type(ftype) if ftype < 35 else 0)
    if base == 4 and nelm > 1 and isinstance(value, str | bytes) and value:
        data = (utils.str2bytes(value) + b"\0")[:nelm]
        return Encoded(4, len(data), data)
    if nelm > 1 and base != 0 and isinstance(value, str | bytes):
        value = list(utils.str2bytes(value))
    if _is_sequence(value) and not (isinstance(value, set) and (nelm == 1 or base == 0)):
        encoded = _array(value, base, nelm)
        return encoded if ftype < 7 else encoded._replace(dbr_type=ftype)
    if base == 0:
        return Encoded(0, 1, _string(value))
    number = _number(value, base)
    data = _wrap(numpy.array([number], dtype="f8" if base in _FLOATS else "i8"), base)
    return Encoded(ftype if ftype >= 35 else base, 1, data)
