"""None and masked elements in the puts of `epics_compat`."""

from typing import Any

import numpy as np
import pytest

import epics_compat as epics
from cachannel.channel import CaChannel
from cachannel.errors import ValueTypeError
from cachannel.many import put_many
from cachannel.util import caget, caput

pytestmark = pytest.mark.usefixtures("ioc")

ma = np.ma
NAN = float("nan")


def connected(name: str) -> Any:
    pv = epics.get_pv(name)
    assert pv.wait_for_connection(60)
    return pv


ARRAYS: list[tuple[Any, list[float]]] = [
    ([1.0, None, 3.0], [1, NAN, 3]),
    (ma.array([1.0, 2.0, 3.0], mask=[0, 1, 0]), [1, NAN, 3]),
    (ma.array([1, 2, 3], mask=[0, 1, 0]), [1, NAN, 3]),
    (np.array([1, None], dtype=object), [1, NAN]),
    ([1.0, ma.masked], [1, NAN]),
]


@pytest.mark.parametrize(("value", "wanted"), ARRAYS)
@pytest.mark.parametrize("name", ["cawave", "cawavef"])
def test_missing_elements_are_nan_with_a_warning(
    name: str, value: Any, wanted: list[float]
) -> None:
    pv = connected(name)
    pv.put([5.0] * 3, wait=True)
    with pytest.warns(UserWarning, match="(?i)nan"):
        assert pv.put(value, wait=True) == 1
    assert pv.get(use_monitor=False).tolist() == pytest.approx(wanted, nan_ok=True)
    pv.put([5.0] * 3, wait=True)
    with pytest.warns(UserWarning, match="(?i)nan"):
        assert epics.caput_many([name], [value], wait="all") == [1]
    assert pv.get(use_monitor=False).tolist() == pytest.approx(wanted, nan_ok=True)


@pytest.mark.parametrize("value", [ma.masked, ma.array(3.0, mask=True), [None]])
def test_a_missing_number_is_nan_with_a_warning(value: Any) -> None:
    pv = connected("cascratch1")
    pv.put(5.0, wait=True)
    with pytest.warns(UserWarning, match="put of 'cascratch1'.*NaN") as caught:
        assert pv.put(value, wait=True) == 1
    assert [warning.filename for warning in caught] == [__file__]
    assert np.isnan(pv.get(use_monitor=False))
    pv.put(0.0, wait=True)


@pytest.mark.parametrize("name", ["cawavel", "cawaveh", "cawavee"])
@pytest.mark.parametrize(
    "value", [[1, None], ma.array([1, 2], mask=[0, 1]), np.array([1, None], dtype=object)]
)
def test_missing_elements_are_refused_by_integers(name: str, value: Any) -> None:
    pv = connected(name)
    pv.put([5, 6], wait=True)
    with pytest.raises(TypeError, match="None or masked") as caught:
        pv.put(value, wait=True)
    assert any(name in note for note in caught.value.__notes__)
    with pytest.raises(TypeError, match="None or masked"):
        epics.caput_many([name], [value], wait="all")
    assert pv.get(use_monitor=False).tolist()[:2] == [5, 6]


@pytest.mark.filterwarnings("ignore:Warning. converting a masked element")
@pytest.mark.parametrize("name", ["calong", "cabo", "castring", "cawavel", "cawaves"])
@pytest.mark.parametrize("value", [None, ma.masked, [ma.masked], [None]])
def test_a_missing_value_is_refused_by_integers_and_text(name: str, value: Any) -> None:
    pv = connected(name)
    before = pv.get(use_monitor=False, as_string=True)
    with pytest.raises(TypeError):
        pv.put(value, wait=True)
    assert pv.get(use_monitor=False, as_string=True) == before


@pytest.mark.parametrize("value", [NAN, [NAN], np.array([NAN]), float("inf"), [float("-inf")]])
def test_numbers_that_are_not_finite_are_refused_by_integers(value: Any) -> None:
    pv = connected("calong")
    pv.put(5, wait=True)
    with pytest.raises((TypeError, ValueError, OverflowError)):
        pv.put(value, wait=True)
    assert pv.get(use_monitor=False) == 5


def test_a_mask_that_hides_nothing() -> None:
    for name in ("cawave", "cawavel"):
        pv = connected(name)
        assert pv.put(ma.array([1, 2, 3]), wait=True) == 1
        assert pv.get(use_monitor=False).tolist() == [1, 2, 3]


def test_cachannel_and_its_lists() -> None:
    """`CaChannel`, `put_many` and `caput`: NaN for floating point, nothing for integers."""
    channels = []
    for name in ("cawave", "cawavel"):
        channel = CaChannel(name)
        channel.setTimeout(60)
        channel.searchw()
        channels.append(channel)
    floats, integers = channels
    masked = ma.array([1, 2, 3], mask=[0, 1, 0])
    integers._put_wait([5, 6, 7])
    puts = (
        lambda: floats._put_wait(masked),
        lambda: put_many([floats], [masked], wait=True),
        lambda: caput("cawave", masked, wait=True),
        lambda: caput(["cawave"], [masked], wait=True),
    )
    for put in puts:
        floats._put_wait([0.0] * 3)
        with pytest.warns(UserWarning, match="'cawave'.*NaN") as caught:
            put()
        assert [warning.filename for warning in caught] == [__file__]
        assert floats.getw(count=3) == pytest.approx([1, NAN, 3], nan_ok=True)
    for put in (
        lambda: integers.putw(masked),
        lambda: put_many([integers], [masked]),
        lambda: caput("cawavel", masked),
        lambda: caput(["cawavel"], [masked]),
    ):
        with pytest.raises(ValueTypeError, match="'cawavel'"):
            put()
    assert integers.getw(count=3) == [5, 6, 7]
    assert caget("cawavel", count=3) == [5, 6, 7]
