"""Made-up and mutated messages: nothing but a closed circuit may come of them.

`fuzz_circuit.py` runs the same for as long as one likes. What it found is kept below as bytes.
"""

import asyncio
import contextlib
import socket
from pathlib import Path

import pytest
from bench_circuit import Bench
from fuzz_circuit import Fuzzer, fuzz, make_pvdb
from server_wire import Client, Process

from cachannel.protocol.messages import Command, pack

HERE = Path(__file__).parent


@pytest.mark.parametrize("seed", range(4))
def test_fuzz(seed):
    """20,000 messages per seed."""
    circuits, _ = asyncio.run(fuzz(20_000, seed))
    assert circuits > 10


@pytest.mark.parametrize("library", ["asyncio", "trio"])
def test_fuzz_a_server(library):
    """The same over sockets: the server lives, answers others, and leaves no traceback."""
    command = [str(HERE / "libca_ioc.py"), "--async-lib", library]
    fuzzer = Fuzzer(17)
    with Process(command, ready="READY") as process:
        for _ in range(150):
            data = pack(Command.CREATE_CHAN, 0, 0, 1, 13, b"d\0")
            data += pack(Command.CREATE_CHAN, 0, 0, 2, 13, b"slow\0")
            data += b"".join(fuzzer.message() for _ in range(60))
            with (
                socket.create_connection(("127.0.0.1", process.port), timeout=10) as sock,
                contextlib.suppress(ConnectionError),
            ):
                sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(65536):
                    pass
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.sendto(data[:1400], ("127.0.0.1", process.port))
        with Client(process.port) as client:
            sid = client.create("d")[0]
            assert client.read(sid, 6).parameter1 == 1
        assert "Traceback" not in process.output().replace("ValueError: no", "")


FOUND = {
    "PUT_ACKT of several numbers": pack(Command.WRITE_NOTIFY, 35, 3, 1, 1, bytes(8)),
    "PUT_ACKS of no number": pack(Command.WRITE_NOTIFY, 36, 0, 1, 1),
    "a put of 65535 elements is answered with a long header": pack(
        Command.WRITE_NOTIFY, 4, 70_000, 1, 1, bytes(70_000)
    ),
}


@pytest.mark.parametrize("data", FOUND.values(), ids=FOUND)
def test_found(data):
    """Cases that once went wrong."""

    async def main():
        bench = Bench(make_pvdb())
        bench.create("b")
        bench.feed(data)
        for task in bench.tasks:
            await task
        assert bench.output()
        assert bench.circuit.closing or bench.talk(pack(Command.ECHO))

    asyncio.run(main())
