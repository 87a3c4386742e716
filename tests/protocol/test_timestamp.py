"""Time stamps."""

import time
from datetime import datetime

import pytest
from hypothesis import given, strategies as st

from cachannel.protocol.timestamp import (
    TimeStamp,
    epics_timestamp_to_unix,
    timestamp_to_epics,
)


def test_pair():
    """A stamp unpacks and compares as a pair."""
    seconds, nanoseconds = stamp = TimeStamp(5, 6)
    assert (seconds, nanoseconds) == (5, 6) == stamp
    assert stamp.timestamp == 631152005.0


@given(st.integers(0, 2**32 - 1), st.integers(0, 10**9 - 1))
def test_flexible_values(seconds, nanoseconds):
    """A pair is taken as it is, to the nanosecond."""
    assert TimeStamp.from_flexible_value((seconds, nanoseconds)) == (seconds, nanoseconds)


def test_unix_times():
    """Unix times convert; what is before the epoch becomes the epoch."""
    assert TimeStamp.from_unix_timestamp(631152000.25) == (0, 250_000_000)
    assert TimeStamp.from_unix_timestamp(631152000.9999999999) == (1, 0)
    assert TimeStamp.from_unix_timestamp(0.0) == (0, 0)
    assert timestamp_to_epics(631152001) == (1, 0)
    assert epics_timestamp_to_unix(1, 500_000_000) == 631152001.5
    assert epics_timestamp_to_unix(5, 7999) == TimeStamp(5, 7999).timestamp == 631152005.000007
    moment = datetime(2020, 1, 2, 3, 4, 5)
    assert TimeStamp(*timestamp_to_epics(moment)).as_datetime() == moment


def test_now():
    """now() is now."""
    assert abs(TimeStamp.now().timestamp - time.time()) < 5


@pytest.mark.parametrize("value", [(-1, 0), (0, 10**9), (2**32, 0)])
def test_out_of_range(value):
    """A pair that is no stamp is refused."""
    with pytest.raises(ValueError, match="no time stamp"):
        TimeStamp.from_flexible_value(value)
