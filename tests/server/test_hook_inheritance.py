"""Which properties a hook changes: subclasses, shared fields, read only properties, subgroups."""

import asyncio
import copy
import pickle

import pytest

from cachannel import AccessRights
from cachannel.protocol.errors import CaprotoValueError
from cachannel.server import PVGroup, PVSpec, SubGroup, get_pv_pair_wrapper, pvproperty

CALLS: list[str] = []


def calls(*awaitables):
    """Return what the hooks said that these await."""

    async def main():
        for awaitable in awaitables:
            await awaitable

    CALLS.clear()
    asyncio.run(main())
    return list(CALLS)


class Axis(PVGroup):
    pos = pvproperty(value=0.0, record="ai")
    state = pvproperty(value=0)
    pair = SubGroup({"set": {"value": 1}, "get": {"value": 2}})

    @pos.putter
    async def pos(self, instance, value):
        CALLS.append("Axis putter")

    @pos.fields.engineering_units.putter
    async def pos(self, instance, value):
        CALLS.append("Axis units")

    @state.startup
    async def state(self, instance, async_lib):
        CALLS.append("Axis startup")

    @pair.set.putter
    async def pair(self, instance, value):
        CALLS.append("Axis pair")


class Piezo(Axis):
    @Axis.pos.putter
    async def pos(self, instance, value):
        CALLS.append("Piezo putter")

    @pos.fields.engineering_units.putter
    async def pos(self, instance, value):
        CALLS.append("Piezo units")

    @Axis.state.startup
    async def state(self, instance, async_lib):
        CALLS.append("Piezo startup")

    @Axis.pair.set.putter
    async def pair(self, instance, value):
        CALLS.append("Piezo pair")


class Plain(Axis):
    pass


class Small(Piezo):
    @Piezo.pos.shutdown
    async def pos(self, instance, async_lib):
        CALLS.append("Small shutdown")


@pytest.mark.parametrize(
    ("cls", "name"), [(Axis, "Axis"), (Plain, "Axis"), (Piezo, "Piezo"), (Small, "Piezo")]
)
def test_hooks_of_a_subclass_are_its_own(cls, name):
    """A decorator of an inherited property changes that subclass only, fields and pairs too."""
    group = cls(prefix="c:")
    assert calls(
        group.pos.write(1.0),
        group.pos.get_field("EGU").write("mm"),
        group.state.startup(group.state, None),
        group.pair.set.write(4),
    ) == [f"{name} {kind}" for kind in ("putter", "units", "startup", "pair")]
    assert (group.pos.shutdown is not None) is (cls is Small)


def test_two_hooks_of_one_inherited_property():
    """Both count, whether the second names the base class again or not."""

    class Both(Axis):
        @Axis.state.putter
        async def state(self, instance, value):
            CALLS.append("putter")

        @Axis.state.shutdown
        async def state(self, instance, async_lib):  # noqa: F811 - the case tested
            CALLS.append("shutdown")

        @state.startup
        async def state(self, instance, async_lib):
            CALLS.append("startup")

    group = Both("")
    state = group.state
    assert calls(state.write(1), state.shutdown(state, None), state.startup(state, None)) == [
        "putter",
        "shutdown",
        "startup",
    ]
    assert Axis("").state.putter is None


def test_a_hook_under_another_name():
    """It belongs to the inherited property, which keeps its place and its PV."""

    class Other(Axis):
        @Axis.pos.putter
        async def move(self, instance, value):
            CALLS.append("moved")

    group = Other("c:")
    assert list(group.pvdb) == list(Axis("c:").pvdb)
    assert calls(group.pos.write(1.0)) == ["moved"]
    assert calls(Axis("").pos.write(1.0)) == ["Axis putter"]


def test_a_hook_from_a_function():
    """A class made by type(), and a hook that is a function of the module, are the same."""

    async def put(self, instance, value):
        CALLS.append("function")

    made = type("Made", (Axis,), {"pos": Axis.pos.putter(put)})
    assert calls(made("").pos.write(1.0)) == ["function"]
    assert calls(Axis("").pos.write(1.0)) == ["Axis putter"]


def test_scans_and_getters_of_a_subclass():
    """The other decorators, with and without arguments."""

    class Base(PVGroup):
        x = pvproperty(value=0)

    class Derived(Base):
        @Base.x.scan(period=1.0)
        async def x(self, instance, async_lib):
            pass

        @Base.x.getter
        async def x(self, instance):  # noqa: F811 - the case tested
            return 7

    group = Derived("")
    assert group.x.scan is not None
    asyncio.run(group.x._refresh())
    assert group.x.value == 7
    base = Base("")
    assert (base.x.scan, base.x.getter) == (None, None)


def test_a_copied_property_is_another_pv():
    """Under another attribute it has another name; a name that was given stays."""

    class G(PVGroup):
        x = pvproperty(value=1)
        named = pvproperty(value=1, name="N")
        y = x.copy()

    class H(PVGroup):
        z = copy.copy(G.x)
        other = G.named.copy()

    assert list(G("").pvdb) == ["x", "N", "y"]
    group = H("")
    assert list(group.pvdb) == ["z", "N"]
    assert group.z.value == group.other.value == 1


# ------------------------------------------------------------------ fields


def test_field_spec_is_shared():
    """Hooks of fields that are attached later, by either property, count for both."""

    class G(PVGroup):
        a = pvproperty(value=1.0, record="ai")
        b = pvproperty(value=2.0, field_spec=a.field_spec)

        @a.fields.engineering_units.putter
        async def a(self, instance, value):
            CALLS.append(f"units {value}")

        @b.fields.description.putter
        async def b(self, instance, value):
            CALLS.append(f"description {value}")

    assert G.a.field_spec is G.b.field_spec
    assert G.b.fields.record_class is G.a.fields.record_class
    group = G("")
    assert list(group.pvdb) == ["a", "b"]
    for channel in (group.a, group.b):
        assert calls(channel.get_field("EGU").write("V"), channel.get_field("DESC").write("D")) == [
            "units V",
            "description D",
        ]


def test_a_specification_has_independent_fields():
    """A property that is made of another one's specification has its hooks so far, and its own."""

    class G(PVGroup):
        a = pvproperty(value=1.0, record="ai", read_only=True)

        @a.fields.engineering_units.putter
        async def a(self, instance, value):
            CALLS.append("a")

        @a.putter
        async def a(self, instance, value):
            CALLS.append("put")

        b = pvproperty.from_pvspec(a.pvspec, name="b")

        @b.fields.engineering_units.putter
        async def b(self, instance, value):
            CALLS.append("b")

    group = G("")
    assert calls(group.a.get_field("EGU").write("V"), group.b.get_field("EGU").write("V")) == [
        "a",
        "b",
    ]
    assert calls(group.b.write(2.0)) == ["put"]


class Pickled(PVGroup):
    a = pvproperty(value=1.0, record="ai")
    b = pvproperty(value=2.0, field_spec=a.field_spec)


def test_channels_with_shared_fields_are_pickled_and_copied():
    """The specification takes its fields along."""
    channel = Pickled("").b
    assert pickle.loads(pickle.dumps(channel)).value == 2.0
    assert copy.deepcopy(channel).get_field("RTYP").value == "ai"
    fresh = copy.deepcopy(Pickled.b)
    assert fresh.fields.record_class is Pickled.a.fields.record_class


def test_the_fields_of_an_instance_are_complete():
    """field_inst.pvdb lists all fields by EPICS name, asked for or not."""
    channel = Pickled("p:").a
    found = channel.field_inst.pvdb
    assert list(found) == list(channel.fields)
    assert {"EGU", "DESC", "RTYP", "HIHI"} < set(found)
    assert len(found) == len(list(found.values()))
    assert found["EGU"] is channel.get_field("EGU")
    assert {name: field.pvname for name, field in found.items()}["EGU"] == "p:a.EGU"


# ------------------------------------------------------------------ read only, scans


def test_the_putter_of_a_read_only_property():
    """It runs for the IOC's own writes; clients cannot write."""

    class G(PVGroup):
        host = pvproperty(value=0.0, read_only=True)
        pair = get_pv_pair_wrapper()(value=1.0)

        @host.putter
        async def host(self, instance, value):
            CALLS.append("put")
            return value + 1

        @pair.readback.putter
        async def pair(self, instance, value):
            CALLS.append("readback")

    group = G("")
    assert calls(group.host.write(5.0), group.pair.readback.write(2.0)) == ["put", "readback"]
    assert group.host.value == 6.0
    assert group.host.check_access("host", "user") == AccessRights.READ

    async def put(self, instance, value):
        pass

    with pytest.raises(CaprotoValueError, match="read only"):
        pvproperty(value=1, put=put, read_only=True)
    group_cls = type("S", (PVGroup,), {"s": SubGroup({"x": PVSpec(put=put, value=1)})})
    assert group_cls("").s.x.putter is not None


def test_a_scan_whose_period_the_field_says():
    """Without a period it waits for the first write of SCAN."""

    class G(PVGroup):
        x = pvproperty(value=0.0, record="ai")

        @x.scan(period=None, use_scan_field=True)
        async def x(self, instance, async_lib):
            self.scanned = getattr(self, "scanned", 0) + 1

    from cachannel.asyncio.server import AsyncioAsyncLayer

    group = G("")

    async def main():
        task = asyncio.get_running_loop().create_task(group.x.scan(group.x, AsyncioAsyncLayer()))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not hasattr(group, "scanned")
        await group.x.get_field("SCAN").write(".1 second")
        while getattr(group, "scanned", 0) < 3:
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(asyncio.wait_for(main(), 60))
    with pytest.raises(CaprotoValueError, match="positive"):
        pvproperty(value=1).scan(period=None)


# ------------------------------------------------------------------ keywords of subgroups


class WithKey(PVGroup):
    x = pvproperty(value=1)

    def __init__(self, *args, key=0, **kwargs):
        self.key = key
        super().__init__(*args, **kwargs)


class Strict(PVGroup):
    x = pvproperty(value=1, name="{m}x")

    def __init__(self, prefix):
        super().__init__(prefix)


class Bare(PVGroup):
    x = pvproperty(value=1)


def test_keywords_of_a_subgroup(caplog):
    """They reach an __init__ that takes them; the others are left out, and named in the log."""

    class G(PVGroup):
        a = SubGroup(WithKey, key=3)
        b = SubGroup(Strict, key=3, macros={"m": "M"})
        c = SubGroup(Bare, key=3)

    group = G("p:")
    assert list(group.pvdb) == ["p:a:x", "p:b:Mx", "p:c:x"]
    assert group.a.key == 3
    for attr in ("a", "b", "c"):
        inner = getattr(group, attr)
        assert (inner.parent, inner.name) == (group, f"G.{attr}")
        assert inner.states is group.states
    assert [record.getMessage() for record in caplog.records] == [
        f"G.{attr}: the __init__ of {cls} does not take key; the value that SubGroup was given is"
        " not used"
        for attr, cls in (("b", "Strict"), ("c", "Bare"))
    ]
