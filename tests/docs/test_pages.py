"""The code in the documentation works, and prints what the pages say."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.ioc import SoftIoc, clean_environment
from support.ports import free_port, server_environment
from support.scripts import run_python

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
DEMO = """
record(ao, "demo:temperature") { field(VAL, "21.5") field(PINI, "YES") field(EGU, "degC") }
record(ao, "demo:setpoint") { field(VAL, "1") field(PINI, "YES") }
record(bo, "demo:door") { field(ZNAM, "Closed") field(ONAM, "Open") }
record(ao, "demo:one") { field(VAL, "1") field(PINI, "YES") }
record(ao, "demo:two") { field(VAL, "2") field(PINI, "YES") }
record(ao, "demo:three") { field(VAL, "3") field(PINI, "YES") }
record(ao, "many:0") { field(VAL, "0") field(PINI, "YES") }
record(ao, "many:1") { field(VAL, "1") field(PINI, "YES") }
record(ao, "many:2") { field(VAL, "2") field(PINI, "YES") }
record(ao, "many:readonly") { field(VAL, "2") field(PINI, "YES") }
record(stringout, "many:text") { field(VAL, "text") field(PINI, "YES") }
"""
NAMES = 'names = ["demo:one", "demo:two", "demo:three"]\n'
ENOUGH = """
def archive(batch):
    assert len(batch)
    raise Enough
"""
SERVED = """
import os, signal, threading
def _stop_when_it_serves():
    from cachannel.sync.client import read
    while True:
        try:
            read("simple:gain", timeout=1.0)
        except TimeoutError:
            continue
        os.kill(os.getpid(), signal.SIGINT)
        return
threading.Thread(target=_stop_when_it_serves, daemon=True).start()
"""
FAMILY = """
from CaChannel.util import caput as _put
names = ["demo:temperature", "demo:setpoint"]
_put("demo:temperature", 20.5, wait=True, timeout=30)
_put("demo:setpoint", 0, wait=True, timeout=30)
"""
FIRST_STEPS = """
CHECKS = {
    1: lambda: float(printed()) == 20.5,
    2: lambda: values == [22.0, 0.0],
    3: lambda: values == [22.0, 0.0],
    4: lambda: "demo:temperature 22.0" in printed(),
}
"""
RECIPES = """
from CaChannel import CaChannel as _Channel, ca
from CaChannel.util import caget
chan = _Channel("demo:door")
chan.searchw()
chan.getw(ca.DBR_STRING)
chan = _Channel("demo:temperature")
chan.searchw()
class _Latest(dict):
    def __setitem__(self, key, value):
        self.update(zip(key.tolist(), value.tolist(), strict=True))
        if len(self) == len(names):
            raise Enough
latest = _Latest()
CHECKS = {
    2: lambda: info["pv_units"] == "degC",
    3: lambda: __import__("cachannel").USE_NUMPY is True,
    4: lambda: caget("demo:setpoint") == 5,
    5: lambda: "ECA.NORMAL" in printed(),
    6: lambda: "demo:temperature CA_OP.CONN_UP" in printed(),
    7: lambda: latest == {0: 5.0, 1: 5.0},
    8: lambda: logging.getLogger("cachannel.libca").level == logging.INFO,
}
"""
LOGGING = """
import logging as _logging, threading as _threading
class _Kept(_logging.Handler):
    found = _threading.Event()
    def emit(self, record):
        if "'demo:temperature' was found on" in record.getMessage():
            self.found.set()
_logging.getLogger("cachannel").addHandler(_Kept())
CHECKS = {
    2: lambda: _Kept.found.wait(60),
    3: lambda: _logging.getLogger("cachannel").level == _logging.WARNING,
}
"""
ASYNC_FAMILY = """
ASYNC = True
from CaChannel.util import caput as _put
for _name, _value in {"temperature": 21.5, "one": 1, "two": 2, "three": 3, "door": 0}.items():
    _put(f"demo:{_name}", _value, wait=True, timeout=30)
"""
HALL = """
import asyncio, os, signal, threading
from cachannel import AlarmSeverity, AlarmStatus
from cachannel.sync.client import read, write
seen = []
def _use_it_when_it_serves():
    while True:
        try:
            read("HALL:SPECTRUM", timeout=1.0)
        except TimeoutError:
            continue
        break
    try:
        write("HALL:HEATER", 60, notify=True)
        temperature = read("HALL:TEMP", data_type="control")
        assert temperature.data.tolist() == [32.0]
        assert temperature.metadata.status == AlarmStatus.HIGH
        assert temperature.metadata.severity == AlarmSeverity.MINOR_ALARM
        assert temperature.metadata.units == b"degC"
        for name, value in {"SHUTTER": b"Open", "MODE": b"Cool", "LABEL": b"hall 4"}.items():
            write(f"HALL:{name}", value, notify=True)
            assert list(read(f"HALL:{name}").data) == [value]
        write("HALL:NOTES", b"n" * 200, notify=True)
        assert bytes(read("HALL:NOTES").data) == b"n" * 200
        write("HALL:SPECTRUM", [1.0] * 1000, notify=True)
        while read("HALL:COUNT").data[0] == 0:
            pass
        seen.append("all")
    finally:
        os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=_use_it_when_it_serves, daemon=True).start()
severities = []
def read_gauge():
    severities.append(gauge.pressure.alarm.severity)
    if len(severities) == 1:
        raise OSError
    return 3.0
def _gauge_recovers():
    from cachannel.asyncio.server import start_server
    async def until_it_is_read():
        global gauge
        gauge = Gauge("HALL:")
        serving = asyncio.create_task(start_server(gauge.pvdb))
        while len(severities) < 3:
            await asyncio.sleep(0.01)
        serving.cancel()
        await asyncio.wait([serving])
    asyncio.run(until_it_is_read())
    return severities[:3] == [0, 3, 0]
CHECKS = {1: lambda: seen == ["all"], 2: _gauge_recovers}
"""
PUMP = """
import os, signal, threading
from cachannel.sync.client import read as _read, write as _write
_put("demo:temperature", 21.5, wait=True, timeout=30)
_readings = []
def _use_it_when_it_serves():
    while not _readings:
        try:
            _write("pump:speed", 5.0, notify=True, timeout=1.0)
            _readings.append(_read("pump:reading").data.tolist())
        except TimeoutError:
            pass
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=_use_it_when_it_serves, daemon=True).start()
CHECKS = {
    1: lambda: _readings == [[5.0]],
    2: lambda: "[21.5]" in printed() and _read("demo:setpoint").data.tolist() == [3.0],
    3: lambda: printed().count("[21.5]") == 2,
    4: lambda: printed().count("[21.5]") == 3,
}
"""
# What each page takes for granted.
PAGES = {
    "README.md": NAMES + ENOUGH + SERVED,
    "docs/first-steps.md": FAMILY + FIRST_STEPS,
    "docs/recipes.md": FAMILY + RECIPES,
    "docs/pyepics.md": "",
    "docs/clients.md": "",
    "docs/sync-client.md": "",
    "docs/threading-client.md": "",
    "docs/asyncio-client.md": "ASYNC = True",
    "docs/many-pvs.md": "ASYNC = True",
    "docs/logging.md": LOGGING,
    "docs/moving-from-aioca.md": ASYNC_FAMILY,
    "docs/moving-from-caproto.md": FAMILY + PUMP,
    "docs/moving-from-pythonsoftioc.md": HALL,
}
ELSEWHERE = {"docs/server.md"}  # tests/server/test_docs.py


@pytest.fixture(scope="module")
def demo() -> Iterator[SoftIoc]:
    """The PVs of the pages about CaChannel."""
    with SoftIoc([DEMO]) as running:
        yield running


@pytest.fixture
def walk(demo: SoftIoc) -> Iterator[dict[str, str]]:
    """The random walk beside `demo`; gives the environment of a client of both."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "cachannel.ioc_examples.random_walk", "--list-pvs"],
        env=clean_environment() | server_environment(port, demo.repeater_port),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    while "random_walk:x" not in process.stdout.readline():
        assert process.poll() is None
    own = free_port()  # of an IOC on the page
    addresses = f"127.0.0.1:{demo.port} 127.0.0.1:{port} 127.0.0.1:{own}"
    environment = demo.env | server_environment(own, demo.repeater_port)
    yield environment | {"EPICS_CA_ADDR_LIST": addresses, "CACHANNEL_REPEATER": "NO"}
    process.terminate()
    process.wait(60)
    process.stdout.close()


@pytest.mark.parametrize("page", PAGES)
def test_the_code_of_a_page_does_what_the_page_says(page: str, walk: dict[str, str]) -> None:
    arguments = [str(HERE / "page.py"), str(ROOT / page), PAGES[page]]
    environment = walk | {"PYTHONWARNINGS": "", "CACHANNEL_DEFAULT_TIMEOUT": ""}
    outcome = run_python(arguments, environment, 120)
    assert outcome.code == 0, outcome.stderr


def test_every_page_with_code_is_run() -> None:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    with_code = {
        str(page.relative_to(ROOT))
        for page in pages
        if "```python" in page.read_text() or "```pycon" in page.read_text()
    }
    assert with_code == set(PAGES) | ELSEWHERE
