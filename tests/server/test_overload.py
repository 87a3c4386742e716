"""Clients that misbehave by weight: the others, and the memory, must not notice."""

import contextlib
import os
import socket
import struct
import threading
import time
from pathlib import Path

import pytest
from server_wire import Client, Process

from cachannel.protocol.messages import Command, pack

HERE = Path(__file__).parent


@pytest.fixture
def server():
    """2,000 PVs, 100 of them updating at 50 Hz, and an array of 8 MB."""
    with Process([str(HERE / "load_ioc.py"), "-v"], ready="READY") as process:
        yield process


def memory(process):
    """Resident bytes of the server."""
    text = Path(f"/proc/{process.process.pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) * 1024


def quieten(server):
    """End the updates; arrays of 8 MB that come and go would disturb who measures memory."""
    with Client(server.port) as client:
        client.put(client.create("load:go")[0], 5, 1, struct.pack(">i", 0))


# Seconds within which the bystander is answered, at the 99th percentile. The promise is 0.05, to be
# checked on a quiet machine with RESPONSIVE=0.05 in the environment; a machine that is busy with
# something else gets more, and a server that starves its other clients takes longer than that.
RESPONSIVE = float(os.environ.get("RESPONSIVE", "1.0"))


class Bystander:
    """Reads one PV again and again, and notes how long each read takes."""

    def __init__(self, port):
        self.client = Client(port)
        self.sid = self.client.create("load:x0")[0]
        self.seconds = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        while not self._stop.is_set():
            started = time.monotonic()
            self.client.read(self.sid, 6)
            self.seconds.append(time.monotonic() - started)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._stop.set()
        self._thread.join(60)
        self.client.socket.close()

    def watch(self, seconds):
        """Go on for some seconds, longer if a busy machine leaves fewer than 200 reads."""
        time.sleep(seconds)
        wait_until(lambda: len(self.seconds) > 200)

    def slowest_of_a_hundred(self):
        """Return the 99th percentile, seconds."""
        assert len(self.seconds) > 200
        return sorted(self.seconds)[int(len(self.seconds) * 0.99)]


def wait_until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_client_that_never_reads(server):
    """It subscribes to everything, arrays included, and gets the newest values when it reads."""
    greedy = Client(server.port)
    sids = [greedy.create(f"load:x{number}")[0] for number in range(2000)]
    array = greedy.create("load:array")[0]
    before = memory(server)
    greedy.send(*(
        pack(Command.EVENT_ADD, 20, 0, sid, number,
             bytes(12) + b"\0\1\0\0") for number, sid in enumerate(sids)
    ))  # fmt: skip
    for subid in range(3000, 3010):
        greedy.subscribe(array, 6, 0, 1, subid)
    with Bystander(server.port) as bystander:
        bystander.watch(3)
    assert bystander.slowest_of_a_hundred() < RESPONSIVE
    # Ten subscriptions share the payloads of an array that is written five times a second.
    assert memory(server) - before < 150_000_000
    quieten(server)
    with Client(server.port) as client:
        last = client.read(client.create("load:x0")[0], 6).payload
        assert client.read(client.create("load:x0")[0], 6).payload == last
    newest = None
    while newest != last:
        message = greedy.receive()
        if message.parameter2 == 0 and message.command == Command.EVENT_ADD:
            newest = message.payload[16:24]
    greedy.socket.close()


def test_many_idle_clients(server):
    """A thousand clients that say nothing cost little, and their leaving is noticed."""
    quieten(server)
    before = memory(server)
    clients = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(1000)]
    for client in clients:
        assert client.recv(16) == pack(Command.VERSION, 0, 13)
    with Bystander(server.port) as bystander:
        bystander.watch(0.5)
    assert bystander.slowest_of_a_hundred() < RESPONSIVE
    assert memory(server) - before < 20_000_000
    for client in clients:
        client.close()
    wait_until(lambda: "(total: 0)" in server.output().rsplit("\n", 2)[-2])


def test_circuits_that_come_and_go(server):
    """Opening and closing circuits with channels and monitors leaves nothing behind."""

    def rush(times):
        for _ in range(times):
            with Client(server.port) as client:
                sid = client.create("load:x1")[0]
                client.subscribe(sid, 20)
                client.receive()

    quieten(server)
    rush(100)
    wait_until(lambda: "(total: 0)" in server.output().rsplit("\n", 2)[-2])
    before = memory(server)
    with Bystander(server.port) as bystander:
        rush(400)
        bystander.watch(0)
    assert bystander.slowest_of_a_hundred() < RESPONSIVE
    wait_until(lambda: "(total: 0)" in server.output().rsplit("\n", 2)[-2])
    assert memory(server) - before < 5_000_000
    descriptors = list(Path(f"/proc/{server.process.pid}/fd").iterdir())
    assert len(descriptors) < 30


def test_payload_that_never_comes(server):
    """A gigabyte announced costs nothing, and neither does a gigabyte half sent."""
    quieten(server)
    before = memory(server)
    with Client(server.port) as client:
        sid = client.create("load:array")[0]
        client.send(
            struct.pack(">HHHHII", 4, 0xFFFF, 6, 0, sid, 1) + struct.pack(">II", 2**30, 2**27)
        )
        assert client.receive().parameter2 == 72  # ECA_TOLARGE
        for _ in range(50):
            client.send(bytes(1 << 20))
        assert memory(server) - before < 5_000_000
        with Bystander(server.port) as bystander:
            bystander.watch(0.3)
        assert bystander.slowest_of_a_hundred() < RESPONSIVE


def test_requests_without_reading(server):
    """A client that asks for 8 MB again and again without reading is not listened to."""
    before = memory(server)
    with Client(server.port) as client:
        sid = client.create("load:array")[0]
        client.socket.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            for _ in range(100):
                client.send(pack(Command.READ_NOTIFY, 6, 0, sid, 1) * 1000)
        with Bystander(server.port) as bystander:
            bystander.watch(0.5)
        assert bystander.slowest_of_a_hundred() < RESPONSIVE
        assert memory(server) - before < 60_000_000
