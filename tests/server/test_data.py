"""Channel data: lengths, conversions, metadata, deadbands, writing."""

import asyncio
import math
import struct

import numpy as np
import pytest
from hypothesis import given, strategies as st

from cachannel.protocol.dbr import LAYOUTS
from cachannel.protocol.errors import CaprotoConversionError, CaprotoValueError
from cachannel.protocol.timestamp import TimeStamp
from cachannel.server.encoding import parse_number, wrap
from cachannel.server.numeric import (
    ChannelByte,
    ChannelDouble,
    ChannelFloat,
    ChannelInteger,
    ChannelShort,
)
from cachannel.server.text import ChannelChar, ChannelEnum, ChannelString
from cachannel.server.values import RANGES

CODES = {1: "h", 2: "f", 3: "H", 4: "B", 5: "i", 6: "d"}


def run(coroutine):
    return asyncio.run(coroutine)


def elements(channel, dbr_type, count=0):
    """Return the elements of a reply as Python values."""
    reply = channel._encoded(dbr_type, count)
    layout = LAYOUTS[dbr_type]
    sent = int.from_bytes(reply.read_head[6:8], "big")
    body = reply.rest[layout.value_offset :]
    if layout.base_type == 0:
        return [bytes(body[n * 40 : n * 40 + 40]).partition(b"\0")[0] for n in range(sent)]
    return list(struct.unpack_from(f">{sent}{CODES[layout.base_type]}", body))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1.9, [b"1.9", 1, struct.unpack("f", struct.pack("f", 1.9))[0], 1, 1, 1, 1.9]),
        (-1.5, [b"-1.5", -1, -1.5, 65535, 255, -1, -1.5]),
        (70000.0, [b"70000.0", 4464, 70000.0, 4464, 112, 70000, 70000.0]),
        (math.inf, [b"inf", 0, math.inf, 0, 0, -(2**31), math.inf]),
        (1e300, [b"1e+300", 0, math.inf, 0, 0, -(2**31), 1e300]),
    ],
)
def test_scalar_conversions(value, expected):
    """A double as every type: cut, wrapped, saturated, never an exception."""
    channel = ChannelDouble(value=value)
    for base, want in enumerate(expected):
        (found,) = elements(channel, base)
        assert found == want


def test_nan():
    """A NaN reads as NaN, or as what C makes of it."""
    channel = ChannelDouble(value=math.nan)
    assert elements(channel, 5) == [-(2**31)]
    assert math.isnan(elements(channel, 6)[0])
    channel = ChannelDouble(value=[math.nan, 1.0] * 10)
    assert elements(channel, 5)[1] == 1


@given(st.integers(), st.sampled_from([1, 3, 4, 5]))
def test_wrapping_is_that_of_c(number, base):
    """Integers keep their lowest bits."""
    dtype = {1: "i2", 3: "u2", 4: "u1", 5: "i4"}[base]
    bits = np.array([number & 0xFFFFFFFF], "u4").view("i4").astype(dtype)
    assert wrap(number, base) == bits[0]


@given(st.lists(st.floats(width=64), max_size=30), st.integers(1, 6))
def test_arrays_equal_scalars(values, base):
    """Converting an array gives what converting each element gives, in range."""
    values = [value for value in values if abs(value) < 2**31]
    array = ChannelDouble(value=np.array(values), max_length=40)
    found = elements(array, base)
    expected = [elements(ChannelDouble(value=value), base)[0] for value in values]
    assert found == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("", 0),
        ("17", 17),
        ("0x10", 16),
        (" 2.5 ", 2),
        ("-3", -3),
        ("1e3", 1),
        ("010", 8),
        ("12 mm", 12),
    ],
)
def test_numbers_in_texts(text, number):
    """A text put to a number is parsed; an empty one is 0."""
    assert parse_number(text.encode(), 5) == number
    channel = ChannelInteger(value=1)
    assert channel._from_wire(0, [text.encode()]) == number


def test_texts_that_are_no_numbers():
    """They are refused when put; when read, a text gives the number it starts with."""
    for text, base in (("abc", 5), ("nan", 5), ("abc", 6), ("-", 5), (".", 6)):
        with pytest.raises(CaprotoConversionError):
            parse_number(text.encode(), base)
    assert parse_number(b"1.5e1 mm", 6) == 15.0
    assert parse_number(b"0x11", 6) == 17.0
    assert elements(ChannelString(value="42.5 text"), 5) == [42]
    with pytest.raises(CaprotoConversionError):
        ChannelString(value="abc")._encoded(6, 1)


def test_lengths():
    """Scalars stay scalars, arrays arrays; too much is refused, fewer is fine."""
    scalar = ChannelInteger(value=1)
    assert (scalar.length, scalar.max_length) == (1, 1)
    run(scalar.write([5]))
    assert scalar.value == 5
    for bad in ([], [1, 2], np.zeros((1, 1))):
        with pytest.raises(CaprotoValueError):
            run(scalar.write(bad))
    array = ChannelDouble(value=[1.0, 2.0], max_length=3)
    assert (array.length, array.max_length, len(array)) == (2, 3, 2)
    run(array.write(7.0))
    assert array.value == [7.0]
    run(array.write([]))
    assert (array.value, array.length) == ([], 0)
    assert elements(array, 6) == []
    for bad in ([1, 2, 3, 4], np.zeros(4), np.zeros((2, 2))):
        with pytest.raises(CaprotoValueError, match="ChannelDouble"):
            run(array.write(bad))
    values = np.arange(3.0)
    run(array.write(values))
    assert array.value is values
    with pytest.raises(CaprotoValueError, match="not a number"):
        run(array.write("text"))
    with pytest.raises(CaprotoValueError):
        ChannelInteger(value=1, max_length=0)


@pytest.mark.parametrize(
    "values",
    [range(3), (0, 1, 2), np.array([0, 1, 2], ">i2"), np.arange(6)[::2] // 2,
     np.array([0, 1, 2], object), memoryview(b"\0\1\2")],
)  # fmt: skip
def test_sequences(values):
    """Any sequence of numbers will do: ranges, big-endian, strided, object arrays."""
    channel = ChannelInteger(value=[0], max_length=5)
    run(channel.write(values))
    assert elements(channel, 5) == [0, 1, 2]


def test_text():
    """Text ends at a NUL, is cut at max_length, and takes bytes and lists."""
    channel = ChannelChar(value="abc", max_length=8, string_encoding="utf-8")
    run(channel.write("äb\0rest"))
    assert (channel.value, channel.length) == ("äb", 3)
    assert elements(channel, 4) == list("äb".encode())
    run(channel.write(b"bytes"))
    assert channel.value == "bytes"
    run(channel.write([120, 121]))
    assert channel.value == "xy"
    run(channel.write("much too long"))
    assert channel.value == "much too"
    run(channel.write("1234567ä"))
    assert channel.value == "1234567"
    assert elements(channel, 0)[0] == b"49"
    run(channel.write(""))
    assert elements(channel, 4) == []


def test_text_reported_as_string():
    """One STRING of up to 39 bytes."""
    channel = ChannelChar(value="x" * 50, report_as_string=True, max_length=100)
    assert (channel.data_type, channel._element_count, channel.max_length) == (0, 1, 100)
    assert elements(channel, 0) == [b"x" * 39]


def test_bytes():
    """Bytes take bytes, text, numbers and 8 bit arrays; the latter are kept as they are."""
    channel = ChannelByte(value=b"ab", max_length=4)
    for value, stored in ((b"xyz", b"xyz"), ("hi", b"hi"), ([1, 255], b"\1\xff"), (7, b"\7")):
        run(channel.write(value))
        assert channel.value == stored
    values = np.array([1, 2], "u1")
    run(channel.write(values))
    assert channel.value is values
    assert elements(channel, 6) == [1.0, 2.0]
    with pytest.raises(CaprotoValueError):
        run(channel.write(b"12345"))
    with pytest.raises(CaprotoValueError):
        ChannelByte(value=b"", string_encoding="utf-8")
    assert channel._from_wire(4, np.array([65, 0, 0], "u1")) == b"A"
    keeping = ChannelByte(value=b"ab", max_length=4, strip_null_terminator=False)
    assert keeping._from_wire(4, np.array([65, 0, 0], "u1")) == b"A\0\0"
    assert elements(ChannelByte(value=b"", max_length=1), 4) == [0]


def test_enumerations():
    """States by name and number; what is neither changes nothing."""
    channel = ChannelEnum(value=0, enum_strings=["a", "b"])
    assert (channel.value, channel.raw_value) == (0, 0)
    for value, state in (("b", "b"), (0, "a"), ("1", "b"), (np.int64(0), "a")):
        run(channel.write(value))
        assert channel.value == state
    for bad in ("c", 2, -1, None, 1e99):
        with pytest.raises(ValueError, match="state"):
            run(channel.write(bad))
    assert channel.value == "a"
    assert channel.get_raw_value("b") == 1
    assert channel.get_raw_values(["b", "a"]) == [1, 0]
    with pytest.raises(ValueError, match="16"):
        ChannelEnum(value=0, enum_strings=[str(n) for n in range(17)])
    with pytest.raises(ValueError, match="25"):
        ChannelEnum(value=0, enum_strings=["x" * 26])
    assert elements(ChannelEnum(value=5, enum_strings=["a"]), 0) == [b"5"]


def test_timestamps():
    """Stamps are given in three ways and never lose a nanosecond."""
    for given_stamp in ((5, 123456789), TimeStamp(5, 123456789)):
        channel = ChannelDouble(value=1.0, timestamp=given_stamp)
        assert channel.epics_timestamp == (5, 123456789)
    channel = ChannelDouble(value=1.0, timestamp=631152010.5)
    assert channel.epics_timestamp == (10, 500000000)
    assert channel.timestamp == 631152010.5
    run(channel.write(1.0, timestamp=(7, 1)))
    assert struct.unpack_from(">II", channel._encoded(20, 0).rest, 4) == (7, 1)
    before = TimeStamp.now()
    run(channel.write(1.0))
    assert channel.epics_timestamp >= before


def test_metadata():
    """write_metadata changes what the class has and ignores the rest."""
    channel = ChannelDouble(value=1.0, units="mm", precision=3, upper_disp_limit=5)
    run(channel.write_metadata(units="very long units", lower_disp_limit=-5, enum_strings=["a"]))
    assert (channel.units, channel.lower_disp_limit) == ("very long units", -5)
    values = LAYOUTS[34].wire.unpack_from(channel._encoded(34, 0).rest)
    fields = dict(zip([f.name for f in LAYOUTS[34].fields], values, strict=True))
    assert fields["units"] == b"very lo\0"
    assert (fields["precision"], fields["upper_disp_limit"]) == (3, 5.0)
    with pytest.raises(TypeError, match="upper_disp_limit"):
        run(channel.write_metadata(upper_disp_limit="x"))
    run(channel.write(2.0, upper_disp_limit=9))
    assert channel.upper_disp_limit == 9
    enum_channel = ChannelEnum(value=0, enum_strings=["a"])
    run(enum_channel.write_metadata(enum_strings=["x", "y"]))
    assert enum_channel.enum_strings == ("x", "y")


def test_deadbands():
    """MDEL and ADEL hold back VALUE and LOG events; a changed alarm passes both."""
    channel = ChannelDouble(value=0.0, value_atol=1.0, log_atol=2.0)
    masks = [channel._commit(value, 0, None, verified=True) for value in (0.0, 0.5, 1.5, 2.5, 2.5)]
    assert masks == [3, 0, 1, 2, 0]
    assert channel._commit(math.nan, 0, None, verified=True) & 3 == 3
    channel = ChannelDouble(
        value=0.0, value_atol=10.0, upper_alarm_limit=5.0, lower_alarm_limit=-5.0
    )
    channel._commit(0.0, 0, None, verified=True)
    assert channel._commit(6.0, 0, None, verified=True) & 7 == 7


def test_equal_values_post():
    """Without deadbands every write is an event."""
    channel = ChannelDouble(value=0.0)
    assert [channel._commit(0.0, 0, None, verified=True) for _ in range(3)] == [3, 3, 3]


def test_cache_is_bounded():
    """Asking for ever other counts does not fill the memory."""
    channel = ChannelDouble(value=[0.0] * 1000)
    for count in range(1000):
        channel._encoded(6, count)
    assert len(channel._cache) <= 16


def test_read_gives_metadata_and_values():
    """read() is what an overriding class builds on."""
    channel = ChannelDouble(value=[1.0, 2.0], timestamp=(5, 6))
    metadata, values = run(channel.read(20))
    assert struct.unpack(">hhII4x", metadata) == (0, 0, 5, 6)
    assert values.tolist() == [1.0, 2.0]
    metadata, values = run(ChannelString(value="x").read(0))
    assert (metadata, values) == (b"", [b"x"])
    assert run(ChannelInteger(value=7).read(6))[1].tolist() == [7.0]


@pytest.mark.parametrize("cls", [ChannelDouble, ChannelFloat, ChannelShort, ChannelInteger])
@given(dbr_type=st.integers(0, 34), count=st.integers(0, 50), value=st.floats())
def test_every_request_is_answered(cls, dbr_type, count, value):
    """Whatever the value and the request type: a reply of the right size."""
    low, high = RANGES[cls.data_type]
    if cls in (ChannelShort, ChannelInteger) and not low - 1 < value < high + 1:
        with pytest.raises(CaprotoValueError, match="range"):
            cls(value=value)
        return
    channel = cls(value=value)
    reply = channel._encoded(dbr_type, count)
    assert len(reply.rest) % 8 == 0
    layout = LAYOUTS[dbr_type]
    assert len(reply.rest) >= layout.value_offset + (count or 1) * layout.element_size


def test_a_value_of_a_wrong_shape_is_a_failed_write():
    """It leaves the alarm of one, and the next good write clears it, on every type."""
    for channel, good, bad in (
        (ChannelDouble(value=1.0), 2.0, [1.0, 2.0]),
        (ChannelDouble(value=[1.0], max_length=2), [2.0], [1.0] * 3),
        (ChannelByte(value=b"ab", max_length=2), b"x", b"abc"),
    ):
        with pytest.raises(ValueError, match="write to"):
            run(channel.write(bad))
        assert (channel.status, channel.severity) == (2, 2)
        run(channel.write(good))
        assert (channel.status, channel.severity) == (0, 0)
        with pytest.raises(ValueError, match="write to"):
            channel._write_now(bad)
        assert (channel.status, channel.severity) == (2, 2)


def test_bytes_do_not_change_behind_our_back():
    """What may change after it was written is copied."""
    channel = ChannelByte(value=b"abc", max_length=3)
    for buffer in (bytearray(b"xyz"), memoryview(bytearray(b"xyz"))):
        channel._write_now(buffer)
        buffer[0] = 0
        assert channel.value == b"xyz"
