"""Filters of channel names, as subscribers see them."""

import asyncio
import itertools
import struct
import time
from pathlib import Path

import pytest
from bench_circuit import Bench, make, subscribe, values_of
from server_wire import Client, Process

from cachannel.protocol.messages import Command, pack
from cachannel.server.numeric import ChannelDouble


def test_deadband_filter():
    """Updates within the deadband are no events."""
    bench = Bench(make())
    sid = bench.create('d.{"dbnd":{"abs":1.0}}')
    bench.talk(subscribe(sid))
    channel = bench.core.pvdb["d"]
    for value in (2.0, 2.5, 2.6, 3.0, 4.0):
        channel._write_now(value)
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
        channel._write_now(float(value))
    assert values_of(bench.output()) == [2.0, 5.0]


SYNC_STEPS = ((1.0, False), (2.0, True), (3.0, True), (4.0, False), (5.0, False))
SYNC_EVENTS = {
    "while": [2.0, 3.0],
    "unless": [0.0, 1.0, 4.0, 5.0],
    "first": [2.0],
    "last": [3.0],
    "before": [1.0],
    "after": [4.0],
}
"""By mode, what is sent of 0.0 at the start and the values above, each behind its state."""


@pytest.mark.parametrize("mode", SYNC_EVENTS)
def test_sync_filter(mode):
    """Updates in relation to a state, the first event too."""
    from cachannel.server import PVGroup, pvproperty

    class G(PVGroup):
        x = pvproperty(value=0.0)

        def __init__(self, *args, **kwargs):
            self.states = {"on": False}
            super().__init__(*args, **kwargs)

    group = G("")
    bench = Bench(group.pvdb)
    found = bench.talk(subscribe(bench.create(f'x.{{"sync":{{"m":"{mode}","s":"on"}}}}')))

    async def change(state):
        async with group.update_state("on", state):
            pass

    for value, state in SYNC_STEPS:
        asyncio.run(change(state))
        group.x._write_now(value)
    assert values_of(found + bench.output()) == SYNC_EVENTS[mode]


@pytest.fixture(scope="module")
def base_ioc():
    """The IOC of EPICS base, with a state, and a function that sets it from its console."""
    database = str(Path(__file__).parent / "rsrv.db")
    with Process(["-m", "epicscorelibs.ioc", "-d", database], probe="wfs") as server:
        numbers = itertools.count()

        def tell(line):
            number = next(numbers)
            server.process.stdin.write(f'{line}; print("done", {number})\n')
            server.process.stdin.flush()
            deadline = time.monotonic() + 20
            while f"done {number}\n" not in server.output():
                assert time.monotonic() < deadline, server.output()
                time.sleep(0.005)

        tell(
            "import ctypes; from epicscorelibs.path import get_lib;"
            " db = ctypes.CDLL(get_lib('dbCore')); db.dbStateCreate.restype = ctypes.c_void_p;"
            " on = ctypes.c_void_p(db.dbStateCreate(b'on'))"
        )
        yield server, lambda state: tell(f"db.dbState{'Set' if state else 'Clear'}(on)")


@pytest.mark.parametrize("mode", SYNC_EVENTS)
def test_sync_filter_of_the_ioc_of_base(base_ioc, mode):
    """It sends the same; caproto's server has the first event of every mode, and others later."""
    server, set_state = base_ioc
    with Client(server.port) as client:
        plain = client.create("rec")[0]
        set_state(False)
        assert client.put(plain, 6, 1, struct.pack(">d", 0.0)).parameter1 == 1
        sid = client.create(f'rec.{{"sync":{{"m":"{mode}","s":"on"}}}}')[0]
        # The events of a circuit are decided on and sent in one order. One without a filter behind
        # each says that the filter is through with the value.
        client.subscribe(sid, 6, 1, 1, subid=5)
        client.subscribe(plain, 6, 1, 1, subid=6)
        events = until(client, 0.0)
        for value, state in SYNC_STEPS:
            set_state(state)
            client.send(pack(Command.WRITE, 6, 1, plain, 7, struct.pack(">d", value)))
            events += until(client, value)
        assert values_of(events) == SYNC_EVENTS[mode]


def until(client, value):
    """Return the events of subscription 5 that come before subscription 6 has this value."""
    found = []
    while True:
        message = client.receive()
        assert message.command == Command.EVENT_ADD
        if message.parameter2 == 5:
            found.append(message)
        elif values_of([message]) == [value]:
            return found


FILTERS = (
    '{"dbnd":{"abs":2}}', "{dbnd:{abs:2}}", "{'dbnd':{'abs':2},}", "{dbnd:{d:2}}", "{dbnd:{}}",
    "{dbnd:{m:'rel',d:50}}", "{dec:{n:2},dbnd:{abs:2}}", "{dbnd:{abs:2},dec:{n:2}}",
    "{dec:{n:2},dec:{n:2}}", "{dbnd:{abs:0x2},ts:{}}", "{arr:{},dbnd:{abs:2}}", "[0]{dec:{n:3}}",
    "{dbnd:{abs:1},sync:{while:'on'}}", "{sync:{m:'while',s:'on'},dbnd:{abs:1}}",
    "{sync:{m:'before',s:'on'},dec:{n:2}}", "{dec:{n:2},sync:{m:'before',s:'on'}}",
    "{dbnd:{abs:1},sync:{m:'last',s:'on'}}", "{sync:{m:'unless',s:'on'},dbnd:{abs:1}}",
)  # fmt: skip
STEPS = (
    (1.0, False), (2.0, False), (3.0, True), (5.0, True), (5.5, False), (4.0, False), (8.0, True),
    (9.0, False), (3.0, False), (3.5, False), (2.0, True), (1.0, True), (6.0, False),
)  # fmt: skip
"""Values, each another than the one before it (a record posts no monitor else), and states."""


@pytest.mark.parametrize("text", FILTERS)
def test_filters_as_the_ioc_of_base(base_ioc, text):
    """The same text, the same events: JSON5, defaults, the order of two filters."""
    from cachannel.server import PVGroup, pvproperty

    class G(PVGroup):
        rec = pvproperty(value=0.0)

    group = G("")
    group.states["on"] = False
    bench = Bench(group.pvdb)
    ours = bench.talk(subscribe(bench.create(f"rec.{text}")))
    for value, state in STEPS:
        group.states["on"] = state
        group.rec._write_now(value)
    ours += bench.output()

    server, set_state = base_ioc
    with Client(server.port) as client:
        plain = client.create("rec")[0]
        set_state(False)
        assert client.put(plain, 6, 1, struct.pack(">d", 0.0)).parameter1 == 1
        client.subscribe(client.create(f"rec.{text}")[0], 6, 1, 1, subid=5)
        client.subscribe(plain, 6, 1, 1, subid=6)
        base = until(client, 0.0)
        for value, state in STEPS:
            set_state(state)
            client.send(pack(Command.WRITE, 6, 1, plain, 7, struct.pack(">d", value)))
            base += until(client, value)
    assert values_of(base) == values_of(ours)
