"""Fixtures of all tests: nothing leaves loopback, and every IOC is real.

``ioc`` is one soft IOC for the whole run, with `support/records.db`.  ``make_ioc`` starts further
ones on a second port that the channels of the test process search too, for tests that kill and
restart an IOC.  ``run_script`` runs a script in a process of its own.
"""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest

import cachannel
from support.ioc import SoftIoc
from support.ports import client_environment, free_port
from support.scripts import Outcome, run_text

# A run in the background has interrupts ignored, and every process that it starts would inherit
# that; some tests interrupt theirs.
signal.signal(signal.SIGINT, signal.default_int_handler)
# So does one under `nohup` with the signal of a lost terminal. With a handler that does nothing it
# goes on in silence, and programs that are started have the default again.
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)

# The same examples in each run, and as much time for each as a busy machine needs; other examples
# come with ``pytest --hypothesis-profile=default``.
hypothesis.settings.register_profile(
    "gate",
    deadline=None,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("gate")

# What clients wait where a test does not say how long: two seconds are little when it is busy.
os.environ["CACHANNEL_DEFAULT_TIMEOUT"] = "60"

SUPPORT = Path(__file__).resolve().parent / "support"
REPEATER = Path(cachannel.__file__).parent / "repeater.py"


@dataclass(frozen=True)
class Ports:
    """The ports of one test run: the main IOC, the IOCs of `make_ioc`, the repeater."""

    main: int
    other: int
    repeater: int


@pytest.fixture(scope="session")
def ports() -> Ports:
    """Free ports, fixed for the run since libca reads its environment only once."""
    return Ports(free_port(), free_port(), free_port())


@pytest.fixture(scope="session", autouse=True)
def loopback_only(ports: Ports) -> Iterator[None]:
    """Keep the test process on loopback; in force before the first context of libca exists.

    A repeater of ours runs at a free port for the time of the tests, as libca would otherwise
    start one of its own; it is what brings the beacons of a restarted IOC to the channels.
    """
    saved = {name: value for name, value in os.environ.items() if name.startswith("EPICS_")}
    for name in saved:
        del os.environ[name]
    os.environ.update(client_environment([ports.main, ports.other], ports.repeater))
    os.environ["CACHANNEL_REPEATER"] = "NO"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("", ports.repeater))
        repeater = subprocess.Popen(
            [sys.executable, "-I", "-S", str(REPEATER), "--fd", str(listening.fileno())],
            pass_fds=[listening.fileno()],
            start_new_session=True,
        )
    yield
    repeater.send_signal(signal.SIGTERM)
    repeater.wait(60)
    for name in [name for name in os.environ if name.startswith("EPICS_")]:
        del os.environ[name]
    os.environ.update(saved)
    del os.environ["CACHANNEL_REPEATER"]


@pytest.fixture(scope="session")
def ioc(ports: Ports, loopback_only: None) -> Iterator[SoftIoc]:
    """The soft IOC of the run, with the records of `support/records.db` and the motor ``m1``."""
    with SoftIoc(
        [SUPPORT / "records.db", SUPPORT / "motor.db"],
        acf=SUPPORT / "records.acf",
        motor=True,
        port=ports.main,
        repeater_port=ports.repeater,
    ) as running:
        yield running


@pytest.fixture
def make_ioc(ports: Ports, loopback_only: None) -> Iterator[Callable[..., SoftIoc]]:
    """A function that starts another IOC; it ends with the test.

    It takes the arguments of `SoftIoc`.  Without ``port`` the IOC gets the second port of the
    run, where channels of the test process find it as well.
    """
    started: list[SoftIoc] = []

    def make(*databases: str | Path, **options: object) -> SoftIoc:
        settings = {"port": ports.other, "repeater_port": ports.repeater} | options
        new = SoftIoc(databases, **settings)  # type: ignore[arg-type]
        started.append(new)
        new.start()
        return new

    yield make
    for running in started:
        running.stop()


@pytest.fixture
def run_script(ioc: SoftIoc) -> Callable[..., Outcome]:
    """Run the text of a Python script against the IOC of the run, in a process of its own."""

    def run(text: str, timeout: float = 120, **environment: str) -> Outcome:
        return run_text(text, ioc.env | {"CACHANNEL_REPEATER": "NO"} | environment, timeout)

    return run
