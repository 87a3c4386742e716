"""Made-up and mutated messages: nothing but a closed circuit may come of them.

`fuzz_circuit.py` runs the same for as long as one likes. What it found is kept below as bytes.
"""

import asyncio

import pytest
from bench_circuit import Bench
from fuzz_circuit import fuzz, make_pvdb

from cachannel.protocol.messages import Command, pack


@pytest.mark.parametrize("seed", range(4))
def test_fuzz(seed):
    """20,000 messages per seed."""
    circuits, _ = asyncio.run(fuzz(20_000, seed))
    assert circuits > 10


FOUND = {
    "a put of 65535 elements is answered with a long header": pack(
        Command.WRITE_NOTIFY, 4, 70_000, 1, 1, bytes(70_000)
    ),
}


@pytest.mark.parametrize("data", FOUND.values(), ids=FOUND)
def test_found(data):
    """Cases that once went wrong."""
    bench = Bench(make_pvdb())
    bench.create("b")
    bench.talk(data)
    assert bench.circuit.closing or bench.talk(pack(Command.ECHO))
