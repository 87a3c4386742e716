"""Answers that pyepics 3.5.10 was seen to give, asked beside it of one soft IOC.

What is a defect there by the specification is not here, but in the tests of what is better.
"""

import ctypes
import threading
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest

import epics_compat as epics
from epics_compat import ca, dbr, utils
from epics_compat.autosave import restore_pvs
from epics_compat.pv import PV
from support.ioc import SoftIoc
from support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("ioc")


def connected(name: str, **keywords: object) -> PV:
    pv = PV(name, **keywords)
    assert pv.wait_for_connection(10)
    return pv


def channel(name: str) -> dbr.chid_t:
    return ca.create_channel(name, connect=True)


def same(got: object, expected: numpy.ndarray) -> bool:
    return (
        isinstance(got, numpy.ndarray) and got.dtype == expected.dtype
        and got.tolist() == expected.tolist()
    )  # fmt: skip


# Reading ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("auto_monitor", [None, False])
def test_the_property_value_is_what_is_known(auto_monitor: bool | None) -> None:
    """`get` shapes one element of an array, and asks an unmonitored PV; `value` does neither."""
    epics.caput("cawavel", [7], wait=True)
    epics.caput("cawaves", ["a", "b"], wait=True)
    number = connected("cawavel", auto_monitor=auto_monitor)
    wait_until(lambda: number.value == 7)
    assert number.value is number._args["value"]
    assert same(number.get(), numpy.array([7], "i4"))
    text = connected("cawaves", auto_monitor=auto_monitor)
    wait_until(lambda: text.value == ["a", "b"])
    assert text.get().tolist() == ["a", "b"]
    lines = (number.info or "").splitlines()
    assert "   value           = 7" in lines


def test_the_value_of_an_unmonitored_pv_is_that_of_the_last_get() -> None:
    pv = connected("calong", auto_monitor=False)
    assert pv.put(1, wait=True) == 1
    assert pv.value == 1
    assert pv.put(2, wait=True) == 1
    assert (pv.value, pv.get(), pv.value) == (1, 2, 2)


def test_properties_that_need_no_value_fetch_none() -> None:
    """A PV that may not be read tells its rights, host and size all the same."""
    pv = connected("canoaccess")
    assert (pv.access, pv.read_access, pv.write_access) == ("no access", False, False)
    assert (pv.nelm, pv.count) == (1, 1)
    assert pv.host.count(":") == 1
    with pytest.raises(ca.CASeverityException, match="denied"):
        _ = pv.status


def test_one_element_of_an_array_of_char_or_string() -> None:
    """They stay arrays; one element of other arrays is a scalar for `ca`."""
    char, text, long = channel("cawavec"), channel("cawaves"), channel("cawavel")
    for number in (1, 2):
        ca.put(char, [72] * number, wait=True)
        ca.put(text, ["a"] * number, wait=True)
        ca.put(long, [5] * number, wait=True)
        assert same(ca.get(char, count=1), numpy.array([72], "u1"))
        assert ca.get(text, count=1) == ["a"]
        assert ca.get(text, count=1, as_string=True) == "['a']"
        assert ca.get(long, count=1) == 5
        assert ca.get(long, count=1, ftype=dbr.STRING, as_string=True) == "['5']"
        assert same(ca.get(long, count=1, ftype=dbr.CHAR), numpy.array([5], "u1"))
        array = ca.get(char, count=1, as_numpy=False)
        assert isinstance(array, ctypes.Array)
        assert list(array) == [72]
        values = epics.caget_many(["cawavec", "cawaves", "cawavel"], count=1)
        assert same(values[0], numpy.array([72], "u1"))
        assert values[1:] == [["a"], 5]
        array = epics.caget_many(["cawavec"], count=1, as_numpy=False)[0]
        assert isinstance(array, ctypes.Array)
        assert list(array) == [72]


def test_one_element_of_an_array_of_char_in_a_callback() -> None:
    epics.caput("cawavec", [72], wait=True)
    seen: list[dict] = []
    pv = connected("cawavec", callback=lambda **kws: seen.append(kws))
    wait_until(lambda: seen)
    assert list(seen[0]["value"]) == [72]
    assert seen[0]["char_value"] == "H"
    wait_until(lambda: pv.get() is not None)
    assert same(pv.get(), numpy.array([72], "u1"))
    assert pv.get(as_numpy=False) == [72]
    assert pv.get(as_string=True) == "H"


def test_a_form_of_the_same_type_is_the_same_form() -> None:
    """STRING has no CTRL type, and an unknown form is native."""
    pv = connected("castring")
    wait_until(lambda: pv._args["value"] is not None)
    assert pv.get_with_metadata(form="ctrl").keys() == pv._args.keys()
    native = connected("catest", form="native")
    wait_until(lambda: native._args["value"] is not None)
    assert native.get_with_metadata(form="other").keys() == native._args.keys()
    assert set(native.get_with_metadata(form="time")) == {
        "value", "status", "severity", "timestamp", "posixseconds", "nanoseconds",
    }  # fmt: skip


def test_before_the_connection() -> None:
    pv = PV("no:such:pv", connection_timeout=0.05)
    assert pv.ftype == dbr.TIME_STRING - 1
    assert pv._args["ftype"] is None
    assert pv._args["nelm"] == -1
    with pytest.warns(UserWarning, match="not connected"):
        assert pv.nelm == 0
    assert pv.char_value == "None"


def test_the_last_get_is_complete() -> None:
    """What `get` gave, `get_complete` gives again."""
    chid = channel("calong")
    ca.put(chid, 5, wait=True)
    assert ca.get(chid) == 5
    assert ca.get_complete(chid) == 5
    assert ca.get_with_metadata(chid, ftype=dbr.TIME_LONG)["value"] == 5
    assert ca.get_complete(chid, ftype=dbr.TIME_LONG) == 5
    wave = channel("cawave")
    ca.put(wave, [1, 2], wait=True)
    first = ca.get(wave)
    again = ca.get_complete(wave)
    assert first.tolist() == again.tolist() == [1, 2]
    assert not numpy.shares_memory(first, again)


def test_questions_about_what_is_not_connected() -> None:
    chid = ca.create_channel("no:such:ca:either")
    assert ca.get_precision(chid) is None
    assert ca.get_enum_strings(chid) is None
    for function in (ca.get_ctrlvars, ca.get_timevars):
        with pytest.raises(ca.CASeverityException, match="disconnect"):
            function(chid, timeout=0.05)
    ca.clear_channel(chid)


def test_caget_many_of_what_may_not_be_read() -> None:
    with pytest.raises(ca.CASeverityException, match="Read access denied"):
        epics.caget_many(["catest", "canoaccess"])


# Writing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["catest", "calong", "cabo", "catest.PROC"])
@pytest.mark.parametrize(
    "value",
    [[1, 2], (), [], range(3), numpy.array([1.5, 2.5]), numpy.ones((2, 2)), bytearray(b"ab"), {1}],
    ids=repr,
)
def test_several_values_for_a_scalar(name: str, value: object) -> None:
    pv = connected(name)
    with pytest.raises(TypeError):
        pv.put(value, wait=True)


@pytest.mark.parametrize("text", ["1.5", "1e3", "010", "abc", "", b"xy"])
@pytest.mark.parametrize("name", ["calong", "cabo"])
def test_text_that_is_no_integer(name: str, text: str | bytes) -> None:
    with pytest.raises(ValueError, match="invalid"):
        connected(name).put(text, wait=True)


@pytest.mark.parametrize("value", [{"a": 1}, {1}, 1 + 2j, object, None], ids=repr)
@pytest.mark.parametrize("name", ["castring", "cawaves"])
def test_what_is_no_text(name: str, value: object) -> None:
    with pytest.raises(TypeError):
        connected(name).put(value, wait=True)


@pytest.mark.parametrize("name", ["cawavel", "cawaveh", "cawavec", "cawavee"])
@pytest.mark.parametrize("value", [[1.5, 2.5], numpy.array([1.0, 2.0]), [1, 2.0]], ids=repr)
def test_fractions_for_an_array_of_integers(name: str, value: object) -> None:
    with pytest.raises(TypeError, match="integer"):
        connected(name).put(value, wait=True)


@pytest.mark.parametrize("value", [["a", "b"], numpy.array(["a", "b"]), [b"q"], [{}]], ids=repr)
@pytest.mark.parametrize("name", ["cawave", "cawavel"])
def test_what_is_no_array_of_numbers(name: str, value: object) -> None:
    with pytest.raises(TypeError):
        connected(name).put(value, wait=True)


def test_empty_text_clears_an_array_of_char() -> None:
    pv = connected("cawavec")
    assert pv.put("Hi", wait=True) == 1
    assert pv.put("", wait=True) == 1
    assert pv.get(use_monitor=False).tolist() == [0] * 5


@pytest.mark.parametrize("wait", [False, "each", "all"])
def test_caput_many_raises_what_put_raises(wait: object) -> None:
    """What comes before the one that fails is written."""
    assert epics.caput_many(["calong", "caplain"], [1, 1.0], wait="all") == [1, 1]
    with pytest.raises(ValueError, match="abc"):
        epics.caput_many(["calong", "catest", "caplain"], [2, "abc", 2.0], wait=wait)
    with pytest.raises(ca.CASeverityException, match="Write access denied"):
        epics.caput_many(["caread"], [3], wait=wait)
    with pytest.raises(ca.CASeverityException, match="Write access denied"):
        epics.caput_many(["caread"], ["3"], wait=wait)
    wait_until(lambda: epics.caget_many(["calong"]) == [2])
    assert epics.caget_many(["caplain"]) == [1.0]


# Contexts and channels --------------------------------------------------------------------------


def test_a_pv_without_context_refuses_everything() -> None:
    pv = connected("calong")
    wait_until(lambda: pv.get() is not None)
    pv.context = None
    calls = {
        "add_callback": (len,), "remove_callback": (1,), "get": (),
        "run_callback": (0,), "run_callbacks": (), "disconnect": (), "poll": (),
        "force_connect": (), "get_timevars": (), "clear_auto_monitor": (), "put": (1,),
    }  # fmt: skip
    for name, arguments in calls.items():
        with pytest.raises(RuntimeError, match="no context"):
            getattr(pv, name)(*arguments)
    with pytest.raises(RuntimeError, match="no context"):
        pv.auto_monitor = True
    # What is known is told.
    assert pv.value == pv._args["value"]
    assert pv.access == "read/write"
    pv.context = ca.current_context()
    pv.disconnect()


def test_attach_after_detach() -> None:
    """Asking for the current context does not attach a thread to it."""
    context, answers = ca.current_context(), []

    def work() -> None:
        answers.append(ca.current_context() == context)
        answers.append(ca.attach_context(context))
        answers.append(ca.attach_context(context))
        ca.detach_context()
        answers.append(ca.current_context() == context)
        answers.append(ca.attach_context(context))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert answers == [True, 1, 424, True, 1]


def test_names_of_channels() -> None:
    chid = channel("catest")
    assert ca.create_channel(b"catest") is chid
    for bad in (None, 5):
        with pytest.raises(TypeError):
            ca.create_channel(bad)


def test_decorated_functions_get_a_chid() -> None:
    chid = channel("catest")
    for decorator in (ca.withCHID, ca.withConnectedCHID, ca.withMaybeConnectedCHID):
        given = decorator(lambda chid: chid)
        assert given(chid) is chid
        assert given(chid.value) is chid


def test_text_is_what_can_be_encoded() -> None:
    for bad in (None, 5):
        with pytest.raises(TypeError):
            utils.str2bytes(bad)


def test_groups_tell_that_they_are_done() -> None:
    group = ca.sg_create()
    assert ca.sg_test(group) == dbr.ECA_IODONE
    ca.sg_delete(group)


# Devices ----------------------------------------------------------------------------------------


def test_a_state_file_holds_no_arrays(tmp_path: Path) -> None:
    """Text of an array of CHAR would come back as the text of a list."""
    epics.caput("calongtext", "hello", wait=True)
    device = epics.Device("", attrs=("calong", "calongtext"))
    for pv in device._pvs.values():
        assert pv.wait_for_connection(10)
    device.write_state(str(tmp_path / "state"))
    device.read_state(str(tmp_path / "state"), restore=True)
    lines = (tmp_path / "state").read_text(encoding="utf-8").splitlines()[1:]
    assert lines == [f"calong {device.calong}"]
    assert epics.caget("calongtext", as_string=True, use_monitor=False) == "hello"


def test_names_of_a_device_that_are_no_pvs() -> None:
    device = epics.Device("catest", delim=".", nonpvs=("mine",))
    assert set(device._nonpvs) == {
        "_prefix", "_delim", "_pvs", "_aliases", "_mutable", "_nonpvs", "_init", "mine",
    }  # fmt: skip


def test_callbacks_of_a_motor_add_up() -> None:
    """Two that are set for one field are both called; `clear_callback` takes the later one."""
    motor = epics.Motor("m1")
    first: list[float] = []
    second: list[float] = []
    motor.set_callback("TWV", lambda value, **kws: first.append(value))
    motor.set_callback("TWV", lambda value, **kws: second.append(value))
    motor.put("TWV", 3.5, wait=True)
    wait_until(lambda: 3.5 in first and 3.5 in second)
    motor.clear_callback("TWV")
    motor.put("TWV", 4.5, wait=True)
    wait_until(lambda: 4.5 in first)
    assert 4.5 not in second


def test_whole_steps_of_a_motor_are_ints() -> None:
    motor = epics.Motor("m1")
    assert motor.put("PREC", 3, wait=True) == 1
    wait_until(lambda: motor.PREC == 3)
    steps = motor.make_step_list(maxstep=5)
    assert [str(step) for step in steps] == [
        "0.001", "0.002", "0.005", "0.01", "0.02", "0.05", "0.1", "0.2", "0.5", "1", "2", "5",
    ]  # fmt: skip


def test_what_a_save_file_may_hold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Braces go with arrays only, and a name without a value has an empty text."""
    path = tmp_path / "file.sav"
    path.write_text("castring {braced}\ncastringin\ncawave @array@ { [3, 4] }\n<END>\n", "utf-8")
    before = epics.caget("castringin", use_monitor=False)
    epics.caput("castringin", "full", wait=True)
    try:
        assert restore_pvs(str(path))
        assert capsys.readouterr().out == ""
        wait_until(lambda: epics.caget("castringin", use_monitor=False) == "")
    finally:
        epics.caput("castringin", before, wait=True)
    wait_until(lambda: epics.caget("castring", use_monitor=False) == "{braced}")
    wait_until(lambda: epics.caget("cawave", use_monitor=False).tolist() == [3, 4])


def test_caget_many_warns_of_what_does_not_answer(make_ioc: Callable[..., SoftIoc]) -> None:
    ioc = make_ioc('record(ao, "seen:late") {}')
    assert epics.caget_many(["seen:late"], connection_timeout=10) == [0.0]
    ioc.freeze()
    try:
        with pytest.warns(
            UserWarning, match=r"ca\.get\('seen:late'\) timed out after 0\.05 seconds"
        ):
            assert epics.caget_many(["seen:late"], timeout=0.05) == [None]
    finally:
        ioc.thaw()


def test_info_is_made_by_a_method_that_may_be_replaced() -> None:
    class Other(PV):
        def _getinfo(self) -> str:
            return f"about {self.pvname}"

    assert Other("catest").info == "about catest"
