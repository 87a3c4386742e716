"""The data of PVs of a server, at the place where caproto has them."""

from __future__ import annotations

from cachannel.protocol.errors import (
    CannotExceedLimits,
    Forbidden,
    SkipWrite,
)
from cachannel.server.alarm import (
    ChannelAlarm,
)
from cachannel.server.data import (
    ChannelData,
)
from cachannel.server.numeric import (
    ChannelByte,
    ChannelDouble,
    ChannelFloat,
    ChannelInteger,
    ChannelNumeric,
    ChannelShort,
)
from cachannel.server.text import (
    ChannelChar,
    ChannelEnum,
    ChannelString,
)

__all__ = [
    "CannotExceedLimits",
    "ChannelAlarm",
    "ChannelByte",
    "ChannelChar",
    "ChannelData",
    "ChannelDouble",
    "ChannelEnum",
    "ChannelFloat",
    "ChannelInteger",
    "ChannelNumeric",
    "ChannelShort",
    "ChannelString",
    "Forbidden",
    "SkipWrite",
]
