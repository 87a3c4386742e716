"""Every request type of our PVs, byte by byte against the IOC of EPICS base."""

import itertools
import struct
from pathlib import Path

import numpy as np
import pytest
from server_wire import Client, Process

from cachannel.protocol.dbr import LAYOUTS
from cachannel.protocol.messages import Command, pack

HERE = Path(__file__).parent
RECORDS = ("ao", "high", "rec", "one", "limits", "lo", "so", "number", "mbbo", "wfd", "wfl", "wfc",
           "wfs")  # fmt: skip
ARRAYS = {
    "wfd": (6, 3, np.array([1.5, -2.5, 3.0], ">f8").tobytes()),
    "wfl": (5, 3, np.array([1, -2, 70000], ">i4").tobytes()),
    "wfc": (4, 3, b"\1\2\xff"),
    "wfs": (0, 2, b"a".ljust(40, b"\0") + b"bb".ljust(40, b"\0")),
}
SCALARS = {
    "ao": (6, np.array([12.345], ">f8").tobytes()),
    "high": (6, np.array([75.0], ">f8").tobytes()),
    "rec": (6, np.array([3.0], ">f8").tobytes()),
    "one": (6, np.array([12.0], ">f8").tobytes()),
    "limits": (6, np.array([12.0], ">f8").tobytes()),
    "lo": (5, np.array([-70000], ">i4").tobytes()),
    "so": (0, b"42.5 text\0"),
    "number": (0, b"17\0"),
    "mbbo": (3, b"\0\2"),
}


@pytest.fixture(scope="module")
def pair():
    """A client of the IOC of EPICS base and one of ours, with the same values in both."""
    rsrv = Process(["-m", "epicscorelibs.ioc", "-d", str(HERE / "rsrv.db")], probe="wfs")
    ours = Process(
        [str(HERE / "rsrv_ioc.py"), "cachannel.asyncio.server"], probe="wfs", ready="READY"
    )
    with rsrv, ours, Client(rsrv.port) as theirs, Client(ours.port) as mine:
        channels = {}
        for client in (theirs, mine):
            for name in RECORDS:
                channels[client, name] = client.create(name)
                # Values are put on both sides, so that the records are processed and defined.
                if name in ARRAYS:
                    answer = client.put(channels[client, name][0], *ARRAYS[name])
                else:
                    kind, payload = SCALARS[name]
                    answer = client.put(channels[client, name][0], kind, 1, payload)
                assert (answer.command, answer.parameter1) == (19, 1)
        yield theirs, mine, channels


def fields(dbr_type, answer):
    """Return what an answer says: metadata by name, and each element's bytes.

    Time stamps differ by nature. Behind the NUL of a text, and between metadata and value, the
    IOC of EPICS base sends whatever was there before.
    """
    layout = LAYOUTS[dbr_type]
    values = layout.wire.unpack_from(answer.payload)
    found = {}
    for field, value in zip(layout.fields, values, strict=True):
        if field.name in ("secs", "nsec"):
            continue
        if field.name == "units":
            value = value.partition(b"\0")[0]
        if isinstance(value, float) and value != value:
            value = "NaN"  # equal to itself
        found[field.name] = value
    size = layout.element_size
    for index in range(answer.data_count):
        start = layout.value_offset + index * size
        element = answer.payload[start : start + size]
        found[index] = element.partition(b"\0")[0] if size == 40 else element
    return found


@pytest.mark.parametrize("name", RECORDS)
def test_channel_is_the_same(pair, name):
    """Native type, count and access rights equal those of the record."""
    theirs, mine, channels = pair
    assert channels[mine, name][1:] == channels[theirs, name][1:]


@pytest.mark.parametrize("count", [0, 1, 2, 7])
@pytest.mark.parametrize("dbr_type", [*range(35), 37])
@pytest.mark.parametrize("name", RECORDS)
def test_reads_are_the_same(pair, name, dbr_type, count):
    """Status, count, size, metadata and elements equal those of the record."""
    theirs, mine, channels = pair
    answers = []
    for client in (theirs, mine):
        answer = client.read(channels[client, name][0], dbr_type, count)
        answers.append(answer)
    expected, found = answers
    assert found[:4] == expected[:4]
    if expected.parameter1 != 1:
        return
    if name == "wfd" and (dbr_type % 7 == 0 or dbr_type == 37):
        # Without a record there is no PREC, and a text has all digits: a decision of ours.
        assert fields(dbr_type, found)[0] == b"1.5"
        return
    assert fields(dbr_type, found) == fields(dbr_type, expected)
    if dbr_type % 7 != 0 and dbr_type != 37:  # rsrv cuts the zeros behind a single text
        assert len(found.payload) == len(expected.payload)


FIELDS = """
    DESC EGU PREC HIHI LOLO HIGH LOW HHSV LLSV HSV LSV HYST ADEL MDEL STAT SEVR ACKS ACKT NSTA NSEV
    SCAN PINI PHAS PRIO DISV DISA SDIS DISS FLNK TSE TSEL EVNT ASG PACT LCNT TPRO PUTF RPRO UDF
    UDFS NAME RTYP DTYP OMSL OIF LINR IVOA RVAL ORAW SIMM SIMS SIML SIOL SSCN OUT DOL DISP
    DRVH DRVL EGUF EGUL ESLO EOFF ASLO AOFF ROFF OROC IVOV INIT OLDSIMM SDLY
"""  # the common fields, and those of ao

# Types that changed between versions of base; ours are those before the change.
OTHER_TYPES = {"RVAL": "64 bit since base 7", "ROFF": "64 bit since base 7"}
# Values that are decisions of ours, or say what a property cannot know.
OTHER_VALUES = {
    "HHSV": "limits of a property have severities without being told",
    "LLSV": "as HHSV",
    "HSV": "as HHSV",
    "LSV": "as HHSV",
    "DTYP": "there is one device support",
    "SIMM": "RAW is only known to newer bases",
    "SSCN": "the record's default is a number without a name",
    "ORAW": "internal to processing",
}


@pytest.mark.parametrize("field", FIELDS.split())
def test_fields_are_the_same(pair, field):
    """A field of our record is of the same type, count, access and value as the real one."""
    theirs, mine, _ = pair
    expected = theirs.create(f"rec.{field}")
    found = mine.create(f"rec.{field}")
    if field in OTHER_TYPES:
        return
    assert found[1:3] == expected[1:3]
    if field not in ("ACKT", "ACKS"):  # rsrv lets clients try to write these, and refuses then
        assert found[3] in (expected[3], 1)
    if field in OTHER_VALUES:
        return
    dbr_type = 31 if expected[1] == 3 else expected[1]
    answers = [c.read(ids[0], dbr_type, 1) for c, ids in ((theirs, expected), (mine, found))]
    assert fields(dbr_type, answers[1]) == fields(dbr_type, answers[0])


def test_record_type(pair):
    """CLASS_NAME is the record's type."""
    theirs, mine, channels = pair
    answers = [client.read(channels[client, "rec"][0], 38, 1) for client in (theirs, mine)]
    assert [a.payload.partition(b"\0")[0] for a in answers] == [b"ao", b"ao"]


PUTS = {
    0: [b"abc\0", b"12\0", b"0x11\0", b"1.5e1\0", b" 7 \0", b"12abc\0", b"-3\0", b"010\0"],
    1: [struct.pack(">h", value) for value in (1, -5, 300)],
    2: [struct.pack(">f", 1.5)],
    4: [b"\1", b"\xff"],
    5: [struct.pack(">i", value) for value in (1, -5, 70000)],
    6: [struct.pack(">d", value) for value in (1.5, -2.5, 1e10, float("nan"))],
}


OUT_OF_RANGE = {
    (1, struct.pack(">h", 300), "wfc"),
    (5, struct.pack(">i", 70000), "wfc"),
    *((6, struct.pack(">d", value), name) for value in (1e10, float("nan"))
      for name in ("wfl", "wfc")),
}  # fmt: skip


@pytest.mark.parametrize("name", ["high", "rec", "wfd", "wfl", "wfc", "mbbo"])
@pytest.mark.parametrize(
    ("kind", "payload"), [(kind, payload) for kind, values in PUTS.items() for payload in values]
)
def test_puts_are_the_same(pair, name, kind, payload):
    """A put succeeds where the record's does, and the value is then the same.

    Left out, as decisions of ours: outside control limits a property refuses, where an ao clips;
    a number that names no state is refused, where an mbbo keeps it; and a number that the type
    cannot hold is refused, where a waveform takes what C's cast makes of it. A refusal of ours is
    an ERROR with a text, the record's a completion with a status.
    """
    theirs, mine, channels = pair
    if (kind, payload, name) in OUT_OF_RANGE:
        sid, native = channels[mine, name][:2]
        before = fields(native, mine.read(sid, native, 1))
        assert mine.put(sid, kind, 1, payload).command == Command.ERROR
        assert fields(native, mine.read(sid, native, 1)) == before
        return
    found = []
    for client in (theirs, mine):
        sid, native = channels[client, name][:2]
        answer = client.put(sid, kind, 1, payload)
        succeeded = answer.command == 19 and answer.parameter1 == 1
        found.append((succeeded, fields(native, client.read(sid, native, 1))))
    if name == "mbbo" and not found[1][0]:
        # Whatever the record took, both sides go on from a state that has a name.
        for client in (theirs, mine):
            client.put(channels[client, name][0], 3, 1, b"\0\2")
        return
    assert found[1] == found[0]


STEPS = (10.0, 10.9, 11.1, 12.0, 12.4, 20.0, 0.0, 0.001, 69.0, 70.0, 71.0, 80.0, 79.5, -5.0, 0.0)


@pytest.mark.parametrize("mask", [1, 2, 4, 5, 7])
@pytest.mark.parametrize(
    "channel_filter",
    ["", '{"dbnd":{"abs":1.0}}', '{"dbnd":{"rel":10.0}}', '{"dbnd":{"m":"rel","d":50}}',
     '{"dec":{"n":3}}', '{"dbnd":{"abs":0.0}}'],
)  # fmt: skip
def test_filtered_events_are_the_same(pair, channel_filter, mask):
    """Puts make the same events, with the same alarms, whatever the filter and the mask.

    One put at a time, and echoes behind it, so that no event replaces another. Below zero a
    relative deadband of the IOC of EPICS base is negative, and lets everything pass; ours does not.
    """
    theirs, mine, _ = pair
    found = []
    for client in (theirs, mine):
        plain = client.create("high")[0]
        client.put(plain, 6, 1, struct.pack(">d", 1.0))
        sid = client.create(f"high.{channel_filter}")[0]
        client.subscribe(sid, 13, 1, mask, subid=5)
        events = [client.receive()]
        for value in STEPS:
            client.send(pack(Command.WRITE_NOTIFY, 6, 1, plain, 12, struct.pack(">d", value)))
            for _ in range(2):
                # The completion overtakes the event in the IOC of EPICS base; an echo does not
                # overtake both of two.
                client.send(pack(Command.ECHO))
            waiting = {Command.WRITE_NOTIFY: 1, Command.ECHO: 2}
            while any(waiting.values()):
                message = client.receive()
                if message.command == Command.EVENT_ADD:
                    events.append(message)
                else:
                    waiting[message.command] -= 1
        client.send(pack(Command.EVENT_CANCEL, 13, 1, sid, 5))
        while (message := client.receive()).payload:
            events.append(message)
        for number in (sid, plain):
            client.send(pack(Command.CLEAR_CHANNEL, 0, 0, number, 0))
            assert client.receive().command == Command.CLEAR_CHANNEL
        found.append([(*struct.unpack_from(">hh", m.payload), value_of(m)) for m in events])
    assert found[1] == found[0]


def collect(client, name, kind, payload, marker):
    """Put to a field; return (status, severity) of the events of id 5 that the put makes.

    A put to the PV `marker`, which has a subscription of id 6, makes an event behind these.
    """
    number = client.create(name)[0]
    client.send(
        pack(Command.WRITE_NOTIFY, kind, 1, number, 12, payload),
        pack(Command.WRITE_NOTIFY, 6, 1, marker, 13, struct.pack(">d", next(MARKS))),
    )
    events, waiting = [], {12, 13, 6}
    while waiting:
        message = client.receive()
        if (message.command, message.parameter2) == (Command.EVENT_ADD, 5):
            events.append(struct.unpack_from(">hh", message.payload))
        else:
            waiting.remove(message.parameter2)
    client.send(pack(Command.CLEAR_CHANNEL, 0, 0, number, 0))
    assert client.receive().command == Command.CLEAR_CHANNEL
    return events


MARKS = itertools.count(100.0)
DOUBLE_10, DOUBLE_30, DOUBLE_90 = (struct.pack(">d", value) for value in (10.0, 30.0, 90.0))
LIMIT_PUTS = (
    ("HIHI", 6, DOUBLE_10), ("HIHI", 6, DOUBLE_10), ("HHSV", 0, b"MINOR\0"),
    ("HHSV", 0, b"NO_ALARM\0"), ("HIGH", 6, DOUBLE_10), ("HSV", 0, b"MAJOR\0"),
    ("HIGH", 6, DOUBLE_90), ("LOW", 6, DOUBLE_30), ("LOLO", 6, DOUBLE_30), ("LLSV", 0, b"MINOR\0"),
    ("LOLO", 6, struct.pack(">d", -80.0)), ("LOW", 6, struct.pack(">d", -70.0)),
    ("HHSV", 0, b"MAJOR\0"), ("HIHI", 6, DOUBLE_90), ("HOPR", 6, DOUBLE_90), ("EGU", 0, b"mm\0"),
    ("EGU", 0, b"mm\0"), ("PREC", 5, struct.pack(">i", 2)), ("MDEL", 6, bytes(8)),
    ("VAL", 6, struct.pack(">d", float("nan"))), ("VAL", 6, struct.pack(">d", 12.0)),
    # And back again, for the next mask.
    ("HIHI", 6, struct.pack(">d", 80.0)), ("HIGH", 6, struct.pack(">d", 70.0)),
    ("HSV", 0, b"MINOR\0"), ("LLSV", 0, b"MAJOR\0"), ("HOPR", 6, bytes(8)),
    ("EGU", 0, b"\0"), ("PREC", 5, struct.pack(">i", 1)),
)  # fmt: skip


@pytest.mark.parametrize("mask", [4, 8])
def test_limits_make_the_same_events(pair, mask):
    """A put to a field of a limit makes the same events of alarm, or of properties."""
    theirs, mine, channels = pair
    found = []
    for client in (theirs, mine):
        marker, sid = channels[client, "rec"][0], channels[client, "limits"][0]
        client.subscribe(marker, 6, 1, 1, subid=6)
        client.subscribe(sid, 13, 1, mask, subid=5)
        assert {client.receive().parameter2 for _ in range(2)} == {5, 6}
        steps = [
            (field, collect(client, f"limits.{field}", kind, payload, marker))
            for field, kind, payload in LIMIT_PUTS
        ]
        for number, subid, dbr_type in ((sid, 5, 13), (marker, 6, 6)):
            client.send(pack(Command.EVENT_CANCEL, dbr_type, 1, number, subid))
            while client.receive().payload:
                pass
        if mask == 8:  # the IOC of EPICS base tells of the property before it judges the alarm
            steps = [(field, len(events)) for field, events in steps]
        found.append(steps)
    assert found[1] == found[0]


def test_nan_is_the_same(pair):
    """NaN is in the same alarm, and UDF follows."""
    theirs, mine, _ = pair
    found = []
    for client in (theirs, mine):
        sid, udf = client.create("one")[0], client.create("one.UDF")[0]
        for value in (float("nan"), 12.0):
            client.put(sid, 6, 1, struct.pack(">d", value))
            found.append((fields(13, client.read(sid, 13, 1)), fields(4, client.read(udf, 4, 1))))
    assert found[2:] == found[:2]


def value_of(message):
    return struct.unpack_from(">d", message.payload, 8)[0]
