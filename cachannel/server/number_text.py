"""Numbers as text, as a STRING request gets them: the rules of EPICS base, digit by digit.

Source:
    cvtFast.c (``cvtDoubleToString``, ``cvtFloatToString``), dbConvert.c (``getDoubleString``).
"""

from __future__ import annotations

import math
from struct import Struct, error as struct_error
from typing import Final

__all__ = ["double_text", "float_text", "shortest_float"]

_single: Final = Struct("=f")
# Up to here digits are produced by integer arithmetic, which rounds halves away from zero.
_FAST_LIMIT: Final = 1e7
_FAST_DIGITS: Final = 8


def to_single(number: float) -> float:
    """Return a number rounded to single precision."""
    try:
        found: float = _single.unpack(_single.pack(number))[0]
    except (struct_error, OverflowError):
        return math.copysign(math.inf, number)
    return found


def double_text(number: float, precision: int) -> str:
    """Return the text of a DOUBLE.

    Args:
        number: any float.
        precision: digits after the decimal point. A negative one counts as a very large one,
            because base passes it on as unsigned; above 8 the text has an exponent.
    """
    digits = precision & 0xFFFF
    if math.isnan(number) or digits > _FAST_DIGITS or abs(number) > _FAST_LIMIT:
        if digits > _FAST_DIGITS or abs(number) > 1e16:
            digits = min(digits, 17)
            return f"{number:.{digits}e}".rjust(digits + 7)
        return f"{number:.{min(digits, 3)}f}"
    size = abs(number)
    whole = int(size)
    return _digits(number, whole, int((size - whole) * 10**digits * 10), digits)


def float_text(number: float, precision: int) -> str:
    """Return the text of a FLOAT; the arguments are those of `double_text`."""
    digits = precision & 0xFFFF
    number = to_single(number)
    if math.isnan(number) or digits > _FAST_DIGITS or abs(number) > _FAST_LIMIT:
        if digits > _FAST_DIGITS or abs(number) >= 1e8:
            digits = min(digits, 12)
            return f"{number:.{digits}e}".rjust(digits + 6)
        return f"{number:.{min(digits, 3)}f}"
    size = abs(number)
    whole = int(size)
    # Base multiplies in single precision, and the last digit shows it.
    tenths = to_single(to_single((size - whole) * 10**digits) * 10)
    return _digits(number, whole, int(tenths), digits)


def _digits(number: float, whole: int, tenths: int, digits: int) -> str:
    """Return sign, whole part, and fraction, which comes in tenths of the last digit."""
    fraction = (tenths + 5) // 10
    if fraction >= 10**digits:
        whole += 1
        fraction -= 10**digits
    sign = "-" if number < 0 else ""
    return f"{sign}{whole}.{fraction:0{digits}d}" if digits else f"{sign}{whole}"


def shortest_float(number: float) -> str:
    """Return the shortest text that gives a FLOAT again."""
    single = to_single(number)
    if not math.isfinite(single) or single.is_integer():
        return repr(single)
    for digits in range(6, 9):
        text = repr(float(f"{single:.{digits}g}"))
        if to_single(float(text)) == single:
            return text
    return repr(float(f"{single:.9g}"))
