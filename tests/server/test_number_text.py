"""The text of numbers, against the IOC of EPICS base."""

import asyncio
import math
import random
import struct

import pytest
from bench_circuit import Bench
from server_wire import Client, Process

from cachannel.protocol.channel_types import ChannelType
from cachannel.protocol.messages import Command, pack
from cachannel.server import PVGroup, pvproperty
from cachannel.server.number_text import shortest_float, to_single

PRECISIONS = (-3, -1, 0, 1, 2, 3, 6, 8, 9, 12, 17, 20)
COUNT = 60


def numbers():
    """Return numbers of all sizes, and the limits of base's rules with their neighbours."""
    found = [0.0, -0.0, 0.5, 1.5, 2.5, -2.5, 0.005, 0.995, 1.0005, 0.99999999, -1e-9, 499654321.123]
    for limit in (1e7, 1e8, 1e16):
        for number in (limit, math.nextafter(limit, math.inf), math.nextafter(limit, 0.0)):
            found += [number, -number]
    found += [9999999.95, 1e17, 1e300, -1e300, 3e38, math.inf, -math.inf, math.nan]
    source = random.Random(5)
    while len(found) % COUNT or len(found) < 4 * COUNT:
        sign = source.choice((-1, 1))
        found.append(sign * 10 ** source.uniform(-10, 20))
        found.append(round(source.uniform(-1e4, 1e4), source.randint(0, 9)))
    return found


NUMBERS = numbers()


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A client of the IOC of EPICS base, with a scalar and arrays of every precision."""
    lines = []
    for number, precision in enumerate(PRECISIONS):
        lines.append(f'record(ao, "s{number}") {{ field(PREC, "{precision}") }}')
        for kind in ("DOUBLE", "FLOAT"):
            lines.append(
                f'record(waveform, "{kind}{number}") {{ field(FTVL, "{kind}")'
                f' field(NELM, "{COUNT}") field(PREC, "{precision}") }}'
            )
    path = tmp_path_factory.mktemp("db") / "text.db"
    path.write_text("\n".join(lines) + "\n")
    server = Process(["-m", "epicscorelibs.ioc", "-d", str(path)], probe="s0")
    with server, Client(server.port) as client:
        yield client


def texts_of(answer):
    data = answer.payload
    count = answer.data_count
    return [data[n * 40 : n * 40 + 40].partition(b"\0")[0] for n in range(count)]


def ours(value, precision, dtype, record=None):
    """Return the texts that a STRING request of our property gets."""
    prop = pvproperty(value=value, precision=precision, dtype=dtype, record=record)
    group = type("Group", (PVGroup,), {"x": prop})(prefix="")
    bench = Bench(group.pvdb)
    sid = bench.create("x")
    (answer,) = bench.talk(pack(Command.READ_NOTIFY, 0, 0, sid, 1))
    return texts_of(answer)


@pytest.mark.parametrize("index", range(len(PRECISIONS)))
@pytest.mark.parametrize("kind", ["DOUBLE", "FLOAT"])
def test_arrays(base, kind, index):
    """Each element has the text that a waveform of the same type and PREC gives it."""
    precision = PRECISIONS[index]
    sid = base.create(f"{kind}{index}")[0]
    for start in range(0, len(NUMBERS), COUNT):
        values = [to_single(n) if kind == "FLOAT" else n for n in NUMBERS[start : start + COUNT]]
        assert base.put(sid, 6, COUNT, struct.pack(f">{COUNT}d", *values)).parameter1 == 1
        expected = texts_of(base.read(sid, 0, COUNT))
        record = "ai" if precision == 0 else None  # a property alone has no PREC then
        assert ours(values, precision, ChannelType[kind], record) == expected


@pytest.mark.parametrize("index", range(len(PRECISIONS)))
def test_scalars(base, index):
    """A property with a record has the text of an ao."""
    sid = base.create(f"s{index}")[0]
    for number in NUMBERS[:COUNT]:
        assert base.put(sid, 6, 1, struct.pack(">d", number)).parameter1 == 1
        (expected,) = texts_of(base.read(sid, 0, 1))
        assert ours(number, PRECISIONS[index], float, "ao") == [expected], number


@pytest.mark.parametrize("index", range(len(PRECISIONS)))
def test_fields(base, index):
    """Fields of a record have its precision, which may change."""
    prop = pvproperty(value=1.0, record="ao", upper_alarm_limit=1.23456, value_atol=2.5)
    group = type("Group", (PVGroup,), {f"s{index}": prop})(prefix="")
    bench = Bench(group.pvdb)
    for precision in (0, PRECISIONS[index]):
        asyncio.run(group.pvdb[f"s{index}"].write_metadata(precision=precision))
        prec = base.create(f"s{index}.PREC")[0]
        assert base.put(prec, 1, 1, struct.pack(">h", precision)).parameter1 == 1
        for number, (field, value) in enumerate((("HIHI", 1.23456), ("MDEL", 2.5))):
            name = f"s{index}.{field}"
            theirs, mine = base.create(name)[0], bench.create(name, number)
            assert base.put(theirs, 6, 1, struct.pack(">d", value)).parameter1 == 1
            (answer,) = bench.talk(pack(Command.READ_NOTIFY, 0, 0, mine, 1))
            assert texts_of(answer) == texts_of(base.read(theirs, 0, 1))


def test_without_precision():
    """A property that gives none, and has no record, has the shortest text that is exact."""
    for value in (1.5, 0.1, 1e10, -2.0, 123456789.125):
        assert ours(value, 0, float) == [repr(value).encode()]
    assert ours(5, 0, ChannelType.DOUBLE) == [b"5"]
    assert ours(0.1, 0, ChannelType.FLOAT) == [b"0.1"]
    assert ours([0.1, 2.5], 0, ChannelType.FLOAT) == [b"0.1", b"2.5"]


def test_shortest_single():
    """The text of a FLOAT gives the same FLOAT again."""
    source = random.Random(3)
    for _ in range(2000):
        (number,) = struct.unpack("=f", source.randbytes(4))
        if math.isfinite(number):
            assert to_single(float(shortest_float(number))) == number


def test_integers():
    """Integers and booleans are their digits; a precision does not matter."""
    channel = type("Group", (PVGroup,), {"x": pvproperty(value=7)})(prefix="").x
    for value, text in ((True, b"1"), (-5, b"-5"), (2**31 - 1, b"2147483647")):
        asyncio.run(channel.write(value))
        assert asyncio.run(channel.read(0))[1] == [text]
