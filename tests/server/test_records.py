"""Records: fields, links to the channel of VAL, hooks of one property's record."""

import asyncio

import pytest
from bench_circuit import Bench, subscribe

from cachannel.protocol.messages import Command, pack
from cachannel.server import PVGroup, menus, pvproperty, records


def run(coroutine):
    return asyncio.run(coroutine)


class G(PVGroup):
    x = pvproperty(value=1.5, record="ai", doc="about x", units="mm", precision=2,
                   upper_ctrl_limit=10.0, lower_ctrl_limit=-10.0)  # fmt: skip
    y = pvproperty(value=0.0, record="ao", alarm_group="y")
    z = pvproperty(value=0.0, record="ai", alarm_group="z")
    plain = pvproperty(value=0.0, record="ai")

    @x.fields.RVAL.putter
    async def x(fields, instance, value):
        await fields.parent.write(value / 2)

    @y.putter
    async def y(self, instance, value):
        self.puts = getattr(self, "puts", 0) + 1


@pytest.fixture
def group():
    return G("p:")


def value(group, attr, field):
    return getattr(group, attr).fields[field].value


def test_common_fields(group):
    """RTYP, NAME, DESC and what else every record has."""
    assert value(group, "x", "RTYP") == "ai"
    assert value(group, "x", "NAME") == "p:x"
    assert value(group, "x", "DESC") == "about x"
    assert value(group, "x", "SCAN") == "Passive"
    assert value(group, "x", "PINI") == "NO"
    assert len(group.x.fields) == 30 + 1 + 43
    assert group.x.fields.get("NONSENSE") is None
    with pytest.raises(KeyError):
        group.x.get_field("NONSENSE")
    assert group.x.get_field("VAL") is group.x.get_field("") is group.x


def test_desc_of_a_property_without_doc(group):
    """It is empty, not the docstring of the channel's class."""
    assert value(group, "plain", "DESC") == ""
    run(group.plain.fields["DESC"].write("now it has"))
    assert value(group, "plain", "DESC") == "now it has"


def test_links(group):
    """Fields show and set the metadata of VAL, in both directions, at any time."""
    assert value(group, "x", "EGU") == "mm"
    assert value(group, "x", "PREC") == 2
    assert value(group, "x", "HOPR") == 10.0
    run(group.x.fields["EGU"].write("cm"))
    run(group.x.fields["HIHI"].write(5.0))
    assert (group.x.units, group.x.upper_alarm_limit) == ("cm", 5.0)
    run(group.x.write_metadata(upper_alarm_limit=6.0))
    assert value(group, "x", "HIHI") == 6.0
    run(group.x.fields["DESC"].write("new"))
    assert group.x.__doc__ == "new"


def test_alarm_fields(group):
    """STAT and SEVR follow the alarm; HHSV says how bad HIHI is."""
    for field in ("SEVR", "STAT", "ACKS"):
        assert value(group, "z", field) == "NO_ALARM"
    run(group.z.fields["HIHI"].write(5.0))
    run(group.z.write(6.0))
    assert (value(group, "z", "STAT"), value(group, "z", "SEVR")) == ("HIHI", "MAJOR")
    run(group.z.fields["HHSV"].write("MINOR"))
    assert value(group, "z", "SEVR") == "MINOR"
    assert value(group, "z", "ACKS") == "MAJOR"


def test_field_hooks_are_of_one_property(group):
    """A hook of one property's field is not another's."""
    run(group.x.fields["RVAL"].write(8))
    assert group.x.value == 4.0
    run(group.z.fields["RVAL"].write(8))
    assert group.z.value == 0.0
    assert G.x.fields.current_raw_value.field_name == "current_raw_value"
    with pytest.raises(AttributeError, match="NONSENSE"):
        _ = G.x.fields.NONSENSE


def test_field_spec_is_reusable():
    """field_spec= takes record and hooks from another property."""

    class H(PVGroup):
        a = pvproperty(value=0.0, field_spec=G.x.field_spec)

    group = H("")
    run(group.a.fields["RVAL"].write(8))
    assert group.a.value == 4.0


def test_process(group):
    """Writing PROC writes the value again, with the putter."""
    run(group.y.fields["PROC"].write(1))
    assert group.puts == 1


def test_scan(group):
    """SCAN sets the period."""
    fields = group.x.field_inst
    assert fields.scan_rate_sec is None
    for choice, period in (("1 second", 1.0), (".1 second", 0.1), ("Passive", 0), ("I/O Intr", 0)):
        run(group.x.fields["SCAN"].write(choice))
        assert fields.scan_rate_sec == period


def test_scan_field_wakes_the_scan():
    """A scan that uses the SCAN field starts and stops as the field says, at once."""
    from cachannel.server._asyncio import AsyncioAsyncLayer

    class H(PVGroup):
        a = pvproperty(value=0, record=G.z.record_type)

        @a.scan(period=0, use_scan_field=True)
        async def a(self, instance, async_lib):
            await instance.write(instance.value + 1)

    async def main():
        group = H("")
        task = asyncio.create_task(group.a.scan(group.a, AsyncioAsyncLayer()))
        await asyncio.sleep(0.02)
        assert group.a.value == 0
        await group.a.fields["SCAN"].write(".1 second")
        async with asyncio.timeout(60):
            while group.a.value < 2:
                await asyncio.sleep(0.01)
        await group.a.fields["SCAN"].write("Passive")
        await asyncio.sleep(0)
        seen = group.a.value
        await asyncio.sleep(0.15)
        assert group.a.value <= seen + 1
        task.cancel()

    run(main())


def test_value_write_hook(group):
    """The hook sees every value that is going to be stored; it can be assigned."""
    seen = []

    async def hook(instance, value):
        seen.append((instance.pvname, value))

    group.y.field_inst.value_write_hook = hook
    run(group.y.write(3.0))
    run(group.y.write(4.0, update_fields=False))
    assert seen == [("p:y", 3.0)]


def test_over_the_wire(group):
    """Clients reach fields, as text of any length with a $."""
    bench = Bench(group.pvdb)
    sid = bench.create("p:x.EGU")
    (answer,) = bench.talk(pack(Command.READ_NOTIFY, 0, 1, sid, 1))
    assert answer.payload.rstrip(b"\0") == b"mm"
    rights, created = bench.talk(pack(Command.CREATE_CHAN, 0, 0, 2, 13, b"p:x.DESC$\0"))
    assert created[:3] == (Command.CREATE_CHAN, 4, 41)
    rights, created = bench.talk(pack(Command.CREATE_CHAN, 0, 0, 3, 13, b"p:x.NAME\0"))
    assert rights.parameter2 == 1
    sid = bench.create("p:z.SEVR", 4)
    bench.talk(subscribe(sid, 3))
    run(group.z.alarm.write(severity=2))
    (event,) = bench.output()
    assert event.payload[:2] == b"\0\2"
    (answer,) = bench.talk(pack(Command.READ_NOTIFY, 38, 1, bench.create("p:x", 5), 1))
    assert answer.payload.rstrip(b"\0") == b"ai"


def test_fields_are_made_when_asked_for(group):
    """Channels of fields take no memory before somebody wants them."""
    assert len(group.x.field_inst.attr_pvdb) == 0
    group.x.fields["HIHI"]
    assert len(group.x.field_inst.attr_pvdb) == 1


def test_registry(capsys):
    """Record types are found by name; classes can be added."""
    assert set(records.get_record_registry()) >= {"ai", "ao"}

    class MineFields(records.AiFields):
        _record_type = "mine"

    records.register_record(MineFields)
    try:

        class H(PVGroup):
            a = pvproperty(value=0.0, record="mine")

        assert H("").a.fields["RTYP"].value == "mine"
        records.summarize()
        assert "mine" in capsys.readouterr().out
    finally:
        del records.records["mine"]


def test_menus():
    """A menu has numbers and texts."""
    assert menus.menuScan.scan_point_1_second == 9
    assert menus.menuScan.get_string_dict()[9] == ".1 second"
    assert len(menus.menuAlarmStat.get_string_tuple()) == 16
    made = menus.create_menu("menuX", a=(0, "A"), b=(1, "B"))
    assert made.b.text == "B"
    assert made.get_string_tuple() == ("A", "B")
