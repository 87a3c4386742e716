"""Logging, at the place where caproto has it."""

from __future__ import annotations

from cachannel.logs import (
    AddressFilter,
    LogFormatter,
    PVFilter,
    RoleFilter,
    color_logs,
    config_caproto_logging,
    get_handler,
    set_handler,
)

__all__ = [
    "AddressFilter",
    "LogFormatter",
    "PVFilter",
    "RoleFilter",
    "color_logs",
    "config_caproto_logging",
    "get_handler",
    "set_handler",
]
