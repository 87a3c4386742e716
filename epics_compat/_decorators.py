"""The decorators of `ca`: what must be true before a function runs."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from epics_compat import _core, dbr
from epics_compat._errors import ChannelAccessException, refuse, shorten

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "PySEVCHK",
    "withCA",
    "withCHID",
    "withConnectedCHID",
    "withInitialContext",
    "withMaybeConnectedCHID",
    "withSEVCHK",
]


def _ready() -> bool:
    """Start Channel Access if need be; False after it was finalized."""
    ca = _core.settings
    if ca.is_finalized():
        return False
    if ca.initial_context is None:
        ca.initialize_libca()
    return True


def withCA(fcn: Callable[..., Any]) -> Callable[..., Any]:
    """Start Channel Access before the function; after its end return None quietly."""

    @functools.wraps(fcn)
    def wrapper(*args: Any, **kwds: Any) -> Any:
        try:
            return fcn(*args, **kwds) if _ready() else None
        except Exception as exc:
            shorten(exc)
            raise

    return wrapper


def withCHID(fcn: Callable[..., Any]) -> Callable[..., Any]:
    """Want a channel id, or its int, as the first argument.

    Raises:
        ChannelAccessException: (by the function) it is none.
    """

    @functools.wraps(fcn)
    def wrapper(*args: Any, **kwds: Any) -> Any:
        try:
            if not _ready():
                return None
            if args:
                entry = _core.entry_of(args[0])
                if type(args[0]) is int:
                    args = (entry.chid, *args[1:])
            elif "chid" in kwds:
                kwds["chid"] = _core.entry_of(kwds["chid"]).chid
            return fcn(*args, **kwds)
        except Exception as exc:
            shorten(exc)
            raise

    return wrapper


def _connect(args: tuple[Any, ...], kwds: dict[str, Any]) -> tuple[bool, tuple[Any, ...]]:
    """Wait for the connection; also give the arguments, with a chid in place of its int."""
    ca = _core.settings
    entry = _core.entry_of(args[0] if args else kwds.get("chid"))
    if args and type(args[0]) is int:
        args = (entry.chid, *args[1:])
    if entry.sync():
        return True, args
    timeout = kwds.get("timeout")
    limit = ca.DEFAULT_CONNECTION_TIMEOUT if timeout is None else timeout
    return bool(entry.wait(limit)), args


def withConnectedCHID(fcn: Callable[..., Any]) -> Callable[..., Any]:
    """Want a connected channel; wait for it, ``timeout`` or 2 seconds.

    Raises:
        ChannelAccessException: (by the function) it does not connect.
    """

    @functools.wraps(fcn)
    def wrapper(*args: Any, **kwds: Any) -> Any:
        try:
            if not _ready():
                return None
            connected, args = _connect(args, kwds)
            if not connected:
                message = f"{fcn.__name__}: the channel is not connected"
                raise ChannelAccessException(message)
            return fcn(*args, **kwds)
        except Exception as exc:
            shorten(exc)
            raise

    return wrapper


def withMaybeConnectedCHID(fcn: Callable[..., Any]) -> Callable[..., Any]:
    """Want a channel; wait for its connection, but run the function in any case."""

    @functools.wraps(fcn)
    def wrapper(*args: Any, **kwds: Any) -> Any:
        try:
            if not _ready():
                return None
            _, args = _connect(args, kwds)
            return fcn(*args, **kwds)
        except Exception as exc:
            shorten(exc)
            raise

    return wrapper


def withInitialContext(fcn: Callable[..., Any]) -> Callable[..., Any]:
    """Run the function in the initial context, and go back to the thread's own."""

    @functools.wraps(fcn)
    def wrapper(*args: Any, **kwds: Any) -> Any:
        if not _ready():
            return None
        before = _core.local.context
        _core.settings.use_initial_context()
        try:
            return fcn(*args, **kwds)
        finally:
            _core.local.context = before

    return wrapper


def PySEVCHK(func_name: str, status: int, expected: int = dbr.ECA_NORMAL) -> int:
    """Return a status that is the expected one.

    Raises:
        CASeverityException: it is not.
    """
    return refuse(func_name, status, expected)


def withSEVCHK(fcn: Callable[..., Any]) -> Callable[..., Any]:
    """Raise `CASeverityException` unless the function returns 1."""

    @functools.wraps(fcn)
    def wrapper(*args: Any, **kwds: Any) -> Any:
        return refuse(fcn.__name__, fcn(*args, **kwds))

    return wrapper
