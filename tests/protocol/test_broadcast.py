"""Searches and beacons."""

from hypothesis import given, strategies as st

from cachannel.protocol.broadcast import BeaconTimer, SearchResponder, beacon, search_name
from cachannel.protocol.messages import Command, pack, unpack

VERSION = pack(Command.VERSION, 1, 13, 0x1234)


def search(name, number):
    return pack(Command.SEARCH, 5, 13, number, number, name.encode() + b"\0")


def test_one_name():
    """The answer names our port, says "this address", and echoes id and sequence number."""
    responder = SearchResponder(5064, {"a"}.__contains__)
    (answer,) = responder.answer(VERSION + search("a", 7) + search("b", 8))
    assert answer == bytes.fromhex(
        "0000 0000 0001 000d 00001234 00000000"
        "0006 0008 13c8 0000 ffffffff 00000007 000d000000000000".replace(" ", "")
    )


def test_unknown_names_are_not_answered():
    """Nothing is sent when no name is ours, also if a reply is asked for."""
    responder = SearchResponder(5064, {"a"}.__contains__)
    asked = pack(Command.SEARCH, 10, 13, 1, 1, b"b\0")
    assert list(responder.answer(VERSION + search("b", 1) + asked)) == []


def test_old_clients_get_no_sequence_number():
    """Before CA 4.11 there is no sequence number, and the answer has no VERSION (rsrv)."""
    responder = SearchResponder(5064, {"a"}.__contains__)
    (answer,) = responder.answer(pack(Command.VERSION, 0, 10) + search("a", 1))
    assert next(unpack(answer)).command == Command.SEARCH
    (answer,) = responder.answer(search("a", 1))
    assert next(unpack(answer)).command == Command.SEARCH


def test_many_names():
    """All names of a datagram are answered, in datagrams that fit an Ethernet frame."""
    responder = SearchResponder(5064, lambda name: True)
    request = VERSION + b"".join(search(f"pv{n}", n) for n in range(300))
    answers = list(responder.answer(request))
    assert all(len(answer) <= 1472 for answer in answers)
    found = [m.parameter2 for answer in answers for m in unpack(answer) if m.command == 6]
    assert found == list(range(300))


def test_damage():
    """What comes before the damage of a datagram is answered."""
    responder = SearchResponder(5064, lambda name: True)
    (answer,) = responder.answer(VERSION + search("a", 1) + search("b", 2)[:-3])
    assert [m.parameter2 for m in unpack(answer)][1:] == [1]


@given(st.binary(max_size=300))
def test_any_datagram(data):
    """Nothing that arrives raises."""
    list(SearchResponder(5064, lambda name: True).answer(data))


def test_names_end_at_the_first_nul():
    """Padding behind a name does not belong to it."""
    assert search_name(b"abc\0\0rest") == "abc"
    assert search_name(b"") == ""


def test_beacon():
    """A beacon carries version, port, counter and address."""
    assert beacon(5064, 5, "127.0.0.1") == bytes.fromhex("000d0000000d13c8000000057f000001")
    assert beacon(5064, 2**32 + 1)[8:16] == bytes.fromhex("0000000100000000")


def test_beacon_intervals():
    """Intervals start at 20 ms and double up to the period."""
    timer = BeaconTimer(0.1)
    assert [timer.next_interval() for _ in range(5)] == [0.02, 0.04, 0.08, 0.1, 0.1]
    assert timer.sequence == 5
