"""Text of channels: its encoding, its length, and NumPy's texts."""

import asyncio
import struct

import numpy as np
import pytest
from bench_circuit import Bench

from cachannel.protocol.channel_types import ChannelType
from cachannel.protocol.errors import CaprotoValueError
from cachannel.protocol.messages import Command, pack
from cachannel.server import PVGroup, pvproperty
from cachannel.server.data import ChannelData
from cachannel.server.numeric import ChannelByte, ChannelDouble
from cachannel.server.text import ChannelChar, ChannelEnum, ChannelString

# Bytes as they travel, and what they are as text.
ENCODED = [
    (b"plain", "plain"),
    ("Größe ±µ".encode(), "Größe ±µ"),
    ("温度 😀".encode(), "温度 😀"),
    ("Größe ±µ".encode("latin-1"), "Größe ±µ"),
    (bytes(range(0x80, 0x9A)), bytes(range(0x80, 0x9A)).decode("latin-1")),
    (b"\xff\xfe", "ÿþ"),
]


def run(coroutine):
    return asyncio.run(coroutine)


def ask(bench, sid, dbr_type, count=0):
    (answer,) = bench.talk(pack(Command.READ_NOTIFY, dbr_type, count, sid, 1))
    assert (answer.command, answer.parameter1) == (Command.READ_NOTIFY, 1)
    return answer.payload


def tell(bench, sid, dbr_type, payload, count=1):
    (answer,) = bench.talk(pack(Command.WRITE_NOTIFY, dbr_type, count, sid, 1, payload))
    return answer


@pytest.mark.parametrize(("raw", "text"), ENCODED)
def test_puts(raw, text):
    """UTF-8 if it is valid, else Latin-1; what is read is UTF-8; so for every kind of text."""
    channels = {
        "string": ChannelString(value=""),
        "strings": ChannelString(value=["", ""]),
        "chars": ChannelChar(value="", max_length=80),
        "reported": ChannelChar(value="", max_length=80, report_as_string=True),
        "enum": ChannelEnum(value="a", enum_strings=["a", text[:8]]),
    }
    bench = Bench(channels)
    utf8 = text.encode()
    for number, name in enumerate(("string", "strings", "reported")):
        sid = bench.create(name, number)
        assert tell(bench, sid, 0, raw + b"\0").command == Command.WRITE_NOTIFY
        value = channels[name].value
        assert (value[0] if name == "strings" else value) == text
        assert ask(bench, sid, 0).partition(b"\0")[0] in (utf8[:39], utf8[:38])
    for number, name in enumerate(("string.VAL$", "reported.VAL$", "chars")):
        sid = bench.create(name, 10 + number)
        assert tell(bench, sid, 4, raw + b"\0", len(raw) + 1).command == Command.WRITE_NOTIFY
        assert channels[name.partition(".")[0]].value == text
        assert ask(bench, sid, 4).rstrip(b"\0") == utf8
    if len(text) <= 8:
        sid = bench.create("enum", 20)
        assert tell(bench, sid, 0, raw + b"\0").command == Command.WRITE_NOTIFY
        assert channels["enum"].value == text
        names = ask(bench, sid, 31)[6:]
        assert names[26:52].rstrip(b"\0") == utf8


@pytest.mark.parametrize(("raw", "text"), ENCODED)
def test_writes_of_bytes(raw, text):
    """Bytes that Python code writes are decoded in the same way."""
    for channel in (
        ChannelString(value=""),
        ChannelChar(value="", max_length=80),
        ChannelString(value=raw),
        ChannelChar(value=raw, max_length=80),
    ):
        run(channel.write(raw))
        assert channel.value == text
    numeric = ChannelDouble(value=1.0, units=raw)
    assert numeric.units == text
    run(numeric.write_metadata(units=raw + b"\0rest"))
    assert numeric.units == text
    if len(text.encode()) <= 25:
        enum = ChannelEnum(value=0, enum_strings=[raw, "b"])
        assert enum.enum_strings == (text, "b")
        run(enum.write(raw))
        assert (enum.value, enum.get_raw_value(raw)) == (text, 0)


def test_given_encodings():
    """An encoding that was given, or assigned, is used both ways; other bytes are Latin-1."""
    for given in ("latin-1", "cp1252", "utf-8", "shift_jis"):
        text = "温度" if given == "shift_jis" else "5 ±µ"
        raw = text.encode(given)
        later = ChannelString(value="")
        later.string_encoding = given
        units = ChannelDouble(value=1.0, units=text, string_encoding=given)
        assert units._encoded(34, 1).rest[8:16].rstrip(b"\0") == raw[:7]
        for channel in (
            later,
            ChannelString(value="", string_encoding=given),
            ChannelChar(value="", max_length=40, string_encoding=given),
            ChannelEnum(value=1, enum_strings=["a", text], string_encoding=given),
        ):
            assert channel.string_encoding == given
            bench = Bench({"x": channel})
            sid = bench.create("x")
            assert tell(bench, sid, 0, raw + b"\0").command == Command.WRITE_NOTIFY
            seen = channel.value
            assert seen == text
            if not isinstance(channel, ChannelChar):
                assert ask(bench, sid, 0).rstrip(b"\0") == raw
            else:
                assert ask(bench, sid, 4).rstrip(b"\0") == raw
    with pytest.raises(LookupError):
        ChannelString(value="", string_encoding="no-such-encoding")


def test_the_attribute():
    """Programs find the name that caproto has there, and no encoding for bytes is taken."""
    assert ChannelString(value="").string_encoding == "latin-1"
    assert ChannelData(value=1).string_encoding == "latin-1"

    class Group(PVGroup):
        x = pvproperty(value="ä", dtype=ChannelType.STRING, string_encoding="latin-1")
        y = pvproperty(value="ä", dtype=ChannelType.STRING)

    group = Group(prefix="")
    assert run(group.x.read(0))[1] == [b"\xe4"]
    assert run(group.y.read(0))[1] == ["ä".encode()]


def test_names_of_clients_and_pvs():
    """PV names, and the names of users and hosts, are text like all other."""
    asked = []

    class Asking(ChannelDouble):
        def check_access(self, hostname, username):
            asked.append((hostname, username))
            return super().check_access(hostname, username)

    for raw in ("größe".encode(), "größe".encode("latin-1")):
        bench = Bench({"größe": Asking(value=1.0)})
        bench.feed(
            pack(Command.CLIENT_NAME, payload=raw + b"\0"),
            pack(Command.HOST_NAME, payload=raw + b"\0"),
        )
        rights, created = bench.talk(pack(Command.CREATE_CHAN, 0, 0, 1, 13, raw + b"\0"))
        assert (rights.command, created.command) == (22, 18)
        assert asked[-1] == ("größe", "größe")
        (found,) = bench.talk(pack(Command.SEARCH, 10, 13, 1, 1, raw + b"\0"))
        assert found.command == Command.SEARCH


def test_texts_of_errors():
    """The text of a failure is UTF-8, of whole characters, whatever the exception says."""

    class Failing(ChannelDouble):
        words = ""

        async def verify_value(self, value):
            raise ValueError(self.words)

    channel = Failing(value=1.0)
    for words, seen in (
        ("µ out of range", "µ out of range".encode()),
        ("half \ud800", b"half \\ud800"),
        ("ä" * 600, "ä".encode() * 200),
    ):
        channel.words = words

        async def refused():
            bench = Bench({"x": channel})
            sid = bench.create("x")
            bench.feed(pack(Command.WRITE_NOTIFY, 6, 1, sid, 1, struct.pack(">d", 2.0)))
            await asyncio.gather(*bench.tasks)
            return bench.output()

        (answer,) = run(refused())
        text = answer.payload[16:].rstrip(b"\0")
        assert answer.command == Command.ERROR
        assert seen in text
        assert len(text) < 512
        text.decode()


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("x" * 39, b"x" * 39),
        ("x" * 50, b"x" * 39),
        ("x" * 38 + "ä", b"x" * 38),
        ("x" * 37 + "ä!", b"x" * 37 + "ä".encode()),
        ("x" * 37 + "温", b"x" * 37),
        ("x" * 36 + "😀", b"x" * 36),
    ],
)
def test_strings_end_with_a_nul(text, seen):
    """A STRING has 39 bytes of whole characters and a NUL, written by Python and put."""
    for channel in (
        ChannelString(value=text),
        ChannelString(value=["", text]),
        ChannelChar(value=text, max_length=100, report_as_string=True),
    ):
        for dbr_type in (0, 7, 14, 21, 28, 37):
            rest = channel._encoded(dbr_type, 0).rest
            assert rest[: len(rest) // 8 * 8].rstrip(b"\0").endswith(seen)
            assert channel._encoded(0, 0).rest[39:40] == b"\0"
    channel = ChannelString(value="")
    bench = Bench({"x": channel})
    sid = bench.create("x")
    payload = text.encode()[:40].ljust(40, b"\0")
    assert tell(bench, sid, 0, payload).command == Command.WRITE_NOTIFY
    assert channel.value.encode() in (seen, payload.rstrip(b"\0")[:39])
    assert ask(bench, sid, 0, 1).partition(b"\0")[0] == seen


def test_long_texts_are_whole_where_there_is_room():
    """The value, and the name with a ``$``, have what does not fit in a STRING."""
    channel = ChannelString(value="")
    text = "x" * 39 + "ä" * 30
    run(channel.write(text))
    assert channel.value == text
    bench = Bench({"x": channel})
    sid = bench.create("x.VAL$")
    assert ask(bench, sid, 4).rstrip(b"\0") == (b"x" * 39 + "ä".encode() * 20)


def test_lone_surrogates_are_refused():
    """Half of a UTF-16 pair has no encoding: it is refused when it is written."""
    for channel in (
        ChannelString(value="a"),
        ChannelString(value=["a"], max_length=2),
        ChannelChar(value="a", max_length=9),
        ChannelByte(value=b"a", max_length=9),
    ):
        before = channel.value
        with pytest.raises(CaprotoValueError, match="cannot be encoded"):
            run(channel.write("\ud800"))
        assert channel.value == before
    with pytest.raises(CaprotoValueError, match="units"):
        ChannelDouble(value=1.0, units="\ud800")
    with pytest.raises(CaprotoValueError, match="cannot be encoded"):
        ChannelEnum(value=0, enum_strings=["\ud800"])


STATES = ["in", "out"]


@pytest.mark.parametrize(
    "written",
    [
        np.str_("out"), np.bytes_(b"out"), np.array("out"), np.array(b"out"), np.array(["out"]),
        np.array([b"out"]), np.array(["out"], object), [np.str_("out")], [np.bytes_(b"out")],
        (np.str_("out"),),
    ],
    ids=repr,
)  # fmt: skip
def test_texts_of_numpy(written):
    """They are text wherever str and bytes are: alone, in sequences and arrays, at creation."""
    for cls, more in (
        (ChannelString, {}),
        (ChannelString, {"max_length": 3}),
        (ChannelEnum, {"enum_strings": STATES}),
        (ChannelEnum, {"enum_strings": STATES, "max_length": 3}),
        (ChannelChar, {"max_length": 9}),
        (ChannelChar, {"max_length": 9, "report_as_string": True}),
    ):
        channel = cls(value=written, **more)
        assert channel.value in ("out", ["out"])
        channel = cls(value="in", **more)
        run(channel.write(written))
        value = channel.value
        assert value in ("out", ["out"])
        for text in [value] if isinstance(value, str) else value:
            assert type(text) is str
        if cls is ChannelEnum:
            assert channel.raw_value in (1, [1])
            assert run(channel.read(3))[1].tolist() == [1]
            assert run(channel.read(0))[1] == [b"out"]


def test_bytes_of_numpy():
    """A channel of bytes takes them too; texts in a sequence are refused as before."""
    channel = ChannelByte(value=b"in", max_length=9)
    for written in (
        np.str_("out"),
        np.bytes_(b"out"),
        np.array("out"),
        np.array(b"out"),
        np.array([b"o", b"ut"]),
        [np.bytes_(b"out")],
        np.array([b"out"], object),
    ):
        run(channel.write(b"in"))
        run(channel.write(written))
        assert channel.value == b"out"
        assert type(channel.value) is bytes
        assert ChannelByte(value=written, max_length=9).value == b"out"
    with pytest.raises(CaprotoValueError):
        run(channel.write([np.str_("out")]))


def test_texts_refuse_what_has_no_value():
    """None and masked elements are no text and no state."""
    masked = np.ma.masked_array(["a", "b"], [False, True])
    for channel in (
        ChannelString(value=["a", "b"]),
        ChannelChar(value="ab", max_length=4),
        ChannelEnum(value=["in", "out"], enum_strings=STATES),
        ChannelString(value="a"),
        ChannelEnum(value="in", enum_strings=STATES),
    ):
        before = channel.value
        for bad in (None, np.ma.masked, masked, [None]):
            with pytest.raises(ValueError, match="write to"):
                run(channel.write(bad))
            assert channel.value == before


def test_properties_of_numpy_text():
    """A property may be made with them."""

    class Group(PVGroup):
        name = pvproperty(value=np.str_("out"), dtype=ChannelType.STRING)
        long = pvproperty(value=np.str_("out"))
        raw = pvproperty(value=np.bytes_(b"out"))
        state = pvproperty(value=np.str_("out"), dtype=ChannelType.ENUM, enum_strings=STATES)
        several = pvproperty(value=np.array(["in", "out"]), dtype=ChannelType.STRING)

    group = Group(prefix="")
    assert (group.name.value, group.long.value, group.raw.value) == ("out", "out", b"out")
    assert (group.state.value, group.several.value) == ("out", ["in", "out"])
