"""Reads and writes of a `CaChannel` that are waited for in any thread, also in a callback."""

from __future__ import annotations

from typing import Any, SupportsInt

from cachannel._ca.core import answer, count_number, type_number
from cachannel._ca.handles import fetch
from cachannel._native import lib
from cachannel.values.decode import pv_items

__all__ = ["get_waited", "put_waited"]


def put_waited(channel: Any, encoded: Any, timeout: float | None, operation: str) -> None:
    """Write and wait for completion.

    Args:
        channel: a `CaChannel`.
        encoded: the value, as it is sent.
        timeout: seconds; None or 0: without limit.
        operation: for messages.

    Raises:
        CaChannelException: with the server's status when it failed; ECA_TIMEOUT.
    """
    chid = channel._open(operation)
    request = lib.cc_put_request(chid.id, *encoded, 0)
    if request < 0:
        raise channel._failed(-request, operation)
    try:
        status = chid.context.wait(lib.cc_request_wait, request, timeout or None)
        fetched = fetch(request, steal=False)
    finally:
        lib.cc_request_release(request)
    if fetched is None:
        raise channel._failed(status, operation, f"no completion within {timeout} s")
    channel._check(fetched[0][7], operation)


def get_waited(
    channel: Any,
    req_type: SupportsInt | None,
    count: SupportsInt | None,
    timeout: float | None,
    use_numpy: bool,
    operation: str,
) -> dict[str, Any]:
    """Read as `CaChannel.array_get_callback` does, and wait.

    Args:
        channel: a `CaChannel`.
        req_type: as for `array_get_callback`, as are `count` and `use_numpy`.
        timeout: seconds; None or 0: without limit.
        operation: for messages.

    Returns:
        What the callback would get.

    Raises:
        CaChannelException: with the server's status when it failed; ECA_TIMEOUT.
    """
    chid = channel._open(operation)
    kind = type_number(req_type, chid, operation)
    elements = count_number(count, chid.shown, operation)
    request = lib.cc_get(chid.id, kind, elements, 0, 0)
    if request < 0:
        raise channel._failed(-request, operation, kind=kind)
    try:
        status = chid.context.wait(lib.cc_request_wait, request, timeout or None)
        got = fetch(request, steal=True)
    finally:
        lib.cc_request_release(request)
    if got is None:
        raise channel._failed(status, operation, f"no answer within {timeout} s")
    record, buffer = got
    channel._check(record[7], operation)
    result = answer(chid, record)
    pv_items(result, record, buffer, 0, use_numpy)
    return result
