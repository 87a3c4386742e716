"""Hooks for the fields of one property's record.

``@prop.fields.RVAL.putter`` gives one property's record a hook without touching the record class
that other properties use: the first hook makes a subclass of it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cachannel.protocol.errors import CaprotoAttributeError, CaprotoValueError

from .hooks import check_signature

if TYPE_CHECKING:
    from .pvspec import pvproperty
    from .records import RecordFieldGroup

__all__ = ["FieldProxy", "FieldSpec", "get_record_class"]


def get_record_class(record: Any) -> type[RecordFieldGroup]:
    """Return the class of fields of a record type given by name or class.

    Raises:
        CaprotoValueError: there is no such record type.
    """
    from .records import RecordFieldGroup, records

    if isinstance(record, type) and issubclass(record, RecordFieldGroup):
        return record
    try:
        return records[record]
    except (KeyError, TypeError):
        raise CaprotoValueError(
            f"unknown record type {record!r}; there are: {', '.join(sorted(records))}"
        ) from None


class FieldSpec:
    """The fields of one property's record.

    Args:
        prop: the property.
        record_type: name or class of the record.
    """

    def __init__(self, prop: pvproperty, *, record_type: Any) -> None:
        self._prop = prop
        self._record_type = record_type
        self._record_class: type[RecordFieldGroup] | None = None

    @property
    def record_type(self) -> Any:
        """The record, as given."""
        return self._record_type

    @property
    def record_class(self) -> type[RecordFieldGroup]:
        """The class of fields, with the hooks that were given."""
        return self._record_class or get_record_class(self._record_type)

    @record_class.setter
    def record_class(self, record_class: type[RecordFieldGroup]) -> None:
        self._record_class = record_class

    @property
    def fields(self) -> dict[str, pvproperty]:
        """The properties of the fields by attribute."""
        return dict(self.record_class._pvs_)

    def __getattr__(self, name: str) -> FieldProxy:
        if name.startswith("__"):
            raise AttributeError(name)
        attr = self.record_class.find_attr(name)
        if attr is None:
            raise CaprotoAttributeError(
                f"record type {self.record_class._record_type!r} has no field {name!r}"
            )
        return FieldProxy(self, self.record_class, attr)

    def _update(self, attr: str, change: Callable[[pvproperty], object]) -> pvproperty:
        """Apply a change to a copy of a field's property in a class of this property's own."""
        current = self.record_class
        field = copy.copy(current._pvs_[attr])
        change(field)
        self._record_class = type(current.__name__, (current,), {attr: field})
        self._prop.pvspec = self._prop.pvspec._replace(fields=self._record_class)
        return self._prop


class FieldProxy:
    """One field, to give it hooks. Every decorator returns the property that has the record.

    Args:
        field_spec: the fields it belongs to.
        record_class: their class.
        field_name: the field's attribute.
    """

    def __init__(
        self, field_spec: FieldSpec, record_class: type[RecordFieldGroup], field_name: str
    ) -> None:
        self.field_spec = field_spec
        self.record_class = record_class
        self.field_name = field_name

    def _set(self, kind: str, hook: Callable[..., Any]) -> pvproperty:
        check_signature(kind, hook, True)
        return self.field_spec._update(self.field_name, lambda field: field._hook(kind, hook))

    def getter(self, get: Callable[..., Any]) -> pvproperty:
        """Set the hook of reads: ``async (fields, instance)``."""
        return self._set("get", get)

    def putter(self, put: Callable[..., Any]) -> pvproperty:
        """Set the hook of writes: ``async (fields, instance, value)``."""
        return self._set("put", put)

    def startup(self, startup: Callable[..., Any]) -> pvproperty:
        """Set the hook of the start: ``async (fields, instance, async_lib)``."""
        return self._set("startup", startup)

    def shutdown(self, shutdown: Callable[..., Any]) -> pvproperty:
        """Set the hook of the end: ``async (fields, instance, async_lib)``."""
        return self._set("shutdown", shutdown)

    def scan(self, period: float, **kwargs: Any) -> Callable[[Callable[..., Any]], pvproperty]:
        """Return a decorator for a periodic method; see `pvproperty.scan`."""

        def decorate(function: Callable[..., Any]) -> pvproperty:
            return self.field_spec._update(
                self.field_name, lambda field: field.scan(period, **kwargs)(function)
            )

        return decorate
