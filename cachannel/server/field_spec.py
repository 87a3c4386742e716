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
    """Return the class of fields of a record type given by name, class or `FieldSpec`.

    Raises:
        CaprotoValueError: there is no such record type.
    """
    from .records import RecordFieldGroup, records

    if isinstance(record, FieldSpec):
        return record.record_class
    if isinstance(record, type) and issubclass(record, RecordFieldGroup):
        return record
    try:
        return records[record]
    except (KeyError, TypeError):
        raise CaprotoValueError(
            f"unknown record type {record!r}; there are: {', '.join(sorted(records))}"
        ) from None


class FieldSpec:
    """The fields of one property's record, which other properties may share.

    Args:
        prop: the property.
        record_type: name or class of the record.
    """

    def __init__(self, prop: pvproperty, *, record_type: Any) -> None:
        self._prop = prop
        self._shared = _Shared(record_type)

    @property
    def record_type(self) -> Any:
        """The record, as given."""
        return self._shared.record_type

    @property
    def record_class(self) -> type[RecordFieldGroup]:
        """The class of fields, with the hooks that were given so far."""
        shared = self._shared
        return shared.record_class or get_record_class(shared.record_type)

    @record_class.setter
    def record_class(self, record_class: type[RecordFieldGroup]) -> None:
        self._shared.record_class = record_class

    @property
    def fields(self) -> dict[str, pvproperty]:
        """The properties of the fields by attribute."""
        return dict(self.record_class._pvs_)

    def of(self, prop: pvproperty) -> FieldSpec:
        """Return the same fields, with decorators that return another property that has them."""
        if prop is self._prop:
            return self
        found = FieldSpec(prop, record_type=None)
        found._shared = self._shared
        return found

    def share(self) -> None:
        """Have the first property look here too, for hooks that are attached through another."""
        self._prop._set_field_spec(self)

    def copy(self, prop: pvproperty) -> FieldSpec:
        """Return independent fields for another property, with the hooks given so far."""
        found = FieldSpec(prop, record_type=self.record_type)
        found._shared.record_class = self._shared.record_class
        return found

    def __repr__(self) -> str:
        return f"<FieldSpec of {self.record_class.__name__}>"

    def __deepcopy__(self, memo: dict[int, Any]) -> FieldSpec:
        # Within a copied property it is that property's, within a copied channel the same.
        prop = memo.get(id(self._prop))
        return self if prop is None else self.copy(prop)

    def __reduce__(self) -> Any:
        # A pickled channel needs the class only; the property that gives hooks stays behind.
        return get_record_class, (self.record_class,)

    def __getattr__(self, name: str) -> FieldProxy:
        if name.startswith("_"):
            raise AttributeError(name)
        attr = self.record_class.find_attr(name)
        if attr is None:
            raise CaprotoAttributeError(
                f"record type {self.record_class._record_type!r} has no field {name!r}"
            )
        return FieldProxy(self, self.record_class, attr)

    def _update(self, attr: str, hook: Any, change: Callable[[pvproperty], object]) -> pvproperty:
        """Apply a change to a copy of a field's property in a class of these fields' own."""
        prop = self._prop._to_change(hook)
        spec = self if prop is self._prop else prop.fields
        current = spec.record_class
        field = copy.copy(current._pvs_[attr])
        change(field)
        spec.record_class = type(current.__name__, (current,), {attr: field})
        prop._set_field_spec(prop.field_spec or spec)
        return prop


class _Shared:
    """What `FieldSpec` objects of several properties have in common."""

    def __init__(self, record_type: Any) -> None:
        self.record_type = record_type
        self.record_class: type[RecordFieldGroup] | None = None


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
        return self.field_spec._update(self.field_name, hook, lambda field: field._hook(kind, hook))

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

    def scan(
        self, period: float | None = None, **kwargs: Any
    ) -> Callable[[Callable[..., Any]], pvproperty]:
        """Return a decorator for a periodic method; see `pvproperty.scan`."""

        def decorate(function: Callable[..., Any]) -> pvproperty:
            return self.field_spec._update(
                self.field_name, function, lambda field: field.scan(period, **kwargs)(function)
            )

        return decorate
