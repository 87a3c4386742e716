"""How servers start and end: signals, threads, errors at the start, mappings of a program's own."""

import asyncio
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from server_wire import Client, Process, environment, free_port
from test_servers import LIBRARIES

from cachannel.server import signals

ENDING = str(Path(__file__).with_name("ending_ioc.py"))


def ended(process, status=0):
    """Wait for the end of a process; return its lines."""
    assert process.process.wait(60) == status, process.output()
    return process.output().splitlines()


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("library", LIBRARIES)
def test_signals_end_an_ioc(library, name):
    """The shutdown hooks run to their end, run() returns, the status is 0."""
    with (
        Process([ENDING, library, "plain"], ready="startup complete") as process,
        Client(process.port) as client,
    ):
        assert client.create("e:heater") is not None
        process.process.send_signal(getattr(signal, name))
        lines = ended(process)
        assert "heater off" in lines
        assert lines[-1] == "after run"
        assert any(line.endswith("Server task cancelled. Will shut down.") for line in lines)
        assert "Traceback" not in process.output()
        if name != "SIGINT":
            assert any(line.endswith(f"{name} received.") for line in lines)
        with pytest.raises((EOFError, ConnectionError)):
            while True:
                client.receive()


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("library", LIBRARIES)
def test_signals_that_a_supervisor_has_blocked_end_an_ioc(library, name):
    """procServ starts its child with SIGTERM and SIGHUP blocked."""
    with Process([ENDING, library, "blocked"], ready="startup complete") as process:
        process.process.send_signal(getattr(signal, name))
        assert "heater off" in ended(process)


@pytest.mark.parametrize("library", LIBRARIES)
def test_more_signals_do_not_cut_the_hooks_short(library):
    """A shutdown hook that is running is not interrupted by further signals."""
    with Process([ENDING, library, "slow"], ready="startup complete") as process:
        process.process.send_signal(signal.SIGTERM)
        while "switching off" not in process.output():
            assert process.process.poll() is None
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGTERM):
            process.process.send_signal(number)
        process.process.stdin.write("go on\n")
        process.process.stdin.flush()
        assert "heater off" in ended(process)


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_signal_before_the_server_listens(library):
    """It is not lost."""
    with Process([ENDING, library, "early"], ready="after run") as process:
        assert ended(process)[-1] == "after run"


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_server_in_another_thread(library):
    """run() works there, without handlers of signals: the process has its own."""
    with Process([ENDING, library, "thread"], ready="startup complete") as process:
        with Client(process.port) as client:
            assert client.create("e:heater") is not None
        process.process.send_signal(signal.SIGTERM)
        assert process.process.wait(60) == -signal.SIGTERM


def test_signals_of_the_program():
    """A signal that the program handles or ignores stays as it is, and the default comes back."""
    seen = []
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with signals.ending_signals(seen.append):
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGHUP)
        assert seen == ["SIGTERM"]
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        with signals.ending_signals(seen.append):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_a_platform_without_sighup(monkeypatch):
    """Windows has none; SIGTERM is taken all the same."""
    seen = []
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    monkeypatch.delattr(signal, "SIGHUP")
    try:
        with signals.ending_signals(seen.append):
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen == ["SIGTERM"]


def test_another_thread_takes_no_signals():
    """Python handles signals in the main thread only."""
    before = signal.getsignal(signal.SIGTERM)
    found = []

    def other():
        with signals.ending_signals(found.append):
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=other)
    thread.start()
    thread.join(60)
    assert found == [before]


# ------------------------------------------------------------------ the start


def run_ioc(*arguments):
    """Run ending_ioc.py to its end; return status and output."""
    result = subprocess.run(
        [sys.executable, ENDING, *arguments],
        env=environment(free_port()),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    return result.returncode, result.stdout


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("none", "CaprotoTypeError: a server takes a dict of PV name to channel"),
        ("no-items", "NoItems has no items()"),
        ("broken", "RuntimeError: broken items"),
        ("not-a-channel", "PV 'a' is 5, which is not a channel"),
        ("not-our-address", "cannot listen on 203.0.113.7"),
        ("no-hook", "startup_hook is 5"),
    ],
)
@pytest.mark.parametrize("library", LIBRARIES)
def test_errors_at_the_start(library, kind, told):
    """They are one line of the log and the exception; the process fails, and no hook runs."""
    status, output = run_ioc(library, kind)
    assert status == 1
    assert any(
        "the server did not start: " in line and told in line for line in output.splitlines()
    )
    last = [line for line in output.splitlines() if line][-1]
    assert told in last
    assert "heater off" not in output
    assert "Nursery" not in output
    assert output.count("Traceback") == 1 or kind == "not-our-address"


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_server_that_fails_in_a_task_tells_it(library):
    """A program that does not look at the end of the task finds the line in the log."""
    status, output = run_ioc(library, "task")
    assert status == 0
    assert output.count("the server did not start: CaprotoTypeError") == 1


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_failing_shutdown_hook(library):
    """It is told, and the other hooks run."""
    with Process([ENDING, library, "bad-shutdown"], ready="startup complete") as process:
        process.process.send_signal(signal.SIGTERM)
        lines = ended(process)
    assert "heater off" in lines
    assert any("shutdown of e:bad failed; the server ends all the same" in x for x in lines)
    assert "ValueError: stuck" in "\n".join(lines)


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_mapping_of_the_programs_own(library):
    """items(), `in` and [] are all that a server asks for, --list-pvs included."""
    with Process([ENDING, library, "own"], ready="startup complete") as process:
        with Client(process.port) as client:
            sid = client.create("e:heater")[0]
            assert client.read(sid, 6).parameter1 == 1
            assert client.create("e:made-up") is not None
            assert client.create("e:absent") is None
        assert "    e:heater" in process.output().splitlines()
        process.process.send_signal(signal.SIGTERM)
        assert "heater off" in ended(process)


def test_a_stop_before_the_start(monkeypatch):
    """The server of a task that is asked to end at once starts and ends in good order."""
    from cachannel.asyncio.server import Context

    monkeypatch.setenv("EPICS_CAS_SERVER_PORT", "0")
    monkeypatch.setenv("EPICS_CAS_AUTO_BEACON_ADDR_LIST", "NO")

    async def main():
        context = Context({}, ["127.0.0.1"])
        context.stop()
        await asyncio.wait_for(context.run(), 60)

    asyncio.run(main())
