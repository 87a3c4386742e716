"""Every method of the devices that does something, as a program for pyepics would call it.

``device_program.py NAME FOLDER`` runs the function of that name, and prints what came of it.
"""

import os
import sys
import time

import epics
import numpy
from epics import caget


def show(label, *values):
    """Print values so that they do not depend on the type of number."""
    print(label, *(f"{v:g}" if isinstance(v, float) else repr(v) for v in values))


def state(*names):
    """Print what the server has."""
    for name in names:
        value = caget(name, use_monitor=False)
        char = epics.PV(name).type
        if hasattr(value, "tolist"):
            value = value.tolist()
            if "char" in char:
                value = bytes(int(v) for v in value).split(b"\0")[0].decode()
        print("  ", name, f"{value:g}" if isinstance(value, float) else repr(value))


def until(condition):
    """Wait until something is true; what is printed after it tells when it never was."""
    deadline = time.monotonic() + 60
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.002)


def monitored(name, value):
    """Wait until a monitor that began after those of a device has brought a value.

    A get may be ahead of monitors, whose first event is then older than what it has read.
    """
    values = []
    pv = epics.PV(name, callback=lambda value, **kws: values.append(value))
    until(lambda: value in values)
    pv.disconnect()


def rois(device, *expected):
    """Print the regions of a spectrum when the monitors have brought those that are expected."""

    def now():
        return [
            (r.NM, float(r.LO), float(r.HI))
            if type(r).__name__ == "ROI"
            else (r.name, float(r.left), float(r.width))
            for r in device.get_rois()
        ]

    until(lambda: now() == list(expected))
    show("rois", now())


def scaler(folder):
    from epics.devices import Scaler

    device = Scaler("sc", nchan=2)
    device.AutoCountMode()
    state("sc.CONT")
    device.OneShotMode()
    state("sc.CONT")
    device.CountTime(2.5)
    state("sc.TP")
    device.Count(ctime=1.5)
    state("sc.TP", "sc.CNT")
    device.EnableCalcs()
    state("sc_calcEnable.VAL")
    device.setCalc(2, "A+1")
    state("sc_calc2.CALC")
    show("names", device.getNames())
    show("read", device.Read(), device.Read(use_calc=True))


def struck(folder):
    from epics.devices import Struck

    device = Struck("st", scaler="sc", nchan=2, clockrate=50.0)
    device.ExternalMode(countonstart=1, initialadvance=1, realtime=3, prescale=4)
    state("st:ChannelAdvance", "st:CountOnStart", "st:PresetReal", "st:Prescale", "sc.CONT")
    device.InternalMode(prescale=7)
    state("st:ChannelAdvance", "st:Prescale")
    device.setPresetReal(9.0)
    device.setDwell(0.25)
    state("st:PresetReal", "st:Dwell")
    device.AutoCountMode()
    state("sc.CONT")
    device.start()
    device.stop()
    device.erase()
    state("st:EraseStart", "st:StopAll", "st:EraseAll", "sc.CONT")
    show("nread", device.mcaNread(nmca=1))
    show("readmca", [float(v) for v in device.readmca(nmca=2)], len(device.readmca(1, count=3)))
    show("all", [[float(v) for v in each] for each in device.read_all_mcas()])
    show("saved", device.saveMCAdata(fname=os.path.join(folder, "struck.dat")))
    with open(os.path.join(folder, "struck.dat")) as file:
        rows = file.read().splitlines()
    for row in rows:
        if not row.startswith("#"):
            print("  ", [round(float(word), 6) for word in row.split()])


def srs570(folder):
    from epics.devices import SRS570

    device = SRS570("srs:")
    names = [f"srs:{n}" for n in ("sens_num", "sens_unit", "offset_num", "offset_unit")]
    state("srs:bias_put", "srs:gain_mode", "srs:filter_type", "srs:invert_on", "srs:init.PROC")
    device.initialize(bias=3, gain_mode=1, filter_type=2, invert=True)
    state("srs:bias_put", "srs:gain_mode", "srs:filter_type", "srs:invert_on")
    device.set_sensitivity(50, "nA/V")
    state(*names)
    device.set_sensitivity(3, "nA/V")
    device.increase_sensitivity()
    state(*names[:2])
    device.decrease_sensitivity()
    state(*names[:2])
    device.set_sensitivity(500, "nA/V", scale_offset=False)
    state(*names)
    device.decrease_sensitivity()
    state(*names[:2])
    device.set_sensitivity(1, "pA/V", scale_offset=False)
    device.increase_sensitivity()
    state(*names[:2])
    device.set_sensitivity(500, "mA/V", scale_offset=False)
    device.decrease_sensitivity()
    state(*names[:2])
    device.set_offset(12)
    state("srs:off_u_put")


def roi(folder):
    from epics.devices import ROI

    one, two = ROI("mc", roi=0, data_pv="mc.VAL"), ROI("mc", roi=1, data_pv="mc.VAL")
    for region, low, high, name in ((one, 3, 5, "first"), (two, 1, 2, "second")):
        region.LO, region.HI, region.NM = low, high, name
    until(lambda: one.HI == 5 and two.HI == 2 and one.NM == "first" and two.NM == "second")
    show("order", two < one, one < two, sorted([one, two])[0].NM)
    show(
        "counts",
        float(one.total),
        float(one.sum),
        float(one.net),
        float(one.center),
        float(one.width),
    )
    data = numpy.array([1, 1, 1, 5, 6, 7, 1, 1, 1.0])
    show("of data", float(one.get_counts(data=data)), float(one.get_counts(data=data, net=True)))
    show("alias", float(one.left), float(one.right), one.name)
    print(repr(one))
    one.clear()
    state("mc.R0NM", "mc.R0LO", "mc.R0HI")
    two.clear()


def mca(folder):
    from epics.devices import MCA

    device = MCA("mc", nrois=4)
    show("calib", [float(v) for v in device.get_calib()])
    show("energy", [round(float(v), 6) for v in device.get_energy()][:3])
    device.add_roi("fe", lo=4, hi=6)
    device.add_roi("cu", lo=1, hi=2)
    rois(device, ("cu", 1, 2), ("fe", 4, 6))
    device.add_roi("e", lo=7.0, hi=8.0, calib=[1.0, 1.0, 0.0])
    rois(device, ("cu", 1, 2), ("fe", 4, 6), ("e", 70, 80))
    device.del_roi("CU")
    rois(device, ("fe", 4, 6), ("e", 70, 80))
    device.set_rois([("b", 5, 6), ("a", 1, 2)])
    rois(device, ("a", 1, 2), ("b", 5, 6))
    device.clear_rois()
    rois(device)


def transform(folder):
    from epics.devices import Transform

    device = Transform("tr")
    row = device.get_row("B")
    show("row", sorted((k, float(v) if isinstance(v, (int, float)) else v) for k, v in row.items()))


def transform_sets(folder):
    from epics.devices import Transform

    device = Transform("tr")
    device.set_row("B", {"Comment": "text", "Value": 2.5, "Expression": "A*2"})
    state("tr.B", "tr.CMTB", "tr.CLCB")
    device.set_calc("A", "B+1")
    device.set_comment("A", "note")
    device.set_input("A", "x.VAL")
    state("tr.CLCA", "tr.CMTA", "tr.INPA")


def scan(folder):
    from epics.devices import Scan
    from epics.devices.scan import ScanException

    device = Scan("ss")
    state("ss.SMSG")
    device.run()
    state("ss.EXSC")
    show("detector", device.add_detector("det:1"), device.add_detector("det:2"))
    state("ss.D01PV", "ss.D02PV")
    show("trigger", device.add_trigger("trig", value=3.0))
    state("ss.T1PV", "ss.T1CD")
    show(
        "positioner",
        device.add_positioner("m1.VAL", start=1.0, stop=5.0, step=0.5, mode="fly", absolute=False),
    )
    state("ss.P1PV", "ss.R1PV", "ss.P1SP", "ss.P1EP", "ss.P1SI", "ss.P1SM", "ss.P1AR")
    show(
        "positioner",
        device.add_positioner(
            "m2.VAL", readback="rb", center=2.0, width=4.0, mode="table", array=[1.0, 2.0, 3.0]
        ),
    )
    state("ss.P2PV", "ss.R2PV", "ss.P2CP", "ss.P2WD", "ss.P2SM", "ss.P2AR", "ss.P2PA")
    device.set_positioner(1, drive="m3.VAL", start=2.0)
    state("ss.P1PV", "ss.R1PV", "ss.P1SP", "ss.P1EP")
    device.after_scan(2)
    device.positioner_delay(0.5)
    device.detector_delay(0.25)
    state("ss.PASM", "ss.PDLY", "ss.DDLY")
    until(lambda: device.start == 2.0)
    show("alias", float(device.start), float(device.npts))
    device.add_positioner("m4.VAL")
    device.add_positioner("m5.VAL")
    try:
        device.add_positioner("m6.VAL")
    except ScanException:
        print("no positioner left")
    device.clear_detector(1)
    device.clear_trigger(1)
    device.clear_positioner(1)
    state("ss.D01PV", "ss.T1PV", "ss.P1PV")
    device.reset()
    state("ss.D02PV", "ss.P2PV")
    try:
        Scan("no")
    except ScanException:
        print("no scan record")


def camera(folder):
    from epics.devices import AD_Camera

    device = AD_Camera("cam:")
    device.ensure_value("Gain", "3")
    state("cam:Gain")
    device.ensure_value("MinX", 7)
    state("cam:MinX")
    device.Acquire = 1
    state("cam:Acquire")


def files(folder):
    from epics.devices import AD_FilePlugin

    device = AD_FilePlugin("f:")
    device.setFileName("name")
    device.setPath("/path")
    device.setTemplate("%s%s_%d.h5")
    device.setWriteMode(2)
    device.setNumCapture(5)
    device.CaptureOn()
    state(
        "f:FileName", "f:FilePath", "f:FileTemplate", "f:FileWriteMode", "f:NumCapture", "f:Capture"
    )
    device.CaptureOff()
    device.setFileNumber(12)
    state("f:Capture", "f:FileNumber", "f:AutoIncrement")
    device.setFileNumber()
    state("f:AutoIncrement")
    until(lambda: device.FileNumber == 12)
    device.nextFileNumber()
    state("f:FileNumber")
    show("last", device.getLastFileName(), device.WriteComplete())
    show("get", device.getTemplate(), device.getName(), device.getPath(), float(device.getNumber()))
    show("by index", device.getFileNameByIndex(3))


def perkinelmer(folder):
    from epics.devices import AD_PerkinElmer

    device = AD_PerkinElmer("pe:")
    device.setFileName("name")
    device.setFilePath("/path")
    device.setFileTemplate("%s%s_%d.nc")
    device.setFileWriteMode(1)
    device.setFileNumCapture(4)
    device.FileCaptureOn()
    state(
        "pe:netCDF1:FileName",
        "pe:netCDF1:FilePath",
        "pe:netCDF1:FileTemplate",
        "pe:netCDF1:FileWriteMode",
        "pe:netCDF1:NumCapture",
        "pe:netCDF1:Capture",
    )
    device.FileCaptureOff()
    device.setFileNumber(8)
    state("pe:netCDF1:Capture", "pe:netCDF1:FileNumber", "pe:netCDF1:AutoIncrement")
    show("last", device.getLastFileName(), device.FileWriteComplete())
    show("get", device.getFileTemplate(), device.getFileName())
    device.SetExposureTime(0.5)
    state("pe:cam1:AcquireTime", "pe:cam1:ShutterMode", "pe:cam1:PEAcquireOffset")
    device.SetMultiFrames(6)
    state("pe:cam1:NumImages", "pe:cam1:ImageMode", "pe:cam1:TriggerMode", "pe:netCDF1:NumCapture")
    device.StartStreaming()
    state(
        "pe:cam1:Acquire",
        "pe:cam1:ShutterControl",
        "pe:cam1:ImageMode",
        "pe:netCDF1:EnableCallbacks",
        "pe:netCDF1:FileWriteMode",
        "pe:netCDF1:AutoSave",
    )
    device.FinishStreaming(timeout=0.3)
    state("pe:cam1:Acquire", "pe:netCDF1:Capture")
    device.AcquireOffset(timeout=0.3)
    state("pe:cam1:ShutterControl", "pe:cam1:PEAcquireOffset")


def xmap(folder):
    from epics.devices import MultiXMAP

    device = MultiXMAP("xm:", nmca=2)
    device.start()
    device.stop()
    device.next_pixel()
    state("xm:EraseStart", "xm:StopAll", "xm:NextPixel")
    device.SCAMode()
    state("xm:CollectMode")
    device.SpectraMode()
    state("xm:CollectMode", "xm:PresetMode")
    device.MCAMode(filename="run", filenumber=3, npulses=9)
    state("xm:CollectMode", "xm:PixelsPerRun", "xm:netCDF1:FileName", "xm:netCDF1:FileNumber")
    show("read", [float(v) for v in device.readmca(n=1)])
    show("calib", [[float(v) for v in each] for each in device.get_calib()])
    show("dxp", float(device.dxps[0].PeakingTime))
    device.setFileNumber()
    state("xm:netCDF1:AutoIncrement")
    show("template", device.getFileTemplate(), device.getFileName())


def xmap_rois(folder):
    from epics.devices import MultiXMAP

    device = MultiXMAP("xm:", nmca=2)
    for each in device.mcas:
        each.add_roi("fe", 4, 6)
    lines = device.roi_calib_info()
    print("\n".join(str(line).rstrip() for line in lines))
    path = os.path.join(folder, "rois.txt")
    with open(path, "w") as file:
        file.write("\n".join(lines) + "\n")
    for each in device.mcas:
        each.clear_rois()
    device.restore_rois(path)
    for each in device.mcas:
        rois(each, ("fe", 4, 6))
    show("finish", bool(device.finish_pixels(timeout=0.3)))


def xmap_calibrations(folder):
    from epics.devices import MultiXMAP

    device = MultiXMAP("xm:", nmca=2)
    device.mcas[1].put("CALO", 0.7, wait=True)
    device.mcas[1].put("CALS", 0.2, wait=True)
    until(lambda: device.mcas[1].get_calib() == [0.7, 0.2, 0.0])
    path = os.path.join(folder, "rois.txt")
    with open(path, "w") as file:
        file.write("[rois]\nROI00 = fe | 4 6 1 2\nROI01 = cu | 10 20 30 40\n")
    device.restore_rois(path)
    rois(device.mcas[0], ("fe", 4, 6), ("cu", 10, 20))
    rois(device.mcas[1], ("fe", 2, 3), ("cu", 5, 10))


def admca(folder):
    from epics.devices.ad_mca import ADMCA

    device = ADMCA("am:", data_pv="am:data", nrois=3, roi_prefix="am:ROI")
    device.start()
    state("am:Acquire")
    device.stop()
    state("am:Acquire")
    show("calib", [float(v) for v in device.get_calib()])
    show("energy", [round(float(v), 6) for v in device.get_energy()][:3])
    device.add_roi("fe", 4, wid=2)
    device.add_roi("cu", 1, hi=3)
    rois(device, ("cu", 1, 2), ("fe", 4, 2))
    first = device.get_rois()[0]
    show("ends", float(first.right), float(first.center))
    show("counts", float(first.get_counts(data=numpy.array([1, 1, 5, 6, 1, 1, 1.0]))))
    device.del_roi("CU")
    rois(device, ("fe", 4, 2))
    device.set_rois([("b", 5, 6), ("a", 1, 2)])
    rois(device, ("a", 1, 1), ("b", 5, 1))
    device.sort_rois()
    device.clear_rois()
    rois(device)


def xspress3(folder):
    from epics.devices.xspress3 import Xspress3

    device = Xspress3("xs", nmca=1)
    device.useExternalTrigger()
    state("xs:det1:TriggerMode")
    device.useInternalTrigger()
    state("xs:det1:TriggerMode")
    device.setTriggerMode(2)
    state("xs:det1:TriggerMode")
    device.start(capture=True)
    state("xs:det1:ERASE", "xs:det1:Acquire", "xs:HDF1:Capture")
    device.stop()
    state("xs:det1:Acquire", "xs:HDF1:Capture")
    device.TimeSeriesCaptureOn(npts=20)
    state(
        "xs:MCA1ROI:TSNumPoints",
        "xs:MCA1ROI:TSControl",
        "xs:C1SCA:TSNumPoints",
        "xs:C1SCA:TSControl",
    )
    device.TimeSeriesCaptureOff()
    state("xs:MCA1ROI:TSControl", "xs:C1SCA:TSControl")
    device.setFileName("n")
    device.setFileNumCapture(3)
    state("xs:HDF1:FileName", "xs:HDF1:NumCapture")


def analog(folder):
    from epics.devices import ai, ao, bi, bo

    out = ao("catest")
    out.VAL = 3.25
    until(lambda: out.VAL == out.OVAL == 3.25)
    monitored("catest.VAL", 3.25)
    monitored("catest.OVAL", 3.25)
    show("ao", float(out.VAL), float(out.DRVH), out.EGU, out.NAME, float(out.OVAL))
    show("ai", ai("caundefined.").NAME, ai("caundefined").DTYP)
    switch = bo("cabo")
    switch.put("VAL", 1)
    until(lambda: switch.VAL == 1)
    monitored("cabo.VAL", 1)
    show("bo", int(switch.VAL), switch.ONAM, switch.get("VAL", as_string=True))
    show("bi", bi("cabi").ZNAM, bi("cabi").NAME)


if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2])
    sys.stdout.flush()
    os._exit(0)
