"""The record types that there are."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from cachannel.protocol.errors import CaprotoValueError

if TYPE_CHECKING:
    from .base import RecordFieldGroup

__all__ = ["get_record_registry", "records", "register_record", "summarize"]

records: dict[str, type[RecordFieldGroup]] = {}
"""Record type to class of fields; `register_record` adds to it."""

_T = TypeVar("_T", bound="type[RecordFieldGroup]")


def register_record(cls: _T) -> _T:
    """Add a class of fields under its ``_record_type``.

    Raises:
        CaprotoValueError: the class does not say its record type.
    """
    record_type: Any = cls._record_type
    if not record_type:
        raise CaprotoValueError(f"{cls.__name__} has no _record_type")
    records[record_type] = cls
    return cls


def get_record_registry() -> dict[str, type[RecordFieldGroup]]:
    """Return a copy of the registry."""
    return dict(records)


def summarize(file: TextIO | None = None) -> None:
    """Write the record types and their fields as text.

    Args:
        file: where to; standard output if absent.
    """
    file = sys.stdout if file is None else file
    for record_type, cls in sorted(records.items()):
        file.write(f"{record_type}\n")
        for attr, prop in cls._pvs_.items():
            file.write(f"    {prop.pvspec.name:5s} {attr}: {prop.pvspec.doc or ''}\n")
