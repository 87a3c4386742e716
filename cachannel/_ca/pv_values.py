"""Values as class `CaChannel` gives them: bare, or a dict with ``pv_*`` items."""

from __future__ import annotations

from typing import Any

from cachannel._ca.handles import FLOAT, INTEGER, DBRValue
from cachannel._native import lib
from cachannel.protocol.enums import ECA
from cachannel.values.decode import Record, pv_items, text

__all__ = ["as_text", "value_of"]


def value_of(value: DBRValue, *, give: bool = False) -> Any:
    """Decode what `CaChannel.getValue` gives; None while there is nothing.

    Args:
        give: see `DBRValue.answer`.
    """
    request = value._request
    number = lib.cc_request_float(request)
    if number == number:  # not NaN: the most frequent case, settled with one call
        return number
    reading = lib.cc_request_look(request)
    if reading.state == FLOAT:
        return reading.number
    if reading.state == INTEGER:
        return int(reading.number)
    got = value.answer(give=give)
    if got is None or got[0][7] != ECA.NORMAL:
        return None
    return _bare(*got, 0, value.use_numpy)


def _bare(record: Record, buffer: Any, offset: int, use_numpy: bool) -> Any:
    """Decode a value as `CaChannel.getValue` gives it."""
    result: dict[str, Any] = {}
    pv_items(result, record, buffer, offset, use_numpy)
    return result["pv_value"] if len(result) == 1 else result


def as_text(value: Any) -> Any:
    """Make one text of the CHAR elements of a value or of the ``pv_value`` of a dict."""
    if isinstance(value, dict):
        value["pv_value"] = as_text(value["pv_value"])
        return value
    data = [value] if isinstance(value, int) else value
    return text(bytes(data))
