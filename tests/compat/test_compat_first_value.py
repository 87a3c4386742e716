"""What callbacks are given first: the present value once, with units, precision and states."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import epics_compat as epics
from epics_compat import ca
from support.calls import Events
from support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("ioc")


def connected(name: str, **keywords: Any) -> Any:
    pv = epics.PV(name, **keywords)
    assert pv.wait_for_connection(60)
    return pv


class Seen:
    """A callback that keeps its keywords."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def __call__(self, **keywords: Any) -> None:
        self.events.append(keywords)

    def __len__(self) -> int:
        return len(self.events)

    def __getitem__(self, number: int) -> dict[str, Any]:
        return self.events[number]

    def values(self) -> list[Any]:
        return [each["value"] for each in self.events]


def settle(name: str) -> None:
    """Return when the dispatcher has delivered all that the server sent before."""
    done = Events()
    other = epics.PV(name, callback=lambda **kws: done(None))
    done.next()
    other.disconnect()


# Units, precision, states -----------------------------------------------------------------------


def constructor(name: str, seen: Seen) -> Any:
    return epics.PV(name, callback=seen)


def cached(name: str, seen: Seen) -> Any:
    return epics.get_pv(name, callback=seen)


def before_connection(name: str, seen: Seen) -> Any:
    pv = epics.PV(name, auto_monitor=False)
    pv.add_callback(seen)
    pv.auto_monitor = True
    return pv


def after_connection(name: str, seen: Seen) -> Any:
    pv = connected(name)
    pv.add_callback(seen, run_now=True)
    return pv


WAYS = [constructor, cached, before_connection, after_connection]


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("way", WAYS)
def test_the_first_callback_has_states_and_units(
    monkeypatch: pytest.MonkeyPatch, way: Any, kept: bool
) -> None:
    """Whether or not they are kept current afterwards."""
    monkeypatch.setattr(ca, "MONITOR_PROPERTIES", kept)
    epics.caput("cambbo", 2, wait=True, connection_timeout=60)
    epics.caput("caprop", 1.25, wait=True, connection_timeout=60)
    epics.caput("caprop.EGU", "mm", wait=True, connection_timeout=60)
    epics.caput("caprop.PREC", 2, wait=True, connection_timeout=60)
    epics.pv.clear_pvcache()
    states, numbers = Seen(), Seen()
    pvs = [way("cambbo", states), way("caprop", numbers)]
    wait_until(lambda: states and numbers)
    assert states[0]["enum_strs"][:3] == ("zero", "one", "two")
    assert states[0]["char_value"] == "two"
    assert numbers[0]["units"] == "mm"
    assert numbers[0]["precision"] == 2
    assert numbers[0]["char_value"] == "1.25"
    assert numbers[0]["upper_disp_limit"] is not None
    if not kept:
        wait_until(lambda: all(pv._properties is None for pv in pvs))
    epics.caput("cambbo", 1, wait=True)
    wait_until(lambda: states[-1]["char_value"] == "one")


def test_metadata_that_nobody_wants_are_not_read() -> None:
    plain, seen = connected("caprop"), Seen()
    wanting = epics.PV("caprop")
    wanting.add_callback(seen, with_ctrlvars=False)
    wait_until(lambda: seen and plain._args["value"] is not None)
    assert seen[0]["units"] is None
    assert plain._properties is None
    assert wanting._properties is None


# The value --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cascratch1", "calong", "cambbo", "castring", "cawave"])
def test_the_first_value_is_told_once(name: str) -> None:
    """Whatever comes first, the monitor's first event or the value that was read."""
    for _ in range(20):
        pv, seen = connected(name), Seen()
        pv.add_callback(seen, run_now=True)
        settle(name)
        assert len(seen) == 1, seen.values()
        pv.disconnect()


def test_the_first_value_is_told_once_when_monitoring_begins() -> None:
    for _ in range(20):
        pv, seen = connected("cascratch1", auto_monitor=False), Seen()
        pv.get()
        pv.auto_monitor = True
        pv.add_callback(seen, run_now=True)
        settle("cascratch1")
        assert len(seen) == 1, seen.values()
        pv.disconnect()


def test_the_first_value_is_told_once_by_the_cache() -> None:
    for _ in range(20):
        seen = Seen()
        epics.get_pv("cascratch1", connect=True, timeout=60)
        pv = epics.get_pv("cascratch1", callback=seen)
        settle("cascratch1")
        assert len([value for value in seen.values() if value is not None]) == 1
        pv.disconnect()


def test_a_value_that_is_not_a_number_is_told_once() -> None:
    epics.caput("cascratch1", float("nan"), wait=True, connection_timeout=60)
    pv, seen = connected("cascratch1"), Seen()
    pv.add_callback(seen, run_now=True)
    settle("cascratch1")
    assert len(seen) == 1
    epics.caput("cascratch1", 0.0, wait=True)


def test_a_change_meanwhile_is_told() -> None:
    """The first event has other news than the value that was read."""
    pv = connected("cascratch1", auto_monitor=False)
    for number in range(20):
        seen = Seen()
        pv.put(float(number), wait=True)
        pv.get(use_monitor=False)
        pv.auto_monitor = True
        writer = threading.Thread(target=epics.caput, args=("cascratch1", number + 0.5, True))
        writer.start()
        pv.add_callback(seen, index="one", run_now=True)
        writer.join()
        wait_until(lambda seen=seen, last=number + 0.5: seen.values()[-1:] == [last])
        assert seen.values() in ([number, number + 0.5], [number + 0.5])
        pv.remove_callback("one")
        pv.auto_monitor = False


def test_later_values_are_told_also_if_they_are_equal() -> None:
    """A text that is written again is an event of its own for each callback."""
    seen = Seen()
    pv = epics.PV("castring", auto_monitor=ca.dbr.DBE_VALUE | ca.dbr.DBE_LOG)
    assert pv.wait_for_connection(60)
    pv.add_callback(seen, run_now=True)
    settle("castring")
    for text in ("a", "b", "a"):
        pv.put(text, wait=True)
    wait_until(lambda: seen.values()[-3:] == ["a", "b", "a"])


def test_a_callback_of_a_read_that_fails_stays() -> None:
    """It is told of values when they come, also if the first one could not be read."""
    pv, seen = connected("canoaccess"), Seen()
    with pytest.raises(ca.CASeverityException):
        pv.add_callback(seen, index="mine", run_now=True)
    assert pv.callbacks["mine"][0] is seen


# Small things of pyepics ------------------------------------------------------------------------


def test_the_count_of_a_pv_with_a_limit() -> None:
    """What was asked for, but not more than there is."""
    for name, count, wanted in (("cascratch1", 3, 1), ("cawave", 3, 3), ("cawave", 999, 20)):
        for monitored in (None, False):
            pv = connected(name, count=count, auto_monitor=monitored)
            if not monitored:
                assert pv.count == wanted
            assert pv.nelm >= pv.count


def test_the_monitor_reference() -> None:
    """`_monref` is None without a monitor; programs look at it."""
    pv = epics.PV("cascratch1")
    assert pv.wait_for_connection(60)
    wait_until(lambda: pv._monref is not None)
    assert len(pv._monref) == 3
    pv.clear_auto_monitor()
    assert pv._monref is None
    assert connected("cascratch1", auto_monitor=False)._monref is None


def test_a_device_resolves_its_aliases() -> None:
    device = epics.Device("ca", attrs=["scratch1"], aliases={"nice": "scratch1", "other": "long"})
    assert device.PV("nice", timeout=60) is device.PV("scratch1")
    assert device.PV("other", timeout=60).pvname == "calong"
    assert sorted(device._pvs) == ["long", "scratch1"]
    device.nice = 2.5
    wait_until(lambda: device.PV("scratch1").get(use_monitor=False) == 2.5)
    assert epics.Motor("m1", timeout=60).PV("drive").pvname == "m1.VAL"


def test_strjoin_ends_at_a_nul() -> None:
    join = epics.utils.strjoin
    assert join("", [b"a", b"b", b"\0", b"c"]) == "ab"
    assert join(", ", [b"a", b"b"]) == "a, b"
    assert join("", ["a", "b"]) == "ab"
    assert join("", [bytes([byte]) for byte in "5 \u00b5m".encode()]) == "5 \u00b5m"
    assert join(",", []) == ""


@pytest.mark.parametrize("wait", ["each", "all"])
def test_caput_many_goes_on_after_a_refusal(wait: str) -> None:
    names = ["cascratch1", "cadisabled", "cascratch2"]
    for number in (1.0, 2.0):
        assert epics.caput_many(names, [number] * 3, wait=wait) == [1, -1, 1]
        assert [epics.caget(name, use_monitor=False) for name in names[::2]] == [number] * 2


SLOW = """
record(ao, "firstslow") { field(FLNK, "firstslow:delay") }
record(calcout, "firstslow:delay") { field(CALC, "VAL+1") field(ODLY, "1000") }
"""


def test_caput_many_with_exceptions_for_lost_pvs(
    monkeypatch: pytest.MonkeyPatch, make_ioc: Callable[..., object]
) -> None:
    """`ca.RAISE_ERRORS` does not change what the list says."""
    # An IOC of its own: a write completes at once while the delay of an earlier one lasts.
    make_ioc(SLOW)
    connected("firstslow")
    monkeypatch.setattr(ca, "RAISE_ERRORS", True)
    names = ["firstslow", "cascratch2"]
    assert epics.caput_many(names, [1, 2], wait="each", put_timeout=0.05) in ([-1, -1], [-1, 1])


def test_the_context_of_a_plain_thread() -> None:
    """It is the one in which its PVs would be."""
    pv = connected("cascratch1")
    found: list[Any] = []

    def look() -> None:
        found.append(ca.current_context())
        found.append(epics.PV("cascratch1").context)

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [pv.context, pv.context]
    assert np.isscalar(found[0])
