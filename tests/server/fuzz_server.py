"""Fuzz a live server on loopback: ``python tests/server/fuzz_server.py MESSAGES [SEED] [LIBRARY]``.

Circuits with mutated messages, sixteen at a time, and mutated searches, against one server. A
bystander on a circuit of its own reads a PV after each batch; its reads have to be answered all
along. An echo ends each circuit: where it comes back, the server has handled every message, and
has not closed the circuit over one of them.
"""

import contextlib
import socket
import sys
import time
from pathlib import Path

from fuzz_circuit import Fuzzer
from server_wire import Client, Process

from cachannel.protocol.messages import Command, pack, unpack_from

__all__ = ["Figures", "fuzz_server"]

IOC = str(Path(__file__).parent / "libca_ioc.py")
_NAMES = ("d", "t", "e", "ro", "short", "slow", "bad", "x0", "x1", "x2", "x3", "x4")
# As many channels as the messages of the fuzzer ask for.
_OPENING = b"".join(
    pack(Command.CREATE_CHAN, 0, 0, cid, 13, name.encode() + b"\0")
    for cid, name in enumerate(_NAMES, 1)
)
_WHOLE = {1, 2, 3, 4, 8, 9, 10, 12, 15, 18, 19, 23}  # commands that a server may get
_ECHO = pack(Command.ECHO, parameter1=0x5EED, parameter2=0xEC40)


class Figures:
    """What came of it."""

    def __init__(self):
        self.messages = self.circuits = self.handled = self.bytes_back = 0
        self.seconds = 0.0
        self.slowest_read = 0.0
        self.memory_mb = []  # resident, of the server: at the start, and at every tenth

    def __str__(self):
        return (
            f"{self.messages} messages ({self.handled} on circuits that survived them),"
            f" {self.circuits} circuits, {self.bytes_back} bytes of answers, {self.seconds:.1f} s;"
            f" slowest read of the bystander {self.slowest_read * 1000:.0f} ms;"
            f" resident MB {self.memory_mb}"
        )


def resident_mb(pid):
    """Return the memory of a process, in MB; 0 where /proc does not tell."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return int(text.partition("VmRSS:")[2].split()[0]) // 1024


def is_whole(data):
    """Tell whether a message is one that frames well, however odd what it says."""
    found = unpack_from(data) if len(data) >= 16 else None
    return found is not None and found[1] == len(data) and found[0].command in _WHOLE


def make_burst(fuzzer, count):
    """Return messages; in three of four cases only the last may be one that breaks the framing.

    One broken message closes a circuit, and then nothing behind it is looked at.
    """
    messages = []
    tame = fuzzer.random.random() < 0.75
    while len(messages) < count:
        message = fuzzer.message()
        if not tame or len(messages) == count - 1 or is_whole(message):
            messages.append(message)
    return b"".join(messages)


def connect(port, number):
    """Open a circuit; each from another address of loopback, or the ports would run out."""
    return socket.create_connection(
        ("127.0.0.1", port), timeout=10, source_address=(f"127.0.1.{1 + number % 250}", 0)
    )


def receive_all(sock):
    """Return what comes until the server closes."""
    parts = []
    with contextlib.suppress(ConnectionError):
        while part := sock.recv(1 << 16):
            parts.append(part)
    return b"".join(parts)


def fuzz_server(messages, seed=1, library="asyncio", at_once=16):
    """Send that many messages to a server of its own.

    Returns:
        The figures.

    Raises:
        AssertionError: the server logged a traceback of its own.
        OSError: the server hangs or is gone.
    """
    fuzzer, figures = Fuzzer(seed), Figures()
    with Process([IOC, "--async-lib", library], ready="READY") as process:
        pid = process.process.pid
        figures.memory_mb.append(resident_mb(pid))
        started = time.monotonic()
        with Client(process.port) as bystander:
            sid = bystander.create("d")[0]
            while figures.messages < messages:
                batch = []
                for _ in range(at_once):
                    count = fuzzer.random.randint(1, 12)
                    data = _OPENING + make_burst(fuzzer, count)
                    batch.append((connect(process.port, figures.circuits), count, data))
                    figures.messages += count
                    figures.circuits += 1
                for sock, _, data in batch:
                    with contextlib.suppress(ConnectionError):
                        sock.sendall(data + _ECHO)
                    with contextlib.suppress(OSError):  # closed over there already
                        sock.shutdown(socket.SHUT_WR)
                for sock, count, _ in batch:
                    with sock:
                        answer = receive_all(sock)
                    figures.bytes_back += len(answer)
                    figures.handled += count if _ECHO in answer else 0
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                    sock.sendto(batch[0][2][:1400], ("127.0.0.1", process.port))
                asked = time.monotonic()
                assert bystander.read(sid, 6).parameter1 == 1
                figures.slowest_read = max(figures.slowest_read, time.monotonic() - asked)
                if figures.messages * 10 >= messages * len(figures.memory_mb):
                    figures.memory_mb.append(resident_mb(pid))
        figures.seconds = time.monotonic() - started
        # The one putter that fails on purpose logs its own ValueError.
        assert "Traceback" not in process.output().replace("ValueError: no", "")
    return figures


if __name__ == "__main__":
    arguments = sys.argv[1:]
    print(  # noqa: T201 - a program
        fuzz_server(int(arguments[0]), int(arguments[1]) if arguments[1:] else 1, *arguments[2:3])
    )
