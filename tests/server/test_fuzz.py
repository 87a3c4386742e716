"""Made-up and mutated messages: nothing but a closed circuit may come of them.

`fuzz_circuit.py` and `fuzz_server.py` run the same for as long as one likes. What it found is
kept below as bytes.
"""

import asyncio
import importlib.util

import pytest
from bench_circuit import Bench
from fuzz_circuit import fuzz, make_pvdb
from fuzz_server import fuzz_server

from cachannel.protocol.messages import Command, pack

LIBRARIES = ["asyncio", "trio"]
if importlib.util.find_spec("curio") is not None:
    LIBRARIES.append("curio")


@pytest.mark.parametrize("seed", range(4))
def test_fuzz(seed):
    """20,000 messages per seed."""
    circuits, _ = asyncio.run(fuzz(20_000, seed))
    assert circuits > 10


@pytest.mark.parametrize("library", LIBRARIES)
def test_fuzz_a_server(library):
    """The same over sockets; what has to hold is checked by the fuzzer."""
    figures = fuzz_server(10_000, 17, library)
    assert figures.handled > 2000
    assert figures.closed > 50
    assert figures.memory_mb[-1] < figures.memory_mb[0] + 50


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
