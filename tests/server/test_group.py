"""Groups, properties, subgroups, functions, pairs: the programming model."""

import asyncio
import copy
import enum
import logging
import pickle
from typing import ClassVar

import numpy as np
import pytest

import cachannel.server as server
from cachannel.protocol.channel_types import AccessRights, AlarmSeverity, AlarmStatus, ChannelType
from cachannel.protocol.errors import (
    CaprotoRuntimeError,
    CaprotoTypeError,
    CaprotoValueError,
    SkipWrite,
)
from cachannel.server import (
    PVGroup,
    PVSpec,
    SubGroup,
    get_pv_pair_wrapper,
    pvfunction,
    pvproperty,
)
from cachannel.server.alarm import ChannelAlarm
from cachannel.server.records import AiFields


class States(enum.IntEnum):
    off = 0
    on = 1
    odd = 3


def run(coroutine):
    return asyncio.run(coroutine)


@pytest.mark.parametrize(
    ("kwargs", "cls", "kind"),
    [
        ({}, "PvpropertyInteger", 5),
        ({"value": 1}, "PvpropertyInteger", 5),
        ({"value": 1.0}, "PvpropertyDouble", 6),
        ({"value": True}, "PvpropertyBoolEnum", 3),
        ({"value": "x"}, "PvpropertyChar", 4),
        ({"value": b"x"}, "PvpropertyByte", 4),
        ({"value": [1.0, 2.0]}, "PvpropertyDouble", 6),
        ({"value": (1, 2)}, "PvpropertyInteger", 5),
        ({"value": np.zeros(3)}, "PvpropertyDouble", 6),
        ({"value": np.int16(3)}, "PvpropertyInteger", 5),
        ({"value": np.float64(3)}, "PvpropertyDouble", 6),
        ({"value": np.bool_(True)}, "PvpropertyBoolEnum", 3),
        ({"value": States.on}, "PvpropertyEnum", 3),
        ({"dtype": States}, "PvpropertyEnum", 3),
        ({"dtype": float}, "PvpropertyDouble", 6),
        ({"dtype": ChannelType.STRING}, "PvpropertyString", 0),
        ({"dtype": ChannelType.INT}, "PvpropertyShort", 1),
        ({"dtype": ChannelType.FLOAT}, "PvpropertyFloat", 2),
        ({"dtype": ChannelType.LONG}, "PvpropertyInteger", 5),
        ({"dtype": ChannelType.CHAR}, "PvpropertyChar", 4),
        ({"dtype": ChannelType.ENUM, "enum_strings": ["a"]}, "PvpropertyEnum", 3),
        ({"dtype": server.PvpropertyShort}, "PvpropertyShort", 1),
        ({"value": 1.0, "read_only": True}, "PvpropertyDoubleRO", 6),
        ({"value": "x", "read_only": True}, "PvpropertyCharRO", 4),
        ({"value": False, "read_only": True}, "PvpropertyBoolEnumRO", 3),
    ],
)
def test_types(kwargs, cls, kind):
    """Which data class a property gets."""
    group = type("G", (PVGroup,), {"x": pvproperty(**kwargs)})("p:")
    assert type(group.x).__name__ == cls
    assert group.x.data_type == kind
    rights = group.x.check_access("h", "u")
    assert rights == (AccessRights.READ if cls.endswith("RO") else AccessRights(3))


def test_generic_annotation():
    """dtype=Class[Fields] means class and record."""

    class G(PVGroup):
        x = pvproperty(dtype=server.PvpropertyDouble[AiFields])

    assert isinstance(G("").x, server.PvpropertyDouble)
    assert G("").x.fields["RTYP"].value == "ai"
    assert pvproperty[int] is not None
    assert SubGroup[G] is not None


def test_enumerations():
    """Names come from the class; gaps are named; strings beside them are an error."""

    class G(PVGroup):
        x = pvproperty(value=States.odd)
        b = pvproperty(value=False)

    group = G("")
    assert group.x.enum_strings == ("off", "on", "unset_2", "odd")
    assert group.x.value == "odd"
    run(group.x.write(States.on))
    assert (group.x.value, group.x.raw_value) == ("on", 1)
    assert (group.b.value, group.b.raw_value) == (False, 0)
    run(group.b.write("On"))
    assert (group.b.value, group.b.raw_value) == ("On", 1)
    bad = type("B", (PVGroup,), {"x": pvproperty(value=States.on, enum_strings=["a"])})
    with pytest.raises(ValueError, match="States"):
        bad("")


def test_descriptor():
    """On the class a property, on an instance its channel; instances are independent."""

    class G(PVGroup):
        x = pvproperty(value=1, doc="about x")

    assert isinstance(G.x, pvproperty)
    assert G.x.attr_name == "x"
    one, two = G("a:"), G("b:")
    assert one.x is one.pvdb["a:x"] is one.attr_pvdb["x"]
    assert one.x is not two.x
    assert one.x.__doc__ == G.x.__doc__ == "about x"
    assert (one.x.pvname, one.x.name, one.x.group) == ("a:x", "G.x", one)
    del one.x
    with pytest.raises(KeyError):
        _ = one.x


def test_order_names_and_macros():
    """PVs are in order of definition; prefix and name are expanded once each."""

    class Inner(PVGroup):
        z = pvproperty(value=1, name="{m}{{z}}")

    class G(PVGroup):
        b = pvproperty(value=1)
        inner = SubGroup(Inner, prefix="{m}:", macros={"m": "{M}"})
        other = SubGroup(Inner)
        a = pvproperty(value=1, name="{m}:a{{x}}")
        _hidden = 5

    group = G("{{p}}{m}-", macros={"m": "1"})
    assert list(group.pvdb) == ["{p}1-b", "{p}1-{M}:{M}{z}", "{p}1-other:1{z}", "{p}1-1:a{x}"]
    assert list(group.attr_pvdb) == ["b", "inner.z", "other.z", "a"]
    assert list(G._pvs_) == ["b", "inner.z", "other.z", "a"]
    assert (group.inner.name, group.inner.parent) == ("G.inner", group)
    assert group.inner.z.name == "G.inner.z"
    assert group.log.name.endswith(".G")
    assert group.inner.log.name == f"{group.log.name}.Inner"
    with pytest.raises(KeyError):
        G("{unknown}", macros={"m": "1"})


def test_same_name_twice():
    """Two properties with one PV name are refused, by attribute."""

    class G(PVGroup):
        a = pvproperty(value=1, name="x")
        b = pvproperty(value=1, name="x")

    with pytest.raises(CaprotoRuntimeError, match=r"'b' and 'a'.*p:x"):
        G("p:")


@pytest.mark.parametrize("name", ["log", "pvdb", "alarms", "states", "parent", "macros"])
def test_reserved_names(name):
    """An attribute that the group needs itself is refused at class creation."""
    with pytest.raises(CaprotoRuntimeError, match=name):
        type("G", (PVGroup,), {name: pvproperty(value=1)})


def test_inheritance():
    """Subclasses override in place, and may take a property away."""

    class A(PVGroup):
        x = pvproperty(value=1)
        y = pvproperty(value=2)
        z = pvproperty(value=3)

    class B(A):
        w = pvproperty(value=0)
        y = pvproperty(value=5.0)
        z = None

    group = B("")
    assert list(group.pvdb) == ["x", "y", "w"]
    assert group.y.value == 5.0
    assert list(A("").pvdb) == ["x", "y", "z"]


def test_hook_under_another_name():
    """The property is served once, under its first name."""

    class G(PVGroup):
        x = pvproperty(value=1)

        @x.putter
        async def put_x(self, instance, value):
            return value + 1

    group = G("")
    assert list(group.pvdb) == ["x"]
    run(group.x.write(1))
    assert group.x.value == 2


def test_getter_property():
    """@pvproperty above a method makes a getter, its docstring the description."""

    class G(PVGroup):
        @pvproperty
        async def a(self, instance):
            """Reads a."""
            return 5

        @pvproperty(value=1.0, name="B")
        async def b(self, instance):
            return 6.0

    group = G("")
    assert (group.a.data_type, group.a.value, group.a.__doc__) == (5, 0, "Reads a.")
    run(group.a._refresh())
    assert group.a.value == 5
    assert list(group.pvdb) == ["a", "B"]


@pytest.mark.parametrize(
    ("kind", "hook"),
    [("put", lambda self, instance, value: None), ("get", lambda self: None)],
)
def test_hooks_must_be_async(kind, hook):
    """A hook that is no coroutine function is refused when it is given."""
    with pytest.raises(CaprotoRuntimeError, match=rf"{kind} hook .*test_group.py.*async"):
        pvproperty(value=1, **{kind: hook})


def test_hook_signatures():
    """A hook with other arguments is refused, with file and line and the right signature."""

    async def hook(self, instance):
        pass

    for kind in ("put", "startup", "shutdown"):
        with pytest.raises(CaprotoRuntimeError, match="wrong signature"):
            pvproperty(value=1, **{kind: hook})
    with pytest.raises(CaprotoRuntimeError, match="async_lib"):
        pvproperty(value=1).scan(period=1)(hook)


def test_definition_errors():
    """What excludes each other is refused at definition."""

    async def put(self, instance, value):
        pass

    async def scan(self, instance, async_lib):
        pass

    with pytest.raises(ValueError, match="read only"):
        pvproperty(value=1, put=put, read_only=True)
    with pytest.raises(CaprotoValueError, match="dot"):
        pvproperty(value=1.0, name="a.b", record="ai")
    with pytest.raises(ValueError, match="unknown record"):
        pvproperty(value=1, record="nonsense")
    with pytest.raises(CaprotoValueError, match="positive"):
        pvproperty(value=1).scan(period=0)
    with pytest.raises(CaprotoValueError, match="record"):
        pvproperty(value=1).scan(period=1, use_scan_field=True)
    with pytest.raises(AttributeError):
        _ = pvproperty(value=1).fields
    bad = type("G", (PVGroup,), {"x": pvproperty(value=1, nonsense=2)})
    with pytest.raises(CaprotoRuntimeError, match=r"PvpropertyInteger.*nonsense"):
        bad("")


def test_put_rules():
    """What a putter returns is stored, None keeps the value, SkipWrite keeps the old one."""
    seen = []

    class G(PVGroup):
        x = pvproperty(value=0)
        text = pvproperty(value="", max_length=10)
        e = pvproperty(value=States.off)

        @x.putter
        async def x(self, instance, value):
            assert instance is self.x
            seen.append(value)
            if value == 1:
                return 10
            if value == 2:
                raise SkipWrite
            if value == 3:
                return SkipWrite
            if value == 4:
                raise ValueError("four")
            return None

        @e.putter
        async def e(self, instance, value):
            seen.append(value)

    group = G("")
    for value, stored in ((5, 5), (1, 10), (2, 10), (3, 10)):
        run(group.x.write(value))
        assert (group.x.value, group.x.severity) == (stored, 0)
    with pytest.raises(ValueError, match="four"):
        run(group.x.write(4))
    assert (group.x.value, group.x.status) == (10, AlarmStatus.WRITE)
    assert group.x.severity == AlarmSeverity.MAJOR_ALARM
    run(group.x.write(4, verify_value=False))
    assert (group.x.value, group.x.status) == (4, 0)
    seen.clear()
    run(group.e.write(1))
    assert seen == ["on"]
    assert group.e.value == "on"


def test_a_good_write_clears_the_alarm_of_a_failed_one():
    """On text and enumerations too."""

    class G(PVGroup):
        text = pvproperty(value="", max_length=10, alarm_group="t")

        @text.putter
        async def text(self, instance, value):
            if value == "bad":
                raise ValueError(value)

    group = G("")
    with pytest.raises(ValueError, match="bad"):
        run(group.text.write("bad"))
    assert group.text.severity == 2
    run(group.text.write("good"))
    assert (group.text.value, group.text.status, group.text.severity) == ("good", 0, 0)


def test_alarms():
    """Channels share an alarm only if they name the same one; a putter may set it."""

    class G(PVGroup):
        a = pvproperty(value=0.0, alarm_group="ab")
        b = pvproperty(value=0.0, alarm_group="ab")
        own = pvproperty(value=0.0)
        other = pvproperty(value="", record="ai")
        c = pvproperty(value=0.0, alarm_group="c", upper_alarm_limit=5.0, lower_alarm_limit=-5.0,
                       upper_warning_limit=3.0, lower_warning_limit=-3.0)  # fmt: skip
        d = pvproperty(value=0.0, alarm_group="d", upper_ctrl_limit=1.0, lower_ctrl_limit=-1.0)

        @a.putter
        async def a(self, instance, value):
            instance.severity = AlarmSeverity.MINOR_ALARM
            instance.status = AlarmStatus.COMM

    group = G("")
    assert group.a.alarm is group.b.alarm is group.alarms["ab"]
    assert len({group.a.alarm, group.own.alarm, group.other.alarm, group.c.alarm}) == 4
    assert group.own.alarm.channels == (group.own,)
    assert group.c.alarm is group.alarms["c"]
    run(group.a.write(1.0))
    assert (group.b.status, group.b.severity) == (AlarmStatus.COMM, 1)
    for value, status, severity in (
        (5.0, "HIHI", 2), (3.0, "HIGH", 1), (0.0, "NO_ALARM", 0), (-3.0, "LOW", 1),
        (-7.0, "LOLO", 2),
    ):  # fmt: skip
        run(group.c.write(value))
        assert (group.c.status, group.c.severity) == (AlarmStatus[status], severity)
    with pytest.raises(ValueError, match="control limits"):
        run(group.d.write(1.5))
    assert (group.d.value, group.d.status, group.d.severity) == (0.0, AlarmStatus.WRITE, 2)
    for severity in (1, 2, 1):  # a new severity of the same status
        run(group.b.write(2.0, status=AlarmStatus.LINK, severity=severity))
        assert (group.b.status, group.b.severity) == (AlarmStatus.LINK, severity)
    run(group.b.write(2.0, status=AlarmStatus.LINK, severity=3, timestamp=(7, 8)))
    assert (group.b.status, group.b.severity) == (AlarmStatus.LINK, 3)
    assert group.b.epics_timestamp == (7, 8)


def test_dict_subgroup():
    """A subgroup of a dict; its hooks are decorated through it."""
    seen = []

    class G(PVGroup):
        sub = SubGroup({"x": {"value": 3}, "y": pvproperty(value=4), "z": PVSpec(value=5.0)})

        @sub.x.putter
        async def sub(self, instance, value):
            seen.append((value, self.y.value, self.parent))

        named = SubGroup({"k": {"value": 1}}, prefix="")

    group = G("")
    assert list(group.pvdb) == ["sub:x", "sub:y", "sub:z", "k"]
    run(group.sub.x.write(9))
    assert seen == [(9, 4, group)]
    with pytest.raises(CaprotoValueError, match="prefix"):
        SubGroup({"prefix": {"value": 1}})
    with pytest.raises(CaprotoTypeError, match="'k'"):
        SubGroup({"k": 5})
    with pytest.raises(AttributeError):
        _ = G.sub.nonsense


def test_subgroup_options():
    """Separator, decorator form, arguments for __init__, copies."""

    class Inner(PVGroup):
        attr_separator = "-"
        x = pvproperty(value=0)

        def __init__(self, prefix, *, extra=None, **kwargs):
            self.extra = extra
            super().__init__(prefix, **kwargs)

    class G(PVGroup):
        a = SubGroup(Inner, extra=5)
        b = SubGroup(Inner, attr_separator=".")
        c = SubGroup(Inner, prefix="C")(Inner, prefix="D")

        @SubGroup(prefix="e_", doc="about e")
        class e(PVGroup):
            y = pvproperty(value=1)

    group = G("")
    assert list(group.pvdb) == ["a-x", "b.x", "Dx", "e_y"]
    assert group.a.extra == 5
    assert list(group.groups) == ["a", "b", "c", "e"]


def test_function():
    """A served function: arguments, result, status; a failure fails the put."""

    class G(PVGroup):
        @pvfunction(default=0)
        async def add(self, a: int = 1, b: float = 2.5) -> float:
            """Adds."""
            if a < 0:
                raise ValueError("negative")
            return a + b

        @pvfunction(names={"process": "GO", "text": "T"}, prefix="f-")
        async def shout(self, text: str = "x") -> str:
            return text.upper()

    group = G("")
    assert list(group.pvdb)[:5] == ["add:a", "add:b", "add:Status", "add:Retval", "add:Process"]
    assert list(group.pvdb)[5:] == ["f-T", "f-Status", "f-Retval", "f-GO"]
    assert group.add.status.value == "Init"
    run(group.add.process.write(1))
    assert (group.add.retval.value, group.add.status.value) == (3.5, "Success")
    run(group.add.a.write(-1))
    with pytest.raises(ValueError, match="negative"):
        run(group.add.process.write(1))
    assert group.add.status.value == "ValueError: negative"
    assert group.shout.GO is group.shout.process
    assert group.add.Process is group.add.process
    run(group.shout.process.write(1))
    assert group.shout.retval.value == "X"
    assert group.add.retval.check_access("", "") == AccessRights.READ
    with pytest.raises(CaprotoRuntimeError, match="annotation"):

        @pvfunction
        async def bad(self, a) -> int:
            return 1


def test_pair():
    """Setpoint and readback; by default the readback follows."""
    wrapper = get_pv_pair_wrapper(setpoint_suffix="_SP", readback_suffix="_RB")
    seen = []

    class G(PVGroup):
        a = wrapper(name="A", value=1.0)
        b = wrapper(value=2, setpoint_kw={"units": "mm"}, readback_kw={"value": 3})

        @b.setpoint.putter
        async def b(obj, instance, value):
            seen.append((obj.setpoint.value, obj.readback.value, value, type(obj.parent)))

    group = G("p:")
    assert list(group.pvdb) == ["p:A_SP", "p:A_RB", "p:b_SP", "p:b_RB"]
    run(group.a.setpoint.write(7.0))
    assert (group.a.setpoint.value, group.a.readback.value) == (7.0, 7.0)
    run(group.b.setpoint.write(5))
    assert seen == [(2, 3, 5, G)]
    assert group.b.setpoint.units == "mm"
    assert group.a.readback.check_access("", "") == AccessRights.READ
    with pytest.raises(RuntimeError):
        wrapper(value=1, read_only=True)


def test_pvspec_without_group():
    """A specification makes a channel on its own; its hooks have no group argument."""
    seen = []

    async def put(instance, value):
        seen.append(value)

    alarm = ChannelAlarm()
    channel = PVSpec(put=put, name="x", value=1.0, alarm_group=alarm).create()
    run(channel.write(2.0))
    assert seen == [2.0]
    assert (channel.pvname, channel.alarm, channel.value) == ("x", alarm, 2.0)
    with pytest.raises(ValueError, match="value"):
        PVSpec(name="x").create()
    assert PVSpec._fields == (
        "get", "put", "startup", "shutdown", "attr", "name", "dtype", "value", "max_length",
        "alarm_group", "read_only", "doc", "fields", "scan", "record", "cls_kwargs",
    )  # fmt: skip
    renamed = PVSpec(name="x", value=1).new_names("a", "b")
    assert (renamed.attr, renamed.name) == ("a", "b")


def test_group_hooks(caplog):
    """group_write and group_read serve properties without hooks of their own."""
    seen = []

    class G(PVGroup):
        x = pvproperty(value=1)

        async def group_write(self, instance, value):
            seen.append((instance.pvname, value))
            return value + 1

        async def group_read(self, instance):
            return 77

    group = G("p:")
    run(group.x.write(5))
    assert (group.x.value, seen) == (6, [("p:x", 5)])
    run(group.x._refresh())
    assert group.x.value == 78

    class Plain(PVGroup):
        x = pvproperty(value=1)

    plain = Plain("p:")
    with caplog.at_level(logging.DEBUG):
        run(plain.x.write(5))
    assert plain.x.value == 5
    assert "p:x" in caplog.text


def test_type_map_and_defaults():
    """Subclasses may replace the tables of classes and default values."""

    class G(PVGroup):
        type_map = {**PVGroup.type_map, int: server.PvpropertyShort}  # noqa: RUF012
        default_values = {**PVGroup.default_values, float: 7.5}  # noqa: RUF012
        x = pvproperty(value=1)
        y = pvproperty(dtype=float)
        t = pvproperty(dtype=str)

    group = G("")
    assert (group.x.data_type, group.y.value, group.t.value) == (1, 7.5, "")


def test_copies():
    """Properties, groups and channels can be copied; channels can be pickled."""

    class G(PVGroup):
        x = pvproperty(value=[1, 2], max_length=5)

        @x.putter
        async def x(self, instance, value):
            self.seen = value

    duplicate = copy.copy(G.x)
    duplicate.putter(G.x.pvspec.put)
    assert duplicate.pvspec is not G.x.pvspec
    group = G("")
    group.x.extra = 5
    other = copy.deepcopy(group)
    run(other.x.write([3]))
    assert (other.x.value, group.x.value, other.x.extra) == ([3], [1, 2], 5)
    assert other.seen == [3]
    assert not hasattr(group, "seen")
    assert other.x.alarm is not group.x.alarm
    assert other.x.group is other
    alone = pickle.loads(pickle.dumps(Pickled("").x))
    assert (alone.value, alone.group, alone.max_length) == (3, None, 1)
    run(alone.write(4))


class Pickled(PVGroup):
    x = pvproperty(value=3)


def test_states():
    """update_state changes a state around what belongs to the change."""
    seen = []

    class Watcher(server.PvpropertyInteger):
        def pre_state_change(self, state, new_value):
            seen.append(("pre", state, new_value, self.group.states.get(state)))

        def post_state_change(self, state, new_value):
            seen.append(("post", state, new_value, self.group.states.get(state)))

    class G(PVGroup):
        x = pvproperty(value=1, dtype=Watcher)

        def __init__(self, *args, **kwargs):
            self.states = {"on": False}
            super().__init__(*args, **kwargs)

    group = G("")

    async def change():
        async with group.update_state("on", True):
            assert group.states["on"] is True

    run(change())
    assert seen == [("pre", "on", True, False), ("post", "on", True, True)]


def test_nested_write_and_other_pvs():
    """A putter may write its own PV without verification, and other PVs with theirs."""

    class G(PVGroup):
        a = pvproperty(value=0)
        b = pvproperty(value=0)

        @a.putter
        async def a(self, instance, value):
            await instance.write(value * 100, verify_value=False)
            await self.b.write(value)

        @b.putter
        async def b(self, instance, value):
            return value + 1

    group = G("")
    run(group.a.write(2))
    assert (group.a.value, group.b.value) == (2, 3)


def test_surface():
    """The names that IOCs import are there."""
    for name in server.__all__:
        assert getattr(server, name) is not None
    names = "PVGroup pvproperty SubGroup PVSpec pvfunction get_pv_pair_wrapper scan_wrapper \
        NestedPvproperty AsyncLibraryLayer ioc_arg_parser template_arg_parser run expand_macros \
        channeldata_from_pvspec data_class_from_pvspec PvpropertyData PvpropertyReadOnlyData"
    assert set(names.split()) <= set(server.__all__)
    from cachannel.server import server as inner

    more = (
        "PVGroupMeta FieldSpec FieldProxy check_signature get_record_class pvspec_type_map"
        " pvspec_type_map_read_only"
    )
    for name in more.split():
        assert hasattr(inner, name)


@pytest.mark.parametrize("value", [1.5, 7])
@pytest.mark.parametrize("read_only", [None, True])
def test_a_number_made_the_short_way_is_the_same(value, read_only):
    """A property of one number is made without its constructors; nothing else is different."""

    class Group(PVGroup):
        short = pvproperty(value=value, read_only=read_only, doc="text", name="n")
        long = pvproperty(
            value=value, read_only=read_only, doc="text", name="m", reported_record_type="cachannel"
        )

    group = Group("p:")
    short, long = group.short, group.long
    assert type(short) is type(long)
    assert (short.pvname, long.pvname) == ("p:n", "p:m")
    assert (short.name, long.name) == ("Group.short", "Group.long")
    for attribute in ("value", "max_length", "length", "__doc__", "group", "log",
                      "string_encoding", "reported_record_type", "units", "upper_ctrl_limit",
                      "getter", "putter", "record_type", "field_inst"):  # fmt: skip
        assert getattr(short, attribute) == getattr(long, attribute), attribute
    assert abs(short.timestamp - long.timestamp) < 1
    assert (short.alarm.channels, long.alarm.channels) == ((short,), (long,))
    for dbr_type in (0, 6, 13, 20, 34, 38):
        if dbr_type != 20:
            assert short._encoded(dbr_type, 1) == long._encoded(dbr_type, 1)
    assert short.check_access("", "") == long.check_access("", "")
    assert set(vars(long)) - set(vars(short)) <= {"_max_length", "_cache"}


def test_the_short_way_binds_hooks_and_honours_the_groups_tables():
    """Hooks of a plain number are bound, and a group's own type_map decides about its class."""

    class Mine(server.PvpropertyDouble):
        pass

    class Group(PVGroup):
        type_map: ClassVar[dict] = {**PVGroup.type_map, float: Mine}
        mine = pvproperty(value=1.0)
        hooked = pvproperty(value=1)

        @hooked.getter
        async def hooked(self, instance):
            return 5

    group = Group("")
    assert type(group.mine) is Mine
    assert asyncio.run(group.hooked.read(5))[1] == [5]
