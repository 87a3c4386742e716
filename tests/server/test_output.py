"""Events of subscriptions: masks, order, backlogs, shared encoding."""

import asyncio
import struct

import numpy as np
import pytest
from bench_circuit import Bench, make, subscribe, values_of

from cachannel.protocol.messages import Command, Message, pack
from cachannel.server.numeric import ChannelDouble


@pytest.fixture
def bench():
    return Bench(make())


def test_events_and_cancel(bench):
    """First event at once, then one per write, none after the cancel, which is answered."""
    sid = bench.create("d")
    channel = bench.core.pvdb["d"]
    assert values_of(bench.talk(subscribe(sid))) == [1.5]
    channel._write_now(2.0)
    channel._write_now(2.0)
    assert bench.woken == 1
    assert values_of(bench.output()) == [2.0, 2.0]
    channel._write_now(3.0)
    assert bench.talk(pack(Command.EVENT_CANCEL, 6, 0, sid, 21)) == [
        Message(Command.EVENT_ADD, 6, 0, sid, 21)
    ]
    channel._write_now(4.0)
    assert bench.output() == []


def test_masks(bench):
    """A subscription gets what its mask asks for; the first event comes whatever it asks."""
    sid = bench.create("d")
    channel = bench.core.pvdb["d"]
    for bit in (1, 2, 4, 8):
        assert len(bench.talk(subscribe(sid, 6, 0, bit, bit))) == 1
    channel._write_now(2.0)
    assert [m.parameter2 for m in bench.output()] == [1, 2]
    asyncio.run(channel.write_metadata(units="mm"))
    assert [m.parameter2 for m in bench.output()] == [8]
    asyncio.run(channel.alarm.write(severity=1))
    assert [m.parameter2 for m in bench.output()] == [4]
    asyncio.run(channel.alarm.write(status=3))
    assert [m.parameter2 for m in bench.output()] == [1, 4]


def test_empty_mask(bench):
    """An empty mask ends the circuit, with the status that rsrv has for it."""
    sid = bench.create("d")
    (answer,) = bench.talk(subscribe(sid, mask=0))
    assert (answer.command, answer.parameter2) == (Command.ERROR, 48)
    assert bench.circuit.closing


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
        channel._write_now(float(n))
    assert bench.output() == []
    assert values_of(bench.talk(pack(Command.EVENTS_ON))) == [4.0]
    assert bench.talk(pack(Command.EVENTS_ON)) == []
    channel._write_now(7.0)
    assert values_of(bench.output()) == [7.0]


def test_backlog_keeps_the_newest():
    """A burst up to the backlog arrives complete and in order; beyond it the oldest go."""
    bench = Bench(make(), subscription_backlog=10)
    sid = bench.create("d")
    bench.talk(subscribe(sid))
    channel = bench.core.pvdb["d"]
    for n in range(10):
        channel._write_now(float(n))
    assert values_of(bench.output()) == list(range(10))
    for n in range(25):
        channel._write_now(float(n))
    assert values_of(bench.output()) == list(range(15, 25))
    assert bench.circuit._events == bench.circuit._event_bytes == 0


def test_large_events_are_few():
    """Of large arrays two events wait at most, the newest among them."""
    channel = ChannelDouble(value=np.zeros(500_000), max_length=500_000)
    bench = Bench({"x": channel})
    sid = bench.create("x")
    bench.talk(subscribe(sid))
    for n in range(20):
        channel._write_now(np.full(500_000, float(n)))
    assert values_of(bench.output()) == [18.0, 19.0]


def test_total_backlog():
    """With many subscriptions the backlog of all of them together is bounded."""
    pvdb = {f"x{n}": ChannelDouble(value=0.0) for n in range(50)}
    bench = Bench(pvdb, total_backlog=100)
    for n in range(50):
        bench.talk(subscribe(bench.create(f"x{n}", n), subid=n))
    for turn in range(100):
        for channel in pvdb.values():
            channel._write_now(float(turn))
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
    channel._write_now(1.0)
    assert len(calls) == 1
    assert {m.payload for bench in benches for m in bench.output()} == {
        benches[0].core.pvdb["x"]._encoded(20, 0).rest
    }
