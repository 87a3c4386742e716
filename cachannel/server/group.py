"""`PVGroup`: a class whose attributes are PVs; `SubGroup`: a group in a group."""

from __future__ import annotations

import copy
import inspect
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from types import GenericAlias
from typing import Any, ClassVar

from cachannel.protocol.channel_types import ChannelType
from cachannel.protocol.errors import CaprotoRuntimeError, CaprotoTypeError, CaprotoValueError

from .alarm import ChannelAlarm
from .data import ChannelData
from .describing import described, qualified
from .inheriting import Hookable
from .names import expand_macros
from .pvproperty_data import pvspec_type_map, pvspec_type_map_read_only
from .pvspec import PVSpec, pvproperty

__all__ = ["NestedPvproperty", "PVGroup", "PVGroupMeta", "SubGroup"]

# A property of such a name would take the place of what the group itself needs.
_RESERVED = frozenset(
    (
        "alarms",
        "attr_pvdb",
        "attr_to_pvname",
        "default_values",
        "group_read",
        "group_write",
        "groups",
        "log",
        "macros",
        "parent",
        "prefix",
        "pvdb",
        "states",
        "type_map",
        "type_map_read_only",
        "update_state",
    )
)


class _SubGroupHooks:
    """Decorators for a property of a dict-made subgroup; they return the subgroup.

    Like those of `pvproperty`, they change the subgroup while the class that it is defined in is
    being made, and return a copy later.
    """

    def __init__(self, subgroup: SubGroup, name: str, prop: pvproperty) -> None:
        self._subgroup = subgroup
        self._name = name
        self._prop = prop

    @property
    def pvspec(self) -> PVSpec:
        """The property's specification."""
        return self._prop.pvspec

    def _set(self, hook: Any, change: Callable[[pvproperty], pvproperty]) -> SubGroup:
        subgroup = self._subgroup._to_change(hook)
        subgroup._change(self._name, change)
        return subgroup

    def getter(self, get: Callable[..., Any]) -> SubGroup:
        """Set the hook of reads."""
        return self._set(get, lambda prop: prop.getter(get))

    def putter(self, put: Callable[..., Any]) -> SubGroup:
        """Set the hook of writes."""
        return self._set(put, lambda prop: prop.putter(put))

    def startup(self, startup: Callable[..., Any]) -> SubGroup:
        """Set the hook of the start."""
        return self._set(startup, lambda prop: prop.startup(startup))

    def shutdown(self, shutdown: Callable[..., Any]) -> SubGroup:
        """Set the hook of the end."""
        return self._set(shutdown, lambda prop: prop.shutdown(shutdown))

    def scan(
        self, period: float | None = None, **kwargs: Any
    ) -> Callable[[Callable[..., Any]], SubGroup]:
        """Return a decorator for a periodic method."""

        def decorate(function: Callable[..., Any]) -> SubGroup:
            return self._set(function, lambda prop: prop.scan(period, **kwargs)(function))

        return decorate

    @property
    def fields(self) -> Any:
        """The fields of the property's record."""
        return self._prop.fields


NestedPvproperty = _SubGroupHooks


class SubGroup(Hookable):
    """A group in a group. On an instance of the outer group it is the inner one.

    Args:
        group: a `PVGroup` class, or a dict of attribute to property (as `pvproperty`, `PVSpec`
            or its arguments in a dict); absent when used as a decorator of a class.
        prefix: of the PVs' names, after the outer group's; the attribute and a separator if
            absent.
        macros: added to the outer group's.
        attr_separator: the separator; the group class's, or ':' if absent.
        doc: description.
        base: base classes of the group made of a dict.
        **init_kwargs: for the group's ``__init__``; a keyword that it does not take is left out,
            with a warning.

    Raises:
        CaprotoValueError: a dict with a name that is taken.
        CaprotoTypeError: a dict with something that is no property.
    """

    def __init__(
        self,
        group: Any = None,
        *,
        prefix: str | None = None,
        macros: dict[str, str] | None = None,
        attr_separator: str | None = None,
        doc: str | None = None,
        base: tuple[type, ...] | None = None,
        **init_kwargs: Any,
    ) -> None:
        self.attr_name: str | None = None
        self.prefix = prefix
        self.macros = dict(macros) if macros else {}
        self.attr_separator = attr_separator
        self.base = base
        self.init_kwargs = init_kwargs
        self._group_cls: type[PVGroup] | None = None
        self._group_dict: dict[str, pvproperty] | None = None
        self.__doc__ = doc
        if group is not None:
            self._take(group)

    def __class_getitem__(cls, item: Any) -> GenericAlias:
        return GenericAlias(cls, item)

    def _take(self, group: Any) -> None:
        if isinstance(group, dict):
            props: dict[str, pvproperty] = {}
            for attr, given in group.items():
                if hasattr(type(self), attr) or attr in self.__dict__:
                    raise CaprotoValueError(f"{attr!r} is a name that a SubGroup needs itself")
                if isinstance(given, pvproperty):
                    props[attr] = copy.copy(given)
                elif isinstance(given, PVSpec):
                    props[attr] = pvproperty.from_pvspec(given)
                elif isinstance(given, Mapping):
                    props[attr] = pvproperty(**given)
                else:
                    raise CaprotoTypeError(f"{attr!r} is no property: {given!r}")
            self._group_dict = props
        elif isinstance(group, type) and issubclass(group, PVGroup):
            self._group_cls = group
            if self.__doc__ is None:
                self.__doc__ = group.__doc__
        else:
            raise CaprotoValueError(f"a SubGroup takes a PVGroup class or a dict, not {group!r}")

    @property
    def group_cls(self) -> type[PVGroup]:
        """The class of the inner group."""
        if self._group_cls is None:
            if self._group_dict is None:
                raise CaprotoRuntimeError(f"SubGroup {self.attr_name!r} has no group")
            namespace: dict[str, Any] = {"__module__": __name__, "__doc__": self.__doc__}
            namespace.update(self._group_dict)
            bases = self.base or (PVGroup,)
            made = type(bases[0])(self.attr_name or "SubGroup", bases, namespace)
            assert isinstance(made, PVGroupMeta)
            self._group_cls = made  # type: ignore[assignment]
        assert self._group_cls is not None
        return self._group_cls

    def __call__(
        self,
        group: Any = None,
        *,
        prefix: str | None = None,
        macros: dict[str, str] | None = None,
        doc: str | None = None,
    ) -> SubGroup:
        """Take the class below the decorator, or return a copy with another group."""
        if self._group_cls is None and self._group_dict is None and group is not None:
            self._take(group)
            if prefix is not None:
                self.prefix = prefix
            self.macros.update(macros or {})
            return self
        if group is None:
            group = self._group_dict if self._group_dict is not None else self._group_cls
        return SubGroup(
            group,
            prefix=self.prefix if prefix is None else prefix,
            macros={**self.macros, **(macros or {})},
            attr_separator=self.attr_separator,
            doc=doc or self.__doc__,
            base=self.base,
            **self.init_kwargs,
        )

    def __set_name__(self, owner: type, name: str) -> None:
        self._owner = self._owner or owner
        if self.attr_name is None:
            self.attr_name = name

    def _copy(self) -> SubGroup:
        fresh = self.__class__.__new__(self.__class__)
        fresh.__dict__.update(self.__dict__)
        if self._group_dict is not None:
            fresh._group_dict = {name: prop.copy() for name, prop in self._group_dict.items()}
            fresh._group_cls = None
        return fresh

    def _change(self, name: str, change: Callable[[pvproperty], pvproperty]) -> None:
        """Replace a property of a dict-made group by what a decorator makes of it."""
        assert self._group_dict is not None
        before = self._group_dict[name]
        self._group_dict[name] = after = change(before)
        if after is not before:
            self._group_cls = None  # it was made already, with the property as it was

    def __get__(self, instance: PVGroup | None, owner: type | None = None) -> Any:
        if instance is None:
            return self
        assert self.attr_name is not None
        return instance.groups[self.attr_name]

    def __set__(self, instance: PVGroup, value: Any) -> None:
        assert self.attr_name is not None
        instance.groups[self.attr_name] = value

    def __getattr__(self, name: str) -> Any:
        props = self.__dict__.get("_group_dict")
        if props is not None and name in props:
            return _SubGroupHooks(self, name, props[name])
        raise AttributeError(f"{type(self).__name__} {self.__dict__.get('attr_name')!r}: {name}")

    def __iter__(self) -> Iterator[str]:
        return iter(self.group_cls._pvs_)

    def __repr__(self) -> str:
        if self._group_dict is None and self._group_cls is not None:
            inner = self._group_cls.__name__
        else:
            inner = ", ".join(self._group_dict or ()) or "no group yet"
        where = "" if self.prefix is None else f"prefix {self.prefix!r}"
        return described(self, qualified(self._owner, self.attr_name), inner, where)

    def create(self, parent: PVGroup, attr: str) -> PVGroup:
        """Return the inner group of an outer one."""
        cls = self.group_cls
        prefix = self.prefix
        if prefix is None:
            separator = self.attr_separator
            if separator is None:
                separator = getattr(cls, "attr_separator", ":")
            prefix = attr + separator
        outer: dict[str, Any] = {
            "macros": {**parent.macros, **self.macros},
            "parent": parent,
            "name": f"{parent.name}.{attr}",
        }
        given = {**outer, **self.init_kwargs}
        if cls.__init__ is PVGroup.__init__ and not self.init_kwargs:
            return cls(parent.prefix + prefix, **given)
        taken = _taken(cls, given)
        left_out = sorted(set(self.init_kwargs) - set(taken))
        if left_out:
            parent.log.warning(
                "%s.%s: the __init__ of %s does not take %s; the value that SubGroup was given is"
                " not used",
                type(parent).__name__,
                attr,
                cls.__name__,
                ", ".join(left_out),
            )
        group = cls.__new__(cls)
        group._outer = outer  # for an __init__ that does not take them, and so cannot hand them on
        group.__init__(parent.prefix + prefix, **taken)  # type: ignore[misc]
        return group


def _taken(cls: type[PVGroup], given: dict[str, Any]) -> dict[str, Any]:
    """Return the keywords that the ``__init__`` of a group's class takes."""
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return given
    names = {p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}
    return {name: value for name, value in given.items() if name in names}


class PVGroupMeta(type):
    """Collects the properties and subgroups of a class, in order of definition."""

    _members_: dict[str, Any]
    _pvs_: dict[str, pvproperty]
    _subgroups_: dict[str, SubGroup]

    def __new__(
        mcs, name: str, bases: tuple[type, ...], dct: dict[str, Any], **kwargs: Any
    ) -> PVGroupMeta:
        cls = super().__new__(mcs, name, bases, dct, **kwargs)
        members: dict[str, Any] = {}
        # The first base's come first, each in its place; which one it is, the MRO decides.
        for base in bases:
            for attr in getattr(base, "_members_", ()):
                found = mcs._inherited(cls, attr)
                if found is not None:
                    members.setdefault(attr, found)
        own: dict[str, Any] = {}
        for attr, member in dct.items():
            if attr.startswith("_"):
                continue
            if isinstance(member, (pvproperty, SubGroup)):
                name_of = member.attr_name
                if name_of is not None and name_of != attr:
                    if name_of in dct:
                        continue  # a hook under a name of its own; the first name counts
                    if name_of in members:
                        # The same for an inherited one: it takes that one's place.
                        type.__setattr__(cls, name_of, member)
                        own[name_of] = member
                        continue
                if attr in _RESERVED:
                    raise CaprotoRuntimeError(
                        f"{name}.{attr}: a group needs the name {attr!r} itself; give the"
                        f" attribute another name, and the PV this one with name={attr!r}"
                    )
                own[attr] = member
            elif attr in members:
                del members[attr]  # overridden by something that is no PV
        members.update(own)
        cls._own_members_ = own  # type: ignore[attr-defined]
        cls._members_ = members
        cls._pvs_ = {}
        cls._subgroups_ = {}
        for attr, member in members.items():
            if isinstance(member, pvproperty):
                cls._pvs_[attr] = member
            else:
                cls._subgroups_[attr] = member
                for nested, prop in member.group_cls._pvs_.items():
                    cls._pvs_[f"{attr}.{nested}"] = prop
                for nested, group in member.group_cls._subgroups_.items():
                    cls._subgroups_[f"{attr}.{nested}"] = group
        return cls

    @staticmethod
    def _inherited(cls: type, attr: str) -> Any:
        """Return the property or subgroup that a class inherits, None if it is none any more."""
        for base in cls.__mro__[1:]:
            if attr in base.__dict__:
                return base.__dict__.get("_own_members_", {}).get(attr)
        return None


class PVGroup(metaclass=PVGroupMeta):
    """A group of PVs.

    Args:
        prefix: of the names of all PVs; macros in it are expanded (see `expand_macros`).
        macros: for ``{name}`` in the prefix and the names.
        parent: the group that this one is a subgroup of.
        name: what to call the group in messages; the class's name if absent.

    Raises:
        CaprotoRuntimeError: two properties have the same PV name.
        KeyError: macros are given, and one that the prefix or a name has is not among them.
    """

    type_map: ClassVar[dict[Any, type[ChannelData]]] = pvspec_type_map
    type_map_read_only: ClassVar[dict[Any, type[ChannelData]]] = pvspec_type_map_read_only
    default_values: ClassVar[dict[Any, Any]] = {
        str: "",
        int: 0,
        float: 0.0,
        bool: False,
        ChannelType.STRING: "",
        ChannelType.INT: 0,
        ChannelType.LONG: 0,
        ChannelType.DOUBLE: 0.0,
        ChannelType.FLOAT: 0.0,
        ChannelType.ENUM: 0,
        ChannelType.CHAR: "",
    }

    _members_: ClassVar[dict[str, Any]]
    _pvs_: ClassVar[dict[str, pvproperty]]
    _subgroups_: ClassVar[dict[str, SubGroup]]
    _has_group_read: ClassVar[bool] = False
    _has_group_write: ClassVar[bool] = False
    _has_hooks: ClassVar[bool] = False
    _outer: dict[str, Any] | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._has_group_read = cls.group_read is not PVGroup.group_read
        cls._has_group_write = cls.group_write is not PVGroup.group_write
        cls._has_hooks = cls._has_group_read or cls._has_group_write

    def __init__(
        self,
        prefix: str,
        *,
        macros: dict[str, str] | None = None,
        parent: Any = None,
        name: str | None = None,
    ) -> None:
        if self._outer is not None:
            parent = self._outer["parent"] if parent is None else parent
            macros = self._outer["macros"] if macros is None else macros
            name = self._outer["name"] if name is None else name
            del self._outer
        self.parent = parent
        self.macros = dict(macros) if macros else {}
        self.prefix = self._expanded(prefix)
        self.alarms: defaultdict[Any, ChannelAlarm] = defaultdict(ChannelAlarm)
        self.pvdb: dict[str, ChannelData] = {}
        self.attr_pvdb: dict[str | None, ChannelData] = {}
        self.attr_to_pvname: dict[str, str] = {}
        self.groups: dict[str, PVGroup] = {}
        if not hasattr(self, "states"):
            # One dictionary for all groups of an IOC, so that a state is the same in all of them.
            states: dict[str, bool] | None = getattr(parent, "states", None)
            self.states: dict[str, bool] = {} if states is None else states
        if "name" not in type(self)._members_:
            self.name = type(self).__name__ if name is None else name
        if parent is not None and isinstance(parent, PVGroup):
            log_name = f"{parent.log.name}.{type(self).__name__}"
        else:
            log_name = f"{type(self).__module__}.{type(self).__name__}"
        self.log: logging.Logger = logging.getLogger(log_name)
        self._create_pvdb()

    def __repr__(self) -> str:
        count = len(self.__dict__.get("pvdb", ()))
        return described(
            self, repr(self.__dict__.get("prefix", "")), f"{count} PV{'s' * (count != 1)}"
        )

    # ------------------------------------------------------------------ making the PVs

    def _expanded(self, prefix: str) -> str:
        """Return a prefix with its macros replaced.

        The part that the outer group has put before it is expanded already, and braces that are
        left in it are literal.
        """
        known = self.parent.prefix if isinstance(self.parent, PVGroup) else ""
        if not prefix.startswith(known):
            known = ""
        return known + expand_macros(prefix[len(known) :], self.macros)

    def _create_pvdb(self) -> None:
        pvdb, attr_pvdb, attr_to_pvname = self.pvdb, self.attr_pvdb, self.attr_to_pvname
        for attr, member in type(self)._members_.items():
            if isinstance(member, pvproperty):
                channel = member.pvspec.create(self)
                pvname = channel.pvname
                if pvname in pvdb:
                    self._add(attr, pvname, channel)  # which says what is wrong
                pvdb[pvname] = attr_pvdb[attr] = channel
                attr_to_pvname[attr] = pvname
                continue
            group = member.create(self, attr)
            self.groups[attr] = group
            for nested, inner in group.groups.items():
                self.groups[f"{attr}.{nested}"] = inner
            for nested_attr, channel in group.attr_pvdb.items():
                self._add(f"{attr}.{nested_attr}", group.attr_to_pvname[nested_attr], channel)

    def _add(self, attr: str, pvname: str, channel: ChannelData) -> None:
        if pvname in self.pvdb:
            other = next(a for a, name in self.attr_to_pvname.items() if name == pvname)
            raise CaprotoRuntimeError(
                f"{type(self).__name__}: {attr!r} and {other!r} are both PV {pvname!r}"
            )
        self.pvdb[pvname] = channel
        self.attr_pvdb[attr] = channel
        self.attr_to_pvname[attr] = pvname

    # ------------------------------------------------------------------ hooks

    async def group_read(self, instance: ChannelData) -> Any:
        """Called on reads of properties without a getter; override it."""
        return None

    async def group_write(self, instance: ChannelData, value: Any) -> Any:
        """Called on writes of properties without a putter; override it."""
        self._log_write(instance, value)
        return value

    def _text_digits(self) -> int | None:
        """Return the precision of texts of floating point numbers that give none themselves."""
        return None

    @property
    def _logs_writes(self) -> bool:
        return self.log.isEnabledFor(logging.DEBUG)

    def _log_write(self, instance: ChannelData, value: Any) -> None:
        self.log.debug("write to %s: %r", instance._label, value)

    @asynccontextmanager
    async def update_state(self, state: str, value: bool) -> AsyncIterator[None]:
        """Change a state that sync filters look at, around what belongs to the change.

        Args:
            state: the state's name.
            value: what it is from now on.
        """
        for channel in self.pvdb.values():
            channel.pre_state_change(state, value)
        self.states[state] = value
        yield
        for channel in self.pvdb.values():
            channel.post_state_change(state, value)
