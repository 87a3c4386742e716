"""The types and enumerations of Channel Access, at the place where caproto has them."""

from __future__ import annotations

from cachannel.protocol.channel_types import (
    AccessRights,
    AlarmSeverity,
    AlarmStatus,
    ChannelType,
    ConnStatus,
    SubscriptionType,
    char_types,
    control_types,
    enum_types,
    field_types,
    float_types,
    graphical_types,
    int_types,
    native_float_types,
    native_int_types,
    native_type,
    native_types,
    status_types,
    string_types,
    time_types,
)
from cachannel.protocol.dbr import (
    MAX_ENUM_STATES,
    MAX_ENUM_STRING_SIZE,
    MAX_STRING_SIZE,
    MAX_UNITS_SIZE,
)
from cachannel.protocol.dbr_types import (
    DBR_TYPES,
    DbrStringArray,
    DbrTypeBase,
    metadata_from,
)
from cachannel.protocol.timestamp import (
    EPICS2UNIX_EPOCH,
    EPICS_EPOCH,
    TimeStamp,
    epics_timestamp_to_unix,
    timestamp_to_epics,
)

__all__ = [
    "DBR_TYPES",
    "EPICS2UNIX_EPOCH",
    "EPICS_EPOCH",
    "MAX_ENUM_STATES",
    "MAX_ENUM_STRING_SIZE",
    "MAX_STRING_SIZE",
    "MAX_UNITS_SIZE",
    "AccessRights",
    "AlarmSeverity",
    "AlarmStatus",
    "ChannelType",
    "ConnStatus",
    "DbrStringArray",
    "DbrTypeBase",
    "SubscriptionType",
    "TimeStamp",
    "char_types",
    "control_types",
    "enum_types",
    "epics_timestamp_to_unix",
    "field_types",
    "float_types",
    "graphical_types",
    "int_types",
    "metadata_from",
    "native_float_types",
    "native_int_types",
    "native_type",
    "native_types",
    "status_types",
    "string_types",
    "time_types",
    "timestamp_to_epics",
]


_CLASSES = {cls.__name__: cls for cls in DBR_TYPES.values()}


def __getattr__(name: str) -> type[DbrTypeBase]:
    """Find the class of a type by its name, such as ``DBR_TIME_DOUBLE``."""
    try:
        return _CLASSES[name]
    except KeyError:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message) from None
