"""Writing: what is sent for which value, and what is refused."""

import array
import collections
import enum
from typing import Any

import numpy as np
import pytest

from cachannel import ca
from cachannel.errors import BadValueError, CAError, RangeError, ValueTypeError
from support.calls import Events

NORMAL = ca.ECA.NORMAL


def read(chid: ca.Chid, *args: Any) -> Any:
    value = ca.get(chid, *args)[1]
    assert ca.pend_io(30) == NORMAL
    assert value is not None
    return value.get()


def write(chid: ca.Chid, value: Any, *args: Any) -> None:
    done = Events()
    assert ca.put(chid, value, *args, callback=done) == NORMAL
    ca.flush_io()
    assert done.next()["status"] == NORMAL


class Number(enum.IntEnum):
    ONE = 1


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (5, 5.0), (True, 1.0), ("7.25", 7.25), (b"8.5", 8.5), (" 12 ", 12.0), ("1e3", 1000.0),
        ([1, 2], 1.0), (range(3, 5), 3.0), (np.float32(2.5), 2.5), (Number.ONE, 1.0),
        (np.array(4.5), 4.5), (np.array([[6.5, 7]]), 6.5), ((9,), 9.0), (["1.5"], 1.5),
        (float("inf"), float("inf")), (np.int64(-3), -3.0), (memoryview(b"\x05"), 5.0),
        (collections.deque([2.5]), 2.5), (memoryview(np.array(3.5)), 3.5),
    ],
)  # fmt: skip
def test_number_record(connect, given: Any, expected: float) -> None:
    chid = connect("cascratch2")
    write(chid, given)
    assert read(chid) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (1, 1),
        ("Busy", 1),
        (b"Busy", 1),
        ("1", 1),
        ([1], 1),
        (np.int64(1), 1),
        ("Done", 0),
        (1.0, 1),
    ],
)
def test_enum_record(connect, given: Any, expected: int) -> None:
    chid = connect("cabo")
    write(chid, 1 - expected)
    write(chid, given)
    assert read(chid) == expected


@pytest.mark.parametrize("given", ["Busy", ["Busy", "Done"], ("Busy",)])
def test_enum_record_as_string(connect, given: Any) -> None:
    chid = connect("cabo")
    write(chid, 0)
    write(chid, given, ca.DBR_STRING)
    assert read(chid) == 1


@pytest.mark.parametrize(
    ("given", "expected"),
    [("x" * 39, "x" * 39), (b"bytes", "bytes"), ("caf\u00e9", "caf\u00e9"), (["a", "b"], "a"),
     ("", ""), (5, "5"), (2.5, "2.5"), (np.str_("numpy"), "numpy"), (np.int16(7), "7")],
)  # fmt: skip
def test_string_record(connect, given: Any, expected: str) -> None:
    chid = connect("castring")
    write(chid, given)
    assert read(chid) == expected


@pytest.mark.parametrize("given", ["x" * 40, b"x" * 41, "\u00e9" * 20, ["x" * 100]])
def test_text_too_long_is_refused_and_not_cut(connect, given: Any) -> None:
    chid = connect("castring")
    write(chid, "unchanged")
    assert ca.put(chid, given) == ca.ECA.BADSTR
    assert ca.put(chid, given, callback=print) == ca.ECA.BADSTR
    assert read(chid) == "unchanged"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((1, 2, 3), [1, 2, 3]), (5, [5]), ("1.5", [1.5]), (range(25), list(range(20))),
        (np.arange(4.0)[::2], [0, 2]), (np.arange(4, dtype=">f8"), [0, 1, 2, 3]),
        (np.arange(6).reshape(2, 3), [0, 1, 2, 3, 4, 5]), (array.array("h", [1, -1]), [1, -1]),
        (bytearray(b"\x01\xff"), [1, 255]), (memoryview(np.arange(3.0)), [0, 1, 2]),
        (memoryview(np.arange(4.0).reshape(2, 2)), [0, 1, 2, 3]),
        (np.asfortranarray(np.arange(6).reshape(2, 3)), [0, 1, 2, 3, 4, 5]),
        (np.array([1, 2.5], dtype=object), [1, 2.5]), (np.array([True, False]), [1, 0]),
        (collections.deque([1, 2]), [1, 2]), ([1.5, "2.5"], [1.5, 2.5]),
        (np.array(["1.5", "2"]), [1.5, 2]),
    ],
)  # fmt: skip
def test_array_of_doubles(connect, given: Any, expected: list[float]) -> None:
    chid = connect("cawave")
    write(chid, given)
    assert read(chid) == expected + [0.0] * (20 - len(expected))


@pytest.mark.parametrize(
    ("given", "expected"),
    [("abc", [97, 98, 99, 0, 0]), ("abcdefgh", [97, 98, 99, 100, 101]), ("", [0] * 5),
     (b"\xff\x00\x01", [255, 0, 1, 0, 0]), ("\u00e9", [195, 169, 0, 0, 0]),
     ([1, 2, 255], [1, 2, 255, 0, 0])],
)  # fmt: skip
def test_array_of_bytes(connect, given: Any, expected: list[int]) -> None:
    chid = connect("cawavec")
    write(chid, given)
    assert read(chid) == expected


def test_count_cuts(connect) -> None:
    chid = connect("cawavec")
    write(chid, "1234", None, 3)
    assert read(chid) == [49, 50, 51, 0, 0]
    wave = connect("cawave")
    write(wave, [1, 2, 3], None, 2)
    assert read(wave, None, 3) == [1, 2, 0]
    write(wave, 7, None, 5)
    assert read(wave, None, 3) == [7, 0, 0]


def test_array_of_strings(connect) -> None:
    chid = connect("cawaves")
    for given, expected in [
        (["a", "b"], ["a", "b", ""]), ("one", ["one", "", ""]), ([b"a", "b"], ["a", "b", ""]),
        (list("vwxyz"), ["v", "w", "x"]), ([None, "b"], ["", "b", ""]),
        (np.array(["n", "py"]), ["n", "py", ""]),
    ]:  # fmt: skip
        write(chid, given)
        assert read(chid) == expected


def test_doubles_as_strings(connect) -> None:
    chid = connect("cawave")
    write(chid, ["1", "2", "3"], ca.DBR_STRING)
    assert read(chid, None, 4) == [1, 2, 3, 0]


def test_text_as_char_to_a_scalar_is_its_first_byte(connect) -> None:
    chid = connect("cascratch2")
    write(chid, "abc", ca.DBR_CHAR)
    assert read(chid) == 97


@pytest.mark.parametrize("wrong", [None, {}, {1}, object(), (i for i in range(2)), 1j, print])
@pytest.mark.parametrize("name", ["cascratch2", "calong", "cabo", "castring", "cawavec"])
def test_object_that_is_no_value(connect, name: str, wrong: Any) -> None:
    chid = connect(name)
    before = read(chid)
    with pytest.raises(ValueTypeError, match=name) as caught:
        ca.put(chid, wrong)
    assert caught.value.operation == "put"
    assert read(chid) == before


@pytest.mark.parametrize("wrong", ["abc", "", "0x10", "1,5", b"\xff"])
@pytest.mark.parametrize("name", ["cascratch2", "calong"])
def test_text_that_is_no_number(connect, name: str, wrong: Any) -> None:
    with pytest.raises(BadValueError, match=name):
        ca.put(connect(name), wrong)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("calong", 2**31), ("calong", float("nan")), ("calong", float("inf")), ("calong", "9" * 12),
     ("cabo", -1), ("cabo", 65536), ("cawavec", 256), ("cawavec", [1, -1]), ("cawaveh", 40000),
     ("cawaveh", np.array([1.0, np.nan])), ("cawavef", 1e300), ("cawavef", [1e300, 1]),
     ("cascratch2", 10**400), ("calong", -(10**400)), ("cawavel", np.array([2**63], np.uint64)),
     ("cascratch2", [10**400]), ("cascratch2", np.longdouble("1e400"))],
)  # fmt: skip
@pytest.mark.parametrize("callback", [None, print])
def test_number_that_does_not_fit(connect, name: str, wrong: Any, callback: Any) -> None:
    chid = connect(name)
    before = read(chid)
    with pytest.raises(RangeError, match=name):
        ca.put(chid, wrong, callback=callback)
    assert read(chid) == before


def test_nan_stays_nan(connect) -> None:
    chid = connect("cawave")
    write(chid, [float("nan"), float("-inf")])
    value = read(chid, None, 2)
    assert value[0] != value[0]
    assert value[1] == float("-inf")
    write(chid, [0.0])


@pytest.mark.parametrize("wrong", [-1, 7, 20, 34, 37, 38, 100])
def test_type_that_cannot_be_written(connect, wrong: int) -> None:
    chid = connect("cascratch2")
    assert ca.put(chid, 1, wrong) == ca.ECA.BADTYPE
    assert ca.put(chid, 1, wrong, callback=print) == ca.ECA.BADTYPE


def test_zero_elements(connect) -> None:
    chid, scalar = connect("cawave"), connect("cascratch2")
    assert ca.put(chid, [1, 2], None, 0) == ca.ECA.BADCOUNT
    assert ca.put(scalar, []) == ca.ECA.BADCOUNT
    write(chid, [1, 2])
    seen = Events()
    write(chid, [])
    ca.get(chid, ca.DBR_TIME_DOUBLE, 0, seen)
    ca.flush_io()
    assert seen.next()["count"] == 0


def test_negative_count(connect) -> None:
    with pytest.raises(OverflowError):
        ca.put(connect("cawave"), [1], None, -1)


def test_no_write_access(connect) -> None:
    chid = connect("caread")
    assert ca.put(chid, 1) == ca.ECA.NOWTACCESS
    assert ca.put(chid, [1]) == ca.ECA.NOWTACCESS
    assert ca.put(chid, 1, callback=print) == ca.ECA.NOWTACCESS


def test_each_completion_comes_after_its_own_processing(connect) -> None:
    chid, seen = connect("caslow"), Events()
    ca.put(chid, 1, callback=lambda event: seen(1, event))
    ca.put(chid, 2, callback=lambda event: seen(2, event))
    ca.flush_io()
    number, event = seen.next()
    assert (number, seen.next()[0]) == (1, 2)
    assert event == {"chid": chid, "type": ca.DBR.INVALID, "count": 0, "status": NORMAL}


def test_refused_put_reaches_its_callback_and_otherwise_the_exceptions(connect) -> None:
    chid, seen, exceptions = connect("cadisabled"), Events(), Events()
    ca.add_exception_event(exceptions)
    ca.put(chid, 9, callback=seen)
    ca.flush_io()
    assert (seen.next()["status"], exceptions.drain()) == (ca.ECA.PUTFAIL, [])
    assert ca.put(chid, 9) == NORMAL
    ca.flush_io()
    event = exceptions.next()
    assert (event["state"], event["op"], event["chid"]) == (ca.ECA.PUTFAIL, ca.CA_OP.PUT, chid)
    assert event["ctx"] == "cadisabled"
    ca.put(connect("cabo"), "no such state")
    ca.flush_io()
    assert exceptions.next()["ctx"] == "cabo"


def test_acknowledging(connect) -> None:
    chid = connect("caalarm")
    write(chid, 25.0)
    write(chid, 0.0)
    assert read(chid, ca.DBR_STSACK_STRING)["acks"] == ca.AlarmSeverity.Major
    write(chid, 2, ca.DBR_PUT_ACKS)
    assert read(chid, ca.DBR_STSACK_STRING)["acks"] == ca.AlarmSeverity.No
    write(chid, 0, ca.DBR_PUT_ACKT)
    assert read(chid, ca.DBR_STSACK_STRING)["ackt"] is False
    write(chid, 1, ca.DBR_PUT_ACKT)


def test_every_refusal_is_one_exception_tree() -> None:
    for cls in (BadValueError, RangeError, ValueTypeError):
        assert issubclass(cls, CAError)
