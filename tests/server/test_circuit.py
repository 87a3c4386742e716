"""The server's side of a circuit: what it answers to which bytes."""

import logging
import struct

import pytest
from bench_circuit import Bench, make, subscribe

from cachannel.protocol.messages import Command, Message, pack
from cachannel.server.numeric import ChannelDouble, ChannelInteger


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


@pytest.mark.parametrize(
    "message",
    [pack(Command.READ_NOTIFY, 6, 1, 99, 1), pack(Command.WRITE, 6, 1, 99, 1, bytes(8)),
     pack(Command.CLEAR_CHANNEL, 0, 0, 99, 1), subscribe(99),
     pack(Command.EVENT_CANCEL, 6, 1, 99, 1), pack(200), pack(Command.VERSION, 100, 13),
     pack(Command.CREATE_CHAN, 0, 0, 1, 3, b"d\0"), pack(Command.READ_NOTIFY, 39, 1, 1, 1),
     subscribe(1, mask=0), pack(Command.EVENT_CANCEL, 6, 1, 1, 5),
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


def test_ids_are_not_reused_while_live(bench):
    """Server ids of live channels are unique, also when the counter comes round."""
    first = bench.create("d", 1)
    bench.circuit._next_sid = 0xFFFFFFFE
    ids = {first} | {bench.create("d", n) for n in range(2, 6)}
    assert len(ids) == 5
