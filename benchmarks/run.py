"""The command line of the benchmarks, and the order in which the runs are made."""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from benchmarks.bars import judge
from benchmarks.ioc import Ioc, loopback, monitor_database, static_database
from benchmarks.measure import Measurement, measure, measure_process, wait_until_idle
from benchmarks.plan import PEERS, SCENARIOS, Peer, ScenarioPlan, Size
from benchmarks.report import as_document, print_report, write_json
from benchmarks.summary import summarise
from benchmarks.toolchain import ToolchainError, build_c_client, find_epics, prepare_rivals

__all__ = ["main"]

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"

# A peer may wait this long for its connections and replies; the run as a whole may take longer.
WAIT_SECONDS = 60
RUN_SECONDS = 150
# After so many failures in a row a peer is not asked again in that scenario.
PATIENCE = 2
OVERHEAD_BYTES = 1_000_000
INTERRUPTED = 130


@dataclasses.dataclass(frozen=True, slots=True)
class Bench:
    """What the runs need: programs, environment, an empty folder to run in."""

    ours: Path
    rivals: Path
    c_client: Path
    environment: dict[str, str]
    folder: Path
    size: Size

    def command(self, peer: Peer, scenario: ScenarioPlan, round_number: int) -> list[str]:
        parameters = {
            **scenario.parameters(self.size),
            "timeout": WAIT_SECONDS,
            # Other values in every run, so that what is there already cannot pass for written.
            "offset": 1 + round_number * len(PEERS) + PEERS.index(peer),
        }
        arguments = [f"{name}={value}" for name, value in parameters.items()]
        if peer.module is None:
            return [str(self.c_client), scenario.name, *arguments]
        # -P: the folder of the script stays off the import path, where its modules would hide the
        # packages they are named after.
        python = [str(self.ours if peer.ours else self.rivals), "-P"]
        if scenario.name == "startup":
            script = HERE / "startup" / f"{peer.startup}.py"
            return [*python, str(script), str(parameters["pv"])]
        return [*python, str(HERE / "launch.py"), peer.module, scenario.name, *arguments]

    def run(self, peer: Peer, scenario: ScenarioPlan, round_number: int) -> Measurement:
        environment = dict(self.environment)
        if peer.package is not None:
            environment["BENCHMARK_PACKAGE"] = peer.package
        return (measure_process if scenario.name == "startup" else measure)(
            self.command(peer, scenario, round_number),
            environment,
            self.folder,
            RUN_SECONDS,
            scenario=scenario.name,
            peer=peer.name,
            round_number=round_number,
        )


def run_scenario(
    bench: Bench, scenario: ScenarioPlan, peers: Sequence[Peer], rounds: int, ioc: Ioc
) -> Iterator[Measurement]:
    """Yield the runs of one scenario: A B C, A B C, ..., so that the machine's moods fall on all.

    A slow peer stops early, when it has used up its budget of time; it always runs once.
    """
    spent = dict.fromkeys(peers, 0.0)
    failures = dict.fromkeys(peers, 0)
    for number in range(rounds):
        for peer in peers:
            if spent[peer] > bench.size.budget or failures[peer] >= PATIENCE:
                continue
            ioc.check()
            wait_until_idle(ioc.pid)
            started = time.monotonic()
            run = bench.run(peer, scenario, number)
            spent[peer] += time.monotonic() - started
            failures[peer] = failures[peer] + 1 if run.error else 0
            yield run


def run_all(
    bench: Bench,
    scenarios: Sequence[ScenarioPlan],
    peers: Sequence[Peer],
    rounds: int,
    epics_python: Path,
    measurements: list[Measurement],
) -> None:
    """Run everything, appending to `measurements` as it comes in."""

    @contextmanager
    def ioc(moving: bool) -> Iterator[Ioc]:
        records = (
            monitor_database(bench.size.monitors)
            if moving
            else static_database(bench.size.channels, bench.size.elements)
        )
        database = bench.folder / ("moving.db" if moving else "static.db")
        with Ioc(epics_python, records, database, bench.environment) as process:
            yield process

    # One IOC at a time: 5,000 records that change at 10 Hz would disturb everything else.
    for moving in (False, True):
        chosen = [scenario for scenario in scenarios if scenario.moving is moving]
        if not chosen:
            continue
        with ioc(moving) as process:
            if not moving:
                fill_waveform(bench)
            for scenario in chosen:
                able = [peer for peer in peers if peer.can(scenario)]
                wanted = max(rounds, scenario.least_rounds) if bench.size.full else rounds
                for run in run_scenario(bench, scenario, able, wanted, process):
                    measurements.append(run)
                    say(run)


def fill_waveform(bench: Bench) -> None:
    run = measure(
        [str(bench.c_client), "fill", "pv=bench:wave", f"elements={bench.size.elements}",
         f"timeout={WAIT_SECONDS}"],
        bench.environment, bench.folder, RUN_SECONDS, scenario="fill", peer="", round_number=0,
    )  # fmt: skip
    if run.error:
        raise ToolchainError(f"the C client cannot write to the softIoc: {run.error}")


def say(run: Measurement) -> None:
    """Show progress on stderr; the report is what goes to stdout."""
    outcome = run.error or f"{run.seconds:.3f} s, {run.done:.0f} of {run.expected:.0f}"
    print(f"{run.scenario:9} {run.round + 1}  {run.peer:18} {outcome}", file=sys.stderr, flush=True)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small numbers, to see that it works")
    parser.add_argument(
        "--only", action="append", metavar="SCENARIO", choices=[plan.name for plan in SCENARIOS],
        help="run this scenario; may be repeated: " + ", ".join(plan.name for plan in SCENARIOS),
    )  # fmt: skip
    parser.add_argument(
        "--peer", action="append", metavar="NAME", choices=[peer.name for peer in PEERS],
        help="run this peer; may be repeated: " + ", ".join(f'"{peer.name}"' for peer in PEERS),
    )  # fmt: skip
    parser.add_argument("--repeat", type=int, metavar="N", help="rounds (default: 5; 1 if quick)")
    parser.add_argument("--json", type=Path, metavar="PATH", help="where the JSON report goes")
    parser.add_argument(
        "--peers-python", type=Path, metavar="PATH",
        help="interpreter that has the other packages, instead of benchmarks/.peers",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    if options.repeat is not None and options.repeat < 1:
        parser.error("--repeat must be at least 1")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks.

    Returns:
        0 after a complete run, whatever the figures say; 1 when something needed is missing; 130
        when interrupted, after reporting what was measured until then.
    """
    options = parse(arguments)
    size = Size.of_quick_run() if options.quick else Size.of_full_run()
    scenarios = [plan for plan in SCENARIOS if not options.only or plan.name in options.only]
    peers = [peer for peer in PEERS if not options.peer or peer.name in options.peer]
    rounds = options.repeat or size.rounds

    # A polite kill ends the IOC and the running peer just as Ctrl-C does.
    signal.signal(signal.SIGTERM, _interrupt)
    measurements: list[Measurement] = []
    status = 0
    try:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cabench-")))
            ours = Path(sys.executable)
            # absolute(), not resolve(): a virtual environment's interpreter is a link.
            given: Path | None = options.peers_python
            rivals = given.absolute() if given else prepare_rivals()
            epics_python, include, libraries = find_epics(ours, rivals)
            c_client = build_c_client(include, libraries, folder)
            bytes_on_the_wire = 8 * size.elements + OVERHEAD_BYTES
            environment = stack.enter_context(loopback(bytes_on_the_wire))
            bench = Bench(ours, rivals, c_client, environment, folder, size)
            run_all(bench, scenarios, peers, rounds, epics_python, measurements)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        status = INTERRUPTED
    except (OSError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        status = 1
    if measurements:
        report(scenarios, measurements, size, options.json)
    return status


def report(
    scenarios: Sequence[ScenarioPlan],
    measurements: Sequence[Measurement],
    size: Size,
    path: Path | None,
) -> None:
    sections = summarise(scenarios, measurements)
    verdicts = judge(sections)
    print_report(sections, verdicts, size)
    if path is None:
        path = RESULTS / f"{datetime.datetime.now():%Y-%m-%d-%H%M%S}.json"
    write_json(as_document(sections, verdicts, measurements, size), path)
    print(f"written to {path}")


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
