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
