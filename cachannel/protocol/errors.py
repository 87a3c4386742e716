"""The exceptions of the protocol and of the IOC layer.

All derive from `CaprotoError`. Those that mean the same as a built-in exception are that one too,
so that ``except ValueError`` and ``except CaprotoValueError`` both work::

    CaprotoError
        CaprotoValueError (ValueError)
            CaprotoConversionError
            FilterValidationError
            CannotExceedLimits
            CaprotoEnvironmentSetupError
        CaprotoTypeError (TypeError)
        CaprotoKeyError (KeyError)
        CaprotoAttributeError (AttributeError)
        CaprotoRuntimeError (RuntimeError)
        CaprotoNotImplementedError (NotImplementedError)
        CaprotoTimeoutError (TimeoutError)
        CaprotoNetworkError (OSError)
        Forbidden
        ValidationError
        ErrorResponseReceived
        ProtocolError
            LocalProtocolError      our side asked for what the protocol does not allow
            RemoteProtocolError     the peer sent it

`SkipWrite` is control flow, not an error, and stands apart.
"""

from __future__ import annotations

from typing import Any

from .text import decode, until_nul

__all__ = [
    "CannotExceedLimits",
    "CaprotoAttributeError",
    "CaprotoConversionError",
    "CaprotoEnvironmentSetupError",
    "CaprotoError",
    "CaprotoKeyError",
    "CaprotoNetworkError",
    "CaprotoNotImplementedError",
    "CaprotoRuntimeError",
    "CaprotoTimeoutError",
    "CaprotoTypeError",
    "CaprotoValueError",
    "ErrorResponseReceived",
    "FilterValidationError",
    "Forbidden",
    "LocalProtocolError",
    "ProtocolError",
    "RemoteProtocolError",
    "SkipWrite",
    "ValidationError",
]

# The names are a contract with existing user code, hence "N818" (no Error suffix) below.


class CaprotoError(Exception):
    """Base of every exception here."""


class CaprotoValueError(CaprotoError, ValueError):
    """A value that cannot be accepted."""


class CaprotoConversionError(CaprotoValueError):
    """A value that cannot be converted to the type that was asked for."""


class FilterValidationError(CaprotoValueError):
    """A channel filter that is not well formed, or of a kind that does not exist."""


class CannotExceedLimits(CaprotoValueError):  # noqa: N818
    """A number outside the control limits of its channel."""


class CaprotoEnvironmentSetupError(CaprotoValueError):
    """An environment variable that does not parse."""


class CaprotoTypeError(CaprotoError, TypeError):
    """A value of the wrong type."""


class CaprotoKeyError(CaprotoError, KeyError):
    """A name that does not exist."""


class CaprotoAttributeError(CaprotoError, AttributeError):
    """An attribute that does not exist."""


class CaprotoRuntimeError(CaprotoError, RuntimeError):
    """Something that was put together wrongly."""


class CaprotoNotImplementedError(CaprotoError, NotImplementedError):
    """Something that does not exist here."""


class CaprotoTimeoutError(CaprotoError, TimeoutError):
    """Something that did not happen in time."""


class CaprotoNetworkError(CaprotoError, OSError):
    """A socket that cannot be had."""


class Forbidden(CaprotoError):  # noqa: N818
    """The client may not do what it asked for."""


class ValidationError(CaprotoError):
    """Arguments that the protocol does not allow."""


class ErrorResponseReceived(CaprotoError):  # noqa: N818
    """The server answered with an error message.

    The message, an `ErrorResponse`, is the only argument (``error.args[0]``); ``str()`` says in
    words what was refused and why.

    Attributes:
        pv_name: whose request was refused; '' when that is not known.
        operation: what was refused, such as ``'write'``.
    """

    def __init__(self, *args: Any, pv_name: str = "", operation: str = "request") -> None:
        super().__init__(*args)
        self.pv_name = pv_name
        self.operation = operation

    def __str__(self) -> str:
        message = self.args[0] if self.args else None
        status = getattr(message, "status", None)
        if message is None or status is None:
            return super().__str__()
        if self.pv_name:
            what, why = f"{self.operation} of {self.pv_name!r}", status.description
        else:
            what, text = self.operation, bytes(message.error_message)
            why = decode(until_nul(text)) or status.description
        return f"{what} was refused: {why} ({status.name})"


class ProtocolError(CaprotoError):
    """A violation of the protocol."""


class LocalProtocolError(ProtocolError):
    """Our side tried to do what the protocol does not allow."""


class RemoteProtocolError(ProtocolError):
    """The peer sent what the protocol does not allow."""


class SkipWrite(Exception):  # noqa: N818
    """Raised by a putter to keep the stored value; the client is told that all is well."""
