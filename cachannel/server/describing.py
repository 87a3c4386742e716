"""What `repr` says of groups, properties and channels: enough to know which one it is."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["described", "qualified", "value_text"]

_LONGEST: Final = 40


def described(thing: object, *parts: str) -> str:
    """Return ``<Class part, part>`` without the parts that are empty."""
    text = ", ".join(part for part in parts if part)
    return f"<{type(thing).__name__} {text}>" if text else f"<{type(thing).__name__}>"


def qualified(owner: type | None, attr: str | None) -> str:
    """Return ``Class.attribute`` of a member, as far as a class has it."""
    return f"{owner.__name__}.{attr}" if owner is not None else attr or ""


def value_text(value: Any, max_length: int | None = None) -> str:
    """Return a value, or how many elements an array has, in a few words.

    Args:
        value: of a channel.
        max_length: elements that there is room for.
    """
    if isinstance(value, (str, bytes)) or not hasattr(value, "__len__"):
        text = repr(value)
        return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
    room = "" if max_length is None or max_length == len(value) else f" of {max_length}"
    kind = getattr(value, "dtype", None)
    return f"{len(value)}{room} elements" + (f" of {kind}" if kind is not None else "")
