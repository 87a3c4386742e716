"""The exceptions of `ca`."""

from __future__ import annotations

from typing import Any, Final

from cachannel.errors import describe
from epics_compat import dbr

__all__ = [
    "CASeverityException",
    "ChannelAccessDisconnected",
    "ChannelAccessException",
    "ChannelAccessGetFailure",
    "ChannelAccessTimeout",
    "refuse",
    "shorten",
]

_OURS: Final = ("epics_compat", "cachannel")


class ChannelAccessException(Exception):
    """A call of `ca` was wrong, or could not be done."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)


class CASeverityException(Exception):
    """Channel Access refused a call.

    The text is that of pyepics, without the PV; a traceback shows the PV below it.

    Attributes:
        fcn: the function.
        msg: what the library said.
        pvname: name of the PV; None when it is not about one.
    """

    def __init__(self, fcn: str, msg: str, pvname: str | None = None) -> None:
        super().__init__(fcn, msg)
        self.fcn = fcn
        self.msg = msg
        self.pvname = pvname
        if pvname is not None:
            self.add_note(f"{fcn} of {pvname!r}")

    def __str__(self) -> str:
        return f" {self.fcn} returned '{self.msg}'"


class ChannelAccessGetFailure(Exception):
    """The server answered a get with an error.

    Attributes:
        chid: the channel, an int.
        status: the CA status.
    """

    def __init__(self, message: str, chid: Any, status: int) -> None:
        super().__init__(message)
        self.chid = chid
        self.status = status


class ChannelAccessTimeout(ChannelAccessException, TimeoutError):
    """The answer did not come in time; raised only when `ca.RAISE_ERRORS` is set.

    Attributes:
        pvname: name of the PV.
    """

    def __init__(self, message: str, pvname: str) -> None:
        super().__init__(message)
        self.pvname = pvname


class ChannelAccessDisconnected(ChannelAccessException, ConnectionError):
    """There is no connection; raised only when `ca.RAISE_ERRORS` is set.

    Attributes:
        pvname: name of the PV.
    """

    def __init__(self, message: str, pvname: str) -> None:
        super().__init__(message)
        self.pvname = pvname


def shorten(exc: Exception) -> None:
    """Take the frames of this package out of the traceback of an error that says what is wrong.

    That is one of the classes above, or has a note about the PV. Other errors keep their frames,
    as they may be faults of this package, and so do errors that come through the user's code. It
    is for an ``except`` clause that ends with ``raise``.
    """
    own = CASeverityException | ChannelAccessException | ChannelAccessGetFailure
    if not (isinstance(exc, own) or getattr(exc, "__notes__", None)):
        return
    trace = exc.__traceback__
    while trace is not None:
        module = trace.tb_frame.f_globals.get("__name__", "")
        if module.partition(".")[0] not in _OURS:
            return
        trace = trace.tb_next
    exc.__traceback__ = None


def refuse(function: str, status: int, expected: int = dbr.ECA_NORMAL) -> int:
    """Return a status if it is the expected one.

    Raises:
        CASeverityException: it is not.
    """
    if status == expected:
        return status
    raise CASeverityException(function, describe(status))
