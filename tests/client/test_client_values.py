"""What the clients write for numbers, missing elements and text."""

from typing import Any

import numpy as np
import pytest

from cachannel.threading.client import Batch, Context
from support.waiting import wait_until

MASKED = np.ma.array([1.0, 2.0, 3.0], mask=[False, True, False])


@pytest.mark.parametrize(
    "data", [MASKED, [1.0, None, 3.0], np.array([1, None, 3], object), [1, np.ma.masked, 3]]
)
def test_a_missing_element_is_nan_for_floating_point(client: Any, data: Any) -> None:
    for pvname in ("cawave", "cawavef"):
        with pytest.warns(UserWarning, match=f"write of '{pvname}'.* as NaN"):
            client.write(pvname, data)
        assert [*client.read(pvname).data] == pytest.approx([1.0, np.nan, 3.0], nan_ok=True)


@pytest.mark.parametrize("data", [MASKED, [1, None], np.ma.array([1, 2], mask=[0, 1])])
@pytest.mark.parametrize("pvname", ["cawavel", "cawaveh", "calongtext", "cawaves", "cawavee"])
def test_a_missing_element_is_refused_otherwise(client: Any, data: Any, pvname: str) -> None:
    before = [*client.read(pvname).data]
    with pytest.raises(TypeError, match=f"write of '{pvname}'.*None or masked"):
        client.write(pvname, data)
    assert [*client.read(pvname).data] == before


def test_a_masked_array_without_masked_elements_is_an_array(client: Any) -> None:
    client.write("cawavel", np.ma.array([4, 5], mask=[False, False]))
    assert [*client.read("cawavel").data] == [4, 5]


@pytest.mark.parametrize("data", [None, object(), [[1, 2], [3, 4]], [object()], {"a": 1}, 5j, [5j]])
@pytest.mark.parametrize("pvname", ["cawave", "cawavel"])
def test_an_object_that_is_not_a_number_is_refused_with_the_name(
    client: Any, data: Any, pvname: str
) -> None:
    with pytest.raises(TypeError, match=f"write of '{pvname}'"):
        client.write(pvname, data)


@pytest.mark.parametrize("number", [2**31 + 2**31, -(2**31) - 1, 2**63, 2**70, float("nan")])
def test_a_number_that_does_not_fit_is_refused_with_the_name(client: Any, number: float) -> None:
    for data in (number, [number], np.array([number])):
        with pytest.raises((ValueError, TypeError), match="write of 'calong'"):
            client.write("calong", data)


def test_text_of_numpy_is_text(client: Any) -> None:
    for data in (np.str_("caf\u00e9"), np.bytes_("caf\u00e9".encode()), [np.str_("caf\u00e9")]):
        client.write("castring", data)
        assert client.read("castring").data == ["caf\u00e9".encode()]
        client.write("calongtext", data)
        assert bytes(client.read("calongtext").data) == "caf\u00e9".encode()
    client.write("cambbo", np.str_("two"))
    assert client.read("cambbo", data_type="native").data[0] == 2
    client.write("castring", "a string")


def test_text_is_written_as_utf8_and_cut_between_characters(client: Any) -> None:
    client.write("castring", "\u00b5" * 25)
    assert client.read("castring").data == [("\u00b5" * 19).encode()]
    response = client.write("calongtext", "x" + "\u00b5" * 150)
    assert response.data_count == 301
    assert bytes(client.read("calongtext").data).rstrip(b"\0") == ("x" + "\u00b5" * 99).encode()
    client.write("castring", "a string")


def test_a_declared_encoding_is_used(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAPROTO_STRING_ENCODING", "latin-1")
    client.write("castring", "\u00b5m")
    assert client.read("castring").data == [b"\xb5m"]
    client.write("castring", "\u2603")  # which Latin-1 does not have
    assert client.read("castring").data == ["\u2603".encode()]
    client.write("castring", "a string")


def test_a_masked_array_for_many_pvs(lasting: Any) -> None:
    def write(values: Any) -> list[Exception | None]:
        names = ["cascratch1", "cascratch2", "calong"]
        made = lasting.context.write_many(names, values, throw=False)
        errors: list[Exception | None] = lasting.do(made) if lasting.name == "asyncio" else made
        return errors

    with pytest.warns(UserWarning, match="write of 'cascratch1'"):
        errors = write(np.ma.array([1.0, 2.0, 3.0], mask=[True, False, True]))
    assert errors[:2] == [None, None]
    assert isinstance(errors[2], TypeError)
    assert "calong" in str(errors[2])
    assert np.isnan(lasting.read("cascratch1").data[0])
    assert lasting.read("cascratch2").data[0] == 2.0
    lasting.write("cascratch1", 0.0)


def test_a_masked_array_in_a_batch(ioc: Any) -> None:
    with Context(timeout=60) as context:
        pv, other = context.get_pvs("cawave", "cawavel")
        pv.wait_for_connection()
        other.wait_for_connection()
        done: list[Any] = []
        with Batch() as batch:
            with pytest.warns(UserWarning, match="write of 'cawave'"):
                batch.write(pv, MASKED, done.append)
            with pytest.raises(TypeError, match="write of 'cawavel'"):
                batch.write(other, MASKED)
        wait_until(lambda: done, what="the answer")
        assert np.isnan(pv.read().data[1])
