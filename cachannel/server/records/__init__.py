"""Records: the fields that EPICS clients expect beside a value."""

from .analog import AiFields, AoFields
from .base import RecordFieldGroup, link_enum_strings, link_parent_attribute
from .registry import get_record_registry, records, register_record, summarize

__all__ = [
    "AiFields",
    "AoFields",
    "RecordFieldGroup",
    "get_record_registry",
    "link_enum_strings",
    "link_parent_attribute",
    "records",
    "register_record",
    "summarize",
]
