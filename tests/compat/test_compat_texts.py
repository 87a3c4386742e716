"""The texts that are printed, whole: what pyepics 3.5.10 printed for the records of the tests.

The literals are the contract's (the layout of `PV.info`), seen with pyepics and a soft IOC that
had `support/records.db`; what differs from run to run (host, time stamp) is put in.
"""

import re
import time

import pytest

import epics_compat as epics
from support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("ioc")

DOUBLE = """\
== caprop  (time_double) ==
   value           = 1.5
   char_value      = '1.50'
   count           = 1
   nelm            = 1
   type            = time_double
   units           = mm
   precision       = 2
   host            = {host}
   access          = read/write
   status          = 0
   char_status     = NO_ALARM
   severity        = 0
   char_severity   = NO_ALARM
   timestamp       = {timestamp:.3f} ({time})
   posixseconds    = {posixseconds}
   nanoseconds     = {nanoseconds}
   upper_ctrl_limit     = 0.0
   lower_ctrl_limit     = 0.0
   upper_disp_limit     = 10.0
   lower_disp_limit     = 0.0
   upper_alarm_limit    = nan
   lower_alarm_limit    = nan
   upper_warning_limit  = nan
   lower_warning_limit  = nan
   PV is internally monitored, with 0 user-defined callbacks
============================="""

ENUM = """\
== capropenum  (time_enum) ==
   value           = 1
   char_value      = 'on'
   count           = 1
   nelm            = 1
   type            = time_enum
   host            = {host}
   access          = read/write
   status          = 0
   char_status     = NO_ALARM
   severity        = 0
   char_severity   = NO_ALARM
   timestamp       = {timestamp:.3f} ({time})
   posixseconds    = {posixseconds}
   nanoseconds     = {nanoseconds}
   enum strings: {nothing}
       0 = off
       1 = on
   PV is NOT internally monitored
============================="""


def _filled(text: str, pv: epics.PV) -> str:
    return text.format(
        nothing="",  # a space at the end of a line
        host=pv.host,
        timestamp=pv.timestamp,
        time=pv.fmt_time(pv.timestamp),
        posixseconds=pv.posixseconds,
        nanoseconds=pv.nanoseconds,
    )


@pytest.fixture(autouse=True)
def records(ioc: object) -> None:
    values = {"caprop.EGU": "mm", "caprop.PREC": 2, "caprop.HOPR": 10, "capropenum.ONST": "on"}
    for name, value in (values | {"caprop": 1.5, "capropenum": 1}).items():
        assert epics.caput(name, value, wait=True) == 1
    epics.pv.clear_pvcache()


def test_info_of_a_double(capsys: pytest.CaptureFixture[str]) -> None:
    pv = epics.get_pv("caprop", connect=True)
    wait_until(lambda: pv.get() == 1.5)
    assert pv.info == _filled(DOUBLE, pv)
    assert epics.cainfo("caprop", print_out=False) == _filled(DOUBLE, pv)
    assert capsys.readouterr().out == ""
    epics.cainfo("caprop")
    assert capsys.readouterr().out == _filled(DOUBLE, pv) + "\n"


def test_info_of_an_enum() -> None:
    pv = epics.PV("capropenum", auto_monitor=False)
    assert pv.wait_for_connection(60)
    assert pv.info == _filled(ENUM, pv)


def test_info_tells_of_callbacks_and_monitor_delta() -> None:
    pv = epics.PV("caprop", monitor_delta=0.5, callback=_callback)
    assert pv.wait_for_connection(60)
    try:
        lines = (pv.info or "").splitlines()
    finally:
        pv.disconnect()
        epics.caput("caprop.MDEL", 0, wait=True)
    assert lines[9:11] == ["   access          = read/write", "   monitor_delta   = 0.5"]
    assert lines[-3:-1] == [
        "   PV is internally monitored, with 1 user-defined callbacks",
        "      _callback in file 'test_compat_texts.py'",
    ]


def _callback(**kws: object) -> None:
    pass


def test_lines_of_camonitor(capsys: pytest.CaptureFixture[str]) -> None:
    lines: list[str] = []
    epics.camonitor("caprop", writer=lines.append)
    before = time.time()
    epics.caput("caprop", 2.5, wait=True)
    wait_until(lambda: lines and lines[-1].endswith(" 2.50"))
    found = re.fullmatch(r"caprop (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\.\d{5} 2\.50", lines[-1])
    assert found
    told = time.mktime(time.strptime(found[1], "%Y-%m-%d %H:%M:%S"))
    assert int(before) <= told <= time.time()
    assert capsys.readouterr().out == ""
