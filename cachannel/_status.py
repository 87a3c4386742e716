"""The status codes of Channel Access, at the place where caproto has them."""

from __future__ import annotations

from cachannel.protocol.status_codes import (
    CASeverity,
    CAStatus,
    CAStatusCode,
)

__all__ = ["CASeverity", "CAStatus", "CAStatusCode"]
