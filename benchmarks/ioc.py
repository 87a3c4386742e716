"""The softIoc, its databases, its environment, and a stand-in for the CA repeater."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["Ioc", "loopback", "monitor_database", "static_database"]

HERE = Path(__file__).resolve().parent
LOOPBACK = "127.0.0.1"
READY_LINE = "IOC Running"
START_SECONDS = 60.0
STOP_SECONDS = 5.0

# Command numbers of the CA protocol, "Repeater Operation".
REPEATER_REGISTER = 24
REPEATER_CONFIRM = 17


def static_database(count: int, elements: int) -> Iterator[str]:
    """Yield the records that only change when a client writes: `bench:ao0`... and `bench:wave`."""
    for index in range(count):
        yield f'record(ao, "bench:ao{index}") {{ field(VAL, "{index}") field(PREC, "3") }}\n'
    yield (
        f'record(waveform, "bench:wave") {{ field(FTVL, "DOUBLE") field(NELM, "{elements}") }}\n'
    )


def monitor_database(count: int) -> Iterator[str]:
    """Yield `bench:calc0`...: every record counts up, so every one posts on every scan."""
    for index in range(count):
        yield (
            f'record(calc, "bench:calc{index}") '
            '{ field(SCAN, ".1 second") field(CALC, "VAL+1") field(PREC, "3") }\n'
        )


def free_port() -> int:
    """Return a port that is free for TCP and for UDP on loopback.

    A server of CA uses one number for both. Another process could still take it before the IOC
    does; the IOC then chooses another TCP port by itself and is found by its UDP port all the
    same.
    """
    for _ in range(50):
        with (
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        ):
            tcp.bind((LOOPBACK, 0))
            port: int = tcp.getsockname()[1]
            try:
                udp.bind((LOOPBACK, port))
            except OSError:
                continue
            return port
    raise OSError("no port is free for both TCP and UDP on 127.0.0.1")


def channel_access_environment(
    server_port: int, repeater_port: int, max_array_bytes: int
) -> dict[str, str]:
    """Return this process's environment with Channel Access tied to loopback."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("EPICS_")
    }
    environment.update(
        EPICS_CA_ADDR_LIST=LOOPBACK,
        EPICS_CA_AUTO_ADDR_LIST="NO",
        EPICS_CA_SERVER_PORT=str(server_port),
        EPICS_CA_REPEATER_PORT=str(repeater_port),
        EPICS_CA_MAX_ARRAY_BYTES=str(max_array_bytes),
        EPICS_CAS_INTF_ADDR_LIST=LOOPBACK,
        EPICS_CAS_SERVER_PORT=str(server_port),
        EPICS_CAS_BEACON_ADDR_LIST=LOOPBACK,
        EPICS_CAS_AUTO_BEACON_ADDR_LIST="NO",
        EPICS_CAS_BEACON_PORT=str(repeater_port),
    )
    # Nobody may pick up modules or settings from the shell that started the benchmark.
    for name in ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "CACHANNEL_BACKEND"):
        environment.pop(name, None)
    return environment


class Repeater:
    """Answer registrations as a CA repeater does, and forward nothing.

    libca starts a `caRepeater` program when nobody holds the repeater's port, which costs each
    client process a fork and leaves a daemon behind. On a machine in daily use one is running
    already; this stands for it, for all peers alike.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((LOOPBACK, 0))
        self._socket.settimeout(0.5)
        self.port: int = self._socket.getsockname()[1]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="repeater", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        confirm = struct.pack(">HHHHI4s", REPEATER_CONFIRM, 0, 0, 0, 0, socket.inet_aton(LOOPBACK))
        while not self._stop.is_set():
            try:
                message, client = self._socket.recvfrom(2048)
                # An empty datagram registers as well; old clients send one.
                if len(message) < 2 or message[:2] == struct.pack(">H", REPEATER_REGISTER):
                    self._socket.sendto(confirm, client)
            except OSError:
                # Time-outs let the loop look at the flag; a client that is gone is no fault.
                continue

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Ioc:
    """A softIoc process; ready when the constructor returns, ended by `close()`.

    Args:
        python: interpreter that has epicscorelibs.
        records: text of the database.
        database: file to write it to.
        environment: see `channel_access_environment`.

    Raises:
        RuntimeError: the IOC ended, or did not say that it runs within 60 s; the message has the
            last lines it printed.
    """

    def __init__(
        self, python: Path, records: Iterable[str], database: Path, environment: Mapping[str, str]
    ) -> None:
        database.write_text("".join(records), encoding="utf-8")
        self._process = subprocess.Popen(
            [str(python), str(HERE / "softioc.py"), str(database)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=dict(environment),
            cwd=database.parent,
            # Ctrl-C goes to the benchmark only, which then ends the IOC in its own order.
            start_new_session=True,
            text=True,
        )
        self._lines: list[str] = []
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read, name="ioc-stderr", daemon=True)
        self._reader.start()
        try:
            self._wait_until_ready()
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def check(self) -> None:
        """Raise RuntimeError if the IOC has ended: every further run would only time out."""
        if self._process.poll() is not None:
            raise RuntimeError("the softIoc ended:\n" + "\n".join(self._lines))

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._lines.append(line.rstrip())
            del self._lines[:-50]
            if READY_LINE in line:
                self._ready.set()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._ready.wait(0.1):
            self.check()
            if time.monotonic() > deadline:
                lines = "\n".join(self._lines)
                raise RuntimeError(
                    f"the softIoc was not ready after {START_SECONDS:.0f} s:\n{lines}"
                )

    def close(self) -> None:
        """End the process. May be called twice."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(STOP_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@contextmanager
def loopback(max_array_bytes: int) -> Iterator[dict[str, str]]:
    """Yield an environment with free ports and a repeater behind it."""
    with Repeater() as repeater:
        yield channel_access_environment(free_port(), repeater.port, max_array_bytes)
