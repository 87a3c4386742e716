"""Numbers that a channel's type cannot hold are refused wherever they come from."""

import asyncio
import math
import struct
from decimal import Decimal

import numpy as np
import pytest
from bench_circuit import Bench
from server_wire import Client, Process

from cachannel.protocol.channel_types import ChannelType
from cachannel.protocol.errors import CaprotoValueError
from cachannel.protocol.messages import Command, pack
from cachannel.server import PVGroup, pvproperty
from cachannel.server.data import ChannelData
from cachannel.server.numeric import (
    ChannelByte,
    ChannelDouble,
    ChannelFloat,
    ChannelInteger,
    ChannelShort,
)
from cachannel.server.text import ChannelChar

INTEGERS = (ChannelInteger, ChannelShort, ChannelData)
FLOATS = (ChannelDouble, ChannelFloat)
CODES = {1: "h", 2: "f", 3: "H", 4: "B", 5: "i", 6: "d"}


def run(coroutine):
    return asyncio.run(coroutine)


def refused(channel, value, before):
    """Write a value both ways; see that it is refused with the PV's name and nothing changes."""
    channel._pvname = "area:x"
    with pytest.raises(CaprotoValueError, match="area:x"):
        run(channel.write(value))
    with pytest.raises(CaprotoValueError, match="area:x"):
        channel._write_now(value)
    assert channel.value == before
    assert (channel.status, channel.severity) == (2, 2)
    with pytest.raises(CaprotoValueError, match=type(channel).__name__):
        type(channel)(value=value, max_length=channel.max_length)


BAD = [
    object(), {1: 2}, {1, 2}, [[1]], [[1], [2]], "", "abc", b"", b"abc", "12 mm", "1_0", 1j,
    np.complex128(1), np.datetime64(5, "s"), [1, "x"], [object()], np.zeros((2, 2)),
    np.array([1j]), 10**400, np.array(["a"]), np.array([[1]]), "0x10",
]  # fmt: skip
BAD_FOR_INTEGERS = [
    2**31, -(2**31) - 1, 2**32, 2**40, 2.0**31, math.nan, math.inf, -math.inf, None,
    np.ma.masked, np.ma.masked_array([1], [True]), [2**31], [None], np.int64(2**31),
    np.uint32(2**31), np.array([2**31]), np.array([2.0**31]), np.array([math.nan]),
    np.array([2**63], "u8"), np.array(2**31), "2147483648", "1e10", "nan", Decimal(2**31),
    [np.float32(2.0**31)],
]  # fmt: skip


@pytest.mark.parametrize("value", BAD + BAD_FOR_INTEGERS, ids=repr)
@pytest.mark.parametrize("cls", INTEGERS)
@pytest.mark.parametrize("length", [1, 3])
def test_integers_refuse(cls, value, length):
    """They refuse what is not a number, is masked, or is out of range."""
    refused(cls(value=7, max_length=length), value, 7 if length == 1 else [7])


@pytest.mark.parametrize("value", BAD, ids=repr)
@pytest.mark.parametrize("cls", FLOATS)
@pytest.mark.parametrize("length", [1, 3])
def test_floats_refuse(cls, value, length):
    """They refuse what is not a number."""
    refused(cls(value=7.0, max_length=length), value, 7.0 if length == 1 else [7.0])


@pytest.mark.parametrize("value", [2**15, -(2**15) - 1, 32768.0, np.int32(40000), "70000"])
def test_short(value):
    """A 16 bit channel has the range of 16 bits."""
    refused(ChannelShort(value=7), value, 7)
    refused(ChannelShort(value=[7], max_length=2), [1, value], [7])


NOT_BYTES = [
    256, -129, [1, 300], np.array([1, 300]), [1, None], 1e9, math.nan, None,
    np.ma.masked_array([1], [True], "i2"), object(), [[1]],
]  # fmt: skip


@pytest.mark.parametrize("value", NOT_BYTES, ids=repr)
@pytest.mark.parametrize("cls", [ChannelByte, ChannelChar])
def test_bytes(cls, value):
    """Numbers of bytes are -128 to 255."""
    before = b"ab" if cls is ChannelByte else "ab"
    channel = cls(value=before, max_length=4)
    channel._pvname = "area:x"
    with pytest.raises(CaprotoValueError, match="area:x"):
        run(channel.write(value))
    assert channel.value == before


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (2**31 - 1, 2**31 - 1), (-(2**31), -(2**31)), (3.7, 3.7), (2147483647.5, 2147483647.5),
        (True, True), (np.int64(5), 5), (np.float32(2.5), 2.5), (np.array(5), 5), ([5], 5),
        ("450", 450), (b"450", 450), ("+450", 450), (" 4 ", 4), ("450.0", 450), (b"4\0", 4),
        (np.str_("5"), 5), (np.bytes_(b"5"), 5), (np.array(["5"]), 5), (np.array("5"), 5),
        (Decimal("3.5"), 3.5), (np.array([b"5"], object), 5),
    ],
    ids=repr,
)  # fmt: skip
def test_integers_take(value, stored):
    """They take numbers in range, and texts that are numbers."""
    channel = ChannelInteger(value=1)
    run(channel.write(value))
    assert channel.value == stored
    assert ChannelInteger(value=value).value == stored
    assert run(channel.read(5))[1].tolist() == [int(stored)]
    many = ChannelInteger(value=[1], max_length=3)
    run(many.write(value))
    assert list(many.value) == [stored]


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ("12.5", 12.5), (b"12.5", 12.5), ("450", 450), ("1e3", 1000.0), ("-inf", -math.inf),
        (None, math.nan), (np.ma.masked, math.nan), ("nan", math.nan), (1e300, 1e300),
        (math.inf, math.inf), (np.longdouble(1.5), 1.5), (2**60, 2**60), (False, False),
        (np.str_("12.5"), 12.5), (np.array(["12.5"], "U"), 12.5), (Decimal("0.25"), 0.25),
    ],
    ids=repr,
)  # fmt: skip
def test_floats_take(value, stored):
    """They take any number, NaN for nothing, and texts that are numbers."""
    for channel in (ChannelDouble(value=1.0), ChannelDouble(value=value)):
        run(channel.write(value))
        assert channel.value == pytest.approx(stored, nan_ok=True)
        (seen,) = run(channel.read(6))[1].tolist()
        assert seen == pytest.approx(float(stored), nan_ok=True)


def test_arrays_of_floats():
    """None and masked elements are NaN; arrays of numbers stay the objects that they are."""
    channel = ChannelDouble(value=[1.0, 2.0, 3.0])
    for value in (
        [1.0, None, 3.0],
        np.ma.masked_array([1.0, 2.0, 3.0], [False, True, False]),
        np.ma.masked_array([1, 2, 3], [False, True, False]),
        [1, np.ma.masked, 3],
        np.array([1.0, None, 3.0], object),
        np.array(["1", "nan", "3"]),
        ["1", b"nan", 3],
    ):
        run(channel.write(value))
        assert not np.ma.isMaskedArray(channel.value)
        assert run(channel.read(6))[1].tolist() == pytest.approx([1.0, math.nan, 3.0], nan_ok=True)
        assert run(channel.read(0))[1][1] == b"nan"
        assert ChannelDouble(value=value).length == 3
    for value in (np.arange(3.0), np.arange(3), [1.0, 2.0], (1, 2.5), range(3)):
        run(channel.write(value))
        assert channel.value is value
    unmasked = np.ma.masked_array([1, 2], [False, False])
    integers = ChannelInteger(value=[0, 0])
    run(integers.write(unmasked))
    assert run(integers.read(5))[1].tolist() == [1, 2]


def test_without_a_value():
    """A channel that is made without one has the default of its type."""
    assert (ChannelInteger().value, ChannelDouble().value) == (0, 0)
    assert ChannelDouble(max_length=3).value == []
    assert (ChannelByte().value, ChannelByte(max_length=3).value) == (b"", b"")
    assert math.isnan(ChannelDouble(value=None).value)


def test_properties():
    """A property refuses and takes as its channel does; the message has the PV's name."""

    class Good(PVGroup):
        text = pvproperty(value="450", dtype=ChannelType.FLOAT)

    assert Good(prefix="p:").text.value == 450
    for value, dtype in (
        (2**31, int),
        (2**31, ChannelType.LONG),
        ("", float),
        (70000, ChannelType.INT),
    ):
        group = type("Bad", (PVGroup,), {"x": pvproperty(value=value, dtype=dtype)})
        with pytest.raises(CaprotoValueError, match="p:x"):
            group(prefix="p:")


def test_a_putter_that_returns_too_much():
    """What a putter returns is checked as what is written."""

    class Group(PVGroup):
        x = pvproperty(value=1)

        @x.putter
        async def x(self, instance, value):
            return 2**40

    channel = Group(prefix="p:").x
    with pytest.raises(CaprotoValueError, match="p:x"):
        run(channel.write(5))
    assert channel.value == 1


def put(sid, kind, values, ioid=5):
    if kind == 0:
        payload, count = b"".join(text.ljust(40, b"\0") for text in values), len(values)
    else:
        payload, count = struct.pack(f">{len(values)}{CODES[kind]}", *values), len(values)
    return pack(Command.WRITE_NOTIFY, kind, count, sid, ioid, payload)


@pytest.mark.parametrize(
    ("channel", "kind", "values"),
    [
        (ChannelInteger(value=1), 0, [b"2147483648"]),
        (ChannelInteger(value=1), 0, [b"-2147483649"]),
        (ChannelInteger(value=1), 0, [b"99999999999999999999"]),
        (ChannelInteger(value=1), 6, [1e10]),
        (ChannelInteger(value=1), 6, [math.nan]),
        (ChannelInteger(value=1), 2, [math.inf]),
        (ChannelShort(value=1), 0, [b"32768"]),
        (ChannelShort(value=1), 5, [32768]),
        (ChannelShort(value=1), 3, [40000]),
        (ChannelShort(value=[1], max_length=3), 5, [1, 70000]),
        (ChannelInteger(value=[1], max_length=3), 0, [b"1", b"4294967296"]),
        (ChannelInteger(value=[1], max_length=3), 6, [1.0, 1e10]),
        (ChannelByte(value=b"a", max_length=3), 5, [1, 256]),
        (ChannelByte(value=b"a", max_length=3), 0, [b"256"]),
        (ChannelByte(value=b"a"), 1, [-129]),
        (ChannelChar(value="a", max_length=3), 5, [300]),
        (ChannelInteger(value=1), 0, [b" "]),
        (ChannelDouble(value=1.0), 0, [b"  \t"]),
        (ChannelDouble(value=1.0), 0, [b"1e400"]),
        (ChannelFloat(value=1.0), 0, [b"1e39"]),
        (ChannelDouble(value=1.0), 0, [b"\xe4"]),
        (ChannelDouble(value=[1.0], max_length=3), 0, [b"1", b" "]),
    ],
)
def test_puts_that_are_refused(channel, kind, values):
    """The client hears why, with the PV's name; the value and the circuit stay."""
    before = channel.value
    bench = Bench({"area:x": channel})
    sid = bench.create("area:x")
    (answer,) = bench.talk(put(sid, kind, values))
    assert (answer.command, answer.parameter2) == (Command.ERROR, 160)
    assert b"area:x" in answer.payload
    assert channel.value == before
    (echo,) = bench.talk(pack(Command.ECHO))
    assert echo.command == Command.ECHO


TEXTS = [
    b"", b" ", b"   \t", b"12", b" 12 ", b"12.5", b"12 mm", b"abc", b"0x10", b"-0x10", b"010",
    b"08", b"1e3", b"1e", b"+5", b"--5", b"2147483647", b"2147483648", b"-2147483648",
    b"-2147483649", b"4294967296", b"32767", b"32768", b"-32769", b"255", b"256", b"-1", b"-128",
    b"1e308", b"1e400", b"-1e400", b"1e-400", b"1e39", b"1e-46", b"inf", b"-Infinity", b"nan",
    b".5", b"5.", b".", b"0x1p3", b"0x", b"1_0", b"99999999999999999999", b"0x1.8",
    b"1e400 mm", b"\x0b12", b"12\xe4", b"infx", b"0b1", b"3.4e38", b"0e5", b"-0", b"0x",
    "١٢".encode(), b"1e-310", b"-", b"+", b"1e+", b"0x80000000", b"-0x80000000",
]  # fmt: skip
RECORDS = {
    "lo": ("longout", "", lambda: ChannelInteger(value=0)),
    "ao": ("ao", "", lambda: ChannelDouble(value=0.0)),
    "wuc": ("waveform", "UCHAR", lambda: ChannelByte(value=b"\0", max_length=3)),
    "ws": ("waveform", "SHORT", lambda: ChannelShort(value=[0], max_length=3)),
    "wl": ("waveform", "LONG", lambda: ChannelInteger(value=[0], max_length=3)),
    "wf": ("waveform", "FLOAT", lambda: ChannelFloat(value=[0.0], max_length=3)),
    "wd": ("waveform", "DOUBLE", lambda: ChannelDouble(value=[0.0], max_length=3)),
}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A client of the IOC of EPICS base."""
    path = tmp_path_factory.mktemp("db") / "numbers.db"
    with path.open("w") as file:
        for name, (record, kind, _) in RECORDS.items():
            fields = f'field(FTVL, "{kind}") field(NELM, "3")' if kind else ""
            file.write(f'record({record}, "{name}") {{ {fields} }}\n')
    server = Process(["-m", "epicscorelibs.ioc", "-d", str(path)], probe="lo")
    with server, Client(server.port) as client:
        yield client


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("name", RECORDS)
def test_texts_against_base(base, name, text):
    """A text is taken as the number that a record takes it for, or refused as it refuses it.

    An array takes an empty text as 0, where a waveform refuses it.
    """
    channel = RECORDS[name][2]()
    bench = Bench({name: channel})
    mine = bench.create(name)
    sid, native = base.create(name)[:2]
    if text == b"" and name.startswith("w"):
        text = b"0"
    expected = base.put(sid, 0, 1, text + b"\0")
    (found,) = bench.talk(pack(Command.WRITE_NOTIFY, 0, 1, mine, 12, text + b"\0"))
    good = (expected.command, expected.parameter1) == (Command.WRITE_NOTIFY, 1)
    assert (found.command == Command.WRITE_NOTIFY) == good
    if good:
        size = struct.calcsize(CODES[native])
        (answer,) = bench.talk(pack(Command.READ_NOTIFY, native, 1, mine, 1))
        assert answer.payload[:size] == base.read(sid, native, 1).payload[:size]
