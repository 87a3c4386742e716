"""Types of hooks and of what a server serves, for IOCs that are type checked.

Those that take a channel are generic in its class: ``Putter[PvpropertyDouble]``.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

from .core import PVDatabase
from .layer import AsyncLibraryLayer

__all__ = [
    "AinitHook",
    "AsyncLibraryLayer",
    "BoundGetter",
    "BoundPutter",
    "BoundScan",
    "BoundShutdown",
    "BoundStartup",
    "Getter",
    "PVDatabase",
    "Putter",
    "Scan",
    "Shutdown",
    "Startup",
    "T_contra",
]

T_contra = TypeVar("T_contra", contravariant=True)
"""The class of the channel that a hook is called with."""


class Getter(Protocol[T_contra]):
    """``async def getter(group, instance)``."""

    async def __call__(self, group: Any, instance: T_contra, /) -> Any:
        """Return a value to write, or None."""


class Putter(Protocol[T_contra]):
    """``async def putter(group, instance, value)``."""

    async def __call__(self, group: Any, instance: T_contra, value: Any, /) -> Any:
        """Return the value to store, or None for the one that was given."""


class Startup(Protocol[T_contra]):
    """``async def startup(group, instance, async_lib)``."""

    async def __call__(
        self, group: Any, instance: T_contra, async_lib: AsyncLibraryLayer, /
    ) -> Any:
        """Run when the server starts."""


class Shutdown(Protocol[T_contra]):
    """``async def shutdown(group, instance, async_lib)``."""

    async def __call__(
        self, group: Any, instance: T_contra, async_lib: AsyncLibraryLayer, /
    ) -> Any:
        """Run when the server stops."""


class Scan(Protocol[T_contra]):
    """``async def scan(group, instance, async_lib)``."""

    async def __call__(
        self, group: Any, instance: T_contra, async_lib: AsyncLibraryLayer, /
    ) -> Any:
        """Run again and again."""


class AinitHook(Protocol):
    """``async def __ainit__(async_lib)``, given to `run`."""

    async def __call__(self, async_lib: AsyncLibraryLayer, /) -> Any:
        """Run before all other hooks."""


class BoundGetter(Protocol[T_contra]):
    """A getter of an instance: ``await channel.getter(channel)``."""

    async def __call__(self, instance: T_contra, /) -> Any:
        """Return a value to write, or None."""


class BoundPutter(Protocol[T_contra]):
    """A putter of an instance."""

    async def __call__(self, instance: T_contra, value: Any, /) -> Any:
        """Return the value to store, or None for the one that was given."""


class BoundStartup(Protocol[T_contra]):
    """A startup hook of an instance."""

    async def __call__(self, instance: T_contra, async_lib: AsyncLibraryLayer, /) -> Any:
        """Run when the server starts."""


class BoundShutdown(Protocol[T_contra]):
    """A shutdown hook of an instance."""

    async def __call__(self, instance: T_contra, async_lib: AsyncLibraryLayer, /) -> Any:
        """Run when the server stops."""


class BoundScan(Protocol[T_contra]):
    """A scan hook of an instance."""

    async def __call__(self, instance: T_contra, async_lib: AsyncLibraryLayer, /) -> Any:
        """Run again and again."""
