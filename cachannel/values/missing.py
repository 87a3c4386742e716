"""Missing elements on their way to a PV: None, and elements that a mask of NumPy hides.

Channel Access has no missing value. For floating point a missing element is written as NaN, with
a warning; integers and text have nothing that means "missing", and the write is refused. The data
below a mask, or the fill value of NumPy, is never written: nobody asked for it.

NumPy is not imported here before it is needed.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any, Final

__all__ = ["has_missing", "is_masked", "is_missing", "warn_nan", "with_nan"]

_OURS: Final = ("cachannel", "epics_compat")
_NAN: Final = float("nan")


def is_masked(value: Any) -> bool:
    """Tell whether a value is a masked array of NumPy, also if its mask hides nothing."""
    ma = sys.modules.get("numpy.ma")
    return ma is not None and isinstance(value, ma.MaskedArray)


def is_missing(value: Any) -> bool:
    """Tell whether one element is missing: None, `numpy.ma.masked`, or masked and without shape."""
    if value is None:
        return True
    return is_masked(value) and value.ndim == 0 and bool(value.mask)


def has_missing(value: Any) -> bool:
    """Tell whether a value, or one of the elements of a list, tuple or array, is missing."""
    if is_masked(value):
        import numpy as np

        if bool(np.ma.getmaskarray(value).any()):
            return True
    kind = getattr(getattr(value, "dtype", None), "kind", "O")
    if kind == "O" and (isinstance(value, list | tuple) or getattr(value, "ndim", 0) > 0):
        elements = value if isinstance(value, list | tuple) else value.ravel().tolist()
        return any(is_missing(element) for element in elements)
    return is_missing(value)


def with_nan(value: Any) -> Any:
    """Replace what is missing by NaN.

    Args:
        value: anything; only a missing value, and the elements of lists, tuples and arrays change.
            An API that refuses None by itself does so before.

    Returns:
        A masked array as a plain array of the same shape; its dtype is kept if it is floating
        point, integers become float64, and other elements stay objects. Another value is
        returned with the missing elements replaced, or as it is.
    """
    if is_missing(value):
        return _NAN
    if isinstance(value, list | tuple):
        return [_NAN if is_missing(element) else element for element in value]
    if getattr(value, "ndim", 0) == 0 or not hasattr(value, "dtype"):
        return value
    import numpy as np

    plain = np.asarray(value)
    if is_masked(value):
        mask = np.ma.getmaskarray(value)
        if mask.any():
            kind = plain.dtype.kind
            plain = plain.astype(plain.dtype if kind == "f" else "f8" if kind in "biu" else object)
            plain[mask] = np.nan
    if plain.dtype.kind == "O":
        elements = [_NAN if is_missing(element) else element for element in plain.ravel().tolist()]
        plain = np.empty(plain.shape, object)
        plain.ravel()[:] = elements
    return plain


def warn_nan(what: str) -> None:
    """Warn, at the line of the user's code, that missing elements are written as NaN.

    Args:
        what: the operation and the PV.
    """
    level, frame = 1, sys._getframe()
    while frame is not None and _is_ours(frame.f_globals.get("__name__", "")):
        level, frame = level + 1, frame.f_back  # type: ignore[assignment]
    warnings.warn(f"{what}: elements that are None or masked are written as NaN", stacklevel=level)


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] in _OURS
