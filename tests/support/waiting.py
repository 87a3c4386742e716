"""Waiting for a condition instead of for a time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(
    condition: Callable[[], T], timeout: float = 60.0, *, what: str = "", interval: float = 0.005
) -> T:
    """Call ``condition`` until it returns something true, and return that.

    Args:
        condition: Called in the thread of the caller, every ``interval`` seconds.
        timeout: Seconds after which the test fails; generous, as machines may be busy.
        what: What the test waits for, named in the failure.
        interval: Seconds between two calls.

    Raises:
        AssertionError: When ``timeout`` is over.
    """
    deadline = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"{what or condition} did not happen within {timeout} s")
        time.sleep(interval)
