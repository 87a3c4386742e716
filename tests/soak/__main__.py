"""The long robustness runs: ``make soak`` or ``python -m tests.soak [name ...]``.

exits       200 starts and exits with 2,000 monitors running at full rate
cycles      1,000,000 create, get, monitor, clear cycles: objects, memory, threads, files
restarts    an IOC killed and restarted 20 times under 1,000 monitors
valgrind    memcheck over `boundary.py`; needs valgrind, and is left out without it

Each run prints one line of figures and raises when something does not hold.  ``SOAK`` in the
environment is a factor for the sizes: ``SOAK=0.01 make soak`` is a rehearsal.
"""

import argparse
import gc
import os
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from support.ioc import SoftIoc, clean_environment  # noqa: E402
from support.scripts import run_text  # noqa: E402
from support.waiting import wait_until  # noqa: E402

SUPPORT = HERE.parent / "support"
FACTOR = float(os.environ.get("SOAK", "1"))
QUIET = {"CACHANNEL_REPEATER": "NO"}

EXIT = """
    import sys, threading
    from cachannel.many import connect_many
    seen, enough = [0], threading.Event()
    def changed(event, args):
        seen[0] += 1
        if seen[0] > 5_000:
            enough.set()
    channels = connect_many([f"soak:{n}" for n in range(2000)], 60)
    for channel in channels:
        channel.add_masked_array_event(None, None, None, changed)
    channels[0].flush_io()
    assert enough.wait(60)
    sys.exit(7)
"""


def size(number: int) -> int:
    """Scale the size of a run."""
    return max(1, round(number * FACTOR))


def say(text: str) -> None:
    """Print one line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def exits() -> None:
    """Start and end scripts with monitors at full rate; each must keep its status and be quiet."""
    records = "".join(
        f'record(calc, "soak:{n}") {{ field(CALC, "VAL+1") field(SCAN, ".1 second") }}\n'
        for n in range(2000)
    )
    with SoftIoc([records]) as ioc:
        times = []
        for _ in range(size(200)):
            start = time.monotonic()
            outcome = run_text(EXIT, ioc.env | QUIET, 120)
            times.append(time.monotonic() - start)
            if (outcome.code, outcome.stdout, outcome.stderr) != (7, "", ""):
                raise SystemExit(f"exits: {outcome}")
    say(f"exits: {len(times)} ended with their own status, quietly; longest {max(times):.1f} s")


def memory() -> int:
    """Resident memory of this process in kB."""
    text = Path("/proc/self/status").read_text(encoding="ascii")
    return int(text.partition("VmRSS:")[2].split()[0])


def cycles() -> None:
    """Create, get, monitor and clear channels, and compare with the state after the first ones."""
    with SoftIoc([SUPPORT / "records.db"], acf=SUPPORT / "records.acf") as ioc:
        os.environ.update(ioc.env | QUIET)
        from cachannel._native import ffi, lib
        from cachannel.many import connect_many, get_many

        def state() -> tuple[int, ...]:
            counts = ffi.new("cc_counts *")
            lib.cc_get_counts(counts)
            return (
                counts.channels, counts.subscriptions, counts.requests, counts.queues,
                len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd")),
            )  # fmt: skip

        names = ["catest", "cabo", "calong", "castring", "cawave"] * 20

        def cycle() -> None:
            channels = connect_many(names, 60)
            for channel in channels:
                channel.add_masked_array_event(None, None, None, lambda event, args: None)
            get_many(channels, timeout=60)
            for channel in channels:
                channel.clear_channel()

        # libca opens its last two sockets 10 to 15 seconds after a context was made.
        warm = time.monotonic() + 30
        while time.monotonic() < warm:
            cycle()
        gc.collect()
        before, resident = state(), memory()
        start, number = time.monotonic(), size(1_000_000) // len(names)
        for _ in range(number):
            cycle()
        gc.collect()
        wait_until(lambda: state() == before, what=f"{before}, not {state()}")
        growth, taken = memory() - resident, time.monotonic() - start
    done = number * len(names)
    say(f"cycles: {done:,} in {taken:.0f} s; objects, threads, files {before} unchanged; "
        f"memory {resident:,} kB, {growth:+,} kB")  # fmt: skip
    if growth > 4096:
        raise SystemExit(f"cycles: memory grew by {growth} kB")


RESTARTS = """
    import sys, threading
    from cachannel import ca
    from cachannel.many import connect_many
    number = 1000
    values, downs, lock = [0] * number, set(), threading.Lock()
    def changed(event, args):
        with lock:
            values[args[0]] += event["status"] == ca.ECA.NORMAL
    def connection(event, args):
        with lock:
            if event[1] == ca.CA_OP.CONN_DOWN:
                downs.add(args[0])
    channels = connect_many([f"soak:{n}" for n in range(number)], 60)
    for index, channel in enumerate(channels):
        channel.change_connection_event(connection, index)
        channel.add_masked_array_event(None, None, None, changed, index)
    channels[0].flush_io()
    for line in sys.stdin:
        wanted = int(line)
        while min(values) < wanted or (wanted > 1 and len(downs) < number):
            channels[0].pend_event(0.05)
        downs.clear()
        print(wanted, flush=True)
"""


def restarts() -> None:
    """Kill and restart an IOC; each time every monitor must come back."""
    import textwrap

    number = size(20)
    records = "".join(f'record(ao, "soak:{n}") {{}}\n' for n in range(1000))
    with SoftIoc([records]) as ioc:
        environment = clean_environment() | ioc.env | QUIET
        environment["EPICS_CA_MAX_SEARCH_PERIOD"] = "60"
        with subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(RESTARTS)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as client:
            assert client.stdin is not None
            assert client.stdout is not None
            longest = 0.0
            for turn in range(1, number + 2):
                start = time.monotonic()
                client.stdin.write(f"{turn}\n")
                client.stdin.flush()
                if client.stdout.readline() != f"{turn}\n":
                    raise SystemExit(f"restarts: the client ended in turn {turn}")
                longest = max(longest, time.monotonic() - start)
                if turn <= number:
                    ioc.restart(crash=True)
            client.stdin.close()
        if client.returncode:
            raise SystemExit(f"restarts: the client ended with {client.returncode}")
    say(f"restarts: {number} under 1,000 monitors, all came back; longest {longest:.1f} s")


def is_ours(error: ET.Element) -> bool:
    """Whether an error of valgrind happened in, or below, the C boundary or libca."""
    frames = [
        (Path(frame.findtext("obj") or "").name, frame.findtext("fn") or "")
        for frame in error.findall("./stack[1]/frame")
    ]
    if any(function in ("_cffi_init", "PyInit__cachannel") for _, function in frames):
        return False
    return any(file.startswith(("_cachannel.", "libca.")) for file, _ in frames)


def valgrind() -> None:
    """Run `boundary.py` under memcheck; Python's own noise is sorted out by where it comes from."""
    program = shutil.which("valgrind")
    if program is None:
        say("valgrind: not installed, left out")
        return
    with (
        tempfile.TemporaryDirectory() as folder,
        SoftIoc(
            [SUPPORT / "records.db"], acf=SUPPORT / "records.acf"
        ) as ioc,
    ):  # fmt: skip
        report = Path(folder, "report.xml")
        subprocess.run(
            [
                program, "--child-silent-after-fork=yes", "--leak-check=full",
                "--show-leak-kinds=definite", "--num-callers=40", "--error-limit=no",
                f"--suppressions={HERE / 'python.supp'}", "--xml=yes", f"--xml-file={report}",
                sys.executable, str(HERE / "boundary.py"),
            ],
            env=clean_environment() | ioc.env | QUIET | {"PYTHONMALLOC": "malloc"},
            check=True,
            timeout=1800,
        )  # fmt: skip
        errors = list(ET.parse(report).iter("error"))
    ours = [error for error in errors if is_ours(error)]
    for error in ours:
        say(ET.tostring(error, encoding="unicode"))
    if ours:
        raise SystemExit(f"valgrind: {len(ours)} errors")
    say(f"valgrind: no error in the C boundary or libca ({len(errors)} in Python and its modules)")


def main() -> None:
    """Run what the command line names, or all."""
    runs = {run.__name__: run for run in (exits, restarts, valgrind, cycles)}
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(runs))
    for name in parser.parse_args().names or runs:
        runs[name]()


if __name__ == "__main__":
    main()
