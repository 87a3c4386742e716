"""`PVSpec`, what a property says, and `pvproperty`, the descriptor that carries it."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from enum import IntEnum
from types import GenericAlias
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, cast

from cachannel.protocol.channel_types import AlarmSeverity, ChannelType
from cachannel.protocol.errors import (
    CaprotoAttributeError,
    CaprotoRuntimeError,
    CaprotoValueError,
)

from .alarm import ChannelAlarm
from .data import ChannelData
from .describing import described, qualified, value_text
from .field_spec import FieldSpec, get_record_class
from .hooks import check_period, check_signature, scan_wrapper
from .inheriting import Hookable
from .names import expand_macros
from .pvproperty_data import (
    PvpropertyData,
    PvpropertyEnum,
    of_one_number,
    pvspec_type_map,
    pvspec_type_map_read_only,
)

if TYPE_CHECKING:
    from .group import PVGroup

__all__ = [
    "PVSpec",
    "channeldata_from_pvspec",
    "data_class_from_pvspec",
    "expand_macros",
    "pvproperty",
]


_NUMPY_KINDS = {"b": bool, "i": int, "u": int, "f": float, "U": str, "S": bytes}


_new_tuple = tuple.__new__
_NO_HOOKS = (None, None, None, None)


def _dtype_of(value: Any, default: type) -> Any:
    """Return the dtype that follows from an initial value."""
    kind = type(value)
    if kind is float or kind is int or kind is str:  # nearly all
        return kind
    if value is None:
        return default
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return _NUMPY_KINDS.get(value.dtype.kind, value.dtype.type)
    if isinstance(value, (list, tuple)) or (
        hasattr(value, "__getitem__") and not isinstance(value, (str, bytes, dict))
    ):
        if isinstance(value, (bytearray, memoryview)):
            return bytes
        if not len(value):
            return default
        value = value[0]
        if hasattr(value, "dtype"):
            return _NUMPY_KINDS.get(value.dtype.kind, default)
    return type(value)


class _Fields(NamedTuple):
    """The fields of a `PVSpec`, in order."""

    get: Callable[..., Any] | None = None
    put: Callable[..., Any] | None = None
    startup: Callable[..., Any] | None = None
    shutdown: Callable[..., Any] | None = None
    attr: str | None = None
    name: str | None = None
    dtype: Any = None
    value: Any = None
    max_length: int | None = None
    alarm_group: Any = None
    read_only: bool | None = None
    doc: str | None = None
    fields: Any = None
    scan: Callable[..., Any] | None = None
    record: Any = None
    cls_kwargs: dict[str, Any] | None = None


class PVSpec(_Fields):
    """What there is to say about one PV. It never changes; `_replace` makes another.

    The dtype is that of the value if none is given.
    """

    __slots__ = ()

    default_dtype: ClassVar[type] = int
    """The dtype when neither a dtype nor a value is given."""

    if not TYPE_CHECKING:  # for type checkers the constructor is that of the fields

        def __new__(cls, *args, **kwargs):
            spec = super().__new__(cls, *args, **kwargs)
            if spec.dtype is None:
                return spec._replace(dtype=_dtype_of(spec.value, cls.default_dtype))
            return spec

    def new_names(self, attr: str | None = None, name: str | None = None) -> PVSpec:
        """Return this specification under another attribute and PV name, where given."""
        return self._replace(
            attr=self.attr if attr is None else attr, name=self.name if name is None else name
        )

    def resolve_dtype(self) -> Any:
        """Return the dtype as given, or as the initial value says."""
        dtype = self.dtype
        return _dtype_of(self.value, self.default_dtype) if dtype is None else dtype

    def get_data_class(self, group: Any = None) -> type[ChannelData]:
        """Return the class of the channel.

        Raises:
            CaprotoValueError: no class fits the dtype.
        """
        return self._class_of(self.resolve_dtype(), group)

    def _class_of(self, dtype: Any, group: Any) -> type[ChannelData]:
        if isinstance(dtype, type) and issubclass(dtype, ChannelData):
            return dtype
        table: dict[Any, Any]
        if self.read_only:
            table = pvspec_type_map_read_only if group is None else group.type_map_read_only
        else:
            table = pvspec_type_map if group is None else group.type_map
        found = table.get(dtype)
        if found is None and isinstance(dtype, type):
            if issubclass(dtype, IntEnum) and not issubclass(dtype, ChannelType):
                found = table.get(IntEnum)
            else:
                # Subclasses of the built-in types, NumPy's scalars among them.
                for kind in (bool, int, float, str, bytes):
                    if issubclass(dtype, kind):
                        found = table.get(kind)
                        break
                else:
                    kind_code = getattr(getattr(dtype, "dtype", None), "kind", None)
                    name = dtype.__name__
                    if kind_code is None and name.startswith(("int", "uint")):
                        found = table.get(int)
                    elif name.startswith("float"):
                        found = table.get(float)
                    elif name in ("bool", "bool_"):
                        found = table.get(bool)
        if found is None:
            raise CaprotoValueError(f"{self.attr or self.name}: no PV type for dtype {dtype!r}")
        result: type[ChannelData] = found
        return result

    def get_instantiation_info(self, group: Any = None) -> tuple[type[ChannelData], dict[str, Any]]:
        """Return the channel's class and its arguments.

        Raises:
            CaprotoValueError: no value for a specification without a group, or no class.
        """
        dtype = self.resolve_dtype()
        cls = self._class_of(dtype, group)
        kwargs: dict[str, Any] = dict(self.cls_kwargs) if self.cls_kwargs else {}
        value = self.value
        if group is None:
            if value is None:
                raise CaprotoValueError(f"{self.name}: a PVSpec without a group needs a value")
            alarm = self.alarm_group
            if alarm is not None and not isinstance(alarm, ChannelAlarm):
                raise CaprotoValueError(
                    f"{self.name}: alarm_group of a PVSpec without a group must be a ChannelAlarm"
                )
        else:
            alarm = self._alarm_of(group)
            if value is None:
                value = self._default_value(group, dtype, cls)
        if isinstance(dtype, type) and issubclass(dtype, IntEnum) and dtype is not IntEnum:
            if "enum_strings" in kwargs:
                raise CaprotoValueError(
                    f"{self.attr or self.name}: {dtype.__name__} has the names of the states;"
                    " enum_strings cannot be given too"
                )
            if issubclass(cls, PvpropertyEnum):
                kwargs["enum_class"] = dtype
        kwargs.update(alarm=alarm, value=value, max_length=self.max_length)
        kwargs.update(pvname=self._pvname(group), group=group, pvspec=self, doc=self.doc)
        record = self.fields if self.fields is not None else self.record
        if record is not None:
            kwargs["record"] = record
        return cls, kwargs

    @staticmethod
    def _default_value(group: Any, dtype: Any, cls: type[ChannelData]) -> Any:
        try:
            if dtype in group.default_values:
                return group.default_values[dtype]
        except TypeError:  # an unhashable dtype
            pass
        for kind, default in group.default_values.items():
            if group.type_map.get(kind) is cls or group.type_map_read_only.get(kind) is cls:
                return default
        return getattr(cls, "default_value", 0)

    def _says_only_a_number(self) -> bool:
        """Tell whether all there is to the channel is a name, an int or float, and hooks."""
        kind = type(self.value)
        return (
            (kind is float or kind is int)
            and (self.dtype is None or self.dtype is kind)
            and not self.cls_kwargs
            and self.record is None
            and self.fields is None
            and self.max_length is None
        )

    def _alarm_of(self, group: Any) -> ChannelAlarm | None:
        """Return the alarm that the property shares, None for one of its own."""
        shared = self.alarm_group
        if shared is None or isinstance(shared, ChannelAlarm):
            return shared
        found: ChannelAlarm = group.alarms[shared]
        return found

    def _pvname(self, group: Any) -> str:
        name = self.name
        if name is None:
            name = self.attr or ""
        return name if group is None else group.prefix + expand_macros(name, group.macros)

    def create(self, group: Any = None) -> PvpropertyData:
        """Return the channel.

        Raises:
            CaprotoRuntimeError: the data class does not take the arguments.
        """
        if group is not None:
            name = self._pvname(group)
            if self._says_only_a_number():
                table = group.type_map_read_only if self.read_only else group.type_map
                number_cls = table.get(type(self.value))
                if number_cls in of_one_number:
                    alarm = self._alarm_of(group)
                    channel = number_cls._of_number(name, self.value, group, self, alarm)
                    if self[:4] != _NO_HOOKS or self.scan is not None or group._has_hooks:
                        channel._bind(group, self)
                    return channel  # type: ignore[no-any-return]
        cls, kwargs = self.get_instantiation_info(group)
        try:
            return cast(PvpropertyData, cls(**kwargs))
        except TypeError as exc:
            given = sorted(self.cls_kwargs or {})
            raise CaprotoRuntimeError(
                f"{kwargs['pvname']}: {cls.__name__} cannot be made with the arguments {given}:"
                f" {exc}"
            ) from exc


class pvproperty(Hookable):  # noqa: N801 - the name is a contract
    """A PV of a group.

    On the class it is itself, on an instance of the group it is the channel. Hooks are given as
    arguments or with the decorators of the same names.

    A decorator changes the property while the class that it is defined in is being made. Later it
    returns a copy with the hook, as ``property.setter`` does: ``@Base.prop.putter`` in a subclass
    gives the subclass another putter, and groups of the base class keep theirs.

    Args:
        get: ``async (group, instance)``, called on every read of a client.
        put: ``async (group, instance, value)``, called on every write.
        startup: ``async (group, instance, async_lib)``, started with the server.
        shutdown: the same, run when the server stops.
        scan: the same; use the decorator instead, it makes a loop of it.
        name: the PV's name after the group's prefix; the attribute's name if absent.
        dtype: a Python type, a `ChannelType` or a data class; the value's type if absent.
        value: the initial value.
        max_length: the most elements (of text: bytes); the length of the value if absent.
        alarm_group: the PVs of a group that name the same one share an alarm; each of the others
            has its own.
        doc: description; also the record's DESC.
        read_only: clients may not write.
        field_spec: of another property: its record, and its hooks of fields, those included that
            are attached later.
        fields: a class of fields.
        record: record type whose fields are served too.
        **cls_kwargs: for the data class.

    Raises:
        CaprotoRuntimeError: a hook with a wrong signature.
        CaprotoValueError: arguments that exclude each other.
    """

    attr_name: str | None = None
    field_spec: FieldSpec | None = None

    def __init__(
        self,
        get: Callable[..., Any] | None = None,
        put: Callable[..., Any] | None = None,
        startup: Callable[..., Any] | None = None,
        shutdown: Callable[..., Any] | None = None,
        *,
        scan: Callable[..., Any] | None = None,
        name: str | None = None,
        dtype: Any = None,
        value: Any = None,
        max_length: int | None = None,
        alarm_group: Any = None,
        doc: str | None = None,
        read_only: bool | None = None,
        field_spec: FieldSpec | None = None,
        fields: Any = None,
        record: Any = None,
        **cls_kwargs: Any,
    ) -> None:
        if isinstance(dtype, GenericAlias):
            if record is None and dtype.__args__:
                record = dtype.__args__[0]
            dtype = dtype.__origin__
        if get or put or startup or shutdown or scan:
            check_signature("get", get, True)
            check_signature("put", put, True)
            check_signature("startup", startup, True)
            check_signature("shutdown", shutdown, True)
            check_signature("scan", scan, True)
        if put is not None and read_only:
            raise CaprotoValueError(
                "put= and read_only=True exclude each other; a putter for the IOC's own writes of a"
                " read only property is attached with the decorator @<property>.putter"
            )
        if doc is None and get is not None:
            doc = inspect.getdoc(get)
        if record is None and field_spec is not None:
            record = field_spec.record_type
        if record is not None:
            get_record_class(record)  # an unknown one is refused here
            if name is not None and "." in name:
                raise CaprotoValueError(
                    f"{name!r}: the name of a property with a record cannot contain a dot"
                )
        if dtype is None:
            kind = type(value)
            number = kind is float or kind is int  # nearly all
            dtype = kind if number else _dtype_of(value, PVSpec.default_dtype)
        # In the order of PVSpec's fields; its own constructor takes four times as long, and there
        # may be very many properties.
        self.pvspec = _new_tuple(
            PVSpec,
            (
                *(get, put, startup, shutdown, None, name, dtype, value, max_length),
                *(alarm_group, read_only, doc, fields, scan, record, cls_kwargs),
            ),
        )
        if field_spec is not None:
            self._set_field_spec(field_spec)
            field_spec.share()
        elif record is not None:
            self.field_spec = FieldSpec(self, record_type=record)
            if isinstance(fields, FieldSpec):  # of a specification: hooks to start from
                self._set_field_spec(fields.copy(self))
        self.__doc__ = doc

    def __class_getitem__(cls, item: Any) -> GenericAlias:
        return GenericAlias(cls, item)

    def __repr__(self) -> str:
        spec = self.pvspec
        dtype = spec.resolve_dtype()
        return described(
            self,
            qualified(self._owner, self.attr_name),
            f"name {spec.name!r}" if spec.name not in (None, spec.attr) else "",
            getattr(dtype, "__name__", None) or getattr(dtype, "name", None) or repr(dtype),
            value_text(spec.value, spec.max_length) if spec.value is not None else "",
            f"record {getattr(spec.record, '_record_type', spec.record)!r}" if spec.record else "",
            "read only" if spec.read_only else "",
        )

    @classmethod
    def from_pvspec(cls, pvspec: PVSpec, **kwargs: Any) -> pvproperty:
        """Return a property with a specification; keyword arguments replace parts of it."""
        given = pvspec._asdict()
        given.pop("attr")
        cls_kwargs = given.pop("cls_kwargs") or {}
        given = {**given, **cls_kwargs, **kwargs}
        # The argument `put` is refused for a read only property, unlike the decorator's hook.
        put = given.pop("put") if "put" not in kwargs and given["read_only"] else None
        prop = cls(**given)
        return prop if put is None else prop.putter(put)

    def __copy__(self) -> pvproperty:
        fresh = self._copy()
        spec = self.pvspec
        # Under another attribute it is another PV, unless its name was given.
        fresh.attr_name = None
        if spec.name == spec.attr:
            fresh.pvspec = fresh.pvspec._replace(attr=None, name=None)
        return fresh

    def _copy(self) -> pvproperty:
        """Return a copy for the same attribute, which no class has yet."""
        fresh = self.__class__.__new__(self.__class__)
        fresh.__dict__.update(self.__dict__)
        fresh._owner = fresh._last_copy = None
        if self.field_spec is not None:
            fresh._set_field_spec(self.field_spec.copy(fresh))
        return fresh

    def _set_field_spec(self, field_spec: FieldSpec) -> None:
        self.field_spec = field_spec
        self.pvspec = self.pvspec._replace(fields=field_spec)

    @property
    def record_type(self) -> Any:
        """The record, as given."""
        return self.pvspec.record

    @property
    def fields(self) -> FieldSpec:
        """The fields of the record, to give them hooks.

        Raises:
            AttributeError: there is no record.
        """
        if self.field_spec is None:
            raise CaprotoAttributeError(f"{self.attr_name or 'the property'} has no record")
        return self.field_spec.of(self)

    # ------------------------------------------------------------------ descriptor

    def __set_name__(self, owner: type, name: str) -> None:
        self._owner = self._owner or owner
        # A decorated hook under another name puts the property into the class a second time.
        if self.attr_name is None:
            self.attr_name = name
            spec = self.pvspec
            # `_replace` takes longer than all the rest of making a property.
            pvname = name if spec.name is None else spec.name
            self.pvspec = _new_tuple(PVSpec, (*spec[:4], name, pvname, *spec[6:]))

    def __get__(self, instance: PVGroup | None, owner: type | None = None) -> Any:
        if instance is None:
            return self
        return instance.attr_pvdb[self.attr_name]

    def __set__(self, instance: PVGroup, value: Any) -> None:
        instance.attr_pvdb[self.attr_name] = value

    def __delete__(self, instance: PVGroup) -> None:
        del instance.attr_pvdb[self.attr_name]

    # ------------------------------------------------------------------ decorators

    def __call__(self, get: Callable[..., Any]) -> pvproperty:
        """Take a getter: ``@pvproperty(value=1)`` above a method."""
        check_signature("get", get, True)
        doc = self.pvspec.doc or inspect.getdoc(get)
        prop = self._to_change(get)
        prop.pvspec = prop.pvspec._replace(get=get, doc=doc)
        prop.__doc__ = doc
        return prop

    def _hook(self, kind: str, hook: Callable[..., Any]) -> pvproperty:
        check_signature(kind, hook, True)
        change: dict[str, Any] = {kind: hook}
        prop = self._to_change(hook)
        prop.pvspec = prop.pvspec._replace(**change)
        return prop

    def getter(self, get: Callable[..., Any]) -> pvproperty:
        """Set the hook of reads: ``async (group, instance)``."""
        return self._hook("get", get)

    def putter(self, put: Callable[..., Any]) -> pvproperty:
        """Set the hook of writes: ``async (group, instance, value)``.

        That of a read only property runs for the IOC's own writes.
        """
        return self._hook("put", put)

    def startup(self, startup: Callable[..., Any]) -> pvproperty:
        """Set the hook of the start: ``async (group, instance, async_lib)``."""
        return self._hook("startup", startup)

    def shutdown(self, shutdown: Callable[..., Any]) -> pvproperty:
        """Set the hook of the end: ``async (group, instance, async_lib)``."""
        return self._hook("shutdown", shutdown)

    def scan(
        self,
        period: float | None = None,
        *,
        subtract_elapsed: bool = True,
        stop_on_error: bool = False,
        failure_severity: AlarmSeverity = AlarmSeverity.MAJOR_ALARM,
        use_scan_field: bool = False,
    ) -> Callable[[Callable[..., Any]], pvproperty]:
        """Return a decorator for a method that is called periodically; see `scan_wrapper`.

        Raises:
            CaprotoValueError: `use_scan_field` without a record, or neither a positive period nor
                `use_scan_field`.
        """
        if use_scan_field and self.pvspec.record is None:
            raise CaprotoValueError("use_scan_field needs a record, which has the SCAN field")
        check_period(period, use_scan_field)

        def decorate(function: Callable[..., Any]) -> pvproperty:
            wrapped = scan_wrapper(
                function,
                period,
                subtract_elapsed=subtract_elapsed,
                stop_on_error=stop_on_error,
                failure_severity=failure_severity,
                use_scan_field=use_scan_field,
            )
            prop = self._to_change(function)
            prop.pvspec = prop.pvspec._replace(scan=wrapped)
            return prop

        return decorate

    def copy(self) -> pvproperty:
        """Return an independent property with the same specification."""
        return copy.copy(self)


def data_class_from_pvspec(group: Any, pvspec: PVSpec) -> type[ChannelData]:
    """Return the data class of a specification in a group."""
    return pvspec.get_data_class(group)


def channeldata_from_pvspec(group: Any, pvspec: PVSpec) -> tuple[str, ChannelData]:
    """Return (PV name, channel) of a specification in a group."""
    channel = pvspec.create(group)
    return channel.pvname, channel
