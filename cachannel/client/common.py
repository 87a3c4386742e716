"""The exceptions of the clients and their default time-outs."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable
from typing import Any, Final, Literal, TypedDict

from cachannel.protocol.errors import (
    CaprotoEnvironmentSetupError,
    CaprotoError,
    CaprotoTimeoutError,
    CaprotoTypeError,
    CaprotoValueError,
)

__all__ = [
    "CONTEXT_DEFAULT_TIMEOUT",
    "GLOBAL_DEFAULT_TIMEOUT",
    "PV_DEFAULT_TIMEOUT",
    "ChannelReadError",
    "ClientException",
    "ContextClosedError",
    "ContextDisconnectedError",
    "DeadCircuitError",
    "DisconnectedError",
    "ReadOptions",
    "ThreadingClientException",
    "Timeout",
    "TypeRequest",
    "WriteOptions",
]


def _global_timeout() -> float:
    for name in ("CACHANNEL_DEFAULT_TIMEOUT", "CAPROTO_DEFAULT_TIMEOUT"):
        text = os.environ.get(name)
        if text:
            try:
                return float(text)
            except ValueError:
                message = f"{name}={text!r} is no number of seconds"
                raise CaprotoEnvironmentSetupError(message) from None
    return 2.0


class Sentinel:
    """A default that stands for a time-out which is set elsewhere."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


GLOBAL_DEFAULT_TIMEOUT: Final = _global_timeout()
"""Seconds; CACHANNEL_DEFAULT_TIMEOUT or CAPROTO_DEFAULT_TIMEOUT at import, or 2."""
CONTEXT_DEFAULT_TIMEOUT: Final = Sentinel("CONTEXT_DEFAULT_TIMEOUT")
"""The time-out of the context counts."""
PV_DEFAULT_TIMEOUT: Final = Sentinel("PV_DEFAULT_TIMEOUT")
"""The time-out of the PV counts."""

Timeout = float | None | Sentinel
"""Seconds, None for no limit, or one of the sentinels."""

TypeRequest = Literal["native", "status", "time", "graphic", "control"] | str | int | None
"""A group of types, a type, its number, or None for the native type."""


class ReadOptions(TypedDict, total=False):
    """Arguments of reads that do not change what kind of result there is; for type checkers."""

    timeout: Timeout
    data_type: TypeRequest
    data_count: int | None


class WriteOptions(ReadOptions, total=False):
    """Arguments of writes that do not change what kind of result there is."""

    notify: bool | None


class ClientException(CaprotoError):  # noqa: N818 - the names are a contract with user code
    """Base of what the clients raise besides time-outs and errors of the server."""


class ThreadingClientException(ClientException):
    """The other name of the base: one family serves both kinds of clients."""


class ChannelReadError(ClientException):
    """A channel could not be read."""


class DisconnectedError(ThreadingClientException):
    """The PV is not connected."""


class ContextDisconnectedError(ThreadingClientException):
    """The context has been closed with ``disconnect()``."""


class ContextClosedError(ContextDisconnectedError, CaprotoTimeoutError):
    """A request to a context that was disconnected before; caproto lets it time out."""

    @classmethod
    def of(cls, operation: str, names: Iterable[str]) -> ContextClosedError:
        """Make the exception of an operation on some PVs."""
        return cls(f"{operation} of {one_of(names)}: the context is disconnected")


class DeadCircuitError(ThreadingClientException):
    """The circuit was lost while a request was under way."""


def limit_in_seconds(timeout: Any) -> float | None:
    """Look at a time-out before it is worked with; infinity is no limit.

    Raises:
        CaprotoTypeError: it is not a number.
        CaprotoValueError: it is NaN.
    """
    if timeout is None or (timeout.__class__ in (float, int) and timeout < math.inf):
        return timeout  # type: ignore[no-any-return]
    try:
        limit = None if isinstance(timeout, (str, bytes)) else float(timeout)
    except (TypeError, ValueError):
        limit = None
    if limit is None:
        message = f"a time-out is a number of seconds or None, not {timeout!r}"
        raise CaprotoTypeError(message)
    if math.isnan(limit):
        message = "a time-out is a number of seconds or None, not NaN"
        raise CaprotoValueError(message)
    return None if limit == math.inf else limit


def seconds(value: float | None) -> str:
    """Show a time-out in a message."""
    return "any time" if value is None else f"{value:g} s"


def left_until(deadline: float | None) -> float | None:
    """Return the seconds until a deadline, at least 0."""
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def deadline_after(timeout: float | None) -> float | None:
    """Return when a time-out that begins now is over, as `time.monotonic` has it."""
    return None if timeout is None else time.monotonic() + timeout


def one_of(names: Iterable[str], most: int = 5) -> str:
    """Name some PVs, for a message."""
    shown = list(names)
    text = ", ".join(repr(name) for name in shown[:most])
    return text if len(shown) <= most else f"{text} and {len(shown) - most} more"


def forget(*_: Any) -> None:
    """Take what comes and do nothing."""
