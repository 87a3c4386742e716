"""A real EPICS IOC in a subprocess."""

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from .ports import LOOPBACK, client_environment, free_port, server_environment
from .waiting import wait_until

HERE = Path(__file__).resolve().parent


def clean_environment() -> dict[str, str]:
    """The environment of this process without any EPICS setting."""
    return {name: value for name, value in os.environ.items() if not name.startswith("EPICS_")}


class SoftIoc:
    """A soft IOC on loopback; a context manager that starts and stops it.

    Args:
        databases: Database files, or texts of databases (whatever contains a brace).
        acf: An access security file.
        motor: Know the record type ``motor`` (see `motor_record`).
        port: Server port; a free one when not given.
        repeater_port: Where beacons go; a free port when not given.
        environment: More environment variables for the IOC.
    """

    def __init__(
        self,
        databases: Sequence[str | Path] = (),
        *,
        acf: Path | None = None,
        motor: bool = False,
        port: int | None = None,
        repeater_port: int | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.databases = list(databases)
        self.acf = acf
        self.motor = motor
        self.port = port or free_port()
        self.repeater_port = repeater_port or free_port()
        self.environment = environment or {}
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._answers = 0

    @property
    def env(self) -> dict[str, str]:
        """The EPICS variables of a client that shall find this IOC only."""
        return client_environment([self.port], self.repeater_port)

    @property
    def address(self) -> str:
        """What ``host_name`` of a channel on this IOC says, apart from the host's spelling."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def pid(self) -> int:
        """Process number of the running IOC."""
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def output(self) -> str:
        """All that the IOC wrote to standard output and standard error since its start."""
        assert self._folder is not None
        return Path(self._folder.name, "log").read_text(encoding="utf-8", errors="replace")

    def start(self) -> None:
        """Start the IOC and return when it answers.

        Raises:
            AssertionError: The IOC ended, or did not answer in time; with what it printed.
        """
        assert not self.is_running
        self._cleanup()
        self._folder = tempfile.TemporaryDirectory(prefix="softioc-")
        self._answers = 0
        arguments = [sys.executable, str(HERE / "softioc.py")]
        for number, database in enumerate(self.databases):
            path = database
            if isinstance(database, str) and "{" in database:
                path = Path(self._folder.name, f"{number}.db")
                path.write_text(database, encoding="utf-8")
            arguments += ["-d", str(path)]
        if self.acf:
            arguments += ["--acf", str(self.acf)]
        if self.motor:
            arguments += ["--motor"]
        environment = clean_environment()
        # The access security of an IOC is itself a client of the IOC.
        environment |= self.env | server_environment(self.port, self.repeater_port)
        environment |= self.environment
        with open(Path(self._folder.name, "log"), "wb") as log:
            self._process = subprocess.Popen(
                arguments,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                # An interrupt of the test run must not reach the IOC before its clients ended.
                start_new_session=True,
            )
        try:
            wait_until(self._is_ready, what="the start of the IOC")
        except AssertionError as error:
            output = self.output
            self.kill()
            raise AssertionError(f"{error}\n{output}") from None

    def _is_ready(self) -> bool:
        if not self.is_running:
            raise AssertionError("the IOC ended")
        return "IOC Running" in self.output and self._answers_tcp()

    def _answers_tcp(self) -> bool:
        version = struct.pack(">HHHHII", 0, 0, 0, 13, 0, 0)
        with (
            contextlib.suppress(OSError),
            socket.create_connection((LOOPBACK, self.port), timeout=60) as connection,
        ):
            connection.sendall(version)
            return connection.recv(16) != b""
        return False

    def stop(self) -> None:
        """End the IOC in order; nothing happens when it does not run."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._cleanup()

    def kill(self) -> None:
        """End the IOC as a crash would; nothing happens when it does not run."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._cleanup()

    def freeze(self) -> None:
        """Stop all threads of the IOC where they are, until `thaw`."""
        os.kill(self.pid, signal.SIGSTOP)
        folder = Path(f"/proc/{self.pid}/task")

        def stands_still() -> bool:
            with contextlib.suppress(OSError):  # a thread that ends meanwhile
                return all(") T " in (task / "stat").read_text() for task in folder.iterdir())
            return False

        # A signal stops a process soon, not at once.
        wait_until(stands_still, what="the stop")

    def thaw(self) -> None:
        """Let the IOC go on after `freeze`."""
        os.kill(self.pid, signal.SIGCONT)

    def restart(
        self, databases: Sequence[str | Path] | None = None, *, crash: bool = False
    ) -> None:
        """End the IOC and start it again on the same port.

        Args:
            databases: Databases of the new IOC; those of the old one when not given.
            crash: End it with `kill` instead of `stop`.
        """
        if crash:
            self.kill()
        else:
            self.stop()
        if databases is not None:
            self.databases = list(databases)
        self.start()

    def command(self, line: str) -> None:
        """Execute one command in the IOC's shell and return when it is done.

        For example ``dbpf carights.ASG READONLY``.
        """
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()
        self._answers += 1
        wait_until(lambda: self.output.count("iocsh: done") >= self._answers, what=repr(line))

    def _cleanup(self) -> None:
        self._process = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def __enter__(self) -> "SoftIoc":
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
