"""Names that IOC and response code imports from the package root, and where they are.

The root package loads them when they are asked for (PEP 562), so that importing it stays cheap.
"""

from __future__ import annotations

from typing import Final

__all__ = ["ROOT_NAMES"]

_BY_MODULE: Final = {
    "cachannel.server.data": "ChannelData",
    "cachannel.server.numeric": (
        "ChannelByte ChannelDouble ChannelFloat ChannelInteger ChannelNumeric ChannelShort"
    ),
    "cachannel.server.text": "ChannelChar ChannelEnum ChannelString",
    "cachannel.server.alarm": "ChannelAlarm",
    "cachannel.logs": (
        "AddressFilter LogFormatter PVFilter RoleFilter color_logs config_caproto_logging"
        " get_handler set_handler"
    ),
    "cachannel.server.sockets": "get_local_address get_netifaces_addresses random_ports",
    "cachannel.protocol.channel_types": (
        "AccessRights AlarmSeverity AlarmStatus CLIENT CONNECTED"
        " ChannelType ConnStatus DISCONNECTED SERVER SubscriptionType char_types control_types"
        " enum_types field_types float_types graphical_types int_types native_float_types"
        " native_int_types native_type native_types status_types string_types time_types"
    ),
    "cachannel.protocol.constants": (
        "MAX_COMMAND_BACKLOG MAX_RECORD_LENGTH MAX_SUBSCRIPTION_BACKLOG"
        " MAX_TOTAL_SUBSCRIPTION_BACKLOG MIN_SUBSCRIPTION_BACKLOG backend register_backend"
        " select_backend"
    ),
    "cachannel.protocol.dbr": (
        "MAX_ENUM_STATES MAX_ENUM_STRING_SIZE MAX_STRING_SIZE MAX_UNITS_SIZE"
    ),
    "cachannel.protocol.dbr_types": "DBR_TYPES DbrStringArray",
    "cachannel.protocol.errors": (
        "CannotExceedLimits CaprotoAttributeError CaprotoConversionError"
        " CaprotoEnvironmentSetupError CaprotoError CaprotoKeyError CaprotoNetworkError"
        " CaprotoNotImplementedError CaprotoRuntimeError CaprotoTimeoutError CaprotoTypeError"
        " CaprotoValueError ErrorResponseReceived FilterValidationError Forbidden"
        " LocalProtocolError ProtocolError RemoteProtocolError SkipWrite ValidationError"
    ),
    "cachannel.protocol.filters": (
        "ArrayFilter ChannelFilter DeadbandFilter RecordAndField RecordModifier RecordModifiers"
        " SyncFilter parse_channel_filter parse_record_field"
    ),
    "cachannel.protocol.messages": "DEFAULT_PROTOCOL_VERSION EPICS_CA1_PORT EPICS_CA2_PORT",
    "cachannel.protocol.settings": (
        "get_address_list get_beacon_address_list get_client_address_list"
        " get_environment_variables get_server_address_list"
    ),
    "cachannel.protocol.status_codes": "CASeverity CAStatus CAStatusCode",
    "cachannel.protocol.timestamp": (
        "EPICS2UNIX_EPOCH EPICS_EPOCH TimeStamp epics_timestamp_to_unix timestamp_to_epics"
    ),
}

ROOT_NAMES: Final[dict[str, str]] = {
    name: module for module, names in _BY_MODULE.items() for name in names.split()
}
"""Name to module."""
