"""The server's side of a circuit: what it answers to which bytes."""

import asyncio
import logging
import struct

import numpy as np
import pytest
from bench_circuit import Bench, subscribe

from cachannel.protocol.channel_types import AccessRights
from cachannel.protocol.errors import SkipWrite
from cachannel.protocol.messages import Command, Message, pack
from cachannel.server.numeric import ChannelByte, ChannelDouble, ChannelInteger
from cachannel.server.text import ChannelChar, ChannelEnum, ChannelString


def make(**extra):
    return {
        "d": ChannelDouble(value=1.5),
        "i": ChannelInteger(value=5),
        "a": ChannelDouble(value=[1.0, 2.0], max_length=4),
        "e": ChannelEnum(value="one", enum_strings=("zero", "one")),
        "s": ChannelString(value="hello"),
        "t": ChannelChar(value="text", max_length=100, report_as_string=True),
        "b": ChannelByte(value=b"ab", max_length=10),
        **extra,
    }


@pytest.fixture
def bench():
    return Bench(make())


def test_greeting(bench):
    """The server says its version before it is asked, as rsrv does."""
    assert bench.greeting == [Message(Command.VERSION, 0, 13)]


def test_conversation_of_caget():
    """The requests of caget (libca 7.0.10) and the bytes that answer them."""
    bench = Bench({"x": ChannelDouble(value=1.5)})
    requests = bytes.fromhex(
        "00000000 0000000d 00000000 00000000"  # VERSION, priority 0, 4.13
        "00140008 00000000 00000000 00000000 726f6f7400000000"  # CLIENT_NAME root
        "00150008 00000000 00000000 00000000 766d000000000000"  # HOST_NAME vm
        "00120008 00000000 00000001 0000000d 7800000000000000"  # CREATE_CHAN x
    )
    assert bench.talk(requests) == [
        Message(Command.ACCESS_RIGHTS, 0, 0, 1, 3),
        Message(Command.CREATE_CHAN, 6, 1, 1, 1),
    ]
    assert (bench.circuit.username, bench.circuit.hostname) == ("root", "vm")
    bench.feed(bytes.fromhex("000f0000 00060000 00000001 00000001"))  # READ_NOTIFY DOUBLE
    assert bytes(bench.circuit.next_output()) == bytes.fromhex(
        "000f0008 00060001 00000001 00000001 3ff8000000000000"
    )
    assert bench.talk(bytes.fromhex("000c0000 00000000 00000001 00000001")) == [
        Message(Command.CLEAR_CHANNEL, 0, 0, 1, 1)
    ]


@pytest.mark.parametrize("size", [1, 3, 16, 17, 40])
def test_pieces(bench, size):
    """Messages are understood however the bytes are cut."""
    sid = bench.create("d")
    data = b"".join(
        pack(Command.WRITE_NOTIFY, 6, 1, sid, n, struct.pack(">d", n))
        + pack(Command.READ_NOTIFY, 6, 1, sid, n)
        for n in range(20)
    )
    found = []
    for start in range(0, len(data), size):
        found += bench.talk(data[start : start + size])
    reads = [struct.unpack(">d", m.payload)[0] for m in found if m.command == 15]
    assert reads == list(range(20))
    assert [m.parameter2 for m in found if m.command == 19] == list(range(20))


def test_simple_answers(bench):
    """ECHO and READ_SYNC come back as they are; VERSION, names and EVENTS_OFF say nothing."""
    echo = pack(Command.ECHO, 1, 2, 3, 4, b"payload")
    sync = pack(Command.READ_SYNC, 0, 0, 7, 8)
    assert bench.talk(echo, sync) == [
        Message(Command.ECHO, 1, 2, 3, 4, b"payload\0"),
        Message(Command.READ_SYNC, 0, 0, 7, 8),
    ]
    assert bench.talk(pack(Command.VERSION, 99, 13), pack(Command.EVENTS_OFF)) == []
    assert bench.circuit.priority == 99


def test_search_by_tcp(bench):
    """Known names are answered; unknown ones only if a reply is asked for."""
    known = pack(Command.SEARCH, 5, 13, 7, 7, b"d\0")
    unknown = pack(Command.SEARCH, 5, 13, 8, 8, b"x\0")
    asked = pack(Command.SEARCH, 10, 13, 9, 9, b"x\0")
    assert bench.talk(known, unknown, asked) == [
        Message(Command.SEARCH, 5064, 0, 0xFFFFFFFF, 7),
        Message(Command.NOT_FOUND, 10, 13, 9, 9),
    ]


@pytest.mark.parametrize(
    ("name", "kind", "count"),
    [("d.VAL", 6, 1), ("d.", 6, 1), ("a", 6, 4), ("a.VAL[1:2]", 6, 2), ("a.[0]", 6, 1),
     ("t", 0, 1), ("t.$", 4, 100), ("s.VAL$", 4, 81), ('d.{"dbnd":{"abs":1}}', 6, 1)],
)  # fmt: skip
def test_names(bench, name, kind, count):
    """VAL, long strings and filters, also of channels without a record."""
    _, created = bench.talk(pack(Command.CREATE_CHAN, 0, 0, 1, 13, name.encode() + b"\0"))
    assert created[:3] == (Command.CREATE_CHAN, kind, count)


@pytest.mark.parametrize(
    "name", ["x", "", "d.EGU", "d.$", 'd.{"bad":1}', "d.VAL[", "x" * 2000, "\xff\xfe"]
)
def test_names_that_are_not_served(bench, name):
    """Unknown names, fields and bad filters are CREATE_CH_FAIL."""
    message = pack(Command.CREATE_CHAN, 0, 0, 9, 13, name.encode("latin-1") + b"\0")
    assert bench.talk(message) == [Message(Command.CREATE_CH_FAIL, 0, 0, 9, 0)]


def test_names_with_dots():
    """A PV may contain dots; the exact name comes first, then the longest way to read it."""
    bench = Bench({"a.b": ChannelDouble(value=1.0), "a.b.RBV": ChannelInteger(value=1)})
    for name, kind in (("a.b.RBV", 5), ("a.b", 6), ("a.b.VAL", 6)):
        created = bench.talk(pack(Command.CREATE_CHAN, 0, 0, 1, 13, name.encode() + b"\0"))[1]
        assert created.data_type == kind


def test_fixed_counts_are_filled(bench):
    """A count above the current length gives exactly that many elements, zero filled."""
    sid = bench.create("a")
    for count, sent in ((0, 2), (1, 1), (2, 2), (4, 4), (9, 9)):
        (answer,) = bench.talk(pack(Command.READ_NOTIFY, 6, count, sid, 1))
        expected = ([1.0, 2.0] + [0.0] * 9)[:sent]
        assert answer.data_count == sent
        assert list(struct.unpack(f">{sent}d", answer.payload)) == expected
    (event,) = bench.talk(subscribe(sid, 6, 4))
    assert struct.unpack(">4d", event.payload) == (1.0, 2.0, 0.0, 0.0)


def test_absurd_counts_cost_nothing(bench):
    """A count that nobody could want is refused, not filled with gigabytes of zeros."""
    sid = bench.create("a")
    header = struct.pack(">HHHHII", 15, 0xFFFF, 6, 0, sid, 1) + struct.pack(">II", 0, 2**32 - 1)
    (answer,) = bench.talk(header)
    assert answer.parameter1 == 72  # ECA_TOLARGE
    assert bench.talk(pack(Command.ECHO)) == [Message(Command.ECHO)]


def test_empty_array(bench):
    """A put of no elements empties an array; a scalar refuses it."""
    sid = bench.create("a")
    answers = bench.talk(
        pack(Command.WRITE_NOTIFY, 6, 0, sid, 1), pack(Command.READ_NOTIFY, 6, 0, sid, 2)
    )
    assert answers == [
        Message(Command.WRITE_NOTIFY, 6, 0, 1, 1),
        Message(Command.READ_NOTIFY, 6, 0, 1, 2),
    ]
    (answer,) = bench.talk(pack(Command.WRITE_NOTIFY, 6, 0, bench.create("d"), 3))
    assert (answer.command, answer.parameter2) == (Command.ERROR, 160)


def test_puts(bench):
    """WRITE says nothing, WRITE_NOTIFY repeats type and count with a status."""
    sid = bench.create("i")
    assert bench.talk(pack(Command.WRITE, 6, 1, sid, 1, struct.pack(">d", 7.9))) == []
    assert bench.core.pvdb["i"].value == 7
    answer = bench.talk(pack(Command.WRITE_NOTIFY, 0, 1, sid, 2, b"0x10\0"))
    assert answer == [Message(Command.WRITE_NOTIFY, 0, 1, 1, 2)]
    assert bench.core.pvdb["i"].value == 16


def test_put_of_an_enum(bench):
    """States by name, number or number as text; anything else fails and changes nothing."""
    sid = bench.create("e")
    for kind, payload, state in ((0, b"zero\0", "zero"), (3, b"\0\1", "one"), (0, b"0\0", "zero")):
        assert bench.talk(pack(Command.WRITE_NOTIFY, kind, 1, sid, 1, payload))[0].parameter1 == 1
        assert bench.core.pvdb["e"].value == state
    for kind, payload in ((0, b"three\0"), (3, b"\0\7"), (1, b"\xff\xff")):
        (answer,) = bench.talk(pack(Command.WRITE_NOTIFY, kind, 1, sid, 1, payload))
        assert (answer.command, answer.parameter2) == (Command.ERROR, 160)
        assert b"Python exception: CaprotoConversionError" in answer.payload
    assert bench.core.pvdb["e"].value == "zero"
    assert bench.core.pvdb["e"].severity == 0


def test_put_of_text(bench):
    """Text PVs take STRING and CHAR, under their name and as long string."""
    text = bench.core.pvdb["t"]
    sid = bench.create("t")
    bench.talk(pack(Command.WRITE, 0, 1, sid, 1, b"x\0"))
    assert text.value == "x"
    long = b"y" * 60 + b"\0"
    bench.talk(pack(Command.WRITE, 4, len(long), bench.create("t.$"), 1, long))
    assert text.value == "y" * 60
    (short,) = bench.talk(pack(Command.READ_NOTIFY, 0, 0, sid, 1))
    assert short.payload.rstrip(b"\0") == b"y" * 39


def test_short_put_is_refused(bench):
    """A payload that is shorter than type and count say is not read beyond."""
    sid = bench.create("a")
    (answer,) = bench.talk(pack(Command.WRITE_NOTIFY, 6, 4, sid, 1, bytes(8)))
    assert answer == Message(Command.WRITE_NOTIFY, 6, 4, 176, 1)
    (answer,) = bench.talk(pack(Command.WRITE, 6, 4, sid, 1, bytes(8)))
    assert (answer.command, answer.parameter2) == (Command.ERROR, 176)
    assert list(bench.core.pvdb["a"].value) == [1.0, 2.0]


def test_put_with_metadata(bench):
    """A put of a compound type stores its stamp and alarm."""
    sid = bench.create("s")
    payload = struct.pack(">hhII", 3, 2, 1000, 77) + b"new\0".ljust(40, b"\0")
    bench_run(bench, pack(Command.WRITE_NOTIFY, 14, 1, sid, 1, payload))
    channel = bench.core.pvdb["s"]
    assert (channel.value, channel.status, channel.severity) == ("new", 3, 2)
    assert channel.epics_timestamp == (1000, 77)


def bench_run(bench, *messages):
    """Feed in a loop, let all tasks end, return the answers."""

    async def run():
        bench.feed(*messages)
        while bench.tasks:
            await asyncio.wait_for(bench.tasks.pop(0), 10)
        return bench.output()

    return asyncio.run(run())


def test_acknowledge(bench):
    """PUT_ACKS and PUT_ACKT reach the alarm; STSACK_STRING shows both and the value."""
    channel = bench.core.pvdb["d"]
    channel.alarm.update(status=3, severity=2)
    sid = bench.create("d")
    (before,) = bench.talk(pack(Command.READ_NOTIFY, 37, 1, sid, 1))
    assert struct.unpack_from(">4H", before.payload) == (3, 2, 1, 2)
    assert before.payload[8:].rstrip(b"\0") == b"1.5"
    bench_run(bench, pack(Command.WRITE_NOTIFY, 36, 1, sid, 1, b"\0\2"))
    bench_run(bench, pack(Command.WRITE_NOTIFY, 35, 1, sid, 1, b"\0\0"))
    (after,) = bench.talk(pack(Command.READ_NOTIFY, 37, 1, sid, 1))
    assert struct.unpack_from(">4H", after.payload) == (3, 2, 0, 0)


class ReadOnly(ChannelDouble):
    def check_access(self, hostname, username):
        return AccessRights.READ


class NoAccess(ChannelDouble):
    def check_access(self, hostname, username):
        return AccessRights.NO_ACCESS


def test_access():
    """Without access: ECA_NOWTACCESS and ECA_NORDACCESS, in the reply or as ERROR."""
    bench = Bench({"r": ReadOnly(value=1.0), "n": NoAccess(value=1.0)})
    sid = bench.create("r")
    value = struct.pack(">d", 2.0)
    (notify,) = bench.talk(pack(Command.WRITE_NOTIFY, 6, 1, sid, 5, value))
    assert notify == Message(Command.WRITE_NOTIFY, 6, 1, 376, 5)
    (plain,) = bench.talk(pack(Command.WRITE, 6, 1, sid, 5, value))
    assert (plain.command, plain.parameter1, plain.parameter2) == (Command.ERROR, 1, 376)
    sid = bench.create("n", 2)
    (read,) = bench.talk(pack(Command.READ_NOTIFY, 6, 1, sid, 5))
    assert read == Message(Command.READ_NOTIFY, 6, 1, 368, 5, bytes(8))
    (event,) = bench.talk(subscribe(sid, 6, 1))
    assert event == Message(Command.EVENT_ADD, 6, 1, 368, 21, bytes(8))
    bench.core.pvdb["n"].write_now(3.0)
    assert bench.output() == []


def test_access_rights_follow():
    """When check_access says something new, the client is told before its put is judged."""

    class Switch(ChannelDouble):
        rights = AccessRights.READ

        def check_access(self, hostname, username):
            return self.rights

    bench = Bench({"x": Switch(value=1.0)})
    sid = bench.create("x")
    bench.core.pvdb["x"].rights = AccessRights.READ | AccessRights.WRITE
    answers = bench_run(bench, pack(Command.WRITE_NOTIFY, 6, 1, sid, 5, struct.pack(">d", 2.0)))
    assert answers == [
        Message(Command.ACCESS_RIGHTS, 0, 0, 1, 3),
        Message(Command.WRITE_NOTIFY, 6, 1, 1, 5),
    ]


@pytest.mark.parametrize(
    "message",
    [pack(Command.READ_NOTIFY, 6, 1, 99, 1), pack(Command.WRITE, 6, 1, 99, 1, bytes(8)),
     pack(Command.CLEAR_CHANNEL, 0, 0, 99, 1), subscribe(99),
     pack(Command.EVENT_CANCEL, 6, 1, 99, 1), pack(200), pack(Command.VERSION, 100, 13),
     pack(Command.CREATE_CHAN, 0, 0, 1, 3, b"d\0"), pack(Command.READ_NOTIFY, 39, 1, 1, 1),
     pack(Command.READ_NOTIFY, 35, 1, 1, 1), pack(Command.EVENT_CANCEL, 6, 1, 1, 5),
     pack(Command.EVENT_ADD, 6, 1, 1, 5), bytes.fromhex("00170003000000000000000000000000"),
     subscribe(1, 40)],
)  # fmt: skip
def test_violations_end_the_circuit(message, caplog):
    """A violation closes the circuit with one line in the log; others are not affected."""
    bench = Bench(make())
    other = Bench(None, core=bench.core)
    sid = other.create("d")
    bench.create("d")
    with caplog.at_level(logging.WARNING):
        bench.feed(message, pack(Command.ECHO))
    assert bench.circuit.closing
    assert [m for m in bench.output() if m.command == Command.ECHO] == []
    (record,) = caplog.records
    assert "127.0.0.1:1" in record.getMessage()
    assert record.exc_info is None
    bench.circuit.close()
    assert other.talk(pack(Command.READ_NOTIFY, 6, 1, sid, 1))[0].parameter1 == 1


def test_too_large_payload_is_skipped(bench, caplog):
    """A payload beyond what a channel takes is announced, answered, and never kept."""
    sid = bench.create("d")
    header = struct.pack(">HHHHII", 19, 0xFFFF, 6, 0, sid, 7) + struct.pack(">II", 2**30, 2**27)
    (answer,) = bench.talk(header)
    assert (answer.command, answer.parameter1, answer.parameter2) == (Command.ERROR, 1, 72)
    for _ in range(40):
        assert bench.talk(bytes(2**18)) == []
    assert bench.circuit._input is None
    assert len(caplog.records) == 1


def test_large_put(bench):
    """A put that arrives in many pieces is stored when it is complete."""
    channel = ChannelDouble(value=[0.0], max_length=100_000)
    bench = Bench({"x": channel})
    sid = bench.create("x")
    values = np.arange(100_000, dtype=">f8")
    data = pack(Command.WRITE_NOTIFY, 6, 100_000, sid, 1, values.tobytes())
    answers = []
    for start in range(0, len(data), 50_000):
        answers += bench.talk(data[start : start + 50_000])
    assert answers == [Message(Command.WRITE_NOTIFY, 6, 100_000, 1, 1)]
    assert channel.value.dtype.isnative
    assert channel.value.flags.writeable
    assert (channel.value == values).all()
    (answer,) = bench.talk(pack(Command.READ_NOTIFY, 6, 100_000, sid, 1))
    assert answer.payload == values.tobytes()


# ---------------------------------------------------------------------- events


def values_of(messages):
    return [struct.unpack_from(">d", m.payload)[0] for m in messages if m.command == 1]


def test_events_and_cancel(bench):
    """First event at once, then one per write, none after the cancel, which is answered."""
    sid = bench.create("d")
    channel = bench.core.pvdb["d"]
    assert values_of(bench.talk(subscribe(sid))) == [1.5]
    channel.write_now(2.0)
    channel.write_now(2.0)
    assert bench.woken == 1
    assert values_of(bench.output()) == [2.0, 2.0]
    channel.write_now(3.0)
    assert bench.talk(pack(Command.EVENT_CANCEL, 6, 0, sid, 21)) == [
        Message(Command.EVENT_ADD, 6, 0, sid, 21)
    ]
    channel.write_now(4.0)
    assert bench.output() == []


def test_masks(bench):
    """A subscription gets what its mask asks for; the first event comes whatever it asks."""
    sid = bench.create("d")
    channel = bench.core.pvdb["d"]
    for bit in (1, 2, 4, 8):
        assert len(bench.talk(subscribe(sid, 6, 0, bit, bit))) == 1
    channel.write_now(2.0)
    assert [m.parameter2 for m in bench.output()] == [1, 2]
    asyncio.run(channel.write_metadata(units="mm"))
    assert [m.parameter2 for m in bench.output()] == [8]
    asyncio.run(channel.alarm.write(severity=1))
    assert [m.parameter2 for m in bench.output()] == [4]
    asyncio.run(channel.alarm.write(status=3))
    assert [m.parameter2 for m in bench.output()] == [1, 4]


def test_empty_mask(bench):
    """An empty mask is refused, and the circuit goes on."""
    sid = bench.create("d")
    (answer,) = bench.talk(subscribe(sid, mask=0))
    assert (answer.command, answer.parameter2) == (Command.ERROR, 330)
    assert not bench.circuit.closing


def test_event_of_a_put_comes_before_its_reply(bench):
    """Who waits for the completion has the event already."""
    sid = bench.create("d")
    bench.talk(subscribe(sid))
    answers = bench.talk(pack(Command.WRITE_NOTIFY, 6, 1, sid, 1, struct.pack(">d", 9.0)))
    assert [m.command for m in answers] == [Command.EVENT_ADD, Command.WRITE_NOTIFY]


def test_events_off_and_on(bench):
    """While events are off the newest value waits; it is sent once when they come on."""
    sid = bench.create("d")
    bench.talk(subscribe(sid))
    channel = bench.core.pvdb["d"]
    bench.feed(pack(Command.EVENTS_OFF))
    for n in range(5):
        channel.write_now(float(n))
    assert bench.output() == []
    assert values_of(bench.talk(pack(Command.EVENTS_ON))) == [4.0]
    assert bench.talk(pack(Command.EVENTS_ON)) == []
    channel.write_now(7.0)
    assert values_of(bench.output()) == [7.0]


def test_backlog_keeps_the_newest():
    """A burst up to the backlog arrives complete and in order; beyond it the oldest go."""
    bench = Bench(make(), subscription_backlog=10)
    sid = bench.create("d")
    bench.talk(subscribe(sid))
    channel = bench.core.pvdb["d"]
    for n in range(10):
        channel.write_now(float(n))
    assert values_of(bench.output()) == list(range(10))
    for n in range(25):
        channel.write_now(float(n))
    assert values_of(bench.output()) == list(range(15, 25))
    assert bench.circuit._events == bench.circuit._event_bytes == 0


def test_large_events_are_few():
    """Of large arrays two events wait at most, the newest among them."""
    channel = ChannelDouble(value=np.zeros(500_000), max_length=500_000)
    bench = Bench({"x": channel})
    sid = bench.create("x")
    bench.talk(subscribe(sid))
    for n in range(20):
        channel.write_now(np.full(500_000, float(n)))
    assert values_of(bench.output()) == [18.0, 19.0]


def test_total_backlog():
    """With many subscriptions the backlog of all of them together is bounded."""
    pvdb = {f"x{n}": ChannelDouble(value=0.0) for n in range(50)}
    bench = Bench(pvdb, total_backlog=100)
    for n in range(50):
        bench.talk(subscribe(bench.create(f"x{n}", n), subid=n))
    for turn in range(100):
        for channel in pvdb.values():
            channel.write_now(float(turn))
    assert bench.circuit._events <= 150
    last = {}
    for message in bench.output():
        last[message.parameter2] = struct.unpack(">d", message.payload)[0]
    assert last == dict.fromkeys(range(50), 99.0)


def test_replies_nobody_reads_are_bounded(bench):
    """A client that asks and does not read is not listened to beyond a megabyte of answers."""
    channel = ChannelDouble(value=np.zeros(100_000), max_length=100_000)
    bench = Bench({"x": channel})
    sid = bench.create("x")
    bench.feed(pack(Command.READ_NOTIFY, 6, 0, sid, 1) * 100)
    assert bench.circuit._reply_bytes < 3_000_000
    assert len([m for m in bench.output() if m.command == 15]) == 100


def test_unreadable_event():
    """A value that cannot be had as the type of a subscription is an event with a status."""
    bench = Bench(make())
    sid = bench.create("s")
    (event,) = bench.talk(subscribe(sid, 6, 1))
    assert event == Message(Command.EVENT_ADD, 6, 1, 152, 21, bytes(8))


def test_shared_encoding():
    """One write is encoded once for all subscriptions of a kind."""
    channel = ChannelDouble(value=0.0)
    calls = []
    original = channel._elements
    channel._elements = lambda base: calls.append(base) or original(base)
    first = Bench({"x": channel})
    benches = [first, *(Bench(None, core=first.core) for _ in range(9))]
    for bench in benches:
        bench.talk(subscribe(bench.create("x"), 20))
    calls.clear()
    channel.write_now(1.0)
    assert len(calls) == 1
    assert {m.payload for bench in benches for m in bench.output()} == {
        benches[0].core.pvdb["x"].encoded(20, 0).rest
    }


# ---------------------------------------------------------------------- hooks


class Hooked(ChannelDouble):
    """A channel with a putter of its own, as IOCs write them."""

    def __init__(self, hook, **kwargs):
        super().__init__(value=0.0, **kwargs)
        self.hook = hook

    async def verify_value(self, value):
        value = await super().verify_value(value)
        return await self.hook(self, value)


def put(sid, value, ioid=1, command=Command.WRITE_NOTIFY):
    return pack(command, 6, 1, sid, ioid, struct.pack(">d", value))


def test_read_after_put_sees_the_putter():
    """A read behind a put is answered after the putter's first steps."""

    async def hook(channel, value):
        return value * 2

    bench = Bench({"x": Hooked(hook)})
    sid = bench.create("x")
    answers = bench_run(
        bench,
        put(sid, 4.0, 1, Command.WRITE),
        pack(Command.READ_NOTIFY, 6, 1, sid, 2),
        put(sid, 5.0, 3),
        pack(Command.READ_NOTIFY, 6, 1, sid, 4),
    )
    assert [m.command for m in answers] == [15, 19, 15]
    assert struct.unpack(">d", answers[0].payload)[0] == 8.0
    assert struct.unpack(">d", answers[2].payload)[0] == 10.0


def test_slow_putters_delay_nobody():
    """Putters run concurrently, start in order, and complete in their own time."""
    started = []

    async def main():
        release = asyncio.Event()

        async def hook(channel, value):
            started.append(value)
            if value == 1.0:
                await release.wait()
            return value

        bench = Bench({"x": Hooked(hook), "y": ChannelDouble(value=5.0)})
        x, y = bench.create("x"), bench.create("y", 2)
        bench.feed(
            put(x, 1.0, 1), put(x, 2.0, 2), put(x, 3.0, 3), pack(Command.READ_NOTIFY, 6, 1, y, 4)
        )
        for _ in range(10):
            await asyncio.sleep(0)
        first = bench.output()
        release.set()
        for task in bench.tasks:
            await task
        return first, bench.output()

    first, second = asyncio.run(main())
    assert started == [1.0, 2.0, 3.0]
    assert [m.parameter2 for m in first] == [2, 3, 4]
    assert [m.parameter2 for m in second] == [1]


def test_putters_have_a_task_and_a_context():
    """A putter may use timeouts and context variables as in any task of its own."""
    import contextvars

    guard = contextvars.ContextVar("guard", default=0)
    seen = []

    async def hook(channel, value):
        seen.append(guard.get())
        guard.set(value)
        try:
            async with asyncio.timeout(0.01):
                await asyncio.sleep(10)
        except TimeoutError:
            pass
        assert guard.get() == value
        assert asyncio.current_task() is not None
        return value

    bench = Bench({"x": Hooked(hook)})
    sid = bench.create("x")
    answers = bench_run(bench, *(put(sid, float(n), n) for n in range(1, 6)))
    assert sorted(m.parameter2 for m in answers) == [1, 2, 3, 4, 5]
    assert all(m.parameter1 == 1 for m in answers)
    assert seen == [0] * 5


def test_skip_write_is_success():
    """SkipWrite keeps the value, makes no event and no alarm, and is success for the client."""

    async def hook(channel, value):
        raise SkipWrite

    bench = Bench({"x": Hooked(hook)})
    sid = bench.create("x")
    bench.talk(subscribe(sid))
    assert bench_run(bench, put(sid, 4.0)) == [Message(Command.WRITE_NOTIFY, 6, 1, 1, 1)]
    channel = bench.core.pvdb["x"]
    assert (channel.value, channel.severity) == (0.0, 0)


def test_failing_putter(caplog):
    """The client gets the exception's text, the alarm is WRITE/MAJOR, the log says it once."""

    async def hook(channel, value):
        raise RuntimeError("motor stuck")

    bench = Bench({"x": Hooked(hook)})
    sid = bench.create("x")
    (answer,) = bench_run(bench, put(sid, 4.0))
    assert (answer.command, answer.parameter1, answer.parameter2) == (Command.ERROR, 1, 160)
    assert answer.payload[:16] == put(sid, 4.0)[:16]
    assert b"Python exception: RuntimeError motor stuck\0" in answer.payload
    channel = bench.core.pvdb["x"]
    assert (channel.value, channel.status, channel.severity) == (0.0, 2, 2)
    (record,) = caplog.records
    assert "x" in record.getMessage()
    assert record.exc_info


def test_client_leaves_while_a_putter_runs():
    """The putter goes on; its reply goes nowhere."""

    async def hook(channel, value):
        await asyncio.sleep(0.01)
        return value

    async def main():
        bench = Bench({"x": Hooked(hook)})
        sid = bench.create("x")
        bench.feed(put(sid, 4.0))
        await asyncio.sleep(0)
        bench.circuit.close()
        await asyncio.gather(*bench.tasks)
        return bench

    bench = asyncio.run(main())
    assert bench.core.pvdb["x"].value == 4.0
    assert bench.circuit.next_output() is None


def test_command_backlog():
    """Only so many putters of a circuit run at once; the others wait and run later."""
    running = []

    async def hook(channel, value):
        running.append(value)
        assert len(running) <= 3
        await asyncio.sleep(0)
        running.remove(value)
        return value

    bench = Bench({"x": Hooked(hook)}, command_backlog=3)
    sid = bench.create("x")

    async def main():
        bench.feed(*(put(sid, float(n), n) for n in range(50)))
        answers = []
        for _ in range(1000):
            await asyncio.sleep(0)
            answers += bench.output()
        return answers

    assert sorted(m.parameter2 for m in asyncio.run(main())) == list(range(50))


def test_getter():
    """A getter runs on every read of a client; its value is written, with events."""
    reads = []

    async def getter(channel):
        reads.append(1)
        return float(len(reads))

    channel = ChannelDouble(value=0.0)
    channel.getter = getter
    bench = Bench({"x": channel})
    sid = bench.create("x")
    bench.talk(subscribe(sid))
    answers = bench_run(bench, *(pack(Command.READ_NOTIFY, 6, 1, sid, n) for n in range(3)))
    reads_seen = [struct.unpack(">d", m.payload)[0] for m in answers if m.command == 15]
    assert reads_seen == [1.0, 2.0, 3.0]
    assert values_of(answers) == [1.0, 2.0, 3.0]


def test_overridden_read():
    """A class may answer reads itself."""

    class Counter(ChannelInteger):
        async def read(self, data_type):
            self._value += 1
            self.invalidate()
            return await super().read(data_type)

    bench = Bench({"x": Counter(value=0)})
    sid = bench.create("x")
    answers = bench_run(bench, *(pack(Command.READ_NOTIFY, 5, 1, sid, n) for n in range(3)))
    assert [int.from_bytes(m.payload[:4], "big") for m in answers] == [1, 2, 3]


# ---------------------------------------------------------------------- filters


def test_deadband_filter():
    """Updates within the deadband are no events."""
    bench = Bench(make())
    sid = bench.create('d.{"dbnd":{"abs":1.0}}')
    bench.talk(subscribe(sid))
    channel = bench.core.pvdb["d"]
    for value in (2.0, 2.5, 2.6, 3.0, 4.0):
        channel.write_now(value)
    assert values_of(bench.output()) == [2.6, 4.0]


def test_array_filter_in_events():
    """Part of an array, in reads and in events."""
    bench = Bench(make())
    sid = bench.create("a.[1:]")
    assert values_of(bench.talk(subscribe(sid))) == [2.0]
    (answer,) = bench.talk(pack(Command.READ_NOTIFY, 20, 0, sid, 1))
    assert answer.data_count == 1
    assert struct.unpack_from(">d", answer.payload, 16)[0] == 2.0


def test_timestamp_filter():
    """ts stamps with the time of the read."""
    bench = Bench({"x": ChannelDouble(value=1.0, timestamp=(5, 6))})
    plain, stamped = bench.create("x"), bench.create('x.{"ts":{}}', 2)
    answers = bench.talk(
        pack(Command.READ_NOTIFY, 20, 1, plain, 1), pack(Command.READ_NOTIFY, 20, 1, stamped, 2)
    )
    seconds = [struct.unpack_from(">I", m.payload, 4)[0] for m in answers]
    assert seconds[0] == 5
    assert seconds[1] > 900_000_000


def test_decimation_filter():
    """dec lets one of every n updates through."""
    bench = Bench(make())
    sid = bench.create('d.{"dec":{"n":3}}')
    bench.talk(subscribe(sid))
    channel = bench.core.pvdb["d"]
    for value in range(7):
        channel.write_now(float(value))
    assert values_of(bench.output()) == [2.0, 5.0]


def test_ids_are_not_reused_while_live(bench):
    """Server ids of live channels are unique, also when the counter comes round."""
    first = bench.create("d", 1)
    bench.circuit._next_sid = 0xFFFFFFFE
    ids = {first} | {bench.create("d", n) for n in range(2, 6)}
    assert len(ids) == 5


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("while", [2.0, 3.0]), ("unless", [1.0, 4.0, 5.0]), ("first", [2.0]), ("last", [3.0]),
     ("before", [1.0]), ("after", [4.0])],
)  # fmt: skip
def test_sync_filter(mode, expected):
    """Updates in relation to a state, as EPICS base's sync filter gives them."""
    from cachannel.server import PVGroup, pvproperty

    class G(PVGroup):
        x = pvproperty(value=0.0)

        def __init__(self, *args, **kwargs):
            self.states = {"on": False}
            super().__init__(*args, **kwargs)

    group = G("")
    bench = Bench(group.pvdb)
    bench.talk(subscribe(bench.create(f'x.{{"sync":{{"m":"{mode}","s":"on"}}}}')))

    async def change(state):
        async with group.update_state("on", state):
            pass

    for value, state in ((1.0, False), (2.0, True), (3.0, True), (4.0, False), (5.0, False)):
        asyncio.run(change(state))
        group.x.write_now(value)
    assert values_of(bench.output()) == expected


def test_what_putters_are_given():
    """Arrays are arrays, also of one element; texts are texts; states are names."""
    from cachannel.protocol.channel_types import ChannelType
    from cachannel.server import PVGroup, pvproperty

    seen = {}

    class G(PVGroup):
        async def group_write(self, instance, value):
            seen[instance.pvname] = value

        a = pvproperty(value=[1.0, 2.0])
        d = pvproperty(value=1.0)
        i = pvproperty(value=1)
        e = pvproperty(value=False)
        t = pvproperty(value="", max_length=20)
        s = pvproperty(value="", dtype=ChannelType.STRING)
        b = pvproperty(value=b"", max_length=10)

    bench = Bench(G("").pvdb)
    puts = {
        "a": (6, 1, struct.pack(">d", 5.0)),
        "d": (5, 1, struct.pack(">i", 5)),
        "i": (6, 1, struct.pack(">d", 5.7)),
        "e": (3, 1, b"\0\1"),
        "t": (4, 6, b"ab\0cd\0"),
        "s": (0, 1, b"text\0"),
        "b": (4, 4, b"ab\0\0"),
    }
    for number, (name, (kind, count, payload)) in enumerate(puts.items()):
        sid = bench.create(name, number)
        bench_run(bench, pack(Command.WRITE, kind, count, sid, 1, payload))
    assert isinstance(seen["a"], np.ndarray)
    assert seen.pop("a").tolist() == [5.0]
    assert seen == {"d": 5.0, "i": 5, "e": "On", "t": "ab", "s": "text", "b": b"ab"}
    assert {name: type(value) for name, value in seen.items()} == {
        "d": float, "i": int, "e": str, "t": str, "s": str, "b": bytes,
    }  # fmt: skip


@pytest.mark.parametrize("late", [False, True])
def test_cancelled_putter(late):
    """A putter that is cancelled fails its put, and only its own."""

    async def hook(channel, value):
        if value == 2.0:
            if late:
                await asyncio.sleep(0)
            raise asyncio.CancelledError
        return value

    async def main():
        bench = Bench({"x": Hooked(hook)})
        sid = bench.create("x")
        bench.feed(
            *(put(sid, float(n), n) for n in range(1, 5)), pack(Command.READ_NOTIFY, 6, 1, sid, 9)
        )
        while bench.tasks:
            await asyncio.gather(bench.tasks.pop(0), return_exceptions=True)
        return bench, bench.output()

    bench, answers = asyncio.run(main())
    found = {m.parameter2: m.command for m in answers if m.command == Command.WRITE_NOTIFY}
    assert found == {1: 19, 3: 19, 4: 19}
    (failed,) = [m for m in answers if m.command == Command.ERROR]
    assert failed.payload[:16] == put(sid=1, value=2.0, ioid=2)[:16]
    assert bench.circuit._active == 0
    assert [m.parameter2 for m in answers if m.command == Command.READ_NOTIFY] == [9]
