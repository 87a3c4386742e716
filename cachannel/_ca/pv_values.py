"""Values as class `CaChannel` gives them: bare, or a dict with ``pv_*`` items."""

from __future__ import annotations

from typing import Any, Final

from cachannel._ca.handles import FLOAT, INTEGER, DBRValue
from cachannel._native import lib
from cachannel.protocol.enums import ECA, dbf_text
from cachannel.values.decode import Record, pv_items, text

__all__ = ["as_text", "shown", "value_of"]


_ACCESS: Final = ("no access", "read-only", "write-only", "read/write")


def shown(channel: Any) -> str:
    """Describe a `CaChannel` for `repr`: its PV, and the state of the connection.

    Nothing is sent, and no context is made for it.
    """
    chid = channel._chid
    text = f"{type(channel).__name__} {channel._pvname!r}"
    if chid is None or chid.id <= 0:
        return f"<{text}, no search was made>" if chid is None else f"<{text}, cleared>"
    if lib.cc_channel_is_connected(chid.id) != 1:
        return f"<{text}, not connected>"
    count = lib.cc_element_count(chid.id)
    access = _ACCESS[max(lib.cc_access(chid.id), 0) & 3]
    kind = dbf_text(lib.cc_field_type(chid.id)).removeprefix("DBF_")
    return f"<{text}, count={count}, type={kind}, access={access}>"


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
