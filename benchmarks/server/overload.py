"""Loads that must not hold up other clients, and the bystander that measures whether they do.

`measure` runs each load in a process of its own, ``python overload.py LOAD PORT``, while it reads
one PV every 2 ms in this one, and says how long the slowest hundredth of the reads waited.
"""

import contextlib
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

__all__ = ["LOADS", "measure"]

CREATE, READ_NOTIFY, WRITE, EVENT_ADD, VERSION = 18, 15, 4, 1, 0
SECONDS = 5.0
PACE = 0.002


def message(command, kind=0, count=0, p1=0, p2=0, payload=b""):
    payload = payload.ljust(-(-len(payload) // 8) * 8, b"\0")
    return struct.pack(">HHHHII", command, len(payload), kind, count, p1, p2) + payload


class Client:
    """A circuit, as small as it can be."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.socket.sendall(message(VERSION, 0, 13))

    def receive(self, command):
        """Return the header of the next message of a kind; the others are dropped."""
        while True:
            while len(self.buffer) >= 16:
                head = struct.unpack_from(">HHHHII", self.buffer)
                size = 16 + head[1]
                if head[1] == 0xFFFF and not head[3]:
                    size = 24 + int.from_bytes(self.buffer[16:20], "big")
                if len(self.buffer) < size:
                    break
                self.buffer = self.buffer[size:]
                if head[0] == command:
                    return head
            part = self.socket.recv(1 << 20)
            if not part:
                raise EOFError
            self.buffer += part

    def create(self, name):
        """Create a channel; return its server id."""
        self.socket.sendall(message(CREATE, p1=1, p2=13, payload=name.encode() + b"\0"))
        return self.receive(CREATE)[5]


def subscribed_and_never_read(port):
    """Subscribe to 1,000 PVs that change at 10 Hz and to an array of 8 MB, and read nothing."""
    client = Client(port)
    sids = [client.create(f"pv{number}") for number in range(1000)] + [client.create("array")]
    mask = bytes(12) + b"\0\1\0\0"
    client.socket.sendall(
        b"".join(message(EVENT_ADD, 20, 0, sid, number, mask) for number, sid in enumerate(sids))
    )
    yield
    while True:
        time.sleep(1)
        yield


def idle_clients(port):
    """Hold 1,000 circuits that say nothing."""
    clients = [Client(port) for _ in range(1000)]
    yield
    while clients:
        time.sleep(1)
        yield


def come_and_go(port):
    """Open 50 circuits a second, each with a channel and a monitor, and close them."""
    due = time.monotonic()
    while True:
        client = Client(port)
        sid = client.create("pv1")
        client.socket.sendall(message(EVENT_ADD, 20, 0, sid, 1, bytes(12) + b"\0\1\0\0"))
        client.receive(EVENT_ADD)
        client.socket.close()
        due += 0.02
        time.sleep(max(0.0, due - time.monotonic()))
        yield


def endless_payload(port):
    """Announce a gigabyte, and send it at 20 MB/s."""
    client = Client(port)
    sid = client.create("array")
    head = struct.pack(">HHHHII", WRITE, 0xFFFF, 6, 0, sid, 1) + struct.pack(">II", 2**30, 2**27)
    client.socket.sendall(head)
    while True:
        # A server may as well close the circuit; then the next one announces a gigabyte.
        try:
            client.socket.sendall(bytes(1 << 20))
        except OSError:
            client = Client(port)
            client.create("array")
            client.socket.sendall(head)
        time.sleep(0.05)
        yield


LOADS = {
    "no load": None,
    "a subscriber that never reads": subscribed_and_never_read,
    "1,000 idle clients": idle_clients,
    "50 circuits opened and closed per s": come_and_go,
    "1 GB announced": endless_payload,
}


def resident_mb(pid):
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) / 1024


def read_paced(port, seconds):
    """Read a PV every 2 ms; return the seconds that each read took, sorted."""
    client = Client(port)
    request = message(READ_NOTIFY, 6, 1, client.create("scalar"), 1)
    taken = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        started = time.monotonic()
        client.socket.sendall(request)
        client.receive(READ_NOTIFY)
        taken.append(time.monotonic() - started)
        time.sleep(PACE)
    client.socket.close()
    return sorted(taken)


def measure(port, pid, name, seconds=SECONDS):
    """Return (99th percentile of a bystander's reads in ms, MB that the server grew by)."""
    before = resident_mb(pid)
    load = None
    if LOADS[name] is not None:
        load = subprocess.Popen(
            [sys.executable, __file__, name, str(port)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        if load.stdout.readline() != "LOADED\n":
            raise RuntimeError(f"{name}: the load ended")
    try:
        taken = read_paced(port, seconds)
        if load is not None and load.poll() is not None:
            raise RuntimeError(f"{name}: the load ended")
        return taken[len(taken) * 99 // 100] * 1000, resident_mb(pid) - before
    finally:
        if load is not None:
            load.kill()
            load.wait()
            load.stdin.close()
            load.stdout.close()


def main():
    running = LOADS[sys.argv[1]](int(sys.argv[2]))
    next(running)
    print("LOADED", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        for _ in running:
            pass


if __name__ == "__main__":
    main()
