"""What objects look like in a shell, and how long tracebacks are."""

import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cachannel
import epics_compat as epics
from cachannel import ca as low, util
from cachannel.channel import CaChannel
from cachannel.epicsPV import epicsPV
from cachannel.many import connect_many, put_many
from epics_compat import ca
from support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("ioc")

PACKAGES = tuple(str(Path(str(package.__file__)).parent) for package in (cachannel, epics))


def connected(name: str) -> CaChannel:
    channel = CaChannel(name)
    channel.setTimeout(60)
    channel.searchw()
    return channel


def pv(name: str) -> Any:
    return epics.get_pv(name, connect=True, timeout=60)


# repr -------------------------------------------------------------------------------------------


def test_channel() -> None:
    channel = CaChannel("catest")
    assert repr(channel) == "<CaChannel 'catest', no search was made>"
    assert repr(CaChannel()) == "<CaChannel None, no search was made>"
    channel.setTimeout(60)
    channel.searchw()
    assert repr(channel) == "<CaChannel 'catest', count=1, type=DOUBLE, access=read/write>"
    channel.clear_channel()
    assert repr(channel) == "<CaChannel 'catest', no search was made>"
    lost = CaChannel("no:such:pv")
    lost.search()
    assert repr(lost) == "<CaChannel 'no:such:pv', not connected>"
    lost.clear_channel()
    assert repr(connected("caread")).endswith("access=read-only>")
    assert "count=20" in repr(connected("cawave"))


def test_classes_of_scripts_have_their_own_names() -> None:
    class Mine(CaChannel):
        """A class of a script that does not call its parent's constructor first."""

    assert repr(Mine("x")) == "<Mine 'x', no search was made>"
    assert repr(epicsPV("catest")).startswith("<epicsPV 'catest', count=1")


def test_pv_in_a_notebook() -> None:
    epics.caput("caprop.EGU", "mm", wait=True, connection_timeout=60)
    shown = pv("caprop")
    wait_until(lambda: shown._args["value"] is not None)
    assert shown.units == "mm"
    html = shown._repr_html_()
    assert "<td>caprop</td>" in html
    assert "<td>mm</td>" in html
    assert "not connected" in epics.PV("no:<such>")._repr_html_()
    assert "no:&lt;such&gt;" in epics.PV("no:<such>")._repr_html_()


def test_devices_are_shown_without_a_wait() -> None:
    """IPython looks for methods that a `Device` would take for PVs, and wait for."""
    device, motor = epics.Device("no:such:", attrs=["a"]), epics.Motor("m1", timeout=60)
    began = time.monotonic()
    for each in (device, motor):
        for name in ("_repr_html_", "_repr_mimebundle_", "_ipython_display_"):
            assert not hasattr(each, name)
        assert repr(each)
    assert time.monotonic() - began < 1
    assert sorted(device._pvs) == ["a"]


# Tracebacks -------------------------------------------------------------------------------------


def channel_calls() -> dict[str, Callable[[], Any]]:
    double, text, number = connected("catest"), connected("castring"), connected("calong")
    disabled, lost = connected("cadisabled"), CaChannel("no:such:pv")
    lost.setTimeout(0.05)
    return {
        "searchw": lost.searchw,
        "getw": lost.getw,
        "getw of nothing": CaChannel("x").getw,
        "name": lambda: CaChannel(5).searchw(),  # type: ignore[arg-type]
        "no name": lambda: CaChannel().searchw(),
        "putw": lambda: lost.putw(1),
        "text": lambda: double.putw("abc"),
        "object": lambda: double.putw(object()),
        "long text": lambda: text.putw("x" * 50),
        "range": lambda: number.putw(2**40),
        "type": lambda: double.getw(77),
        "count": lambda: double.getw(count=-1),
        "array_put_callback": lambda: double.array_put_callback("x", None, None, None),
        "putWait": lambda: epicsPV("cadisabled").putWait(1),
        "_put_wait": lambda: disabled._put_wait(1),
        "util.caput": lambda: util.caput("calong", "abc"),
        "util.caput, wait": lambda: util.caput("cadisabled", 1, wait=True),
        "util.caput, list": lambda: util.caput(["calong"], ["abc"]),
        "util.caget": lambda: util.caget(5),  # type: ignore[call-overload]
        "put_many": lambda: put_many(connect_many(["calong"], 60), ["abc"]),
        "refused read": lambda: connected("canoaccess").getw(),
        "refused read type": lambda: double.getw(low.DBR_PUT_ACKT),
    }


def pyepics_calls() -> dict[str, Callable[[], Any]]:
    double, number, chid = pv("catest"), pv("calong"), pv("catest").chid
    return {
        "text": lambda: double.put("abc"),
        "object": lambda: double.put(object()),
        "number": lambda: number.put("abc"),
        "long text": lambda: pv("castring").put("x" * 50),
        "state": lambda: pv("cambbo").put("no such state"),
        "fractions": lambda: pv("cawavel").put([1.5]),
        "elements": lambda: pv("cawave").put(["a"]),
        "refused": lambda: pv("cadisabled").put(1, wait=True),
        "read-only": lambda: pv("caread").put(1),
        "no read access": lambda: pv("canoaccess").get(),
        "value": lambda: pv("canoaccess").value,
        "ctrlvars": lambda: pv("canoaccess").get_ctrlvars(),
        "caput": lambda: epics.caput("catest", "abc"),
        "caput, refused": lambda: epics.caput("cadisabled", 1, wait=True),
        "caget": lambda: epics.caget("canoaccess"),
        "caget_many": lambda: epics.caget_many(["canoaccess"]),
        "caput_many": lambda: epics.caput_many(["catest"], ["abc"]),
        "caput_many, each": lambda: epics.caput_many(["catest"], ["abc"], wait="each"),
        "ca.put": lambda: ca.put(chid, "abc"),
        "ca.get": lambda: ca.get(chid, ftype=77),
        "ca.get of nothing": lambda: ca.get("x"),
        "subscription": lambda: ca.create_subscription(chid, ftype=99),
        "name": lambda: ca.create_channel(""),
        "PV": lambda: epics.PV(""),
        "chid": lambda: ca.element_count(5),
        "group": lambda: ca.sg_block(55),
        "Device": lambda: epics.Device("ca", attrs=["test"]).put("test", "abc"),
        "Motor": lambda: epics.Motor("m1", timeout=60).put("VAL", "abc"),
    }


def own_frames(exc: BaseException) -> list[str]:
    """The frames of the packages that Python shows for an exception, its cause included."""
    found: list[str] = []
    shown: BaseException | None = exc
    while shown is not None:
        for frame in traceback.extract_tb(shown.__traceback__):
            if frame.filename.startswith(PACKAGES):
                found.append(f"{frame.name} ({Path(frame.filename).name})")
        shown = shown.__cause__ or (None if shown.__suppress_context__ else shown.__context__)
    return found


@pytest.mark.parametrize("calls", [channel_calls, pyepics_calls])
def test_errors_show_at_most_three_frames_of_the_package(calls: Any) -> None:
    long = {}
    for name, call in calls().items():
        with pytest.raises(Exception) as caught:  # noqa: PT011 - each has its own
            call()
        frames = own_frames(caught.value)
        if len(frames) > 3:
            long[name] = frames
    assert not long


def test_faults_keep_their_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only errors that say what is wrong are shortened; others may be faults of the package."""
    shown = pv("catest")
    monkeypatch.setattr(shown, "_send", lambda *args: 1 // 0)
    with pytest.raises(ZeroDivisionError) as caught:
        shown.put(1.0)
    assert any(frame.startswith("put") for frame in own_frames(caught.value))


def test_code_of_the_user_keeps_its_frames() -> None:
    @ca.withCHID
    def mine(chid: Any) -> None:
        message = "mine"
        raise ca.ChannelAccessException(message)

    with pytest.raises(ca.ChannelAccessException) as caught:
        mine(pv("catest").chid)
    names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert names[-1] == "mine"
