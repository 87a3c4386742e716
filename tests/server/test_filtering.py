"""Filters of channel names, as subscribers see them."""

import asyncio
import struct

import pytest
from bench_circuit import Bench, make, subscribe, values_of

from cachannel.protocol.messages import Command, pack
from cachannel.server.numeric import ChannelDouble


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
