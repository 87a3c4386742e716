"""What all records have: the common fields, and how fields follow the channel of VAL."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, NamedTuple

from cachannel.protocol.channel_types import ChannelType, SubscriptionType
from cachannel.protocol.errors import CaprotoAttributeError
from cachannel.server import menus
from cachannel.server.data import ChannelData
from cachannel.server.group import PVGroup, PVGroupMeta
from cachannel.server.numeric import ChannelNumeric
from cachannel.server.pvproperty_data import PvpropertyData
from cachannel.server.pvspec import pvproperty
from cachannel.server.text import ChannelEnum

__all__ = [
    "RecordFieldGroup",
    "field",
    "link_enum_strings",
    "link_parent_attribute",
]

STRING, INT, ENUM, CHAR, LONG, DOUBLE = (
    ChannelType.STRING,
    ChannelType.INT,
    ChannelType.ENUM,
    ChannelType.CHAR,
    ChannelType.LONG,
    ChannelType.DOUBLE,
)

_ALARM = int(SubscriptionType.DBE_ALARM)
_PROPERTY = int(SubscriptionType.DBE_PROPERTY)

# Attributes that are not properties of Channel Access.
_NO_PROPERTIES = ("__doc__", "value_atol", "log_atol")


class FieldDeclaration(NamedTuple):
    """One field: its attribute, the property, the attribute of VAL that it shows, and the choices
    of its menu that are more than an ENUM can tell of.
    """

    attr: str
    prop: pvproperty
    link: str | None
    further_states: tuple[str, ...] = ()


def field(
    attr: str,
    name: str,
    dtype: ChannelType,
    prompt: str,
    *,
    value: Any = None,
    menu: Any = None,
    read_only: bool = False,
    size: int = 40,
    link: str | None = None,
    put: Callable[..., Any] | None = None,
) -> FieldDeclaration:
    """Declare a field.

    Args:
        attr: its long name.
        name: its EPICS name.
        dtype: its type.
        prompt: what it is.
        value: initial value; 0 or empty if absent.
        menu: of an ENUM.
        read_only: clients may not write it.
        size: bytes of the EPICS field of a text.
        link: the attribute of the channel of VAL that it reads and writes.
        put: hook of writes.
    """
    kwargs: dict[str, Any] = {"name": name, "doc": prompt, "read_only": read_only}
    further: tuple[str, ...] = ()
    if dtype == STRING:
        kwargs.update(dtype=str, value=value or "", max_length=size, report_as_string=True)
    elif dtype == ENUM:
        texts = menu.get_string_tuple()
        further = tuple(member.text for member in menu)[len(texts) :]
        kwargs.update(dtype=ENUM, value=texts[value or 0], enum_strings=texts)
    elif dtype == CHAR:
        kwargs.update(dtype=bytes, value=bytes((value or 0,)), max_length=1)
    else:
        kwargs.update(dtype=dtype, value=value or 0)
    prop = pvproperty(put=put, **kwargs)
    if link is not None:
        prop.putter(_putter(link, use_setattr=link.startswith("_")))
        if link.startswith("_"):
            # Nobody tells us when it changes, as `write_metadata` does for the others.
            prop.getter(_getter(link, ""))
    return FieldDeclaration(attr, prop, link, further)


def _linked(channel: Any, attribute: str) -> Any:
    """Give what a channel has under a linked attribute, None for nothing.

    The docstring of its class, which `getattr` finds too, says nothing about the channel.
    """
    if attribute == "__doc__":
        return vars(channel).get(attribute)
    if attribute.endswith("_disp_limit") and hasattr(channel, "_operating_limit"):
        return channel._operating_limit(attribute)
    return getattr(channel, attribute, None)


def _getter(attribute: str, default: Any) -> Callable[..., Any]:
    async def getter(fields: Any, instance: Any) -> None:
        value = _linked(fields.parent, attribute)
        fields.follow(instance, default if value is None else value)

    return getter


def _putter(attribute: str, *, use_setattr: bool) -> Callable[..., Any]:
    async def putter(fields: Any, instance: Any, value: Any) -> None:
        if use_setattr:
            setattr(fields.parent, attribute, value)
        else:
            await fields.parent.write_metadata(**{attribute: value})

    return putter


def link_parent_attribute(
    prop: pvproperty,
    attribute: str,
    *,
    read_only: bool = False,
    use_setattr: bool = False,
    default: Any = 0,
) -> pvproperty:
    """Make a field show and set an attribute of the channel of VAL.

    Args:
        prop: the field's property.
        attribute: of the channel.
        read_only: only show it.
        use_setattr: set it plainly instead of by `write_metadata`.
        default: what to show when there is no such attribute.
    """

    prop.getter(_getter(attribute, default))
    if not read_only and not prop.pvspec.read_only:
        prop.putter(_putter(attribute, use_setattr=use_setattr))
    return prop


def link_enum_strings(prop: pvproperty, index: int) -> pvproperty:
    """Make a field show and set the name of one state of the channel of VAL.

    Args:
        prop: the field's property.
        index: the state's number.
    """

    async def getter(fields: Any, instance: Any) -> None:
        strings = fields.parent.enum_strings
        fields.follow(instance, strings[index] if index < len(strings) else "")

    async def putter(fields: Any, instance: Any, value: str) -> None:
        parent = fields.parent
        strings = list(parent.enum_strings)
        strings += [""] * (index + 1 - len(strings))
        strings[index] = value[:25]
        await parent.write_metadata(enum_strings=strings)

    prop.getter(getter)
    prop.putter(putter)
    return prop


async def _put_undefined_severity(fields: Any, instance: Any, value: str) -> None:
    """Take the severity of a value that is NaN."""
    if isinstance(fields.parent, ChannelNumeric):
        await fields.parent._write_nan_severity(menus.menuAlarmSevr[value].value)


async def _put_undefined(fields: Any, instance: Any, value: Any) -> None:
    """Take what a client says of the value; the next value ends it."""
    fields._is_undefined = bool(value if isinstance(value, int) else any(value))


class _LazyChannels(dict[Any, ChannelData]):
    """Channels by attribute, each made when it is first asked for."""

    def __init__(self, fields: RecordFieldGroup) -> None:
        super().__init__()
        self._fields = fields

    def __missing__(self, attr: Any) -> ChannelData:
        channel = self[attr] = self._fields.make(attr)
        return channel


class _Fields(Mapping[str, ChannelData]):
    """The fields of one record by EPICS name."""

    def __init__(self, fields: RecordFieldGroup) -> None:
        self._fields = fields

    def __getitem__(self, name: str) -> ChannelData:
        attr = type(self._fields)._attr_of_field_.get(name)
        if attr is None:
            raise KeyError(name)
        return self._fields.attr_pvdb[attr]

    def __iter__(self) -> Iterator[str]:
        return iter(type(self._fields)._attr_of_field_)

    def __len__(self) -> int:
        return len(type(self._fields)._attr_of_field_)


async def _put_process(fields: Any, instance: Any, value: Any) -> None:
    """Process: write the present value again, with putter and events."""
    await fields.parent.write(fields.parent.value)


async def _put_scan(fields: Any, instance: Any, value: str) -> None:
    """Take the period that a choice of SCAN says."""
    words = value.split()
    periodic = len(words) == 2 and words[1] == "second"
    fields.scan_rate_sec = float(words[0]) if periodic else 0
    if fields.scan_changed is not None:
        fields.scan_changed.set()


class RecordMeta(PVGroupMeta):
    """Turns the declared fields of a class into properties."""

    def __new__(
        mcs, name: str, bases: tuple[type, ...], dct: dict[str, Any], **kwargs: Any
    ) -> RecordMeta:
        links: dict[str, str] = {}
        further: dict[str, tuple[str, ...]] = {}
        for base in reversed(bases):
            links.update(getattr(base, "_links_", {}))
            further.update(getattr(base, "_further_states_", {}))
        for declaration in dct.get("_declared_", ()):
            dct.setdefault(declaration.attr, declaration.prop)
            if declaration.link is not None:
                links[declaration.attr] = declaration.link
            if declaration.further_states:
                further[declaration.attr] = declaration.further_states
        dct["_links_"] = links
        dct["_further_states_"] = further
        cls = super().__new__(mcs, name, bases, dct, **kwargs)
        cls._attr_of_field_ = {  # type: ignore[attr-defined]
            str(prop.pvspec.name): attr for attr, prop in cls._pvs_.items()
        }
        return cls  # type: ignore[return-value]


class RecordFieldGroup(PVGroup, metaclass=RecordMeta):
    """The fields of a record. Channels of fields are made when somebody asks for them.

    Attributes:
        parent: the channel of VAL.
        fields: the channels by EPICS name.
        scan_rate_sec: the period that SCAN says, seconds; 0 when it says none, None when nobody
            said anything.
    """

    _record_type: ClassVar[str | None] = None
    _dtype: ClassVar[ChannelType | None] = None
    has_val_field: ClassVar[bool] = True
    _links_: ClassVar[dict[str, str]]
    _further_states_: ClassVar[dict[str, tuple[str, ...]]]
    _attr_of_field_: ClassVar[dict[str, str]]

    _declared_: ClassVar[tuple[FieldDeclaration, ...]] = (
        field(
            "alarm_acknowledge_severity",
            "ACKS",
            ENUM,
            "Alarm Ack Severity",
            menu=menus.menuAlarmSevr,
            read_only=True,
        ),
        field(
            "alarm_acknowledge_transient",
            "ACKT",
            ENUM,
            "Alarm Ack Transient",
            value=1,
            menu=menus.menuYesNo,
            read_only=True,
        ),
        field("access_security_group", "ASG", STRING, "Access Security Group", size=29),
        field("description", "DESC", STRING, "Descriptor", size=41, link="__doc__"),
        field("disable", "DISA", INT, "Disable"),
        field("disable_putfield", "DISP", CHAR, "Disable putField"),
        field(
            "disable_alarm_severity", "DISS", ENUM, "Disable Alarm Sevrty", menu=menus.menuAlarmSevr
        ),
        field("disable_value", "DISV", INT, "Disable Value", value=1),
        field("event_name", "EVNT", STRING, "Event Name", size=40),
        field("forward_link", "FLNK", STRING, "Forward Process Link", size=81),
        field("lock_count", "LCNT", CHAR, "Lock Count", read_only=True),
        field("record_name", "NAME", STRING, "Record Name", read_only=True, size=61),
        field(
            "new_alarm_severity",
            "NSEV",
            ENUM,
            "New Alarm Severity",
            menu=menus.menuAlarmSevr,
            read_only=True,
        ),
        field(
            "new_alarm_status",
            "NSTA",
            ENUM,
            "New Alarm Status",
            menu=menus.menuAlarmStat,
            read_only=True,
        ),
        field("record_active", "PACT", CHAR, "Record active", read_only=True),
        field("scan_phase", "PHAS", INT, "Scan Phase"),
        field("process_at_iocinit", "PINI", ENUM, "Process at iocInit", menu=menus.menuPini),
        field("scheduling_priority", "PRIO", ENUM, "Scheduling Priority", menu=menus.menuPriority),
        field("process_record", "PROC", CHAR, "Force Processing", put=_put_process),
        field("dbputfield_process", "PUTF", CHAR, "dbPutField process", read_only=True),
        field("reprocess", "RPRO", CHAR, "Reprocess", read_only=True),
        field("scan_rate", "SCAN", ENUM, "Scan Mechanism", menu=menus.menuScan, put=_put_scan),
        field("scanning_disable", "SDIS", STRING, "Scanning Disable", size=81),
        field(
            "current_alarm_severity",
            "SEVR",
            ENUM,
            "Alarm Severity",
            menu=menus.menuAlarmSevr,
            read_only=True,
        ),
        field("trace_processing", "TPRO", CHAR, "Trace Processing"),
        field("time_stamp_event", "TSE", INT, "Time Stamp Event"),
        field("time_stamp_link", "TSEL", STRING, "Time Stamp Link", size=81),
        field("undefined", "UDF", CHAR, "Undefined", value=1, put=_put_undefined),
        field(
            "alarm_status", "STAT", ENUM, "Alarm Status", menu=menus.menuAlarmStat, read_only=True
        ),
        field(
            "undefined_alarm_severity",
            "UDFS",
            ENUM,
            "Undefined Alarm Sevrty",
            value=3,
            menu=menus.menuAlarmSevr,
            put=_put_undefined_severity,
        ),
        field("record_type", "RTYP", STRING, "Record type", read_only=True, size=81),
    )

    scan_changed: Any = None

    # Until the first value, and as long as the value is NaN.
    _is_undefined = True

    def __init__(self, prefix: str = "", *, parent: Any, name: str | None = None) -> None:
        self.scan_rate_sec: float | None = None
        super().__init__(prefix, parent=parent, name=name)

    def _create_pvdb(self) -> None:
        self.attr_pvdb = _LazyChannels(self)
        # By EPICS name, as this group has no prefix; iteration makes the channels that are missing.
        self.fields = self.pvdb = _Fields(self)  # type: ignore[assignment]

    @classmethod
    def find_attr(cls, name: str) -> str | None:
        """Return the attribute of a field given by EPICS name or attribute, None if unknown."""
        if name in cls._attr_of_field_:
            return cls._attr_of_field_[name]
        return name if name in cls._pvs_ else None

    def make(self, attr: str) -> ChannelData:
        """Return a new channel for a field."""
        prop = type(self)._members_.get(attr)
        if prop is None:
            raise CaprotoAttributeError(f"{self.name} has no field {attr!r}")
        channel: PvpropertyData = prop.pvspec.create(self)
        channel.pvname = f"{self.parent.pvname}.{prop.pvspec.name}"
        if isinstance(channel, ChannelNumeric):
            channel._nan_severity = 0  # NaN is a limit that does not exist, not a fault
        further = type(self)._further_states_.get(attr)
        if further is not None and isinstance(channel, ChannelEnum):
            channel._take_further_states(further)
        value = self._initial(attr)
        if value is not None:
            channel._value = channel._check(channel.preprocess_value(value))
        return channel

    def _initial(self, attr: str) -> Any:
        """Return what a field shows of the channel of VAL, None if nothing."""
        parent = self.parent
        link = type(self)._links_.get(attr)
        if link is not None:
            return _linked(parent, link)
        if attr == "record_name":
            return parent._served_as or parent.pvname
        if attr == "record_type":
            return self._record_type
        if attr == "undefined":
            return bytes((self._is_undefined,))
        return self._alarm_field(attr)

    def _alarm_field(self, attr: str) -> int | None:
        alarm = self.parent.alarm
        if attr == "alarm_status":
            return int(alarm.status)
        if attr == "current_alarm_severity":
            return int(alarm.severity)
        if attr == "alarm_acknowledge_severity":
            return int(alarm.severity_to_acknowledge)
        if attr == "alarm_acknowledge_transient":
            return int(alarm.must_acknowledge_transient)
        return None

    @property
    def has_drive_limits(self) -> bool:
        """Whether there are fields of control limits; else HOPR and LOPR are reported as such."""
        return "DRVH" in type(self)._attr_of_field_

    def follow(self, channel: ChannelData, value: Any, flags: int = _PROPERTY) -> None:
        """Let a field show a value, with an event if it is another one than before.

        Args:
            channel: the field's.
            value: the value.
            flags: event bits beside those of a value.
        """
        # A number without a name is shown as number.
        with contextlib.suppress(ValueError):
            value = channel._check(channel.preprocess_value(value))
        if value != channel.value:
            channel._post(channel._commit(value, flags, None, verified=False))

    def alarm_changed(self, mask: int) -> None:
        """Let the fields that show the alarm follow it."""
        for attr, channel in list(self.attr_pvdb.items()):
            value = self._alarm_field(str(attr))
            if value is not None:
                self.follow(channel, value, _ALARM if attr == "alarm_status" else 0)

    def value_stored(self, value: Any) -> None:
        """Let UDF follow a new value."""
        is_undefined = self.parent.max_length == 1 and bool(value != value)
        if is_undefined is not self._is_undefined:
            self._is_undefined = is_undefined
            channel = self.attr_pvdb.get("undefined")
            if channel is not None:
                self.follow(channel, bytes((is_undefined,)), 0)

    def _text_digits(self) -> int | None:
        # As recGblGetPrec; 6 is what dbConvert.c takes for records without a precision.
        if "PREC" not in type(self)._attr_of_field_:
            return 6
        precision: int = getattr(self.parent, "precision", 0)
        return precision if 0 <= precision <= 15 else 15

    def metadata_changed(self) -> None:
        """Let the fields that show attributes of VAL follow them."""
        links = type(self)._links_
        for attr, channel in list(self.attr_pvdb.items()):
            channel._invalidate()  # the precision is in the text of floating point fields
            link = links.get(str(attr))
            if link is not None:
                value = _linked(self.parent, link)
                if value is not None:
                    self.follow(channel, value, 0 if link in _NO_PROPERTIES else _PROPERTY)

    def hooked_fields(self) -> Iterator[tuple[str, ChannelData]]:
        """Yield (EPICS name, channel) of the fields that have a task of their own."""
        for attr, prop in type(self)._pvs_.items():
            spec = prop.pvspec
            if spec.startup or spec.shutdown or spec.scan:
                yield str(spec.name), self.attr_pvdb[attr]

    async def value_write_hook(self, instance: ChannelData, value: Any) -> None:
        """Called with every value that VAL is going to have; override or assign it."""
