"""Raw Channel Access for tests: a blocking client on a socket, and servers in subprocesses."""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cachannel
from cachannel.protocol.messages import Command, pack, unpack_from

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests"))  # for the programs here that run without pytest

from support.ports import free_port  # noqa: E402


def environment(port: int) -> dict[str, str]:
    """Return an environment in which servers and clients stay on loopback."""
    return {
        **{k: v for k, v in os.environ.items() if not k.startswith("EPICS_CA")},
        "EPICS_CA_ADDR_LIST": "127.0.0.1",
        "EPICS_CA_AUTO_ADDR_LIST": "NO",
        "EPICS_CA_SERVER_PORT": str(port),
        "EPICS_CAS_SERVER_PORT": str(port),
        "EPICS_CAS_INTF_ADDR_LIST": "127.0.0.1",
        "EPICS_CAS_AUTO_BEACON_ADDR_LIST": "NO",
        "EPICS_CAS_BEACON_ADDR_LIST": "127.0.0.1",
        "EPICS_CA_REPEATER_PORT": str(free_port()),
        "PYTHONPATH": str(Path(cachannel.__file__).parents[1]),
        "PYTHONUNBUFFERED": "1",
    }


class Process:
    """A server in a subprocess; ready when it says so or answers a search."""

    def __init__(self, command, *, port=None, probe=None, env=None, ready=None):
        self.port = port or free_port()
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by close()
        self.process = subprocess.Popen(
            [sys.executable, *command],
            env={**environment(self.port), **(env or {})},
            stdin=subprocess.PIPE,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            text=True,
        )
        deadline = time.monotonic() + 60
        try:
            while True:
                if ready is not None and ready in self.output():
                    return
                if probe is not None and search(self.port, probe, timeout=0.1) is not None:
                    return
                assert self.process.poll() is None, self.output()
                assert time.monotonic() < deadline, self.output()
                if probe is None:
                    time.sleep(0.01)
        except BaseException:
            self.close()
            raise

    def output(self) -> str:
        """Return what the process wrote so far."""
        # Seeking would move the place where the process writes: the two share it.
        file = self.log.fileno()
        return os.pread(file, os.fstat(file).st_size, 0).decode(errors="replace")

    def close(self) -> None:
        """End the process, if it has not ended."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.log.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def search(port, name, *, timeout=60.0, number=7):
    """Search a name by UDP; return the TCP port that serves it, None if nobody answers."""
    message = pack(Command.VERSION, 1, 13, 99) + pack(
        Command.SEARCH, 5, 13, number, number, name.encode() + b"\0"
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(timeout)
        sock.sendto(message, ("127.0.0.1", port))
        with contextlib.suppress(TimeoutError, ConnectionError):
            data = sock.recv(65536)
            version, offset = unpack_from(data)
            assert version[:4] == (0, 1, 13, 99)
            answer, _ = unpack_from(data, offset)
            assert answer.command == Command.SEARCH
            assert answer.parameter2 == number
            return answer.data_type
    return None


class Client:
    """A circuit, message by message."""

    def __init__(self, port, *, timeout=60.0):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.buffer = b""
        self.next_cid = 1
        self.send(pack(Command.VERSION, 0, 13))
        self.send(pack(Command.CLIENT_NAME, payload=b"tester\0"))
        self.send(pack(Command.HOST_NAME, payload=b"testhost\0"))
        assert self.receive().command == Command.VERSION

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.socket.close()

    def send(self, *messages):
        """Send bytes."""
        self.socket.sendall(b"".join(messages))

    def receive(self):
        """Return the next message; EOFError when the server closed."""
        while True:
            found = unpack_from(self.buffer)
            if found is not None:
                message, used = found
                self.buffer = self.buffer[used:]
                return message
            data = self.socket.recv(1 << 20)
            if not data:
                raise EOFError
            self.buffer += data

    def create(self, name):
        """Create a channel; return (sid, native type, count, rights), or None if it fails."""
        cid = self.next_cid
        self.next_cid += 1
        self.send(pack(Command.CREATE_CHAN, 0, 0, cid, 13, name.encode() + b"\0"))
        first = self.receive()
        if first.command == Command.CREATE_CH_FAIL:
            assert first.parameter1 == cid
            return None
        assert first.command == Command.ACCESS_RIGHTS
        second = self.receive()
        assert second.command == Command.CREATE_CHAN
        assert second.parameter1 == first.parameter1 == cid
        return second.parameter2, second.data_type, second.data_count, first.parameter2

    def read(self, sid, dbr_type, count=0, ioid=11):
        """READ_NOTIFY; return the answer."""
        self.send(pack(Command.READ_NOTIFY, dbr_type, count, sid, ioid))
        answer = self.receive()
        if answer.command == Command.READ_NOTIFY:
            assert answer.parameter2 == ioid
        return answer

    def put(self, sid, dbr_type, count, payload, ioid=12):
        """WRITE_NOTIFY; return the answer."""
        self.send(pack(Command.WRITE_NOTIFY, dbr_type, count, sid, ioid, payload))
        return self.receive()

    def subscribe(self, sid, dbr_type, count=0, mask=1, subid=21):
        """EVENT_ADD."""
        payload = bytes(12) + mask.to_bytes(2, "big") + bytes(2)
        self.send(pack(Command.EVENT_ADD, dbr_type, count, sid, subid, payload))
