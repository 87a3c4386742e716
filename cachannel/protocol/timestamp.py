"""EPICS time stamps: seconds and nanoseconds since 1990-01-01 UTC, never squeezed into a float."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

__all__ = [
    "EPICS2UNIX_EPOCH",
    "EPICS_EPOCH",
    "TimeStamp",
    "epics_timestamp_to_unix",
    "timestamp_to_epics",
]

EPICS2UNIX_EPOCH: Final = 631152000.0
"""Unix time of the EPICS epoch, seconds."""
EPICS_EPOCH: Final = datetime(1990, 1, 1, tzinfo=UTC)
"""The EPICS epoch."""

_EPOCH: Final = 631152000
_EPOCH_NS: Final = _EPOCH * 10**9
_MAX_SECONDS: Final = 0xFFFFFFFF  # the stamp is unsigned; it ends in 2126


class TimeStamp:
    """A moment as Channel Access transports it.

    It unpacks into, and compares with, a pair (seconds, nanoseconds); its parts may be set.

    Attributes:
        secondsSinceEpoch: whole seconds since 1990-01-01 UTC.
        nanoSeconds: 0 to 999,999,999.
    """

    __slots__ = ("nanoSeconds", "secondsSinceEpoch")
    __hash__ = None  # type: ignore[assignment]

    # The names are those of epicsTime.h's structures.
    def __init__(self, secondsSinceEpoch: int = 0, nanoSeconds: int = 0) -> None:  # noqa: N803
        self.secondsSinceEpoch = secondsSinceEpoch
        self.nanoSeconds = nanoSeconds

    def __iter__(self) -> Iterator[int]:
        return iter((self.secondsSinceEpoch, self.nanoSeconds))

    def __repr__(self) -> str:
        return (
            f"TimeStamp(secondsSinceEpoch={self.secondsSinceEpoch}, nanoSeconds={self.nanoSeconds})"
        )

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, _PAIRS) else NotImplemented

    def __lt__(self, other: TimeStamp | tuple[int, int]) -> bool:
        return tuple(self) < tuple(other) if isinstance(other, _PAIRS) else NotImplemented

    def __le__(self, other: TimeStamp | tuple[int, int]) -> bool:
        return tuple(self) <= tuple(other) if isinstance(other, _PAIRS) else NotImplemented

    def __gt__(self, other: TimeStamp | tuple[int, int]) -> bool:
        return tuple(self) > tuple(other) if isinstance(other, _PAIRS) else NotImplemented

    def __ge__(self, other: TimeStamp | tuple[int, int]) -> bool:
        return tuple(self) >= tuple(other) if isinstance(other, _PAIRS) else NotImplemented

    @classmethod
    def now(cls) -> TimeStamp:
        """Return the present time."""
        seconds, nanoseconds = divmod(time.time_ns() - _EPOCH_NS, 10**9)
        return cls(seconds, nanoseconds)

    @classmethod
    def from_unix_timestamp(cls, timestamp: float) -> TimeStamp:
        """Return the stamp of a Unix time in seconds.

        Times before 1990 become the epoch, as nothing earlier can be expressed.
        """
        whole = int(timestamp // 1)
        nanoseconds = round((timestamp - whole) * 1e9)
        if nanoseconds >= 10**9:
            whole += 1
            nanoseconds = 0
        seconds = whole - _EPOCH
        if seconds < 0:
            return cls(0, 0)
        return cls(min(seconds, _MAX_SECONDS), nanoseconds)

    @classmethod
    def from_flexible_value(cls, value: float | tuple[int, int] | TimeStamp) -> TimeStamp:
        """Return the stamp of a Unix time, of a pair (EPICS seconds, nanoseconds) or of a stamp.

        Raises:
            ValueError: a pair that is out of range.
            TypeError: anything else.
        """
        if isinstance(value, _PAIRS):
            seconds, nanoseconds = (int(part) for part in value)
            if not (0 <= seconds <= _MAX_SECONDS and 0 <= nanoseconds < 10**9):
                raise ValueError(f"{value!r} is no time stamp (EPICS seconds, nanoseconds)")
            return cls(seconds, nanoseconds)
        return cls.from_unix_timestamp(float(value))

    @property
    def timestamp(self) -> float:
        """Unix time in seconds; nanoseconds are cut to whole microseconds."""
        return _EPOCH + self.secondsSinceEpoch + self.nanoSeconds // 1000 * 1e-6

    def as_datetime(self) -> datetime:
        """Return naive local time."""
        return datetime.fromtimestamp(self.timestamp)


_PAIRS: Final = (TimeStamp, tuple)


def epics_timestamp_to_unix(seconds_since_epoch: int, nano_seconds: int) -> float:
    """Return the Unix time in seconds of an EPICS stamp, cut to whole microseconds."""
    return TimeStamp(seconds_since_epoch, nano_seconds).timestamp


def timestamp_to_epics(timestamp: float | datetime) -> tuple[int, int]:
    """Return (EPICS seconds, nanoseconds) of a Unix time or a naive local `datetime`."""
    if isinstance(timestamp, datetime):
        timestamp = timestamp.timestamp()
    stamp = TimeStamp.from_unix_timestamp(timestamp)
    return stamp.secondsSinceEpoch, stamp.nanoSeconds
