"""Metadata that change while a PV is monitored (DBE_PROPERTY)."""

from collections.abc import Callable
from pathlib import Path

import pytest

import epics_compat as epics
from epics_compat import ca, dbr
from support.ioc import SoftIoc
from support.waiting import wait_until

RECORDS = """
record(ao, "prop:value") {
    field(VAL, "1.5")
    field(EGU, "%s")
    field(PINI, "YES")
}
"""


@pytest.fixture
def records(ioc: SoftIoc) -> None:
    """The records as the IOC of the run has them at its start."""
    fields = {"caprop": 1.5, "caprop.EGU": "mm", "caprop.PREC": 2, "caprop.HOPR": 10}
    for name, value in (fields | {"capropenum.ONST": "on"}).items():
        assert epics.caput(name, value, wait=True) == 1


def _database(folder: Path, units: str) -> Path:
    path = folder / f"{units}.db"
    path.write_text(RECORDS % units)
    return path


def connected(name: str, **kws: object) -> epics.PV:
    pv = epics.PV(name, **kws)
    assert pv.wait_for_connection(60)
    if pv.auto_monitor:
        # A get may be ahead of the monitor, whose first event would then bring an older value.
        wait_until(lambda: pv._args["value"] is not None)
    return pv


@pytest.mark.usefixtures("records")
@pytest.mark.parametrize("form", ["native", "time", "ctrl"])
def test_metadata_follow_the_record(form: str) -> None:
    pv = connected("caprop", form=form)
    states = connected("capropenum", form=form)
    assert (pv.units, pv.precision, pv.upper_disp_limit) == ("mm", 2, 10.0)
    assert states.enum_strs == ("off", "on")
    epics.caput("caprop.EGU", "deg", wait=True)
    epics.caput("caprop.PREC", 4, wait=True)
    epics.caput("caprop.HOPR", 20, wait=True)
    epics.caput("capropenum.ONST", "running", wait=True)
    wait_until(lambda: (pv.units, pv.precision, pv.upper_disp_limit) == ("deg", 4, 20.0))
    wait_until(lambda: states.enum_strs == ("off", "running"))
    assert pv.char_value == "1.5000"
    assert states.char_value == "running"
    assert states.put("running", wait=True) == 1


@pytest.mark.usefixtures("records")
def test_no_callback_runs_for_metadata() -> None:
    values: list[tuple] = []
    pv = connected("caprop")
    wait_until(lambda: pv._args["value"] == 1.5)
    pv.add_callback(lambda **kw: values.append((kw["value"], kw["units"])))
    epics.caput("caprop.EGU", "deg", wait=True)
    wait_until(lambda: pv.units == "deg")
    assert values == []
    pv.put(2.5, wait=True)
    wait_until(lambda: values == [(2.5, "deg")])


def test_metadata_after_a_restart(make_ioc: Callable[..., SoftIoc], tmp_path: Path) -> None:
    server = make_ioc(_database(tmp_path, "mm"))
    pv = connected("prop:value")
    assert pv.units == "mm"
    server.stop()
    wait_until(lambda: not pv.connected)
    server.databases = [_database(tmp_path, "inch")]
    server.start()
    wait_until(lambda: pv.units == "inch", 60)


@pytest.mark.usefixtures("records")
def test_when_there_is_no_second_subscription(monkeypatch: pytest.MonkeyPatch) -> None:
    mask = dbr.DBE_VALUE | dbr.DBE_ALARM | dbr.DBE_PROPERTY
    by_itself = connected("caprop", form="ctrl", auto_monitor=mask)
    off = connected("caprop", auto_monitor=False)
    text = connected("castring")
    never = connected("caprop")
    for pv in (by_itself, off, text):
        assert pv.get_ctrlvars()
        assert pv._properties is None
    assert never._properties is None
    monkeypatch.setattr(ca, "MONITOR_PROPERTIES", False)
    assert never.get_ctrlvars()
    assert never._properties is None
    epics.caput("caprop.EGU", "deg", wait=True)
    wait_until(lambda: by_itself.units == "deg")
    assert never.units == "mm"
    monkeypatch.undo()
    off.auto_monitor = True
    wait_until(lambda: off.units == "deg")
    off.disconnect()
    assert off._properties is None
