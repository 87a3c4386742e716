"""Functions of users as deliverers of records, in the dictionaries of class `CaChannel`.

Each keeps the object of the user alive as long as the event can come.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cachannel._ca.core import answer
from cachannel.protocol.enums import CA_OP, DBR_BY_NUMBER, ECA
from cachannel.values.decode import Record, pv_items

if TYPE_CHECKING:
    from collections.abc import Callable

    from cachannel._ca.handles import Chid
    from cachannel.context import Deliver

__all__ = ["on_connection", "on_value"]


def on_connection(
    owner: object, callback: Any, user_args: tuple[Any, ...]
) -> Callable[[Chid, CA_OP], object] | None:
    """Make what hears of connects and disconnects; None when `callback` cannot be called."""
    if not callable(callback):
        return None

    def connected(chid: Chid, op: CA_OP, keep: object = owner) -> None:
        callback((chid, op), user_args)

    return connected


def on_value(
    owner: object, chid: Chid, callback: Any, user_args: tuple[Any, ...], *, use_numpy: bool
) -> Deliver:
    """Make what delivers values.

    Raises:
        TypeError: `callback` cannot be called.
    """
    if not callable(callback):
        message = f"the callback for {chid.pvname!r} cannot be called: {callback!r}"
        raise TypeError(message)
    types, normal = DBR_BY_NUMBER, ECA.NORMAL

    def deliver(record: Record, buffer: Any, offset: int, keep: object = owner) -> None:
        if record[7] == 1:
            result = {
                "chid": chid,
                "type": types[record[3]],
                "count": record[8],
                "status": normal,
            }
            pv_items(result, record, buffer, offset, use_numpy)
        else:
            result = answer(chid, record)
            result["pv_value"] = None
        callback(result, user_args)

    return deliver
