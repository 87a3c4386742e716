"""Headers, extended headers, padding; bytes in both directions."""

import pytest
from hypothesis import given, strategies as st

from cachannel.protocol.errors import LocalProtocolError, RemoteProtocolError
from cachannel.protocol.messages import Command, Message, error, pack, unpack, unpack_from

# Origin: requests of libca 7.0.10 (caget, camonitor), replies of rsrv 7.0.10 of the same release.
WIRE = [
    (
        bytes.fromhex("0000 0000 0000 000d 00000000 00000000"),
        Message(Command.VERSION, 0, 13, 0, 0),
    ),
    (
        bytes.fromhex("0012 0008 0000 0000 00000001 0000000d 746573743a610000"),
        Message(Command.CREATE_CHAN, 0, 0, 1, 13, b"test:a\0\0"),
    ),
    (
        bytes.fromhex("000f 0000 0014 0000 00000002 00000007"),
        Message(Command.READ_NOTIFY, 20, 0, 2, 7),
    ),
    (
        bytes.fromhex("000f 0008 0006 0001 00000001 00000007 3ff8000000000000"),
        Message(Command.READ_NOTIFY, 6, 1, 1, 7, b"\x3f\xf8" + bytes(6)),
    ),
    (
        bytes.fromhex("0001 0010 0014 0001 00000002 00000009 00000000000000000000000000050000"),
        Message(Command.EVENT_ADD, 20, 1, 2, 9, bytes(13) + b"\5\0\0"),
    ),
    (
        bytes.fromhex("0006 0008 13c8 0000 ffffffff 00000007 000d000000000000"),
        Message(Command.SEARCH, 5064, 0, 0xFFFFFFFF, 7, b"\0\x0d" + bytes(6)),
    ),
    (
        bytes.fromhex("000d 0000 000d 13c8 00000005 7f000001"),
        Message(Command.RSRV_IS_UP, 13, 5064, 5, 0x7F000001),
    ),
]


@pytest.mark.parametrize(("data", "message"), WIRE)
def test_both_directions(data, message):
    """Bytes give the message, the message gives the bytes."""
    assert list(unpack(data)) == [message]
    assert pack(*message) == data


def test_extended_header():
    """A count or a payload beyond 16 bits takes the long header, 24 bytes."""
    data = pack(Command.READ_NOTIFY, 6, 70_000, 1, 7, bytes(560_000))
    assert data[:24] == bytes.fromhex(
        "000f ffff 0006 0000 00000001 00000007 00088b80 00011170".replace(" ", "")
    )
    message, end = unpack_from(data)
    assert end == len(data)
    assert message == (Command.READ_NOTIFY, 6, 70_000, 1, 7, bytes(560_000))


def test_extended_header_around_a_small_payload():
    """The long header is understood whatever it announces."""
    data = bytes.fromhex("000f ffff 0006 0000 00000001 00000007 00000008 00000001") + b"12345678"
    assert list(unpack(data)) == [Message(15, 6, 1, 1, 7, b"12345678")]


def test_payload_is_padded():
    """A payload is filled up to a multiple of eight bytes."""
    assert pack(20, payload=b"user\0")[16:] == b"user\0\0\0\0"


@pytest.mark.parametrize("cut", range(1, 40))
def test_incomplete(cut):
    """A message that has not fully arrived gives nothing; in a datagram it is damage."""
    data = pack(Command.VERSION, 0, 13) + pack(Command.READ_NOTIFY, 6, 1, 1, 7, bytes(8))
    part = data[: len(data) - cut]
    assert len(list(unpack(part))) == (1 if len(part) >= 16 else 0)
    if len(part) != 16:
        with pytest.raises(RemoteProtocolError, match="damaged"):
            list(unpack(part, complete=True))


def test_what_does_not_fit_is_our_fault():
    """A number that is too large for its place raises LocalProtocolError."""
    with pytest.raises(LocalProtocolError):
        pack(Command.ECHO, 70_000)
    with pytest.raises(LocalProtocolError):
        pack(Command.ECHO, 0, 0, -1)


def test_error_message():
    """An ERROR repeats the header of the request and carries cid, status and text."""
    request = pack(Command.WRITE, 6, 1, 2, 3)
    (message,) = unpack(error(request, 5, 160, "no"))
    assert message[:5] == (Command.ERROR, 0, 0, 5, 160)
    assert message.payload == request + b"no\0".ljust(8, b"\0")
    long = error(request, 5, 160, "x" * 10_000)
    assert len(long) < 600


@given(st.binary(max_size=200))
def test_any_bytes(data):
    """Whatever arrives, only RemoteProtocolError may be raised, and no bytes are invented."""
    try:
        messages = list(unpack(data, complete=True))
    except RemoteProtocolError:
        return
    assert sum(len(m.payload) for m in messages) <= len(data)


@given(
    st.integers(0, 65535),
    st.integers(0, 65535),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.binary(max_size=100),
)
def test_round_trip(command, kind, count, p1, p2, payload):
    """Every message comes back as it was, but for the padding."""
    (message,) = unpack(pack(command, kind, count, p1, p2, payload), complete=True)
    assert message[:5] == (command, kind, count, p1, p2)
    assert message.payload.startswith(payload)
