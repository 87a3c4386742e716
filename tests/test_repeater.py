"""The repeater: registration, beacons, its life, and how it is started."""

import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cachannel import repeater
from cachannel.repeater import RepeaterAlreadyRunning, check_for_running_repeater
from support.ioc import SoftIoc, clean_environment
from support.ports import LOOPBACK, free_port
from support.scripts import run_python, run_text
from support.waiting import wait_until

REGISTER = struct.pack(">HHHHII", 24, 0, 0, 0, 0, 0x7F000001)
CONFIRM = struct.pack(">HHHHII", 17, 0, 0, 0, 0, 0x7F000001)


def beacon(number: int, address: int = 0) -> bytes:
    return struct.pack(">HHHHII", 13, 0, 13, 5064, number, address)


class Client:
    """A UDP socket that talks to the repeater at a port, as libca does."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((LOOPBACK, 0))
        self.socket.settimeout(60)

    def send(self, datagram: bytes) -> None:
        self.socket.sendto(datagram, (LOOPBACK, self.port))

    def receive(self) -> bytes:
        return self.socket.recv(65536)

    def register(self) -> None:
        self.send(REGISTER)
        assert self.receive() == CONFIRM


@pytest.fixture
def connect() -> Iterator[Callable[[int], Client]]:
    """Make clients; they are closed at the end of the test."""
    clients: list[Client] = []

    def make(port: int) -> Client:
        clients.append(Client(port))
        return clients[-1]

    yield make
    for client in clients:
        client.socket.close()


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> int:
    """A free repeater port, set in the environment, with the repeater switched on."""
    number = free_port()
    monkeypatch.setenv("EPICS_CA_REPEATER_PORT", str(number))
    monkeypatch.delenv("CACHANNEL_REPEATER")
    return number


@pytest.fixture
def running(port: int) -> Iterator[repeater.RepeaterProcess]:
    """A repeater that `spawn_repeater` started."""
    process = repeater.spawn_repeater()
    assert process is not None
    yield process
    process.terminate()


def file_descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def test_spawned_repeater_owns_the_port_at_once(running: repeater.RepeaterProcess) -> None:
    with pytest.raises(RepeaterAlreadyRunning, match=str(running.port)):
        check_for_running_repeater(("0.0.0.0", running.port))


def test_second_spawn_finds_the_first(running: repeater.RepeaterProcess) -> None:
    assert repeater.spawn_repeater() is None


def test_free_port_gives_the_bound_socket(port: int) -> None:
    with check_for_running_repeater((LOOPBACK, port)) as sock:
        assert sock.getsockname() == (LOOPBACK, port)


def test_address_of_another_host_is_an_error_of_its_own() -> None:
    with pytest.raises(OSError, match="assign"):
        check_for_running_repeater(("192.0.2.1", 5065))


def test_registration_is_confirmed_with_the_address_of_the_client(
    running: repeater.RepeaterProcess, connect: Callable[[int], Client]
) -> None:
    client = connect(running.port)
    client.register()
    client.register()  # A confirmation may get lost, so the client may ask again.


def test_empty_datagram_registers_as_well(
    running: repeater.RepeaterProcess, connect: Callable[[int], Client]
) -> None:
    client = connect(running.port)
    client.send(b"")
    assert client.receive() == CONFIRM


def test_beacon_reaches_all_clients_but_its_sender_and_gets_its_address(
    running: repeater.RepeaterProcess, connect: Callable[[int], Client]
) -> None:
    first, second, sender = (connect(running.port) for _ in range(3))
    for client in (first, second, sender):
        client.register()
    sender.send(beacon(1))
    sender.send(beacon(2, address=0x0A000001))
    for client in (first, second):
        assert client.receive() == beacon(1, address=0x7F000001)
        assert client.receive() == beacon(2, address=0x0A000001)
    first.send(beacon(3))
    assert sender.receive() == beacon(3, address=0x7F000001)  # So 1 and 2 did not come back.


def test_other_messages_pass_unchanged_and_registrations_do_not(
    running: repeater.RepeaterProcess, connect: Callable[[int], Client]
) -> None:
    listener, sender = connect(running.port), connect(running.port)
    listener.register()
    message = struct.pack(">HHHHII", 6, 8, 5, 13, 1, 1) + b"name\0\0\0\0"
    sender.send(message)
    sender.send(REGISTER)
    sender.send(REGISTER + beacon(7, address=1))
    sender.send(b"odd")
    assert listener.receive() == message
    assert listener.receive() == beacon(7, address=1)
    assert listener.receive() == b"odd"


def test_client_that_went_away_is_dropped_when_a_send_fails(
    running: repeater.RepeaterProcess, connect: Callable[[int], Client]
) -> None:
    listener, gone = connect(running.port), connect(running.port)
    listener.register()
    before = file_descriptors(running.pid)
    gone.register()
    assert file_descriptors(running.pid) == before + 1
    gone.socket.close()

    def is_dropped() -> bool:
        # The first send after the end is lost, the next one reports the refusal.
        sender = connect(running.port)
        sender.send(beacon(1, address=1))
        listener.receive()
        return file_descriptors(running.pid) == before

    wait_until(is_dropped)


def test_client_that_went_away_is_dropped_at_the_next_registration(
    running: repeater.RepeaterProcess, connect: Callable[[int], Client]
) -> None:
    gone, newcomer = connect(running.port), connect(running.port)
    gone.register()
    before = file_descriptors(running.pid)
    gone.socket.close()
    newcomer.register()
    assert file_descriptors(running.pid) == before


def test_repeater_is_detached(running: repeater.RepeaterProcess) -> None:
    """Own session, working directory /, no file but its socket and the null device."""
    wait_until(lambda: os.getsid(running.pid) == running.pid)
    folder = Path(f"/proc/{running.pid}")
    wait_until(lambda: os.readlink(folder / "cwd") == "/")
    wait_until(lambda: file_descriptors(running.pid) == 3)
    assert os.readlink(folder / "fd/0").startswith("socket:")
    assert {os.readlink(folder / f"fd/{number}") for number in (1, 2)} == {os.devnull}


def test_pipes_of_the_parent_are_not_held_open(port: int) -> None:
    """`subprocess.run` returns with the parent although the repeater lives on."""
    outcome = run_text(
        """
        from cachannel.repeater import spawn_repeater
        print(spawn_repeater().pid)
        """,
        {"EPICS_CA_REPEATER_PORT": str(port)},
        timeout=60,
    ).succeeded()
    pid = int(outcome.stdout)
    try:
        with pytest.raises(RepeaterAlreadyRunning):
            check_for_running_repeater(("0.0.0.0", port))
    finally:
        os.kill(pid, signal.SIGTERM)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_foreground_repeater_ends_with_status_0_on_a_signal(
    number: signal.Signals, port: int, connect: Callable[[int], Client]
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "cachannel.repeater"],
        env=clean_environment()
        | {"EPICS_CA_REPEATER_PORT": str(port), "PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.PIPE,
    )
    client = connect(port)
    client.socket.settimeout(0.05)

    def is_confirmed() -> bool:
        client.send(REGISTER)
        try:
            return client.receive() == CONFIRM
        except TimeoutError:
            return False

    try:
        wait_until(is_confirmed)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, errors) == (0, b"")


def test_second_foreground_repeater_leaves_quietly(running: repeater.RepeaterProcess) -> None:
    outcome = run_python(
        ["-m", "cachannel.repeater"], {"EPICS_CA_REPEATER_PORT": str(running.port)}
    )
    assert (outcome.code, outcome.stdout, outcome.stderr) == (0, "", "")


def test_second_repeater_says_in_the_log_why_it_leaves(
    running: repeater.RepeaterProcess, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "cachannel.repeater"):
        repeater.run()
    assert "another repeater is running" in caplog.text


def test_wrong_arguments_are_refused() -> None:
    outcome = run_python(["-m", "cachannel.repeater", "--nonsense"], {})
    assert (outcome.code, outcome.stdout) == (2, "")
    assert outcome.stderr.startswith("usage:")


@pytest.mark.parametrize("value", ["NO", "no", "0", "false", " Off "])
def test_environment_switches_it_off(
    value: str, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CACHANNEL_REPEATER", value)
    assert repeater.spawn_repeater() is None
    check_for_running_repeater(("0.0.0.0", port)).close()


def test_argument_switches_it_off_and_wins_over_the_environment(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert repeater.spawn_repeater(enabled=False) is None
    monkeypatch.setenv("CACHANNEL_REPEATER", "NO")
    process = repeater.spawn_repeater(enabled=True)
    assert process is not None
    process.terminate()


def test_terminate_frees_the_port_and_may_be_repeated(port: int) -> None:
    process = repeater.spawn_repeater()
    assert process is not None
    assert repr(process) == f"<RepeaterProcess pid={process.pid} port={port}>"
    process.terminate()
    process.terminate()
    check_for_running_repeater(("0.0.0.0", port)).close()


@pytest.mark.parametrize("text", ["nonsense", "5000", "65536", "-1", "x6000"])
def test_unusable_port_becomes_the_default_with_a_warning(
    text: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("EPICS_CA_REPEATER_PORT", text)
    assert repeater.repeater_port() == 5065
    assert caplog.record_tuples == [
        (
            "cachannel.repeater",
            30,
            f"EPICS_CA_REPEATER_PORT is {text!r}, not a number from 5001 to 65535; using 5065",
        )
    ]


@pytest.mark.parametrize(
    ("text", "number"), [("", 5065), ("5001", 5001), (" 6000 ", 6000), ("6000x", 6000)]
)
def test_port_comes_from_the_environment(
    text: str, number: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("EPICS_CA_REPEATER_PORT", text)
    assert repeater.repeater_port() == number
    assert caplog.records == []


def test_failure_to_start_is_logged_and_not_raised(
    port: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "executable", "/does/not/exist")
    assert repeater.spawn_repeater() is None
    assert "no repeater started" in caplog.text
    check_for_running_repeater(("0.0.0.0", port)).close()


def test_import_loads_neither_subprocess_nor_logging() -> None:
    """Every context imports this module, and a repeater must start in milliseconds."""
    outcome = run_python(
        [
            "-I", "-S", "-c",
            "import sys, runpy; runpy.run_path(sys.argv[1]);"
            "print([n for n in ('subprocess', 'logging', 'socket') if n in sys.modules])",
            repeater.__file__,
        ],
        {},
    )  # fmt: skip
    assert outcome.succeeded().stdout == "[]\n"


def test_libca_registers_and_receives_beacons(
    running: repeater.RepeaterProcess, make_ioc: Callable[..., SoftIoc]
) -> None:
    """The beacon period that libca measures needs beacons, which only the repeater can give.

    libca registers 10 s after its first channel, so this test is as slow.
    """
    ioc = make_ioc(
        'record(ai, "beacon:probe") {}',
        port=free_port(),
        repeater_port=running.port,
        environment={"EPICS_CAS_BEACON_PERIOD": "0.1"},
    )
    run_text(
        """
        import ctypes
        from epicscorelibs import path
        com = ctypes.CDLL(path.get_lib("Com"), mode=ctypes.RTLD_GLOBAL)
        ca = ctypes.CDLL(path.get_lib("ca"))
        ca.ca_pend_event.argtypes = ca.ca_pend_io.argtypes = [ctypes.c_double]
        ca.ca_beacon_period.restype = ctypes.c_double
        ca.ca_beacon_period.argtypes = [ctypes.c_void_p]
        chid = ctypes.c_void_p()
        ca.ca_context_create(0)
        assert ca.ca_create_channel(b"beacon:probe", None, None, 0, ctypes.byref(chid)) == 1
        assert ca.ca_pend_io(60.0) == 1
        for _ in range(600):
            ca.ca_pend_event(0.05)
            if ca.ca_beacon_period(chid) > 0:
                break
        else:
            raise SystemExit("no beacon arrived")
        """,
        ioc.env,
    ).succeeded()
