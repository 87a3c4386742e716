"""Device, Motor, Alarm, autosave and the devices."""

import copy
import importlib
import pickle
import time
from pathlib import Path

import pytest

import epics_compat as epics
from epics_compat import ca
from epics_compat.autosave import AutoSaver, restore_pvs, save_pvs
from epics_compat.motor import MotorException, MotorLimitException
from support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("ioc")

RECORDS = """
record(ao, "scan:sens_num") {}
record(ao, "scan:sens_unit") {}
record(ao, "scan:offset_num") {}
record(ao, "scan:offset_unit") {}
record(ao, "scan:offset_sign") {}
record(ao, "scan:offset_on") {}
record(ao, "scan:off_u_put") {}
record(ao, "scan:bias_put") {}
record(ao, "scan:gain_mode") {}
record(ao, "scan:filter_type") {}
record(ao, "scan:invert_on") {}
record(ao, "scan:init") {}
record(ao, "ad:Gain") {}
record(ai, "ad:Gain_RBV") { field(INP, "ad:Gain CP") }
record(waveform, "xf:FileTemplate_RBV") { field(FTVL, "CHAR") field(NELM, "64") }
record(waveform, "xf:FilePath_RBV") { field(FTVL, "CHAR") field(NELM, "64") }
record(waveform, "xf:FileName_RBV") { field(FTVL, "CHAR") field(NELM, "64") }
"""


def test_device() -> None:
    device = epics.Device("catest", attrs=("VAL", "DESC"), delim=".", aliases={"text": "DESC"})
    device.VAL = 3.5
    wait_until(lambda: device.VAL == 3.5)
    device.text = "through an alias"
    wait_until(lambda: device.DESC == "through an alias")
    assert device.get("VAL", as_string=True) == "3.5000"
    assert device.PREC == 4
    assert repr(device) == "<Device 'catest', 3 attributes>"
    assert {"VAL", "text", "get"} <= set(dir(device))
    assert device.put("VAL", 4.5, wait=True) == 1
    values: list[object] = []
    index = device.add_callback("VAL", lambda value, **kw: values.append(value))
    device.put("VAL", 5.5, wait=True)
    wait_until(lambda: 5.5 in values)
    device.remove_callbacks("VAL", index)
    device.add_pv("calong", attr="other")
    assert device.other == epics.caget("calong")


def test_device_attributes_that_are_none() -> None:
    device = epics.Device("catest.", attrs=("VAL",), timeout=0.1)
    with pytest.raises(AttributeError):
        _ = device.NOTHING
    with pytest.raises(AttributeError):
        device.NOTHING = 3
    # Of a PV that is not there: trying to connect would take the whole time-out.
    fixed = epics.Device("no:such.", attrs=("VAL",), mutable=False, timeout=60)
    since = time.monotonic()
    for action in (lambda: fixed.PREC, lambda: setattr(fixed, "PREC", 1)):
        with pytest.raises(AttributeError):
            action()
    assert time.monotonic() - since < 20
    assert not hasattr(device, "__array__")
    with pytest.raises((TypeError, ValueError, pickle.PicklingError)):
        pickle.dumps(device)
    with pytest.raises(ValueError, match="pickled"):
        copy.deepcopy(device._pvs["VAL"])


def test_subclasses_of_device() -> None:
    class Mine(epics.Device):
        _nonpvs = ("_prefix", "_pvs", "_delim", "note")
        value = epics.Device.pv_property("VAL", wait=True)
        text = epics.Device.pv_property("VAL", as_string=True)

    device = Mine("catest", delim=".")
    device.note = "plain"
    device.value = 7.25
    wait_until(lambda: device.value == 7.25)
    assert device.text == "7.2500"
    assert device.note == "plain"


def test_state_of_a_device(tmp_path: Path) -> None:
    device = epics.Device("catest", attrs=("VAL", "DESC", "RTYP", "PREC"), delim=".")
    device.put("VAL", 2.5, wait=True)
    wait_until(lambda: device.VAL == 2.5)
    file = str(tmp_path / "state")
    device.write_state(file)
    first, *lines = Path(file).read_text().splitlines()
    assert first.startswith("#Device Saved State for Device,prefix='catest.',time=")
    assert [line.split()[0] for line in lines] == ["DESC", "PREC", "RTYP", "VAL"]
    device.put("VAL", 9, wait=True)
    assert device.read_state(file, restore=True)["VAL"] == 2.5
    wait_until(lambda: device.VAL == 2.5)
    assert device.save_state()["RTYP"] == "ao"


def test_motor() -> None:
    motor = epics.Motor("m1")
    assert motor.move(0.0, wait=True, timeout=60) == 0
    wait_until(lambda: motor.get_position() == 0.0)
    assert motor.move(2.0, wait=True, timeout=60) == 0
    wait_until(lambda: abs(motor.get_position(readback=True) - 2.0) < 0.02)
    assert motor.move(1.0, relative=True, wait=True, timeout=60) == 0
    wait_until(lambda: motor.drive == motor.VAL == 3.0)
    assert motor.move("no number") == motor.move(None) == -13
    assert motor.move(1e6) == -12
    assert motor.within_limits(100.0)
    assert not motor.within_limits(100.1)
    assert repr(motor).startswith("<epics.Motor: m1.: '")
    motor.stop()
    assert motor.PV("drive") is motor.PV("VAL")
    motor.check_limits()
    epics.caput("m1.HLS", 1, wait=True)
    wait_until(lambda: motor.HLS == 1)
    with pytest.raises(MotorLimitException, match="High hard limit violation"):
        motor.check_limits()
    epics.caput("m1.HLS", 0, wait=True)
    motor.set_position(10.0)
    assert motor.get("VAL") is not None
    seen: list[dict] = []
    motor.set_callback("RBV", lambda **kw: seen.append(kw), {"mine": 1})
    motor.move(11.0, wait=True, timeout=60)
    wait_until(lambda: seen)
    assert seen[-1]["motor_field"] == "RBV"
    motor.clear_callback("RBV")
    assert motor.make_step_list(maxstep=10)[-1] == 10.0
    motor.set_position(0.0)


def test_what_is_no_motor() -> None:
    with pytest.raises(MotorException, match="catest is not an Epics Motor"):
        epics.Motor("catest", timeout=60)
    with pytest.raises(MotorException):
        epics.Motor()
    assert len(epics.Motor._alias) == 95
    assert epics.get_pv("m1.RTYP", connect=True, timeout=60).connected
    motor = epics.Motor("m1", timeout=0.3)
    with pytest.raises(MotorException):
        _ = motor.NOTHING
    with pytest.raises(MotorException):
        motor.NOTHING = 1


def test_alarm(capsys: pytest.CaptureFixture[str]) -> None:
    epics.caput("caalarm", 0, wait=True)
    pv = epics.get_pv("caalarm", connect=True)
    wait_until(lambda: pv.value == 0)
    calls: list[dict] = []
    alarm = epics.Alarm("caalarm", "__gt__", 5, lambda **kw: calls.append(kw), alert_delay=60)
    assert repr(alarm) == "<Alarm pvname='caalarm',comp='__gt__','trip_point=5>"
    for value in (4, 6, 7, 3, 8):
        epics.caput("caalarm", value, wait=True)
    wait_until(lambda: pv.value == 8 and alarm.alarm_state)
    assert [(c["value"], c["comparison"], c["trip_point"]) for c in calls] == [(6, "__gt__", 5)]
    assert calls[0]["severity"] == 0
    alarm.reset()
    with pytest.raises(UserWarning):
        epics.Alarm("caalarm", "gt")
    assert epics.Alarm(pv, "odd", 1).comp_name == "Not Defined"
    assert epics.Alarm(pv, "le", 1).comp_name == "le"
    pv.clear_callbacks()
    epics.Alarm(pv, lambda value, trip: value == trip, 9)
    epics.caput("caalarm", 9, wait=True)
    out: list[str] = []
    wait_until(lambda: out.append(capsys.readouterr().out) or "Alarm: caalarm=9" in "".join(out))


def test_autosave(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "all.req").write_text(
        '# comment\ncatest.VAL castring\nfile "inner.req", P=ca, Q=$(P)\nno:such\n'
    )
    (tmp_path / "inner.req").write_text("$(P)wavel\n$(P)longtext # text\n$(P)mbbo")
    epics.caput_many(
        ["catest", "castring", "cawavel", "calongtext", "cambbo"],
        [1.5, "two words", [1, 2], "long words", 2],
        wait="all",
    )
    saver = AutoSaver(str(tmp_path / "all.req"))
    assert len(saver.pvs) == 6
    for pv in saver.pvs:
        pv.connection_timeout = 1.0
    saved = str(tmp_path / "all.sav")
    wait_until(lambda: epics.caget("catest.VAL") == 1.5)
    saver.save(saved)
    lines = Path(saved).read_text().splitlines()
    assert lines[0].startswith("# File saved by pyepics AutoSaver.save() on ")
    assert lines[1:] == [
        "# Edit with extreme care.",
        "catest.VAL 1.5",
        "castring two words",
        "cawavel @array@ [1, 2]",
        "calongtext long words",
        "cambbo 2",
        "<END>",
    ]
    assert capsys.readouterr().out == f"wrote {saved}\n"
    epics.caput_many(["catest", "castring", "cambbo"], [9, "", 0], wait="all")
    Path(saved).write_text(Path(saved).read_text() + "caread 1\n")
    assert restore_pvs(saved) is True
    assert capsys.readouterr().out == "No write access to caread\n"
    names = ["catest", "castring", "cambbo", "cawavel"]

    def restored() -> bool:
        values = epics.caget_many(names)
        return values[:3] == [1.5, "two words", 2] and values[3].tolist() == [1, 2]

    wait_until(restored)
    Path(saved).write_text("catest {nonsense}\n")
    assert restore_pvs(saved) is False
    save_pvs(str(tmp_path / "inner.req"), saved)


def test_devices(make_ioc: object) -> None:
    make_ioc(RECORDS)  # type: ignore[operator]
    from epics_compat import devices
    from epics_compat.devices.ad_base import AD_Camera
    from epics_compat.devices.scan import ScanException
    from epics_compat.devices.xspress3 import Xspress3

    record = devices.ao("catest.")
    assert record.PREC == 4
    assert record.DESC is not None
    assert devices.bo("cabo").ONAM == "Busy"
    amplifier = devices.SRS570("scan:")
    amplifier.set_sensitivity(10, "nA/V")
    wait_until(lambda: (amplifier.sens_num, amplifier.sens_unit) == (3, 1))
    for _ in range(4):
        amplifier.increase_sensitivity()
        before = amplifier.PV("sens_num").get(use_monitor=False)
        wait_until(lambda b=before: amplifier.PV("sens_num").get() == b)
    assert amplifier.PV("sens_unit").get(use_monitor=False) == 0
    assert amplifier.PV("sens_num").get(use_monitor=False) == 8
    camera = AD_Camera("ad:")
    assert len(camera.attrs) == 43
    camera.ensure_value("Gain", 4.0)
    wait_until(lambda: camera.Gain_RBV == 4.0)
    with pytest.raises(ScanException):
        devices.Scan("catest", timeout=0.3)
    roi = devices.ROI("cawavel", data_pv="cawavel")
    roi._pvs["LO"], roi._pvs["HI"] = epics.get_pv("calong"), epics.get_pv("cascratch1")
    epics.caput_many(["calong", "cascratch1"], [3, 5], wait="all")
    wait_until(lambda: (roi.LO, roi.HI) == (3, 5))
    spectrum = [1, 1, 1, 5, 6, 7, 1, 1, 1]
    assert roi.get_counts(spectrum) == 18
    assert roi.get_counts(spectrum, net=True) == 16
    assert (roi.center, roi.width) == (4, 2)
    electronics = Xspress3("xspress", nmca=1)
    assert electronics._prefix == "xspress:"
    assert electronics._pvs["C1SCA8"].pvname == "xspress:C1SCA8:Value_RBV"
    assert devices.Mca is devices.MCA


MODULES = """
ai ao bi bo scaler struck srs570 mca scan transform ad_base ad_fileplugin ad_image ad_overlay
ad_perkinelmer ad_mca xspress3
"""


@pytest.mark.parametrize("name", MODULES.split())
def test_modules_of_devices(name: str) -> None:
    assert importlib.import_module(f"epics_compat.devices.{name}")


def test_attribute_tables_of_the_classes() -> None:
    """Programs build names from them, as pyepics 3.5.10 has them."""
    from epics_compat import devices
    from epics_compat.devices import ad_mca, scan, xspress3

    assert devices.AD_PerkinElmer.camattrs == devices.AD_PerkinElmer.attrs
    assert devices.AD_PerkinElmer.pathattrs[-1] == "AutoIncrement"
    assert len(devices.AD_PerkinElmer.pathattrs) == 16
    assert devices.Scaler.chan_attrs == ("NM%i", "S%i")
    assert devices.Scaler.calc_attrs == {"calc%i": "%s_calc%i.VAL", "expr%i": "%s_calc%i.CALC"}
    assert devices.Scaler.attr_kws == {"calc_enable": "%s_calcEnable.VAL"}
    assert devices.Scan.pos_attrs == ("PV", "SP", "EP", "SI", "CP", "WD", "PA", "AR", "SM")
    assert devices.Scan.trig_attrs == ("PV", "NV")
    assert (scan.NUM_POSITIONERS, scan.NUM_TRIGGERS, scan.NUM_DETECTORS) == (4, 4, 70)
    assert devices.Transform.attr_fmts["Expression_Valid"] == "C%sV"
    assert devices.MCA._attrs == devices.MCA.attrs
    assert ad_mca.ADMCA._attrs == ("AcquireTime", "Acquire", "NumImages")
    assert ad_mca.ADMCAROI._attrs[-1] == "Net_RBV"
    for kind in (xspress3.Xspress3, xspress3.Xspress310):
        assert kind.pathattrs == (
            "FilePath", "FileTemplate", "FileName", "FileNumber", "Capture", "NumCapture",
        )  # fmt: skip
    assert xspress3.Xspress3.det_attrs == xspress3.Xspress310.attrs
    assert "ERASE" in xspress3.Xspress3.det_attrs


def test_attribute_tables() -> None:
    from epics_compat import devices

    assert len(devices.Transform.attrs) == 2 + 16 * 9
    assert "D70PV" in devices.Scan.attrs
    scaler = devices.Scaler("no:scaler", nchan=2)
    assert {"NM2", "S2", "calc2", "expr2", "calc_enable"} <= set(scaler._pvs)
    assert scaler._pvs["expr1"].pvname == "no:scaler_calc1.CALC"
    struck = devices.Struck("no:struck", nchan=1)
    assert struck._prefix == "no:struck:"
    assert struck.mcas[0]._prefix == "no:struck:mca1."
    xmap = devices.MultiXMAP("no:xmap:", nmca=1)
    assert xmap._pvs["FileName"] is xmap._pvs["netCDF1:FileName"]
    detector = devices.AD_PerkinElmer("no:pe:")
    assert detector._pvs["File_Capture"].pvname == "no:pe:netCDF1:Capture"
    assert ca.current_context() is not None
