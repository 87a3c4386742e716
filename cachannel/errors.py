"""Every exception of this package, and the one table from CA status codes to classes.

The tree::

    CAError                     .status  .pvname  .operation
    ├── CATimeoutError          also TimeoutError
    ├── DisconnectedError       also ConnectionError
    ├── AccessDeniedError       also PermissionError
    ├── BadTypeError            also TypeError
    ├── BadCountError           also ValueError
    ├── BadValueError           also ValueError: a value that cannot be sent
    │   ├── RangeError          also OverflowError: a number too large, a negative count
    │   ├── StringTooLongError  text of 40 bytes and more for a STRING
    │   └── ValueTypeError      also TypeError: an object that is no value at all
    └── CaChannelException      what the CaChannel family raises
"""

from __future__ import annotations

from typing import Any

from cachannel.protocol.enums import ECA, eca, eca_message

__all__ = [
    "AccessDeniedError",
    "BadCountError",
    "BadTypeError",
    "BadValueError",
    "CAError",
    "CATimeoutError",
    "CaChannelException",
    "DisconnectedError",
    "RangeError",
    "StringTooLongError",
    "ValueTypeError",
    "check",
    "describe",
    "error_class",
]


def describe(
    status: int, pvname: str = "", operation: str = "", detail: str = "", text: str = ""
) -> str:
    """Say what went wrong, doing what, with which PV.

    Args:
        status: CA status code (``ECA_*``).
        pvname: name of the PV, or ''.
        operation: what was attempted, such as ``'get'``, or ''.
        detail: more about the cause, such as the time-out in seconds, or ''.
        text: in place of the text of libca for the status, if that would mislead.

    Returns:
        The text of libca for the status, followed by what is known about the cause.
    """
    where = " of " if operation and pvname else ""
    cause = f"{operation}{where}{pvname!r}" if pvname else operation
    parts = [part for part in (cause, detail) if part]
    text = text or eca_message(status)
    return f"{text}: {', '.join(parts)}" if parts else text


class CAError(Exception):
    """A Channel Access operation failed.

    Attributes:
        status: the CA status code, an `ECA` member where it is known.
        pvname: name of the PV, '' when no PV is concerned.
        operation: what was attempted.
        detail: more about the cause.
    """

    def __init__(
        self,
        status: int = ECA.INTERNAL,
        pvname: str = "",
        operation: str = "",
        detail: str = "",
    ) -> None:
        # One argument only: OSError and its kin read two as (errno, strerror).
        super().__init__(describe(status, pvname, operation, detail))
        self.status: ECA | int = eca(int(status))
        self.pvname = pvname
        self.operation = operation
        self.detail = detail

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.args, self.__dict__))


def _rebuild(cls: type[CAError], args: tuple[object, ...], state: dict[str, object]) -> CAError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class CATimeoutError(CAError, TimeoutError):
    """No answer came in time (ECA_TIMEOUT)."""


class DisconnectedError(CAError, ConnectionError):
    """The channel is not connected, or was lost before the answer came (ECA_DISCONN, ...)."""


class AccessDeniedError(CAError, PermissionError):
    """The server does not allow this client to read or write (ECA_NORDACCESS, ...)."""


class BadTypeError(CAError, TypeError):
    """The request type does not exist or cannot be used here (ECA_BADTYPE)."""


class BadCountError(CAError, ValueError):
    """The element count is not possible, or no number (ECA_BADCOUNT)."""


class BadValueError(CAError, ValueError):
    """The value cannot be converted to the type it has to be sent as, or is no number."""


class RangeError(BadValueError, OverflowError):
    """The number does not fit the type it has to be sent as, or the count is negative."""


class StringTooLongError(BadValueError):
    """The text has 40 bytes or more, and a STRING holds 39 and a NUL (ECA_BADSTR)."""


class ValueTypeError(BadValueError, TypeError):
    """The object is nothing that could be sent as a value."""


class CaChannelException(CAError):
    """What the CaChannel family raises.

    ``int(e)`` is the status, ``e.args`` is ``(status,)``, and ``str(e)`` is libca's text for it,
    followed by the operation and the PV when they are known.

    Args:
        status: a CA status code, or an exception that carries one.
        pvname: name of the PV.
        operation: what was attempted.
        detail: more about the cause.
        text: in place of libca's text for the status, if that would mislead.
    """

    def __init__(
        self, status: Any, pvname: str = "", operation: str = "", detail: str = "", text: str = ""
    ) -> None:
        number = int(getattr(status, "status", status))
        super().__init__(number, pvname, operation, detail)
        self._text = describe(number, pvname, operation, detail, text)
        self.args = (self.status,)

    def __str__(self) -> str:
        return self._text

    def __int__(self) -> int:
        return int(self.status)

    __index__ = __int__


_CLASSES: dict[int, type[CAError]] = {
    ECA.TIMEOUT: CATimeoutError,
    ECA.DISCONN: DisconnectedError,
    ECA.DISCONNCHID: DisconnectedError,
    ECA.CHANDESTROY: DisconnectedError,
    ECA.BADCHID: DisconnectedError,
    ECA.UNRESPTMO: DisconnectedError,
    ECA.NORDACCESS: AccessDeniedError,
    ECA.NOWTACCESS: AccessDeniedError,
    ECA.BADTYPE: BadTypeError,
    ECA.BADCOUNT: BadCountError,
    ECA.BADSTR: BadValueError,
    ECA.STRTOBIG: BadValueError,
}


def error_class(status: int) -> type[CAError]:
    """Find the exception class of a status code."""
    return _CLASSES.get(status, CAError)


def check(status: int, pvname: str = "", operation: str = "", detail: str = "") -> None:
    """Raise the matching `CAError` unless the status is ECA_NORMAL.

    Args:
        status: CA status code.
        pvname: name of the PV, for the message.
        operation: what was attempted, for the message.
        detail: more about the cause, for the message.

    Raises:
        CAError: or one of its subclasses, see `error_class`.
    """
    if status != ECA.NORMAL:
        raise error_class(status)(status, pvname, operation, detail)
