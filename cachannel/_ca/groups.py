"""Synchronous groups: start several gets and puts, then wait for all of them.

They are made of ordinary requests here and not of libca's groups, whose waits can be neither
interrupted nor left without losing the group, and which write late replies into memory of the
caller.
"""

from __future__ import annotations

import itertools
import operator
import time
from typing import Any, SupportsFloat, SupportsIndex, SupportsInt

from cachannel._ca.core import ANY, count_number, current, prepare, seconds, type_number
from cachannel._ca.handles import Chid, DBRValue
from cachannel._native import lib
from cachannel.context import Context
from cachannel.errors import StringTooLongError
from cachannel.protocol.enums import ECA, eca

__all__ = ["sg_block", "sg_create", "sg_delete", "sg_get", "sg_put", "sg_reset", "sg_test"]

_FAILED = 4
_PENDING = 0


class _Group:
    """What one gid stands for: the requests since the last wait that came to an end."""

    def __init__(self, context: Context) -> None:
        self.context = context
        # Values keep their requests themselves: they are needed after the group is done.
        self.values: list[DBRValue] = []
        self.requests: list[int] = []

    def pending(self) -> list[int]:
        """List the requests that are not through. A refused write never is, as in libca."""
        waiting = []
        for request in [value._request for value in self.values] + self.requests:
            state = lib.cc_request_state(request)
            if state in (_PENDING, _FAILED):
                waiting.append(request)
        return waiting

    def reset(self) -> None:
        self.values = []
        for request in self.requests:
            lib.cc_request_release(request)
        self.requests = []


_groups: dict[int, _Group] = {}
_numbers = itertools.count(1)


def sg_create() -> tuple[ECA, int]:
    """Make a group in the calling thread's context (ca_sg_create).

    Returns:
        The status and the gid, an int.
    """
    gid = next(_numbers)
    _groups[gid] = _Group(current())
    return ECA.NORMAL, gid


def _find(gid: SupportsIndex) -> _Group | None:
    return _groups.get(operator.index(gid))


def sg_delete(gid: SupportsIndex) -> ECA:
    """End a group (ca_sg_delete).

    Returns:
        ECA.NORMAL, or ECA.BADSYNCGRP for an unknown one.
    """
    group = _groups.pop(operator.index(gid), None)
    if group is None:
        return ECA.BADSYNCGRP
    group.reset()
    return ECA.NORMAL


def sg_reset(gid: SupportsIndex) -> ECA:
    """Forget what the group waits for (ca_sg_reset).

    Returns:
        ECA.NORMAL, or ECA.BADSYNCGRP for an unknown one.
    """
    group = _find(gid)
    if group is None:
        return ECA.BADSYNCGRP
    group.reset()
    return ECA.NORMAL


def sg_get(
    gid: SupportsIndex,
    chid: Chid,
    chtype: SupportsInt | None = None,
    count: SupportsInt | None = None,
    use_numpy: bool = False,
) -> tuple[ECA | int, DBRValue | None]:
    """Start a get in a group (ca_sg_array_get).

    Returns:
        The status and the value, which is there after `sg_block`; arguments and statuses are
        those of `cachannel.ca.get`, and ECA.BADSYNCGRP.
    """
    group = _find(gid)
    if group is None:
        return ECA.BADSYNCGRP, None
    kind = type_number(chtype, chid, "sg_get")
    elements = count_number(count, chid.shown, "sg_get")
    if chid.id <= 0:
        return ECA.BADCHID, None
    request = lib.cc_get(chid.id, kind, elements or 1, 0, 0)
    if request < 0:
        # A lost channel is told apart here by its status, and not by its type as in `get`.
        lost = kind == ANY and -request == ECA.BADTYPE
        return ECA.DISCONN if lost else eca(-request), None
    value = DBRValue(request, bool(use_numpy))
    group.values.append(value)
    return ECA.NORMAL, value


def sg_put(
    gid: SupportsIndex,
    chid: Chid,
    value: Any,
    chtype: SupportsInt | None = None,
    count: SupportsInt | None = None,
) -> ECA | int:
    """Start a put in a group (ca_sg_array_put). `sg_block` waits for its completion.

    Returns:
        The status, as of `cachannel.ca.put`, or ECA.BADSYNCGRP.

    Raises:
        BadValueError, RangeError, ValueTypeError: the value cannot be converted.
    """
    group = _find(gid)
    if group is None:
        return ECA.BADSYNCGRP
    try:
        encoded = prepare(chid, value, chtype, count, "sg_put")
    except StringTooLongError:
        return ECA.BADSTR
    if isinstance(encoded, int):
        return eca(encoded)
    request = lib.cc_put_request(chid.id, *encoded, 1)
    if request < 0:
        return eca(-request)
    group.requests.append(request)
    return ECA.NORMAL


def sg_test(gid: SupportsIndex) -> ECA:
    """Tell whether a group is through (ca_sg_test).

    Returns:
        ECA.IODONE or ECA.IOINPROGRESS; ECA.BADSYNCGRP for an unknown one.
    """
    group = _find(gid)
    if group is None:
        return ECA.BADSYNCGRP
    return ECA.IOINPROGRESS if group.pending() else ECA.IODONE


def sg_block(gid: SupportsIndex, timeout: SupportsFloat) -> ECA:
    """Flush, and wait for a group (ca_sg_block).

    Args:
        gid: the group.
        timeout: seconds.

    Returns:
        ECA.NORMAL; ECA.TIMEOUT if not all was through in time, or a put was refused, about which
        the exception callback tells more. Either way the group is empty after that.
        ECA.BADSYNCGRP.
    """
    group = _find(gid)
    if group is None:
        return ECA.BADSYNCGRP
    context = group.context
    deadline = time.monotonic() + seconds(timeout)
    context.flush()
    status = ECA.NORMAL
    for request in group.pending():
        left = max(deadline - time.monotonic(), 0.0)
        answer = context.wait(lib.cc_request_wait, request, left)
        if answer != ECA.NORMAL or lib.cc_request_state(request) == _FAILED:
            status = ECA.TIMEOUT
    group.reset()
    return status
