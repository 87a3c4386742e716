"""Reads and puts that need no hook."""

import struct

import numpy as np
import pytest
from bench_circuit import Bench, bench_run, make, subscribe

from cachannel.protocol.messages import Command, Message, pack
from cachannel.server.numeric import ChannelDouble


@pytest.fixture
def bench():
    return Bench(make())


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
