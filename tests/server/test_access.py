"""Access rights: what a client is told, also when they change."""

import struct

from bench_circuit import Bench, bench_run, subscribe

from cachannel.protocol.channel_types import AccessRights
from cachannel.protocol.messages import Command, Message, pack
from cachannel.server.numeric import ChannelDouble
from cachannel.server.upkeep import Upkeep


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
    bench.core.pvdb["n"]._write_now(3.0)
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


class Switch(ChannelDouble):
    """A channel whose access an IOC changes."""

    rights = AccessRights.READ | AccessRights.WRITE

    def check_access(self, hostname, username):
        return self.rights


def look(bench):
    """Let the server look at its channels, as it does twice a second; return what is said."""
    bench.core.circuits.add(bench.circuit)
    Upkeep(bench.core).look()
    return bench.output()


def test_rights_are_announced_without_a_request():
    """Rights that change are told to a client that asks for nothing, once."""
    bench = Bench({"x": Switch(value=1.0), "y": Switch(value=1.0)})
    bench.create("x", 7)
    bench.create("y", 8)
    assert look(bench) == []
    bench.core.pvdb["x"].rights = AccessRights.READ
    assert look(bench) == [Message(Command.ACCESS_RIGHTS, 0, 0, 7, 1)]
    assert bench.woken
    assert look(bench) == []


def test_subscriptions_follow_the_right_to_read():
    """One event says that the right is gone, none follows, and one has the value when it is back.

    As rsrv does (casAccessRightsCB).
    """
    channel = Switch(value=1.0)
    bench = Bench({"x": channel})
    sid = bench.create("x")
    bench.talk(subscribe(sid, 6, 1))
    channel._write_now(2.0)  # still in the queue: no longer the client's to see
    channel.rights = AccessRights.NO_ACCESS
    assert look(bench) == [
        Message(Command.ACCESS_RIGHTS, 0, 0, 1, 0),
        Message(Command.EVENT_ADD, 6, 1, 368, 21, bytes(8)),
    ]
    channel._write_now(3.0)
    bench.talk(pack(Command.EVENTS_OFF))
    channel._write_now(4.0)
    assert bench.talk(pack(Command.EVENTS_ON)) == []
    channel.rights = AccessRights.READ
    assert look(bench) == [
        Message(Command.ACCESS_RIGHTS, 0, 0, 1, 1),
        Message(Command.EVENT_ADD, 6, 1, 1, 21, struct.pack(">d", 4.0)),
    ]
    channel._write_now(5.0)
    assert bench.output() == [Message(Command.EVENT_ADD, 6, 1, 1, 21, struct.pack(">d", 5.0))]


def test_reads_are_judged_by_the_rights_of_now():
    """A read that comes before anybody looked is refused, or answered, by the new rights."""
    bench = Bench({"x": Switch(value=1.0)})
    sid = bench.create("x")
    bench.core.pvdb["x"].rights = AccessRights.NO_ACCESS
    assert bench_run(bench, pack(Command.READ_NOTIFY, 6, 1, sid, 5)) == [
        Message(Command.ACCESS_RIGHTS, 0, 0, 1, 0),
        Message(Command.READ_NOTIFY, 6, 1, 368, 5, bytes(8)),
    ]
