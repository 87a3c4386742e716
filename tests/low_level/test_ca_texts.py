"""Types and texts of the low-level module."""

from typing import Any

import pytest

from cachannel import CaChannelException, ca


@pytest.mark.parametrize("number", range(-1, 40))
def test_field_types_become_request_types_by_offset(number: int) -> None:
    groups = {
        ca.dbf_type_to_DBR: 0,
        ca.dbf_type_to_DBR_STS: 7,
        ca.dbf_type_to_DBR_TIME: 14,
        ca.dbf_type_to_DBR_GR: 21,
        ca.dbf_type_to_DBR_CTRL: 28,
    }
    valid = 0 <= number <= 6
    assert ca.dbf_type_is_valid(number) is valid
    for function, offset in groups.items():
        answer = function(number)
        assert answer == (number + offset if valid else -1)
        assert isinstance(answer, ca.DBR)


@pytest.mark.parametrize("number", range(-1, 40))
def test_request_types_are_sorted_by_range(number: int) -> None:
    assert ca.dbr_type_is_valid(number) is (0 <= number <= 38)
    predicates = [
        ca.dbr_type_is_plain,
        ca.dbr_type_is_STS,
        ca.dbr_type_is_TIME,
        ca.dbr_type_is_GR,
        ca.dbr_type_is_CTRL,
    ]
    found = [predicate(number) for predicate in predicates]
    assert found == [number // 7 == group for group in range(5)]


@pytest.mark.parametrize("number", range(-1, 40))
def test_base_type_is_the_remainder_also_beyond_the_values(number: int) -> None:
    names = ("STRING", "SHORT", "FLOAT", "ENUM", "CHAR", "LONG", "DOUBLE")
    valid = 0 <= number <= 38
    found = [getattr(ca, f"dbr_type_is_{name}")(number) for name in names]
    assert found == [valid and number % 7 == base for base in range(7)]


def test_type_names() -> None:
    assert [ca.dbf_text(number) for number in range(-2, 9)] == [
        "DBF_invalid", "TYPENOTCONN", "DBF_STRING", "DBF_SHORT", "DBF_FLOAT", "DBF_ENUM",
        "DBF_CHAR", "DBF_LONG", "DBF_DOUBLE", "DBF_NO_ACCESS", "DBF_invalid",
    ]  # fmt: skip
    assert ca.dbr_text(1) == "DBR_SHORT"
    assert ca.dbr_text(20) == "DBR_TIME_DOUBLE"
    assert ca.dbr_text(38) == "DBR_CLASS_NAME"
    assert ca.dbr_text(-1) == ca.dbr_text(39) == "DBR_invalid"
    assert ca.dbf_text is ca.dbf_type_to_text
    assert ca.dbr_text is ca.dbr_type_to_text


@pytest.mark.parametrize("number", range(39))
def test_every_request_type_is_found_by_its_name(number: int) -> None:
    assert ca.dbr_text_to_type(ca.dbr_text(number)) == number


def test_names_to_types() -> None:
    assert ca.dbf_text_to_type("DBF_SHORT") is ca.DBF.SHORT
    assert ca.dbf_text_to_type("DBF_INT") == -1
    assert ca.dbr_text_to_type("nonsense") is ca.DBR.INVALID


@pytest.mark.parametrize("function", [ca.dbf_text_to_type, ca.dbr_text_to_type])
@pytest.mark.parametrize("wrong", [None, 1, b"DBF_LONG"])
def test_name_that_is_no_text_is_a_type_error(function, wrong: object) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(TypeError):
        function(wrong)


def test_message_takes_any_integer() -> None:
    assert "Normal" in ca.message(ca.ECA_NORMAL)
    assert ca.message(ca.ECA.TIMEOUT) == ca.message(80)
    for number in (-1, 9999, 2**40, -(2**70)):
        assert isinstance(ca.message(number), str)


def test_message_of_an_exception_is_that_of_its_status() -> None:
    assert ca.message(CaChannelException(ca.ECA.TIMEOUT)) == ca.message(80)


@pytest.mark.parametrize("wrong", [None, "80", 80.0, [80]])
def test_message_of_something_else_is_a_type_error(wrong: object) -> None:
    with pytest.raises(TypeError):
        ca.message(wrong)  # type: ignore[arg-type]


def test_alarm_texts() -> None:
    assert [ca.alarmSeverityString(i) for i in range(4)] == [
        "NO_ALARM", "MINOR", "MAJOR", "INVALID",
    ]  # fmt: skip
    assert [ca.alarmStatusString(i) for i in range(22)] == [
        "NO_ALARM", "READ", "WRITE", "HIHI", "HIGH", "LOLO", "LOW", "STATE", "COS", "COMM",
        "TIMEOUT", "HWLIMIT", "CALC", "SCAN", "LINK", "SOFT", "BAD_SUB", "UDF", "DISABLE", "SIMM",
        "READ_ACCESS", "WRITE_ACCESS",
    ]  # fmt: skip
    for function in (ca.alarmSeverityString, ca.alarmStatusString):
        for wrong in (-1, 22):
            with pytest.raises(IndexError):
                function(wrong)


def test_pieces_of_a_status() -> None:
    for status in ca.ECA:
        number, severity = ca.CA_EXTRACT_MSG_NO(status), ca.CA_EXTRACT_MSG_SEVERITY(status)
        assert number << 3 | severity == status
        assert isinstance(status.message(), str)


def test_version_is_that_of_the_protocol() -> None:
    assert ca.version() == "4.13"


def test_numpy_is_there() -> None:
    assert ca.HAS_NUMPY == 1


@pytest.mark.parametrize("wrong", ["5", b"5", "DBR_LONG", None, []])
def test_what_is_no_number_is_a_type_error(wrong: Any) -> None:
    for name in dir(ca):
        if name.startswith(("dbf_type", "dbr_type", "dbf_text", "dbr_text", "alarmS")):
            if name.endswith("text_to_type"):
                continue
            with pytest.raises(TypeError):
                getattr(ca, name)(wrong)
