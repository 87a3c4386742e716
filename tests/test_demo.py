"""`python -m cachannel demo` shows what it should, in time, and leaves nothing behind."""

import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from cachannel import demo
from support.ioc import clean_environment
from support.scripts import Outcome, run_python
from support.waiting import wait_until


def processes_with(mark: str) -> list[str]:
    """Command lines of the processes that have inherited a mark in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


@pytest.fixture(scope="module")
def mark() -> str:
    return f"mark-{uuid.uuid4().hex}"


@pytest.fixture(scope="module")
def outcome(mark: str) -> Outcome:
    """One run of the demo, in an environment that would lead it astray if it took notice."""
    start = time.monotonic()
    result = run_python(
        ["-m", "cachannel", "demo"],
        {
            "DEMO_MARK": mark,
            "EPICS_CA_ADDR_LIST": "192.0.2.1",
            "EPICS_CA_NAME_SERVERS": "192.0.2.1",
        },
    )
    # About six seconds; the rest is for a busy machine.
    assert time.monotonic() - start < 60
    return result


def result_of(statement: str, outcome: Outcome) -> str:
    """The line after a statement."""
    return outcome.lines[outcome.lines.index(f">>> {statement}") + 1]


def test_succeeds_and_writes_nothing_to_standard_error(outcome: Outcome) -> None:
    assert (outcome.code, outcome.stderr) == (0, "")
    assert outcome.lines[-1] == "That is all. The IOC has ended."


def test_leaves_no_process(outcome: Outcome, mark: str) -> None:
    wait_until(lambda: processes_with(mark) == [])


def test_prints_every_statement(outcome: Outcome) -> None:
    printed = [line[4:] for line in outcome.lines if line.startswith((">>> ", "... "))]
    statements = [line for line in demo.LESSONS.splitlines() if line and not line.startswith("#")]
    assert printed == statements


def test_shows_value_units_and_limits(outcome: Outcome) -> None:
    shown = result_of('info["pv_value"], info["pv_units"], info["pv_precision"]', outcome)
    assert re.fullmatch(r"\((19|2[0-3])\.\d+, 'degC', 2\)", shown)
    assert "(10.0, 30.0, 15.0, 28.0)" in outcome.lines


def test_put_waits_for_completion(outcome: Outcome) -> None:
    statement = 'f"{time.monotonic() - started:.1f} s", caget("demo:readback")'
    found = re.fullmatch(r"\('(\d+\.\d) s', 12\.5\)", result_of(statement, outcome))
    assert found
    assert 0.5 <= float(found[1]) < 20  # the move takes half a second


def test_monitor_shows_changes_for_some_seconds(outcome: Outcome) -> None:
    events = [line for line in outcome.lines if re.fullmatch(r"   \d\d:\d\d:\d\d \d+\.\d\d", line)]
    assert len(events) >= 5
    assert len(set(events)) == len(events)


def test_shows_an_alarm(outcome: Outcome) -> None:
    assert "    Status:         HIHI" in outcome.lines
    assert "    Severity:       MAJOR" in outcome.lines


def test_shows_an_array(outcome: Outcome) -> None:
    assert "(<class 'numpy.ndarray'>, dtype('float64'), (1000,))" in outcome.lines


def test_shows_a_timeout(outcome: Outcome) -> None:
    shown = result_of("missing.searchw()  # raises", outcome)
    assert shown.startswith("CaChannelException: ")
    assert "demo:no:such:pv" in shown


def demo_at_work(own: str) -> subprocess.Popen[str]:
    """A demo of its own process group, whose IOC serves and whose client watches a PV."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "cachannel", "demo"],
        env=clean_environment() | {"DEMO_MARK": own, "PYTHONPATH": ":".join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # A test run in the background ignores interrupts, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "time.sleep" in line:
            break
    return process


@pytest.mark.parametrize("send", [os.kill, os.killpg])
def test_interrupt_ends_the_ioc_too(send: Callable[[int, int], None]) -> None:
    """Sent to the demo alone, or to its group as from the keyboard."""
    own = f"mark-{uuid.uuid4().hex}"
    with demo_at_work(own) as process:
        assert process.stdout is not None
        send(process.pid, signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait(60) == 130
    assert rest.endswith("Interrupted.\n")
    assert "Traceback" not in rest
    wait_until(lambda: processes_with(own) == [])


def test_ioc_ends_with_a_demo_that_is_killed() -> None:
    own = f"mark-{uuid.uuid4().hex}"
    with demo_at_work(own) as process:
        process.kill()
    wait_until(lambda: processes_with(own) == [])


def test_an_ioc_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "_RUN_IOC", "raise SystemExit('no luck')")
    with pytest.raises(OSError, match=r"^no luck$"), demo._ioc():
        pass


def test_a_lesson_that_fails_is_noticed(capsys: pytest.CaptureFixture[str]) -> None:
    assert demo._teach("1 + 1\n1 / 0  # raises\n") is True
    assert capsys.readouterr().out.splitlines() == [
        ">>> 1 + 1", "2", ">>> 1 / 0  # raises", "ZeroDivisionError: division by zero",
    ]  # fmt: skip
    assert demo._teach("1 / 0\n") is False
    assert demo._teach("1 / 1  # raises\n") is False


@pytest.mark.parametrize(
    ("arguments", "code"), [([], 2), (["nonsense"], 2), (["demo", "more"], 2), (["--help"], 0)]
)
def test_usage(arguments: list[str], code: int) -> None:
    outcome = run_python(["-m", "cachannel", *arguments], {})
    assert outcome.code == code
    text, nothing = (outcome.stderr, outcome.stdout)[:: 1 if code else -1]
    # The words are those of the command line library where it is installed.
    assert text.lower().startswith("usage: ")
    assert "cachannel" in text
    assert nothing == ""
