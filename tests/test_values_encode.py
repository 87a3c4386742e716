"""Python values to DBR data."""

import struct
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from cachannel.errors import BadValueError, CAError, RangeError, StringTooLongError, ValueTypeError
from cachannel.protocol.enums import DBR
from cachannel.values.encode import Encoded, encode, integer

CODES = {1: "h", 2: "f", 3: "H", 4: "B", 5: "i", 6: "d"}
RANGES = {1: (-32768, 32767), 3: (0, 65535), 4: (0, 255), 5: (-(2**31), 2**31 - 1)}
DTYPES = ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "longdouble", "?", "O"]


def unpack(encoded: Encoded) -> list[Any]:
    return list(struct.unpack(f"={encoded.length}{CODES[encoded.dbr_type]}", encoded.data))


@pytest.mark.parametrize("base", RANGES)
@given(number=st.integers(-(2**40), 2**40))
def test_integer_is_written_as_it_is_or_refused(base: int, number: int) -> None:
    low, high = RANGES[base]
    forms = [
        number,
        float(number),
        [number],
        np.int64(number),
        np.array(number),
        np.array([number]),
    ]
    if base not in (3, 4):  # text for an ENUM is its state, for CHAR its bytes
        forms.append(str(number))
    for form in forms:
        if low <= number <= high:
            assert unpack(encode(form, base, 1, None)) == [number]
        else:
            with pytest.raises(RangeError):
                encode(form, base, 1, None)


@given(number=st.floats(allow_nan=False))
def test_double_is_written_as_it_is(number: float) -> None:
    for form in (number, [number], np.float64(number), np.array([number], ">f8"), repr(number)):
        assert unpack(encode(form, 6, 1, None)) == [number]


@given(number=st.floats())
def test_double_for_an_integer_is_cut_or_refused(number: float) -> None:
    try:
        written = unpack(encode(number, 5, 1, None))
    except RangeError:
        assert not -(2**31) - 1 < number < 2**31
    else:
        assert written == [int(number)]


@given(values=st.lists(st.integers(-128, 127), max_size=30), limit=st.integers(0, 40))
def test_elements_are_cut_at_the_smallest_of_three(values: list[int], limit: int) -> None:
    encoded = encode(values, 5, 20, limit)
    assert unpack(encoded) == values[: min(20, limit)]


@pytest.mark.parametrize("base", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("dtype", DTYPES)
def test_numpy_of_every_type_order_and_layout(base: int, order: str, dtype: str) -> None:
    kind = np.dtype(dtype)
    if kind.byteorder != "|":
        kind = kind.newbyteorder(order)
    source = np.array([0, 1, 1, 1, 0, 1], dtype=kind)
    for array in (
        source, source[::2], source[::-1], source.reshape(2, 3), source.reshape(2, 3).T,
        np.asfortranarray(source.reshape(3, 2)), source[:0], source[1], np.array(source[1]),
    ):  # fmt: skip
        wanted = np.asarray(array, "f8").ravel().tolist()
        if isinstance(array, np.ndarray) and not array.size:
            assert encode(array, base, 10, None).length == 0
            continue
        assert unpack(encode(array, base, 10, None)) == wanted
    frozen = source.copy()
    frozen.setflags(write=False)
    assert unpack(encode(frozen, base, 10, None)) == source.astype("f8").tolist()


@pytest.mark.parametrize("base", RANGES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -1e30])
def test_array_with_one_bad_element_is_refused(base: int, value: float) -> None:
    for array in (np.array([1, value]), np.array([1, value], object), [1, value], [1, str(value)]):
        with pytest.raises(RangeError):
            encode(array, base, 10, None)


@pytest.mark.parametrize("dtype", ["c16", "V8", "M8[s]"])
def test_arrays_that_are_no_numbers(dtype: str) -> None:
    with pytest.raises((ValueTypeError, BadValueError)):
        encode(np.zeros(3, dtype), 6, 10, None)


@given(text=st.text(max_size=60))
def test_text_is_written_whole_or_refused(text: str) -> None:
    data = text.encode("utf-8", "surrogatepass" if False else "strict")
    if len(data) < 40:
        encoded = encode(text, 0, 1, None)
        assert encoded == (0, 1, data.ljust(40, b"\0"))
    else:
        with pytest.raises(StringTooLongError):
            encode(text, 0, 1, None)


@given(data=st.binary(max_size=30), limit=st.integers(1, 40))
def test_bytes_for_chars_end_with_a_nul_if_there_is_room(data: bytes, limit: int) -> None:
    encoded = encode(data, 4, limit, None)
    assert encoded.data == (data + b"\0")[:limit]
    assert encoded.length == len(encoded.data)


def test_enum_state_goes_as_text() -> None:
    assert encode("Busy", 3, 1, None).dbr_type == 0
    assert encode(b"Busy", 3, 1, None).data.startswith(b"Busy\0")


@pytest.mark.parametrize("value", [None, {}, set(), object(), iter([1]), lambda: 1])
@pytest.mark.parametrize("base", range(7))
def test_objects_are_refused_by_every_type(base: int, value: Any) -> None:
    with pytest.raises(ValueTypeError) as caught:
        encode(value, base, 5, None, "some:pv", "put")
    assert "put of 'some:pv'" in str(caught.value)


@pytest.mark.parametrize("base", range(1, 7))
@pytest.mark.parametrize("value", [{}, [1], object()])
def test_bad_elements_are_refused_by_every_number(base: int, value: Any) -> None:
    with pytest.raises(CAError):
        encode([1, value], base, 5, None)


@pytest.mark.parametrize("value", [1, 1.9, True, np.int8(1), np.float32(1)])
def test_integer_takes_numbers(value: Any) -> None:
    assert integer(value, "count") == 1


@pytest.mark.parametrize("value", ["1", b"1", [1], None, object(), float("nan")])
def test_integer_refuses_the_rest(value: Any) -> None:
    with pytest.raises(ValueError, match="count must be an integer"):
        integer(value, "count")


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "longdouble"])
@pytest.mark.parametrize(("base", "value"), [(5, 2.0**31), (3, 65536.0), (1, 32768.0), (4, 256.0)])
def test_limits_are_exact_in_every_precision(dtype: str, base: int, value: float) -> None:
    with np.errstate(over="ignore"):
        array = np.array([value, 0]).astype(dtype)
    with pytest.raises(RangeError):
        encode(array, base, 10, None)


class OnlyInt:
    def __int__(self) -> int:
        return 7


class OnlyIndex:
    def __index__(self) -> int:
        return 7


class OnlyFloat:
    def __float__(self) -> float:
        return 2.5


@pytest.mark.parametrize(("value", "number"), [(OnlyInt(), 7), (OnlyIndex(), 7), (OnlyFloat(), 2)])
@pytest.mark.parametrize("base", range(1, 7))
def test_every_protocol_of_a_number_will_do(base: int, value: Any, number: int) -> None:
    for each in (value, [value]):
        data = encode(each, base, 1, None).data
        assert int(np.frombuffer(data, ["", "i2", "f4", "u2", "u1", "i4", "f8"][base])[0]) == number


@pytest.mark.parametrize(
    ("value", "text"),
    [(OnlyInt(), "7"), (OnlyIndex(), "7"), (OnlyFloat(), "2.5"), (Fraction(5, 2), "2.5"),
     (Decimal("2.5"), "2.5"), (True, "1"), (np.True_, "1"), (np.float32(2.5), "2.5"),
     (DBR.LONG, "5"), (np.longdouble(2.5), "2.5")],
)  # fmt: skip
def test_number_as_text_is_its_value(value: Any, text: str) -> None:
    """Never the name of its class or of the enum member, nor a numerator alone."""
    for each in (value, [value]):
        assert encode(each, 0, 1, None).data.rstrip(b"\0").decode() == text


def test_array_of_bools_as_text() -> None:
    assert encode(np.array([True, False]), 0, 2, None).data.replace(b"\0", b"") == b"10"


@pytest.mark.parametrize("value", [None, {}, [{}], [[1, 2]]])
def test_object_that_is_no_value_is_a_value_error_and_a_type_error(value: Any) -> None:
    """CaChannel raised ValueError, caffi TypeError; scripts may catch either."""
    with pytest.raises(ValueError, match="put") as caught:
        encode(value, 6, 5, None)
    assert isinstance(caught.value, TypeError)
