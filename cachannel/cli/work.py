"""What the commands have in common: connecting, reading in groups, and telling of failures."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from typing import Any

from cachannel.client.many import Readings, connect_many
from cachannel.client.values import choose_type
from cachannel.protocol.channel_types import ChannelType
from cachannel.threading.client import PV, Context

__all__ = ["connect", "default_wait", "fail", "parse_type", "read_all"]


def default_wait() -> float:
    """Return seconds to wait: EPICS_CLI_TIMEOUT, or 1."""
    try:
        return float(os.environ["EPICS_CLI_TIMEOUT"])
    except (KeyError, ValueError):
        return 1.0


def out(text: str) -> None:
    """Write a line to standard output."""
    sys.stdout.write(text + "\n")


def fail(text: str) -> None:
    """Write a line to standard error."""
    sys.stdout.flush()
    sys.stderr.write(text + "\n")


def parse_type(text: str | None) -> int | str | None:
    """Find a type by group name, number or name, with or without ``DBR_``.

    Raises:
        ValueError: there is no such type.
    """
    if text is None:
        return None
    if text.lower() in ("native", "status", "time", "graphic", "control"):
        return text.lower()
    if text.isdigit():
        return int(ChannelType(int(text)))
    name = text.upper().removeprefix("DBR_").replace("SHORT", "INT")
    if name == "CLASS":
        name = "CLASS_NAME"
    try:
        return int(ChannelType[name])
    except KeyError:
        message = f"there is no type {text!r}"
        raise ValueError(message) from None


def connect(context: Context, names: Sequence[str], wait: float, priority: int) -> list[PV]:
    """Connect to PVs within a time; some may stay away."""
    pvs = context.get_pvs(*names, priority=priority)
    connect_many(pvs, time.monotonic() + wait)
    return pvs


def missing(pvs: Sequence[PV]) -> list[PV]:
    """Tell of the PVs that did not connect, as base's tools do."""
    lost = [pv for pv in pvs if not pv.connected]
    if lost and len(pvs) == 1:
        fail(f"Channel connect timed out: '{pvs[0].name}' not found.")
    elif lost:
        fail("Channel connect timed out: some PV(s) not found.")
    return lost


def capacity(pv: PV) -> int:
    """Return the number of elements that a PV can have."""
    channel = pv.channel
    return 1 if channel is None else channel.native_data_count


def read_all(
    context: Context, pvs: Sequence[PV], kind: Any, wait: float, *, current: bool,
    count: int | None = None,
) -> list[Any]:  # fmt: skip
    """Read PVs, those of one type and count together.

    Args:
        context: the context.
        pvs: connected PVs.
        kind: finds the type to ask for, called with the native type.
        wait: seconds for all together.
        current: the current length of arrays, not their capacity.
        count: at most so many elements.
    """
    groups: dict[tuple[int, int], list[int]] = {}
    for index, pv in enumerate(pvs):
        native = int(pv._native_type() or 0)
        elements = 0 if current else capacity(pv)
        if count:
            elements = min(count, capacity(pv))
        groups.setdefault((choose_type(kind(native), native), elements), []).append(index)
    results: list[Any] = [None] * len(pvs)
    deadline = time.monotonic() + wait
    for (dbr_type, elements), members in groups.items():
        readings: Readings = context.read_many(
            [pvs[i] for i in members],
            data_type=dbr_type,
            data_count=elements,
            timeout=max(0.0, deadline - time.monotonic()),
            throw=False,
        )
        for position, index in enumerate(members):
            results[index] = readings[position]
    return results
