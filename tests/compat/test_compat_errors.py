"""`ca.RAISE_ERRORS`: exceptions in place of None and -1."""

from collections.abc import Callable, Iterator

import pytest

import epics_compat as epics
from epics_compat import ca
from epics_compat.pv import PV
from support.ioc import SoftIoc
from support.waiting import wait_until


@pytest.fixture(autouse=True)
def raising(monkeypatch: pytest.MonkeyPatch, ioc: SoftIoc) -> Iterator[None]:
    monkeypatch.setattr(ca, "RAISE_ERRORS", True)
    yield
    monkeypatch.undo()


def test_nothing_is_raised_when_nothing_fails() -> None:
    pv = PV("catest")
    assert pv.put(1.5, wait=True) == 1
    assert pv.get(use_monitor=False) == 1.5
    assert epics.caput("catest", 2.5, wait=True) == 1
    assert epics.caget("catest", use_monitor=False) == 2.5
    assert ca.get(pv.chid) == 2.5


@pytest.mark.parametrize(
    "action",
    [
        lambda pv: pv.get(),
        lambda pv: pv.put(1),
        lambda pv: pv.get_ctrlvars(),
        lambda pv: ca.get(pv.chid, timeout=0.05),
        lambda pv: epics.caget(pv.pvname, connection_timeout=0.05),
        lambda pv: epics.caput(pv.pvname, 1, connection_timeout=0.05),
    ],
)
def test_without_a_connection(action: Callable[[PV], object]) -> None:
    pv = PV("no:such:pv", connection_timeout=0.05)
    with pytest.raises(ca.ChannelAccessDisconnected, match="no:such:pv") as caught:
        action(pv)
    assert caught.value.pvname == "no:such:pv"
    assert isinstance(caught.value, ConnectionError)
    assert isinstance(caught.value, ca.ChannelAccessException)


def test_without_an_answer(make_ioc: Callable[..., SoftIoc]) -> None:
    server = make_ioc('record(ao, "raise:value") {}')
    pv = PV("raise:value", auto_monitor=False)
    assert pv.wait_for_connection(60)
    server.freeze()
    try:
        with pytest.raises(ca.ChannelAccessTimeout, match="raise:value") as caught:
            pv.get(timeout=0.1)
        assert isinstance(caught.value, TimeoutError)
        with pytest.raises(ca.ChannelAccessTimeout, match="raise:value"):
            pv.put(1, wait=True, timeout=0.1)
    finally:
        server.thaw()
    wait_until(lambda: pv.get(timeout=60) == 1.0)
