"""Limits: the alarms and ranges that follow from them, at once and for every subscriber."""

import asyncio
import math
import struct
import time

import numpy as np
import pytest
from bench_circuit import Bench, subscribe

from cachannel import AlarmStatus, ChannelDouble, ChannelInteger
from cachannel.protocol.dbr import LAYOUTS
from cachannel.protocol.messages import Command, pack
from cachannel.server import PVGroup, pvproperty

VALUE, LOG, ALARM, PROPERTY = 1, 2, 4, 8
NAN = math.nan
TIME_DOUBLE, CTRL_LONG, CTRL_DOUBLE = 20, 33, 34


def run(coroutine):
    return asyncio.run(coroutine)


def state(channel):
    return channel.alarm.status.name, int(channel.alarm.severity)


class Watch:
    """Subscriptions to one PV, one for each event bit."""

    def __init__(self, pvdb, name):
        self.bench = Bench(pvdb)
        self.sid = self.bench.create(name)
        for mask in (VALUE, LOG, ALARM, PROPERTY):
            self.bench.talk(subscribe(self.sid, TIME_DOUBLE, mask=mask, subid=mask))

    def seen(self):
        """Return the masks that had an event, and the last one's status, severity, stamp."""
        messages = self.bench.output()
        masks = sorted(message.parameter2 for message in messages)
        self.last = struct.unpack_from(">HHII", messages[-1].payload) if messages else None
        return masks

    def stamp(self):
        return self.last[2] + 631152000 + self.last[3] / 1e9


def control(channel, dbr_type=CTRL_DOUBLE):
    """Return limits by name, as a CTRL request gets them; NaN as None."""
    metadata, _ = run(channel.read(dbr_type))
    layout = LAYOUTS[dbr_type]
    values = layout.wire.unpack_from(metadata)
    found = {field.name: value for field, value in zip(layout.fields, values, strict=True)}
    return {name: None if value != value else value for name, value in found.items()}


class Limited(PVGroup):
    x = pvproperty(
        value=7.0, record="ao", upper_alarm_limit=20.0, upper_warning_limit=10.0,
        lower_warning_limit=-10.0, lower_alarm_limit=-20.0,
    )  # fmt: skip
    one = pvproperty(value=1.0, record="ai", upper_alarm_limit=10.0)
    a = pvproperty(value=1.0, upper_alarm_limit=10.0, upper_warning_limit=5.0, alarm_group="g")
    b = pvproperty(value=1.0, upper_alarm_limit=10.0, upper_warning_limit=5.0, alarm_group="g")
    text = pvproperty(value="", alarm_group="g")
    plain = pvproperty(value=1.0)


@pytest.fixture
def group():
    return Limited("p:")


# ------------------------------------------------------------------ changes of limits


@pytest.mark.parametrize(
    ("field", "value", "after", "events"),
    [
        ("HIHI", 5.0, ("HIHI", 2), [ALARM, PROPERTY]),
        ("HIGH", 7.0, ("HIGH", 1), [ALARM, PROPERTY]),
        ("LOW", 8.0, ("LOW", 1), [ALARM, PROPERTY]),
        ("LOLO", 7.0, ("LOLO", 2), [ALARM, PROPERTY]),
        ("HIHI", 20.0, ("NO_ALARM", 0), []),
        ("HIHI", 21.0, ("NO_ALARM", 0), [PROPERTY]),
        ("HHSV", "MINOR", ("NO_ALARM", 0), [PROPERTY]),
        ("HHSV", "MAJOR", ("NO_ALARM", 0), []),
        ("HOPR", 5.0, ("NO_ALARM", 0), [PROPERTY]),
        ("DRVH", 50.0, ("NO_ALARM", 0), [PROPERTY]),
        ("EGU", "mm", ("NO_ALARM", 0), [PROPERTY]),
        ("PREC", 3, ("NO_ALARM", 0), [PROPERTY]),
        ("PREC", 0, ("NO_ALARM", 0), []),
        ("MDEL", 0.5, ("NO_ALARM", 0), []),
        ("ADEL", 0.5, ("NO_ALARM", 0), []),
        ("UDFS", "MAJOR", ("NO_ALARM", 0), []),
        ("DESC", "about x", ("NO_ALARM", 0), []),
    ],
)
def test_put_to_a_field_of_a_limit(group, field, value, after, events):
    """The alarm follows at once; subscribers of alarms and properties hear of changes only."""
    watch = Watch(group.pvdb, "p:x")
    run(group.x.fields[field].write(value))
    assert state(group.x) == after
    assert watch.seen() == events
    assert (group.x.fields["STAT"].value, group.x.value) == (after[0], 7.0)


def test_a_severity_of_a_limit_that_is_passed(group):
    """The present alarm gets it, without the putter, and without severity there is no alarm."""
    run(group.x.write(15.0))
    watch = Watch(group.pvdb, "p:x")
    stamp = group.x.timestamp
    for text, after in (
        ("MAJOR", ("HIGH", 2)),
        ("NO_ALARM", ("NO_ALARM", 0)),
        ("MINOR", ("HIGH", 1)),
    ):
        run(group.x.fields["HSV"].write(text))
        assert state(group.x) == after
        assert watch.seen() == [ALARM, PROPERTY]
        assert group.x.timestamp > stamp


def test_metadata_that_python_writes(group):
    """`write_metadata` judges the alarm, and posts nothing where nothing changes."""
    watch = Watch(group.pvdb, "p:x")
    run(group.x.write_metadata(upper_alarm_limit=3.0))
    assert (state(group.x), watch.seen()) == (("HIHI", 2), [ALARM, PROPERTY])
    run(group.x.write_metadata(upper_alarm_limit=3.0, units="", lower_disp_limit=0))
    assert watch.seen() == []
    run(group.x.write_metadata(upper_alarm_limit=NAN))
    assert (state(group.x), watch.seen()) == (("NO_ALARM", 0), [ALARM, PROPERTY])
    run(group.x.write_metadata(upper_alarm_limit=NAN))
    assert watch.seen() == []
    run(group.x.write_metadata(upper_alarm_limit=3.0, publish=False))
    assert (state(group.x), watch.seen()) == (("HIHI", 2), [])


def test_new_limits_with_a_value(group):
    """A write with limits is judged by these."""
    run(group.x.write(15.0, upper_alarm_limit=12.0))
    assert state(group.x) == ("HIHI", 2)


def test_an_alarm_of_the_ioc_outlives_new_limits(group):
    """Limits say nothing of a device that is silent; only a worse alarm takes its place."""
    run(group.x.alarm.write(status=AlarmStatus.COMM, severity=3))
    run(group.x.fields["HIHI"].write(5.0))
    assert state(group.x) == ("COMM", 3)
    run(group.x.alarm.write(status=AlarmStatus.COMM, severity=1))
    run(group.x.fields["HIHI"].write(6.0))
    assert state(group.x) == ("HIHI", 2)


def test_an_initial_value_is_judged():
    """A PV begins in the alarm of its value, with the stamp of the value."""
    channel = ChannelDouble(value=7.0, upper_alarm_limit=5.0, timestamp=1e9)
    assert (state(channel), channel.timestamp) == (("HIHI", 2), 1e9)
    assert state(ChannelDouble(value=7.0, lower_alarm_limit=5.0)) == ("NO_ALARM", 0)


# ------------------------------------------------------------------ one-sided limits


@pytest.mark.parametrize("make", [ChannelDouble, ChannelInteger])
@pytest.mark.parametrize(
    ("limits", "quiet", "loud"),
    [
        ({"upper_alarm_limit": 10}, (-5, 0, 9), 10),
        ({"lower_alarm_limit": -10}, (5, 0, -9), -10),
        ({"upper_warning_limit": 10}, (-5, 0, 9), 10),
        ({"lower_warning_limit": -10}, (5, 0, -9), -10),
        ({"upper_alarm_limit": 0}, (-5, -1), 0),
        ({"upper_alarm_limit": 10, "lower_alarm_limit": 0}, (1, 9), 0),
    ],
)
def test_a_limit_alone(make, limits, quiet, loud):
    """The other side has no limit: none in the alarm, NaN as attribute and on the wire."""
    channel = make(value=quiet[0], **limits)
    for value in quiet:
        run(channel.write(value))
        assert state(channel) == ("NO_ALARM", 0)
    run(channel.write(loud))
    assert channel.severity > 0
    found = control(channel)
    for name in ("upper_alarm_limit", "lower_alarm_limit", "upper_warning_limit",
                 "lower_warning_limit"):  # fmt: skip
        assert found[name] == limits.get(name)
    for name, value in control(channel, CTRL_LONG).items():
        if name.endswith(("alarm_limit", "warning_limit")):
            assert value == limits.get(name, 0)


def test_a_limit_alone_as_field(group):
    """The other side reads as NaN until it is given."""
    fields = group.one.fields
    assert (fields["HIHI"].value, fields["LOLO"].value) == (10.0, pytest.approx(NAN, nan_ok=True))
    assert state(fields["LOLO"]) == ("NO_ALARM", 0)
    run(group.one.write(-5.0))
    assert state(group.one) == ("NO_ALARM", 0)
    run(fields["LOLO"].write(0.0))
    assert state(group.one) == ("LOLO", 2)
    run(fields["LOLO"].write(NAN))
    assert (state(group.one), state(fields["LOLO"])) == (("NO_ALARM", 0), ("NO_ALARM", 0))


def test_a_limit_without_severity_is_reported_as_none(group):
    """As by an IOC in C; the field keeps it."""
    assert control(group.x)["upper_alarm_limit"] == 20.0
    run(group.x.fields["HHSV"].write("NO_ALARM"))
    assert control(group.x)["upper_alarm_limit"] is None
    assert group.x.fields["HIHI"].value == 20.0


def test_a_control_limit_alone():
    """It refuses on its side, and NaN, which is on no side."""
    channel = ChannelDouble(value=0.0, upper_ctrl_limit=10.0)
    run(channel.write(-1e9))
    for value in (10.5, NAN):
        with pytest.raises(ValueError, match="outside the control limits"):
            run(channel.write(value))
    assert control(channel)["lower_ctrl_limit"] is None
    run(channel.write_metadata(upper_ctrl_limit=NAN))
    run(channel.write(NAN))


# ------------------------------------------------------------------ shared and separate alarms


def test_a_write_of_another_pv_leaves_a_limit_alarm(group):
    """The shared alarm is the worst of what the values of its PVs say."""
    run(group.a.write(20.0))
    for channel, value, after in (
        (group.b, 1.0, ("HIHI", 2)),
        (group.b, 6.0, ("HIHI", 2)),
        (group.text, "fine", ("HIHI", 2)),
        (group.a, 1.0, ("HIGH", 1)),
        (group.a, 2.0, ("HIGH", 1)),
        (group.b, 1.0, ("NO_ALARM", 0)),
    ):
        run(channel.write(value))
        assert state(channel) == after
    run(group.a.write(20.0))
    run(group.b.write(1.0, status=0, severity=0))
    assert state(group.a) == ("HIHI", 2)


def test_a_good_text_leaves_the_limit_alarm_of_its_group():
    """It ends the alarm of its own failed write, no more."""

    class Group(PVGroup):
        a = pvproperty(value=1.0, upper_alarm_limit=10.0, alarm_group="g")
        text = pvproperty(value="", max_length=40, alarm_group="g")

        @text.putter
        async def text(self, instance, value):
            if value == "bad":
                raise ValueError(value)

    group = Group("")
    run(group.a.write(20.0))
    with pytest.raises(ValueError, match="bad"):
        run(group.text.write("bad"))
    assert state(group.a) == ("WRITE", 2)
    run(group.text.write("good"))
    assert state(group.a) == ("HIHI", 2)


def test_other_pvs_of_a_shared_alarm_hear_of_it(group):
    """Their subscribers get an event with the alarm and its time."""
    watch = Watch(group.pvdb, "p:b")
    before = time.time()
    run(group.a.write(20.0))
    assert watch.seen() == [VALUE, ALARM]
    assert watch.last[:2] == (3, 2)
    assert watch.stamp() >= before - 1e-3


# ------------------------------------------------------------------ the time of an alarm


def test_the_time_of_an_alarm_without_a_value(group):
    """Event and read carry the time of the alarm; an acknowledgement changes no time."""
    run(group.plain.write(2.0, timestamp=1e9))
    watch = Watch(group.pvdb, "p:plain")
    before = time.time()
    run(group.plain.alarm.write(status=AlarmStatus.COMM, severity=3))
    assert watch.seen() == [VALUE, ALARM]
    first = watch.stamp()
    assert first >= before - 1e-3
    (read,) = watch.bench.talk(pack(Command.READ_NOTIFY, TIME_DOUBLE, 1, watch.sid, 1))
    assert struct.unpack_from(">HHII", read.payload) == watch.last
    run(group.plain.alarm.write(severity_to_acknowledge=3))
    assert watch.seen() == [ALARM]
    assert watch.stamp() == first
    run(group.plain.alarm.write(status=AlarmStatus.COMM, severity=3))
    assert watch.seen() == []
    with pytest.raises(ValueError, match="not a number"):
        run(group.plain.write("text"))
    assert watch.seen() == [VALUE, ALARM]
    assert watch.last[:2] == (2, 2)
    assert watch.stamp() > first


def test_a_stamp_that_is_given_counts(group):
    """A write with an alarm and a stamp has that stamp, as has metadata with one."""
    run(group.x.write(30.0, timestamp=1e9))
    assert (state(group.x), group.x.timestamp) == (("HIHI", 2), 1e9)
    run(group.x.write_metadata(upper_alarm_limit=40.0, timestamp=1.1e9))
    assert (state(group.x), group.x.timestamp) == (("HIGH", 1), 1.1e9)
    run(group.x.write_metadata(status=AlarmStatus.COMM, severity=3, timestamp=1.2e9))
    assert (state(group.x), group.x.timestamp) == (("COMM", 3), 1.2e9)
    assert group.x.fields["STAT"].value == "COMM"


# ------------------------------------------------------------------ NaN and UDF


@pytest.mark.parametrize("nan", [NAN, np.float64(NAN), np.float32(NAN)])
def test_nan_is_undefined(group, nan):
    """NaN raises UDF, INVALID, and the next number ends it; UDF of the record follows."""
    watch = Watch(group.pvdb, "p:x")
    udf = group.x.fields["UDF"]
    assert udf.value == b"\0"
    run(group.x.write(nan))
    assert (state(group.x), udf.value) == (("UDF", 3), b"\1")
    assert watch.seen() == [VALUE, LOG, ALARM]
    run(group.x.write(15.0))
    assert (state(group.x), udf.value) == (("HIGH", 1), b"\0")
    run(group.plain.write(nan))
    assert state(group.plain) == ("UDF", 3)


def test_undefined_that_a_client_puts(group):
    """It holds until the next value."""
    udf = group.x.fields["UDF"]
    for number, shown in ((1, 1), (0, 0), (1, 1)):
        run(udf.write(number))
        assert bytes(udf._encoded(4, 1).rest[:1]) == bytes((shown,))
    run(group.x.write(3.0))
    assert bytes(udf._encoded(4, 1).rest[:1]) == b"\0"


def test_nan_at_the_start():
    """A PV that begins as NaN is undefined, as is a record without a value."""

    class Group(PVGroup):
        plain = pvproperty(value=NAN)
        record = pvproperty(value=NAN, record="ai")
        later = pvproperty(dtype=float, record="ai")
        number = pvproperty(value=0.0, record="ai")

    group = Group("")
    assert state(group.plain) == state(group.record) == ("UDF", 3)
    assert state(group.later) == ("NO_ALARM", 0)
    undefined = [getattr(group, name).fields["UDF"].value for name in ("record", "later", "number")]
    assert undefined == [b"\1", b"\1", b"\0"]


def test_the_severity_of_undefined(group):
    """UDFS says it, also of a NaN that is there; NO_ALARM is no alarm."""
    run(group.x.write(NAN))
    watch = Watch(group.pvdb, "p:x")
    run(group.x.fields["UDFS"].write("MINOR"))
    assert (state(group.x), watch.seen()) == (("UDF", 1), [ALARM])
    run(group.x.fields["UDFS"].write("NO_ALARM"))
    assert (state(group.x), watch.seen()) == (("NO_ALARM", 0), [ALARM])


# ------------------------------------------------------------------ deadbands


def test_deadbands_that_a_client_writes(group):
    """MDEL and ADEL count from the value of that moment, and thin out their events only."""
    watch = Watch(group.pvdb, "p:x")
    run(group.x.fields["MDEL"].write(1.0))
    run(group.x.fields["ADEL"].write(0.5))
    assert watch.seen() == []
    for value, events in (
        (7.4, []), (7.6, [LOG]), (8.05, [VALUE]), (8.1, []), (8.2, [LOG]),
        (15.0, [VALUE, LOG, ALARM]),
    ):  # fmt: skip
        run(group.x.write(value))
        assert watch.seen() == events
    run(group.x.fields["MDEL"].write(0.0))
    run(group.x.write(15.0))
    assert watch.seen() == [VALUE]


# ------------------------------------------------------------------ ranges


class Ranges(PVGroup):
    display = pvproperty(value=7.0, record="ai", lower_disp_limit=-10.0, upper_disp_limit=10.0)
    drive = pvproperty(value=7.0, record="ao", lower_ctrl_limit=-50.0, upper_ctrl_limit=50.0)
    both = pvproperty(
        value=7.0, record="ai", lower_disp_limit=-10.0, upper_disp_limit=10.0,
        lower_ctrl_limit=-50.0, upper_ctrl_limit=50.0,
    )  # fmt: skip
    bare = pvproperty(value=7.0, record="ai")
    output = pvproperty(value=7.0, record="ao")


@pytest.mark.parametrize(
    ("name", "fields", "limits"),
    [
        ("display", (10, -10), (10, -10, 10, -10)),
        ("drive", (50, -50), (0, 0, 50, -50)),
        ("both", (10, -10), (10, -10, 50, -50)),
        ("bare", (0, 0), (0, 0, 0, 0)),
    ],
)
def test_operating_range(name, fields, limits):
    """HOPR and LOPR are the display limits, else the control limits."""
    channel = getattr(Ranges(""), name)
    assert (channel.fields["HOPR"].value, channel.fields["LOPR"].value) == fields
    found = control(channel)
    assert tuple(found[f"{side}_{kind}_limit"] for kind in ("disp", "ctrl")
                 for side in ("upper", "lower")) == limits  # fmt: skip


def test_put_to_the_operating_range():
    """It moves the display limits, refuses no value, and leaves the control limits alone."""
    group = Ranges("")
    for name in ("display", "both", "bare"):
        channel = getattr(group, name)
        run(channel.fields["HOPR"].write(5.0))
        assert control(channel)["upper_disp_limit"] == channel.upper_disp_limit == 5.0
        run(channel.write(25.0))
        assert state(channel) == ("NO_ALARM", 0)
    assert control(group.bare)["upper_ctrl_limit"] == 5.0  # as an IOC in C
    assert (group.bare.upper_ctrl_limit, group.both.upper_ctrl_limit) == (0, 50.0)
    with pytest.raises(ValueError, match="control limits"):
        run(group.both.write(51.0))


def test_drive_limits():
    """DRVH and DRVL are the control limits of records that have them."""
    group = Ranges("")
    assert group.drive.fields["DRVH"].value == 50.0
    run(group.drive.fields["DRVH"].write(30.0))
    assert control(group.drive)["upper_ctrl_limit"] == group.drive.upper_ctrl_limit == 30.0
    with pytest.raises(ValueError, match="control limits"):
        run(group.drive.write(31.0))
    run(group.drive.fields["DRVH"].write(-60.0))  # below DRVL: off, as in an IOC in C
    run(group.drive.write(31.0))
    run(group.output.fields["HOPR"].write(5.0))
    assert control(group.output)["upper_ctrl_limit"] == 0
    run(group.output.write(25.0))
