"""The value, the stamp and the metadata of a channel as a mapping."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import TYPE_CHECKING, Any

from cachannel.protocol.errors import CaprotoKeyError

if TYPE_CHECKING:
    from .data import ChannelData

__all__ = ["ChannelMapping"]


class ChannelMapping(MutableMapping[str, Any]):
    """``channel._data`` of programs that were written for caproto.

    The keys are ``'value'``, ``'timestamp'`` (a `TimeStamp`; a Unix time and a pair are taken
    too), and the names of the metadata that the channel's class has. What is assigned is what the
    next reply has; no event is sent, and no putter or limit is asked.

    Args:
        channel: the channel.
    """

    def __init__(self, channel: ChannelData) -> None:
        self._channel = channel

    def __repr__(self) -> str:
        return repr(dict(self))

    def __getitem__(self, key: str) -> Any:
        self._check(key)
        if key == "timestamp":
            return self._channel.epics_timestamp
        return getattr(self._channel, key)

    def __setitem__(self, key: str, value: Any) -> None:
        self._check(key)
        channel = self._channel
        if key == "value":
            channel._value = channel._settle(channel.preprocess_value(value))
        elif key == "timestamp":
            channel._stamp_ns = channel._to_ns(value)
        else:
            channel._set_metadata({key: value})
        channel._invalidate()

    def __delitem__(self, key: str) -> None:
        raise CaprotoKeyError(f"{self._channel._label}: {key!r} cannot be removed")

    def __iter__(self) -> Iterator[str]:
        yield "value"
        yield "timestamp"
        yield from self._channel._data_keys()

    def __len__(self) -> int:
        return 2 + len(self._channel._data_keys())

    def copy(self) -> dict[str, Any]:
        """Return a dict of the present contents."""
        return dict(self)

    def _check(self, key: str) -> None:
        if key not in ("value", "timestamp") and key not in self._channel._data_keys():
            raise CaprotoKeyError(f"{self._channel._label} has no data of the name {key!r}")
