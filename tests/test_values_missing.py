"""None, masked elements and text in sequences, on their way to a PV."""

from typing import Any

import numpy as np
import pytest

from cachannel.errors import ValueTypeError
from cachannel.values.encode import Encoded, encode
from cachannel.values.missing import has_missing, is_missing, with_nan

ma = np.ma
NAN = float("nan")

MISSING: list[tuple[Any, list[float]]] = [
    ([None], [NAN]),
    (ma.masked, [NAN]),
    (ma.array(7.0, mask=True), [NAN]),
    ([1, None, 3.0], [1, NAN, 3]),
    ((None,), [NAN]),
    ([1.0, ma.masked], [1, NAN]),
    (ma.array([1.0, 2.0, 3.0], mask=[0, 1, 0]), [1, NAN, 3]),
    (ma.array([1, 2, 3], mask=[0, 0, 1]), [1, 2, NAN]),
    (ma.array([[1, 2], [3, 4]], mask=[[0, 1], [0, 0]]), [1, NAN, 3, 4]),
    (ma.array([True, False], mask=[1, 0]), [NAN, 0]),
    (ma.array([1.5, 2.0], mask=[1, 0], dtype=">f4"), [NAN, 2]),
    (np.array([1, None], dtype=object), [1, NAN]),
    (ma.array(["1", "2"], mask=[0, 1]), [1, NAN]),
    (ma.array([1, None, 3], mask=[1, 0, 0], dtype=object), [NAN, NAN, 3]),
]


def numbers(encoded: Encoded) -> list[float]:
    kind = {2: "f4", 6: "f8", 1: "i2", 3: "u2", 4: "u1", 5: "i4"}[encoded.dbr_type]
    return [float(number) for number in np.frombuffer(encoded.data, kind)]


@pytest.mark.parametrize(("value", "wanted"), MISSING)
@pytest.mark.parametrize("base", [2, 6])
def test_missing_is_written_as_nan_with_a_warning(
    base: int, value: Any, wanted: list[float]
) -> None:
    with pytest.warns(UserWarning, match="put of 'some:pv'.* NaN") as caught:
        encoded = encode(value, base, 5, None, "some:pv")
    assert numbers(encoded) == pytest.approx(wanted, nan_ok=True)
    assert [warning.filename for warning in caught] == [__file__], "the line of the caller"


@pytest.mark.parametrize(("value", "_"), MISSING)
@pytest.mark.parametrize("base", [1, 3, 4, 5, 35])
def test_missing_is_refused_by_integers(base: int, value: Any, _: Any) -> None:
    with pytest.raises(ValueTypeError, match="put of 'some:pv'"):
        encode(value, base, 5, None, "some:pv")


@pytest.mark.parametrize("value", [ma.masked, ma.array(["a", "b"], mask=[0, 1]), ["a", ma.masked]])
def test_masked_is_refused_by_text(value: Any) -> None:
    with pytest.raises(ValueTypeError, match="put of 'some:pv'"):
        encode(value, 0, 5, None, "some:pv")


@pytest.mark.parametrize("base", [1, 3, 4, 5, 2, 6])
def test_a_mask_that_hides_nothing_changes_nothing(base: int) -> None:
    for mask in (False, [0, 0, 0]):
        array = ma.array([1, 2, 3], mask=mask)
        assert encode(array, base, 5, None) == encode([1, 2, 3], base, 5, None)


def test_a_masked_element_that_is_cut_off_does_not_matter() -> None:
    assert numbers(encode(ma.array([1, 2, 3], mask=[0, 0, 1]), 5, 2, None)) == [1, 2]


def test_the_array_of_the_caller_stays() -> None:
    array = ma.array([1.0, 2.0], mask=[0, 1])
    objects = np.array([1.0, None], dtype=object)
    assert np.isnan(with_nan(array)[1])
    assert np.isnan(with_nan(objects)[1])
    assert array.data.tolist() == [1.0, 2.0]
    assert objects.tolist() == [1.0, None]


@pytest.mark.parametrize("value", [0, 1.0, NAN, "x", [], [1, NAN], np.zeros(3), ma.array([1]), {}])
def test_nothing_is_missing(value: Any) -> None:
    assert not is_missing(value)
    assert not has_missing(value)


@pytest.mark.parametrize(("value", "_"), MISSING)
def test_missing_is_found(value: Any, _: Any) -> None:
    assert has_missing(value)


TEXTS: list[Any] = [
    ["Busy"], ("Busy",), np.array(["Busy"]), np.array([b"Busy"]), np.array(["Busy"], dtype=object),
    np.str_("Busy"), np.bytes_(b"Busy"), np.array("Busy"), np.array(b"Busy"),
]  # fmt: skip


@pytest.mark.parametrize("value", TEXTS)
def test_text_of_numpy_and_in_a_sequence_is_text(value: Any) -> None:
    for base, native in ((0, 1), (0, 3), (3, 1), (4, 10)):
        assert encode(value, base, native, None) == encode("Busy", base, native, None)


def test_names_of_states_for_an_array_go_as_text() -> None:
    assert encode(["Busy", "Idle"], 3, 5, None) == encode(["Busy", "Idle"], 0, 5, None)
    assert numbers(encode(["1", "2"], 3, 5, None)) == [1, 2]


def test_elements_that_are_arrays_of_one_number() -> None:
    for base in (1, 5, 6):
        assert numbers(encode([np.array(1), np.array(2.0), np.array("3")], base, 5, None)) == [
            1, 2, 3,
        ]  # fmt: skip
    with pytest.raises(ValueTypeError, match="put of 'some:pv'"):
        encode([np.array([1, 2])], 5, 5, None, "some:pv")


def test_text_for_chars_is_not_cut_inside_a_character() -> None:
    assert encode("xxx\u00b5", 4, 4, None).data == b"xxx\0"
    assert encode("xx\u00b5", 4, 4, None).data == "xx\u00b5".encode()
