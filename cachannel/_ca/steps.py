"""Methods in the steps that classes of scripts may have overridden.

`getw`, `searchw` and `putWait` take shorter ways than those that CaChannel 3.2 takes. Scripts with
classes of their own rely on those: an `array_get` that fills in a type, a `search` that puts a
prefix before the name, a `pend_event` that keeps the windows of a program alive.
"""

from __future__ import annotations

from typing import Any

__all__ = ["are_overridden", "put_in_steps", "read_in_steps", "search_in_steps"]


def are_overridden(cls: type, *names: str) -> bool:
    """Tell whether one of these methods is not from this package."""
    modules = (getattr(getattr(cls, name), "__module__", "") or "" for name in names)
    return any(not module.startswith("cachannel.") for module in modules)


def search_in_steps(channel: Any, name: str | bytes | None) -> None:
    """Connect a `CaChannel` as `searchw` does."""
    channel.search(name)
    channel.pend_io(channel.getTimeout())


def read_in_steps(channel: Any, req_type: Any, count: Any, keywords: dict[str, Any]) -> Any:
    """Read a `CaChannel` as `getw` does."""
    channel.array_get(req_type, count, **keywords)
    channel.pend_io(channel.getTimeout())
    return channel.getValue()


def put_in_steps(channel: Any, value: Any, req_type: Any, count: Any, poll: float) -> None:
    """Write to an `epicsPV` as `putWait` does, not in a callback."""
    done: list[int] = []
    channel.array_put_callback(
        value, req_type, count, lambda arguments, _: done.append(arguments["status"])
    )
    channel.flush_io()
    while not done:
        channel.pend_event(poll)
    channel._check(done[0], "putWait")
