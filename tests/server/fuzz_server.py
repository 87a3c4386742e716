"""Fuzz a live server on loopback: ``python tests/server/fuzz_server.py MESSAGES [SEED] [LIBRARY]``.

Sixty circuits at a time get bursts of made-up and mutated messages, an echo behind each burst. The
circuit whose echo comes back gets the next burst; one that the server closes is opened again. A
bystander reads a PV all along. What must hold:

- the bystander is answered, and memory does not grow;
- nothing is logged as our fault, no traceback but that of a putter which fails on purpose;
- a circuit that the server closes is in the log, with the address of its client;
- no circuit is left open and deaf: where an echo stays away, the server waits for the rest of a
  message that was announced larger than what came.
"""

import contextlib
import logging
import re
import selectors
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from fuzz_circuit import Fuzzer
from server_wire import ROOT, Client, environment, free_port

from cachannel.protocol.messages import Command, pack, unpack_from
from cachannel.server.circuit import Circuit as BenchCircuit
from cachannel.server.core import ServerCore
from cachannel.server.numeric import ChannelDouble
from cachannel.server.text import ChannelChar, ChannelEnum

__all__ = ["Figures", "fuzz_server"]

IOC = str(Path(__file__).parent / "fuzz_ioc.py")
_NAMES = ("d", "t", "e", "ro", "short", "slow", "bad", "x0", "x1", "x2", "x3", "x4")
# As many channels as the messages of the fuzzer ask for.
_OPENING = b"".join(
    pack(Command.CREATE_CHAN, 0, 0, cid, 13, name.encode() + b"\0")
    for cid, name in enumerate(_NAMES, 1)
)
# What tells which messages a circuit survives.
_CORE = ServerCore(
    {
        "d": ChannelDouble(value=1.5), "t": ChannelChar(value="text", max_length=100),
        "e": ChannelEnum(value="Off", enum_strings=("Off", "On")),
        "short": ChannelDouble(value=[1.0, 2.0], max_length=4),
        **{name: ChannelDouble(value=1.0) for name in _NAMES[3:4] + _NAMES[5:]},
    }
)  # fmt: skip
_CORE.log = logging.Logger("judge", logging.CRITICAL)
_ECHO = pack(Command.ECHO, parameter1=0x5EED, parameter2=0xEC40)
_SILENCE = 1.0  # seconds without an echo, after which an unfinished message is looked for
_CLOSING = re.compile(r"closing the circuit of (127\.0\.\d+\.\d+:\d+)")


class Figures:
    """What came of it."""

    def __init__(self):
        self.messages = self.handled = self.circuits = self.closed = self.unfinished = 0
        self.bytes_back = 0
        self.seconds = 0.0
        self.reads = []  # seconds that the bystander waited
        self.memory_mb = []  # resident, of the server: at the start, and at every tenth

    def __str__(self):
        reads = sorted(self.reads)
        return (
            f"{self.messages} messages ({self.handled} in bursts that circuits survived),"
            f" {self.circuits} circuits ({self.closed} closed by the server, {self.unfinished}"
            f" with an unfinished message), {self.bytes_back} bytes of answers,"
            f" {self.seconds:.1f} s; bystander: {len(reads)} reads,"
            f" 99 % within {reads[len(reads) * 99 // 100] * 1000:.0f} ms, slowest"
            f" {reads[-1] * 1000:.0f} ms; resident MB {self.memory_mb}"
        )


class Server:
    """The IOC under fire; what it prints is read as it comes, for it may be much."""

    def __init__(self, library):
        self.port = free_port()
        self.closed = set()  # addresses in the log lines of closed circuits
        self.faults = []
        self.ready = threading.Event()
        self.process = subprocess.Popen(
            [sys.executable, IOC, "--async-lib", library],
            env=environment(self.port),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self.ready.wait(60), self.faults

    def _read(self):
        tail = []
        for line in self.process.stdout:
            if line.startswith("READY"):
                self.ready.set()
            found = _CLOSING.search(line)
            if found:
                self.closed.add(found[1])
            tail = [*tail[-60:], line]
            text = line.strip()
            # The last line of a traceback names the exception; one putter fails on purpose.
            if re.match(r"(\w+\.)*\w*(Error|Exception|Group):", text) and text != "ValueError: no":
                self.faults.append("".join(tail))

    def resident_mb(self):
        """Return the memory of the process in MB; 0 where /proc does not tell."""
        try:
            text = Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            return 0
        return int(text.partition("VmRSS:")[2].split()[0]) // 1024

    def close(self):
        """End the process."""
        self.process.kill()
        self.process.wait()
        self._reader.join(60)
        self.process.stdin.close()
        self.process.stdout.close()


class Circuit:
    """One circuit under way: what is still to be sent, and how the last burst came back."""

    def __init__(self, port, number):
        self.count = 0
        # Each from another address of loopback, or the ports would run out.
        source = f"127.0.{1 + number // 250 % 250}.{1 + number % 250}"
        self.socket = socket.create_connection(
            ("127.0.0.1", port), timeout=60, source_address=(source, 0)
        )
        host, port = self.socket.getsockname()
        self.address = f"{host}:{port}"
        self.socket.setblocking(False)
        self.pending = b""
        self.tail = b""
        self.since = 0.0
        self.burst = b""

    def send(self, data, count):
        """Give it a burst."""
        self.burst, self.count = data, count
        self.pending = data + _ECHO
        self.tail = b""
        self.since = time.monotonic()
        self.flush()

    def flush(self):
        """Send what the socket takes."""
        with contextlib.suppress(BlockingIOError):
            while self.pending:
                self.pending = self.pending[self.socket.send(self.pending) :]


def is_harmless(data):
    """Tell whether a circuit survives a message, however odd what it says.

    A broken message closes a circuit, and then nothing behind it is looked at. The same goes for
    what uses a channel behind the message that clears it.
    """
    found = unpack_from(data) if len(data) >= 16 else None
    if found is None or found[1] != len(data) or found[0].command == Command.CLEAR_CHANNEL:
        return False
    circuit = BenchCircuit(_CORE, ("127.0.0.1", 1), bool, lambda coroutine: coroutine.close())
    for part in (_OPENING, data):
        buffer = circuit.get_buffer()
        buffer[: len(part)] = part
        circuit.buffer_updated(len(part))
    survived = not circuit.closing
    circuit.close()
    return survived


class Bursts:
    """Makes bursts of messages: from a stock of them, some with a few bytes changed.

    Three of four bursts are of messages that circuits survive, but perhaps the last.
    """

    def __init__(self, seed):
        self._fuzzer = Fuzzer(seed)
        self._random = self._fuzzer.random
        self._renew()

    def _renew(self):
        self._stock = [self._fuzzer.message() for _ in range(5000)]
        self._harmless = [message for message in self._stock if is_harmless(message)]
        self._left = 3000

    def burst(self):
        """Return (bytes, messages)."""
        rnd = self._random
        self._left -= 1
        if not self._left:
            self._renew()
        count = rnd.randint(1, 40)
        harmless = rnd.random() < 0.75
        messages = rnd.choices(self._harmless if harmless else self._stock, k=count)
        if not harmless:
            place = rnd.randrange(count)
            message = bytearray(messages[place])
            for _ in range(rnd.randint(1, 3)):
                if message:
                    message[rnd.randrange(len(message))] = rnd.getrandbits(8)
            messages[place] = bytes(message)
        if rnd.random() < 0.3:
            messages[-1] = rnd.choice(self._stock)
        return b"".join(messages), count


def fuzz_server(messages, seed=1, library="asyncio", at_once=60):
    """Send that many messages to a server of its own.

    Returns:
        The figures.

    Raises:
        AssertionError: something did not hold.
        OSError: the server hangs or is gone.
    """
    bursts, figures = Bursts(seed), Figures()
    server = Server(library)
    selector = selectors.DefaultSelector()
    closed = []

    def start():
        circuit = Circuit(server.port, figures.circuits)
        figures.circuits += 1
        selector.register(circuit.socket, selectors.EVENT_READ, circuit)
        feed(circuit, _OPENING)

    def feed(circuit, before=b""):
        data, count = bursts.burst()
        figures.messages += count
        with contextlib.suppress(ConnectionError):
            circuit.send(before + data, count)

    def end(circuit):
        selector.unregister(circuit.socket)
        circuit.socket.close()

    def receive(circuit):
        """Take what came; feed on an echo, open another circuit when this one is closed."""
        try:
            part = circuit.socket.recv(1 << 18)
        except BlockingIOError:
            return
        except ConnectionError:
            part = b""
        if not part:
            figures.closed += 1
            closed.append(circuit.address)
            end(circuit)
            start()
            return
        figures.bytes_back += len(part)
        circuit.since = time.monotonic()
        circuit.tail = (circuit.tail + part)[-200_000:]
        if circuit.pending:
            with contextlib.suppress(ConnectionError):
                circuit.flush()
        elif _ECHO in circuit.tail:
            figures.handled += circuit.count
            if bursts._random.random() < 0.05:
                end(circuit)
                start()
            else:
                feed(circuit)

    figures.memory_mb.append(server.resident_mb())
    started = time.monotonic()
    try:
        with Client(server.port) as bystander, socket.socket(type=socket.SOCK_DGRAM) as searcher:
            sid = bystander.create("d")[0]
            for _ in range(at_once):
                start()
            asked = 0.0
            while figures.messages < messages:
                for key, _ in selector.select(0.1):
                    receive(key.data)
                now = time.monotonic()
                if now - asked > 0.05:
                    asked = now
                    data = bursts.burst()[0][:1400]
                    searcher.sendto(data, ("127.0.0.1", server.port))
                    # On Linux one's own thread is what delays a read that others wait for too.
                    assert bystander.read(sid, 6).parameter1 == 1
                    figures.reads.append(time.monotonic() - now)
                    for key in list(selector.get_map().values()):
                        circuit = key.data
                        if circuit.pending:
                            with contextlib.suppress(ConnectionError):
                                circuit.flush()
                        if now - circuit.since > _SILENCE:
                            figures.unfinished += 1
                            end(circuit)
                            start()
                assert not server.faults, server.faults[0]
                assert server.process.poll() is None
                if figures.messages * 10 >= messages * len(figures.memory_mb):
                    figures.memory_mb.append(server.resident_mb())
            for key in list(selector.get_map().values()):
                end(key.data)
            # The log is complete once a closing that comes now is in it.
            with Client(server.port) as last:
                host, port = last.socket.getsockname()
                address = f"{host}:{port}"
                last.send(pack(200))
                deadline = time.monotonic() + 60
                while address not in server.closed:
                    assert time.monotonic() < deadline, "a closed circuit is not in the log"
                    time.sleep(0.01)
        figures.seconds = time.monotonic() - started
        missing = [address for address in closed if address not in server.closed]
        assert not missing, f"closed without a line in the log: {missing[:5]} of {len(closed)}"
        assert not server.faults, server.faults[0]
    finally:
        selector.close()
        server.close()
    return figures


if __name__ == "__main__":
    arguments = sys.argv[1:]
    print(  # noqa: T201 - a program
        fuzz_server(int(arguments[0]), int(arguments[1]) if arguments[1:] else 1, *arguments[2:3])
    )
