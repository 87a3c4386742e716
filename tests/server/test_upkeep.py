"""PVs that are taken away while clients have channels to them."""

import collections
import struct

import pytest
from bench_circuit import Bench, make, put, subscribe

from cachannel.protocol.messages import Command, Message, pack
from cachannel.server.numeric import ChannelDouble
from cachannel.server.pvspec import PVSpec
from cachannel.server.upkeep import Upkeep


def look(bench):
    """Let the server look at its channels, as it does twice a second; return what is said."""
    bench.core.circuits.add(bench.circuit)
    Upkeep(bench.core).look()
    return bench.output()


def gone(cid):
    return Message(Command.SERVER_DISCONN, 0, 0, cid, 0)


def test_a_pv_that_is_taken_away():
    """Its channels are disconnected, and what was under way for them is ignored."""
    bench = Bench(make())
    sid, kept = bench.create("d", 4), bench.create("i", 5)
    channel = bench.core.pvdb.pop("d")
    bench.talk(subscribe(sid, 6, 1))
    assert look(bench) == [gone(4)]
    assert channel._subs is None
    channel._write_now(7.0)
    answers = bench.talk(
        put(sid, 1.0),
        pack(Command.READ_NOTIFY, 6, 1, sid, 1),
        subscribe(sid, 6, 1, subid=3),
        pack(Command.EVENT_CANCEL, 6, 1, sid, 21),
        pack(Command.CLEAR_CHANNEL, 0, 0, sid, 4),
        pack(Command.READ_NOTIFY, 5, 1, kept, 9),
    )
    assert [(m.command, m.parameter2) for m in answers] == [(Command.READ_NOTIFY, 9)]
    assert not bench.circuit.closing
    assert look(bench) == []


def test_a_pv_that_is_replaced():
    """A new channel under an old name: clients of the old one search again and find the new."""
    bench = Bench(make())
    old = bench.create("d", 4)
    bench.core.pvdb["d"] = ChannelDouble(value=8.0)
    assert look(bench) == [gone(4)]
    new = bench.create("d", 6)
    assert new != old
    (answer,) = bench.talk(pack(Command.READ_NOTIFY, 6, 1, new, 1))
    assert struct.unpack(">d", answer.payload) == (8.0,)
    assert look(bench) == []


def test_fields_and_filters_go_with_their_record():
    """Channels to fields, long strings and filters belong to the record's name."""
    bench = Bench({"r": PVSpec(name="r", value=1.0, record="ai").create()})
    for cid, name in enumerate(("r.HIHI", "r.DESC$", 'r.{"ts":{}}', "r."), 1):
        bench.create(name, cid)
    assert look(bench) == []
    bench.core.pvdb.clear()
    assert look(bench) == [gone(1), gone(2), gone(3), gone(4)]


class MadeUp(dict):
    """Makes a new channel whenever it is asked for one, and lists none."""

    def __missing__(self, name):
        return ChannelDouble(value=1.0)


@pytest.mark.parametrize(
    "pvdb", [MadeUp(), collections.defaultdict(lambda: ChannelDouble(value=1.0))]
)
def test_made_up_channels_stay(pvdb):
    """A mapping that invents its channels takes none away."""
    bench = Bench(pvdb)
    bench.create("anything")
    assert look(bench) == []


def test_many_channels_are_looked_at_in_turns():
    """One look is bounded; all channels are seen after a few, whoever leaves in between."""
    bench = Bench({f"x{n}": ChannelDouble(value=1.0) for n in range(300)})
    other = Bench(None, core=bench.core)
    for number in range(300):
        bench.create(f"x{number}", number)
        other.create(f"x{number}", number)
    bench.core.circuits.update((bench.circuit, other.circuit))
    upkeep = Upkeep(bench.core, at_once=300)
    upkeep.look()
    bench.core.pvdb.clear()
    upkeep.look()
    assert sorted((len(bench.output()), len(other.output()))) == [0, 300]
    for circuit in (bench.circuit, other.circuit):
        if circuit.channels():
            left = bench if circuit is bench.circuit else other
        else:
            circuit.close()
            bench.core.circuits.discard(circuit)
    upkeep.look()
    upkeep.look()
    assert len(left.output()) == 300
