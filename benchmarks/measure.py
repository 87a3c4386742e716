"""One run: one fresh process, its time, and what it printed."""

from __future__ import annotations

import json
import resource
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Measurement", "measure", "measure_process", "wait_until_idle"]

KEPT_ERROR_LENGTH = 300
PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Measurement:
    """The outcome of one run; the fields of a failed one other than `error` are zero.

    `seconds`, `cpu_seconds`, `done`, `expected`, `extra` and `library` are those of
    `benchmarks.peers.protocol.Result`.
    """

    scenario: str
    peer: str
    round: int
    error: str = ""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    done: float = 0.0
    expected: float = 0.0
    extra: Mapping[str, float] = field(default_factory=dict)
    library: str = ""


@dataclass(frozen=True, slots=True)
class _Finished:
    """A process that has ended: its output, or an error."""

    output: str
    error: str
    seconds: float
    cpu_seconds: float


def _run(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, limit: float
) -> _Finished:
    cpu_before = _cpu_seconds_of_children()
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(environment),
        cwd=folder,
        text=True,
        errors="replace",
        # Ctrl-C goes to the benchmark only, which then ends this process below.
        start_new_session=True,
    )
    error = ""
    try:
        output, complaint = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        process.kill()
        output, complaint = process.communicate()
        error = f"not finished after {limit:.0f} s"
    except BaseException:
        process.kill()
        process.wait()
        raise
    seconds = time.perf_counter() - started
    if not error and process.returncode != 0:
        error = _last_words(complaint) or f"exit status {process.returncode}"
    return _Finished(output, error, seconds, _cpu_seconds_of_children() - cpu_before)


def _cpu_seconds_of_children() -> float:
    # Children that have ended. The IOC is a child too, but not while it runs.
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _last_words(complaint: str) -> str:
    lines = [line.strip() for line in complaint.splitlines() if line.strip()]
    return lines[-1][:KEPT_ERROR_LENGTH] if lines else ""


def measure(
    command: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    limit: float,
    *,
    scenario: str,
    peer: str,
    round_number: int,
) -> Measurement:
    """Run a peer that prints its result as JSON.

    Args:
        command: program and arguments.
        environment: the whole environment of the process.
        folder: its working directory; an empty one, so that nothing is imported from there.
        limit: seconds after which the process is killed.
        scenario, peer, round_number: copied into the measurement.
    """
    finished = _run(command, environment, folder, limit)
    if finished.error:
        return Measurement(scenario, peer, round_number, finished.error)
    try:
        # The last line: a package may have printed something of its own before.
        result: dict[str, Any] = json.loads(finished.output.strip().splitlines()[-1])
        return Measurement(scenario, peer, round_number, **result)
    except (IndexError, ValueError, TypeError) as problem:
        return Measurement(scenario, peer, round_number, f"no result in its output: {problem}")


def measure_process(
    command: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    limit: float,
    *,
    scenario: str,
    peer: str,
    round_number: int,
) -> Measurement:
    """Time a whole process that prints its import time, in seconds, and the value it read.

    Arguments as for `measure`.
    """
    finished = _run(command, environment, folder, limit)
    if finished.error:
        return Measurement(scenario, peer, round_number, finished.error)
    try:
        import_seconds, value = finished.output.strip().splitlines()[-1].split(maxsplit=1)
        extra = {"import_seconds": float(import_seconds)}
    except (IndexError, ValueError):
        return Measurement(scenario, peer, round_number, "no value in its output")
    return Measurement(
        scenario,
        peer,
        round_number,
        seconds=finished.seconds,
        cpu_seconds=finished.cpu_seconds,
        done=1,
        expected=1,
        extra=extra,
        library=f"read {value}",
    )


def wait_until_idle(pid: int, limit: float = 2.0) -> None:
    """Wait until a process uses less than a fifth of a core, or for `limit` seconds.

    An IOC still clears the channels of a client that has gone when the next one is started.
    Systems without /proc get no wait.
    """
    stat = PROC / str(pid) / "stat"
    deadline = time.monotonic() + limit
    interval = 0.1
    try:
        before = _ticks(stat)
        while time.monotonic() < deadline:
            time.sleep(interval)
            now = _ticks(stat)
            # Clock ticks are 10 ms.
            if now - before <= interval * 100 / 5:
                return
            before = now
    except OSError:
        return


def _ticks(stat: Path) -> int:
    # Fields 14 and 15, counted from the end of the name, which may hold spaces.
    fields = stat.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
