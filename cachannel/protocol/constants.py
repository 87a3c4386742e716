"""Constants that IOC and client code takes from the root of the package."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Final

__all__ = [
    "MAX_COMMAND_BACKLOG",
    "MAX_ID",
    "MAX_RECORD_LENGTH",
    "MAX_SUBSCRIPTION_BACKLOG",
    "MAX_TOTAL_SUBSCRIPTION_BACKLOG",
    "MIN_SUBSCRIPTION_BACKLOG",
    "backend",
    "register_backend",
    "select_backend",
]

MAX_RECORD_LENGTH: Final = 59
"""Longest record name that EPICS databases take by default."""
MAX_ID: Final = 2**16
MAX_COMMAND_BACKLOG: Final = 10000
MAX_SUBSCRIPTION_BACKLOG: Final = 1000
MIN_SUBSCRIPTION_BACKLOG: Final = 10
MAX_TOTAL_SUBSCRIPTION_BACKLOG: Final = 10000

backend: Final = SimpleNamespace(backend_name="numpy")
"""What arrays are made of. There is one kind, so choosing changes nothing."""


def select_backend(name: str) -> None:
    """Accept a choice of array type; arrays are NumPy's here whatever is chosen."""


def register_backend(new_backend: Any) -> None:
    """Accept another array type; arrays are NumPy's here whatever is registered."""
