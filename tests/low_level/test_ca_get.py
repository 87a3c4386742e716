"""Reading: the tables of the specification, and what is refused."""

from typing import Any

import numpy as np
import pytest

from cachannel import ca
from support.calls import Events

NORMAL = ca.ECA.NORMAL
TYPES = ("STRING", "SHORT", "ENUM", "CHAR", "LONG", "DOUBLE")
REFUSED = object()


def read(chid: ca.Chid, *args: Any, **keywords: Any) -> Any:
    status, value = ca.get(chid, *args, **keywords)
    assert status == NORMAL
    assert ca.pend_io(30) == NORMAL
    assert value is not None
    return value.get()


def write(chid: ca.Chid, value: Any, *args: Any) -> None:
    done = Events()
    assert ca.put(chid, value, *args, callback=done) == NORMAL
    ca.flush_io()
    assert done.next()["status"] == NORMAL


@pytest.mark.parametrize(
    ("name", "given", "count", "expected"),
    [
        ("catest", 12.3, None, ["12.3000", 12, 12, 12, 12, 12.3]),
        ("cabo", 1, None, ["Busy", 1, 1, 1, 1, 1.0]),
        ("cambbo", 2, None, ["two", 2, 2, 2, 2, 2.0]),
        ("calong", 3, None, ["3", 3, 3, 3, 3, 3.0]),
        ("castring", "a string", None, ["a string", *[REFUSED] * 5]),
        ("castring", "", None, ["", 0, REFUSED, 0, 0, 0.0]),
        ("cawave", [1.5, 2.5, 3.5], 3,
         [["1.5000", "2.5000", "3.5000"], *[[1, 2, 3]] * 4, [1.5, 2.5, 3.5]]),
        ("cawavef", [1.5, -2], 3,
         [["2", "-2", ""], [1, -2, 0], [1, 65534, 0], [1, 254, 0], [1, -2, 0], [1.5, -2.0, 0.0]]),
        ("cawaveh", [1, -2, 3], 3,
         [["1", "-2", "3"], [1, -2, 3], [1, 65534, 3], [1, 254, 3], [1, -2, 3], [1.0, -2.0, 3.0]]),
        ("cawavec", [1, 2, 250], 3,
         [["1", "2", "-6"], [1, 2, -6], [1, 2, 65530], [1, 2, 250], [1, 2, -6], [1.0, 2.0, -6.0]]),
        ("cawavee", [1, 2, 3], 3, [REFUSED, *[[1, 2, 3]] * 4, [1.0, 2.0, 3.0]]),
        ("cawaves", ["s1", "s2"], 3, [["s1", "s2", ""], *[REFUSED] * 5]),
        ("cawaveone", [7.5], 1, ["8", 7, 7, 7, 7, 7.5]),
    ],
)  # fmt: skip
def test_values_by_type(connect, name: str, given: Any, count: Any, expected: list[Any]) -> None:  # type: ignore[no-untyped-def]
    chid = connect(name)
    write(chid, given)
    for kind, wanted in zip(TYPES, expected, strict=True):
        seen = Events()
        assert ca.get(chid, ca.DBR[kind], count, seen) == (NORMAL, None)
        ca.flush_io()
        event = seen.next()
        if wanted is REFUSED:
            assert (event["status"], event["value"]) == (ca.ECA.GETFAIL, None), kind
        else:
            assert (event["status"], event["type"]) == (NORMAL, ca.DBR[kind])
            assert event["value"] == wanted, kind
            assert type(event["value"]) is type(wanted)
            assert read(chid, ca.DBR[kind], count) == wanted


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("cawave", "f8"), ("cawavef", "f4"), ("cawaveh", "i2"), ("cawavec", "u1"), ("cawavel", "i4"),
     ("cawavee", "u2")],
)  # fmt: skip
def test_numpy_arrays_have_the_type_and_belong_to_the_caller(
    connect, name: str, dtype: str
) -> None:  # type: ignore[no-untyped-def]
    chid = connect(name)
    write(chid, [1, 2, 3])
    array = read(chid, count=3, use_numpy=True)
    assert isinstance(array, np.ndarray)
    assert (array.dtype, array.tolist()) == (np.dtype(dtype), [1, 2, 3])
    array[0] = 9
    assert read(chid, count=3, use_numpy=True).tolist() == [1, 2, 3]


def test_one_element_is_a_scalar_and_none_is_empty(connect) -> None:  # type: ignore[no-untyped-def]
    chid = connect("cawaveempty")
    for use_numpy in (False, True):
        assert read(chid, count=1, use_numpy=use_numpy) == 0.0
        assert type(read(chid, count=0, use_numpy=use_numpy)) is float
    seen = Events()
    ca.get(chid, ca.DBR_TIME_DOUBLE, 0, seen)
    ca.get(chid, ca.DBR_TIME_DOUBLE, 0, seen, True)
    ca.get(chid, ca.DBR_CTRL_DOUBLE, 0, seen)
    ca.flush_io()
    plain, array, control = seen.next(), seen.next(), seen.next()
    assert (plain["count"], plain["value"]["value"]) == (0, [])
    assert (array["count"], array["value"]["value"].shape) == (0, (0,))
    assert (control["count"], control["value"]["value"]) == (0, [])
    assert control["value"]["units"] == ""


def test_count_zero_with_callback_is_the_present_length(connect) -> None:  # type: ignore[no-untyped-def]
    chid = connect("cawave")
    seen = Events()
    for given in ([1.5, 2.5], [4.5]):
        write(chid, given)
        ca.get(chid, None, 0, seen)
        ca.flush_io()
        event = seen.next()
        assert event["count"] == len(given)
        assert event["value"] == (given if len(given) > 1 else given[0])


@pytest.mark.parametrize(
    ("count", "length"), [(None, 20), (5, 5), (100, 20), (2.7, 2), (np.int64(2), 2), (True, 1)]
)
def test_counts(connect, count: Any, length: int) -> None:  # type: ignore[no-untyped-def]
    value = read(connect("cawave"), None, count)
    assert length == (len(value) if isinstance(value, list) else 1)


@pytest.mark.parametrize("wrong", ["2", [1], b"1", object()])
def test_count_that_is_no_number(connect, wrong: object) -> None:  # type: ignore[no-untyped-def]
    chid = connect("cawave")
    with pytest.raises(ValueError, match="count"):
        ca.get(chid, None, wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="the type must be an integer"):
        ca.get(chid, wrong)  # type: ignore[arg-type]


def test_negative_count(connect) -> None:  # type: ignore[no-untyped-def]
    chid = connect("cawave")
    with pytest.raises(OverflowError):
        ca.get(chid, None, -1)
    with pytest.raises(OverflowError):
        ca.get(chid, None, -1, print)


@pytest.mark.parametrize("wrong", [-1, 35, 36, 39, 100, 2**31, 2**40])
@pytest.mark.parametrize("callback", [None, print])
def test_type_that_cannot_be_read(connect, wrong: int, callback: Any) -> None:  # type: ignore[no-untyped-def]
    assert ca.get(connect("catest"), wrong, None, callback) == (ca.ECA.BADTYPE, None)


def test_metadata_of_an_analog_record(connect) -> None:  # type: ignore[no-untyped-def]
    chid = connect("catest")
    write(chid, 12.3)
    value = read(chid, ca.DBR_CTRL_DOUBLE)
    assert value == {
        "value": 12.3, "severity": ca.AlarmSeverity.No, "status": ca.AlarmCondition.No,
        "units": "mm", "precision": 4,
        "upper_disp_limit": 200.0, "lower_disp_limit": -200.0,
        "upper_alarm_limit": 180.0, "lower_alarm_limit": -180.0,
        "upper_warning_limit": 170.0, "lower_warning_limit": -170.0,
        "upper_ctrl_limit": 190.0, "lower_ctrl_limit": -190.0,
    }  # fmt: skip
    assert "upper_ctrl_limit" not in read(chid, ca.DBR_GR_DOUBLE)
    assert "precision" not in read(chid, ca.DBR_CTRL_LONG)
    assert read(chid, ca.DBR_CTRL_CHAR)["lower_disp_limit"] == 256 - 200
    assert set(read(chid, ca.DBR_CTRL_STRING)) == {"value", "severity", "status"}


def test_states_of_an_enum(connect) -> None:  # type: ignore[no-untyped-def]
    value = read(connect("cabo"), ca.DBR_CTRL_ENUM)
    assert (value["no_str"], value["strs"]) == (2, ("Done", "Busy"))
    other = read(connect("catest"), ca.DBR_GR_ENUM)
    assert (other["no_str"], other["strs"]) == (0, ())


def test_time_stamp_counts_from_1970(connect) -> None:  # type: ignore[no-untyped-def]
    stamp = read(connect("cacalc"), ca.DBR_TIME_DOUBLE)["stamp"]
    assert stamp["seconds"] > 1_700_000_000
    assert 0 <= stamp["nanoseconds"] < 1_000_000_000
    assert stamp["timestamp"] == pytest.approx(stamp["seconds"] + stamp["nanoseconds"] * 1e-9)


def test_special_types(connect) -> None:  # type: ignore[no-untyped-def]
    assert read(connect("cawave"), ca.DBR_CLASS_NAME) == "waveform"
    value = read(connect("caplain"), ca.DBR_STSACK_STRING)
    assert set(value) == {"value", "severity", "status", "ackt", "acks"}
    assert value["ackt"] is True
    assert isinstance(value["value"], str)


def test_value_stays_until_asked_again(connect) -> None:  # type: ignore[no-untyped-def]
    chid = connect("camillion")
    _, value = ca.get(chid)
    assert value is not None
    assert ca.pend_io(30) == NORMAL
    assert value.count == 1_000_000
    assert value.dbrtype is ca.DBR.DOUBLE
    value.use_numpy = True
    first, second = value.get(), value.get()
    assert first.shape == second.shape == (1_000_000,)
    first[:] = -12345.5
    assert not np.any(second == -12345.5)


def test_refused_get_ends_the_wait_and_tells_the_exception_callback(connect) -> None:  # type: ignore[no-untyped-def]
    seen = Events()
    chid = connect("castring")
    write(chid, "text")
    ca.add_exception_event(seen)
    status, value = ca.get(chid, ca.DBR_DOUBLE)
    assert status == NORMAL
    assert ca.pend_io(30) == ca.ECA.TIMEOUT
    assert value is not None
    assert value.get() is None
    event = seen.next()
    assert (event["state"], event["op"], event["chid"]) == (ca.ECA.GETFAIL, ca.CA_OP.GET, chid)
    assert event["stat"] == event["state"]
    assert ca.pend_io(30) == NORMAL


def test_no_read_access(connect) -> None:  # type: ignore[no-untyped-def]
    chid = connect("canoaccess")
    assert ca.get(chid) == (ca.ECA.NORDACCESS, None)
    assert ca.get(chid, None, None, print) == (ca.ECA.NORDACCESS, None)


def test_text_that_is_not_utf8_is_latin1(connect) -> None:  # type: ignore[no-untyped-def]
    chid = connect("castring")
    write(chid, b"caf\xe9")
    assert read(chid) == "caf\u00e9"
    write(chid, "caf\u00e9")
    assert read(chid) == "caf\u00e9"
    write(chid, "a string")
