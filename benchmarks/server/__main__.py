"""Measure servers with one C client: ``python benchmarks/server --peer NAME=PYTHON ...``.

Servers: ``cachannel`` (this interpreter), ``rsrv`` (the soft IOC of epicscorelibs), and
``caproto``, ``softioc`` (pythonSoftIOC) and ``pcaspy`` where ``--peer caproto=/path/to/python``
says that they are installed. All run on loopback, one after the other, with the same client.
Prints a table and, with ``--json``, JSON.
"""

import argparse
import json
import os
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from epicscorelibs.path import include_path, lib_path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # also when it is run as ``python -m benchmarks.server``

from overload import (  # noqa: E402
    LOADS,
    measure as measure_overload,
)


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def build(folder):
    compiler = os.environ.get("CC", shutil.which("cc") or "gcc")
    output = folder / "client"
    libraries = [next(Path(lib_path).glob(f"lib{name}.so.*")) for name in ("ca", "Com")]
    subprocess.run(
        [
            compiler, "-O2", "-o", output, HERE / "client.c", f"-I{include_path}",
            f"-I{include_path}/os/Linux", f"-I{include_path}/compiler/gcc", *libraries,
            f"-Wl,-rpath,{lib_path}",
        ],
        check=True,
    )  # fmt: skip
    return output


def environment(folder):
    port = str(free_port())
    # Bytecode is kept, whatever the caller's environment says about it: an installed package is
    # compiled once, and starts are measured here.
    return {
        **{k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"},
        "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
        "EPICS_CA_ADDR_LIST": "127.0.0.1",
        "EPICS_CA_AUTO_ADDR_LIST": "NO",
        "EPICS_CA_SERVER_PORT": port,
        "EPICS_CAS_SERVER_PORT": port,
        "EPICS_CAS_INTF_ADDR_LIST": "127.0.0.1",
        "EPICS_CAS_BEACON_ADDR_LIST": "127.0.0.1",
        "EPICS_CAS_AUTO_BEACON_ADDR_LIST": "NO",
        "EPICS_CA_REPEATER_PORT": str(free_port()),
        "EPICS_CA_MAX_ARRAY_BYTES": "20000000",
        "PYTHONPATH": str(HERE.parent.parent),
    }


class Server:
    """One running server."""

    def __init__(self, name, python, mode, folder):
        self.env = environment(folder)
        if name == "rsrv":
            database = folder / "bench.db"
            if not database.exists():
                database.write_text(
                    'record(ao, "scalar") {}\nrecord(ao, "hooked") {}\n'
                    'record(waveform, "array") { field(FTVL, "DOUBLE") field(NELM, "1000000") }\n'
                    + "".join(f'record(ao, "pv{n}") {{}}\n' for n in range(10_000))
                )
            command = [python, "-m", "epicscorelibs.ioc", "-d", str(database)]
        else:
            # Those with a programming model like ours share one script.
            script = HERE / f"{name}_ioc.py"
            command = [python, str(script if script.exists() else HERE / "ioc.py"), name, mode]
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by close()
        self.process = subprocess.Popen(
            command, env=self.env, stdin=subprocess.PIPE, stdout=self.log, stderr=subprocess.STDOUT
        )

    def cpu(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def text(self):
        # Seeking would move the place where the server writes: the two share it.
        file = self.log.fileno()
        return os.pread(file, os.fstat(file).st_size, 0).decode()

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.log.close()


def wait_for_answer(server, name):
    """Search a name by UDP every 5 ms until somebody answers."""
    payload = name.encode().ljust(-(-(len(name) + 1) // 8) * 8, b"\0")
    message = struct.pack(">HHHHII", 0, 0, 1, 13, 1, 0)
    message += struct.pack(">HHHHII", 6, len(payload), 5, 13, 1, 1) + payload
    deadline = time.monotonic() + 60
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.005)
        while time.monotonic() < deadline:
            sock.sendto(message, ("127.0.0.1", int(server.env["EPICS_CA_SERVER_PORT"])))
            try:
                if sock.recv(2000):
                    return
            except TimeoutError:
                continue
            except ConnectionError:
                time.sleep(0.005)
    raise RuntimeError(f"{name}: nobody answers")


def client(path, server, *args, tries=1):
    for _ in range(tries):
        result = subprocess.run(
            [path, *map(str, args)], env=server.env, capture_output=True, text=True, timeout=90
        )
        if result.returncode == 0:
            return [float(line) for line in result.stdout.split()]
        time.sleep(0.05)
    raise RuntimeError(f"{args}: {result.stderr}")


def measure_starts(peers, folder, rounds):
    """Return the median time from the start of a process to the first answered search.

    The peers take turns, and each starts once before that counts, to have its bytecode.
    """
    seconds = {name: [] for name in peers}
    for turn in range(rounds + 1):
        for name, python in peers.items():
            started = time.monotonic()
            server = Server(name, python, "static", folder)
            try:
                wait_for_answer(server, "pv9999")
                if turn:
                    seconds[name].append(time.monotonic() - started)
            finally:
                server.close()
    return {name: statistics.median(values) for name, values in seconds.items()}


def measure(name, python, path, folder, quick):
    found = {}
    server = Server(name, python, "static", folder)
    try:
        wait_for_answer(server, "pv9999")
        seconds, count = client(path, server, "connect", "pv", 10_000)
        found["connect 10,000, s"] = seconds if count == 10_000 else float("nan")
        slow = name in ("caproto", "pcaspy")
        for what, pv, label, number in (
            ("get", "scalar", "bulk gets/s", 200_000),
            ("put", "scalar", "bulk puts/s", 200_000),
            ("put", "hooked", "puts through a putter/s", 100_000),
            ("putcb", "scalar", "puts with completion/s", 100_000),
        ):
            number = number // 20 if slow else number
            try:
                seconds, count, failed = client(path, server, what, pv, number)
                found[label] = count / seconds if not failed else float("nan")
            except Exception as exc:
                print(f"{name}: {label}: {exc}", file=sys.stderr)
        seconds, count = client(path, server, "latency", "scalar", 2000 if quick else 5000)
        found["sequential get, us"] = seconds / count * 1e6
        found["8 MB array gets, MB/s"] = client(path, server, "array", "array", 50, 1_000_000)[2]
        for line in server.text().splitlines():
            if line.startswith("BYTES"):
                found["memory per PV, bytes"] = float(line.split()[1])
    finally:
        server.close()
    if name == "rsrv":
        return found
    for mode, args, label in (
        ("posts", ("monitor", "pv", 1000, 5), "10,000 posts/s: delivered/s"),
        ("fanout", ("fanout", "scalar", 200, 5), "200 subscribers: delivered/s"),
    ):
        server = Server(name, python, mode, folder)
        try:
            wait_for_answer(server, "pv5000")
            before, begun = server.cpu(), time.monotonic()
            seconds, count, _ = client(path, server, *args)
            used = (server.cpu() - before) / (time.monotonic() - begun)
            found[label] = count / seconds
            found[label.partition(":")[0] + ": CPU of a core, %"] = used * 100
        except Exception as exc:
            print(f"{name}: {label}: {exc}", file=sys.stderr)
        finally:
            server.close()
    server = Server(name, python, "overload", folder)
    try:
        wait_for_answer(server, "pv9999")
        port = int(server.env["EPICS_CA_SERVER_PORT"])
        for load in LOADS:
            seconds = 2.0 if quick else 5.0
            wait, memory = measure_overload(port, server.process.pid, load, seconds)
            found[f"bystander, {load}: p99, ms"] = wait
            if load != "no load":
                found[f"{load}: grown by, MB"] = memory
    except Exception as exc:
        print(f"{name}: overload: {exc}", file=sys.stderr)
    finally:
        server.close()
    return found


# What is promised: row, bound, whether it is a ceiling, and the server that it is a multiple of.
BARS = (
    ("start to first answer, s", 1 / 3, True, "caproto"),
    ("connect 10,000, s", 0.6, True, None),
    ("bulk gets/s", 120_000, False, None),
    ("bulk puts/s", 80_000, False, None),
    ("puts through a putter/s", 40_000, False, None),
    ("10,000 posts/s: delivered/s", 9_900, False, None),
    ("10,000 posts/s: CPU of a core, %", 35, True, None),
    ("200 subscribers: delivered/s", 19_800, False, None),
    ("8 MB array gets, MB/s", 850, False, None),
    ("sequential get, us", 1.5, True, "rsrv"),
    ("memory per PV, bytes", 1 / 2, True, "caproto"),
    *((f"bystander, {load}: p99, ms", 50, True, None) for load in LOADS if load != "no load"),
)


def verdicts(results):
    """Yield a line for each promise."""
    ours = results.get("cachannel", {})
    for row, bound, at_most, reference in BARS:
        value = ours.get(row)
        if reference is not None and value is not None:
            other = results.get(reference, {}).get(row)
            value = None if other is None else value / other
        if value is None:
            yield f"{'unknown':8s}{row}"
            continue
        held = value <= bound if at_most else value >= bound
        unit = "" if reference is None else f" times {reference}"
        limit = f"{'at most' if at_most else 'at least'} {bound:,.4g}{unit}"
        yield f"{'held' if held else 'MISSED':8s}{row}: {value:,.4g}{unit} ({limit})"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON")
    parser.add_argument("--only", nargs="+", help="servers to measure")
    parser.add_argument("--json", help="file to write")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    peers = {"cachannel": sys.executable, "rsrv": sys.executable}
    peers.update(peer.split("=", 1) for peer in arguments.peer)
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        path = build(Path(folder))
        peers = {
            name: python
            for name, python in peers.items()
            if not arguments.only or name in arguments.only
        }
        starts = measure_starts(peers, Path(folder), 2 if arguments.quick else 7)
        for name, python in peers.items():
            results[name] = {"start to first answer, s": starts[name]}
            results[name] |= measure(name, python, path, Path(folder), arguments.quick)
    rows = list(dict.fromkeys(row for found in results.values() for row in found))
    print(f"{'':42s}" + "".join(f"{name:>14s}" for name in results))
    for row in rows:
        line = f"{row:42s}"
        for found in results.values():
            value = found.get(row)
            text = "-" if value is None else f"{value:,.4g}" if value < 1000 else f"{value:,.0f}"
            line += f"{text:>14s}"
        print(line)
    if "cachannel" in results:
        print(*verdicts(results), sep="\n")
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
