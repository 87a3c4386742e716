"""Feeds made-up and mutated messages to circuits: ``python fuzz_circuit.py MESSAGES [SEED]``.

What must hold: no exception leaves a circuit, nothing is logged as our fault, output and memory
stay bounded, and the values that are served can still be read by a client that behaves.
"""

import asyncio
import logging
import random
import resource
import struct
import sys
import time

from bench_circuit import Bench

from cachannel.protocol.messages import Command, pack
from cachannel.server.numeric import ChannelByte, ChannelDouble, ChannelInteger, ChannelShort
from cachannel.server.pvspec import PVSpec
from cachannel.server.text import ChannelChar, ChannelEnum, ChannelString

NAMES = ["d", "i", "h", "a", "e", "s", "t", "c", "b", "r", "r.HIHI", "r.DESC$", "p", "t.$", "s.$",
         'd.{"dbnd":{"abs":1}}', "a.[1:2]", 'a.{"arr":{"s":-2,"i":2}}', 'd.{"ts":{}}',
         'd.{"sync":{"m":"while","s":"x"}}', "x", "", "d.", "d.VAL", "a.[",
         "\xff", "." * 100]  # fmt: skip
COUNTS = [0, 1, 2, 3, 7, 100, 0xFFFE, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF]
SIZES = [0, 1, 7, 8, 16, 40, 80, 0x4000, 0xFFF8, 0xFFFF, 0x10000, 0x7FFFFFF8, 0xFFFFFFF8]
TYPES = [*range(39), 39, 255, 65535]
COMMANDS = [*range(28), 28, 99, 65535]


async def _putter(instance, value):
    await asyncio.sleep(0)
    if value == 2.0:
        raise ValueError("two")


def make_pvdb():
    """Return one PV of each kind."""
    return {
        "d": ChannelDouble(value=1.5, units="mm", precision=2),
        "i": ChannelInteger(value=5, upper_ctrl_limit=100, lower_ctrl_limit=-100),
        "h": ChannelShort(value=5),
        "a": ChannelDouble(value=[1.0, 2.0, 3.0], max_length=10),
        "e": ChannelEnum(value="a", enum_strings=("a", "b")),
        "s": ChannelString(value="text"),
        "t": ChannelChar(value="text", max_length=100, report_as_string=True),
        "c": ChannelChar(value="text", max_length=100),
        "b": ChannelByte(value=b"abc", max_length=10),
        "r": PVSpec(name="r", value=1.0, record="ai").create(),
        "p": PVSpec(name="p", value=1.0, put=_putter).create(),
    }


class Fuzzer:
    """Makes messages, half of them nearly right."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.sids = 0

    def number(self):
        """Return an id."""
        r = self.random.random()
        if r < 0.8:
            return self.random.randint(0, 12)
        return self.random.choice((0, 0xFFFFFFFF, self.random.getrandbits(32)))

    def payload(self):
        """Return some bytes."""
        choose = self.random.random()
        if choose < 0.3:
            return b""
        if choose < 0.6:
            return struct.pack(">d", self.random.choice((0.0, 1.0, 2.0, 1e300, float("nan"))))
        if choose < 0.7:
            return self.random.choice((b"a\0", b"7\0", b"0x7\0", b"nonsense\0", b"\0"))
        return self.random.randbytes(self.random.randint(0, 60))

    def message(self):
        """Return one message, or something like it."""
        rnd = self.random
        choose = rnd.random()
        if choose < 0.15:
            name = rnd.choice(NAMES).encode("latin-1") + b"\0"
            return pack(Command.CREATE_CHAN, 0, 0, self.number(), 13, name)
        if choose < 0.55:
            kind = rnd.randint(0, 38)
            count = rnd.choice((0, 1, 1, 1, 2, 3))
            command = rnd.choice((15, 15, 4, 19, 3, 1, 2, 12, 8, 9, 23, 10))
            payload = self.payload()
            if command == 1:
                payload = bytes(12) + rnd.choice((1, 2, 4, 8, 15, 0)).to_bytes(2, "big") + bytes(2)
            if command in (4, 19) and rnd.random() < 0.5:
                kind = rnd.randint(0, 6)
            data = pack(command, kind, count, rnd.randint(1, 12), self.number(), payload)
        else:
            payload = self.payload()
            size = rnd.choice((len(payload), rnd.choice(SIZES)))
            data = struct.pack(
                ">HHHHII", rnd.choice(COMMANDS), min(size, 0xFFFF), rnd.choice(TYPES),
                rnd.choice(COUNTS) & 0xFFFF, self.number(), self.number(),
            )  # fmt: skip
            if rnd.random() < 0.3:
                data += struct.pack(">II", size & 0xFFFFFFFF, rnd.choice(COUNTS))
            data += payload
        if rnd.random() < 0.1 and data:
            position = rnd.randrange(len(data))
            data = data[:position] + bytes((rnd.getrandbits(8),)) + data[position + 1 :]
        if rnd.random() < 0.02:
            data = data[: rnd.randrange(len(data) + 1)]
        return data


class _Faults(logging.Handler):
    """Collects what is logged as our fault; the putter's own errors are expected."""

    def __init__(self):
        super().__init__(logging.ERROR)
        self.found = []

    def emit(self, record):
        self.found.append(record.getMessage() + (record.exc_text or str(record.exc_info)))


async def fuzz(messages, seed):
    """Feed that many messages; return (circuits used, seconds)."""
    log = logging.getLogger("cachannel")
    faults = _Faults()
    log.addHandler(faults)
    levels = {name: logging.getLogger(name).level for name in ("cachannel.circ",)}
    for name in levels:
        logging.getLogger(name).setLevel(logging.ERROR)
    propagate, log.propagate = log.propagate, False
    fuzzer = Fuzzer(seed)
    pvdb = make_pvdb()
    bench = Bench(pvdb)
    core = bench.core
    circuits, fed, started = 1, 0, time.monotonic()
    try:
        while fed < messages:
            burst = fuzzer.random.randint(1, 20)
            bench.feed(*(fuzzer.message() for _ in range(burst)))
            fed += burst
            size = 0
            for _ in range(1000):
                chunk = bench.circuit.next_output()
                if chunk is None and not bench.circuit.resume():
                    break
                size += len(chunk or b"")
            if bench.tasks:
                await asyncio.sleep(0)
                bench.tasks = [task for task in bench.tasks if not task.done()]
                assert len(bench.tasks) < 10_000
            assert size < 200_000_000
            assert len(bench.circuit._input or b"") < 2_000_000
            assert not faults.found, faults.found[0]
            if bench.circuit.closing or fuzzer.random.random() < 0.005:
                bench.circuit.close()
                tasks = bench.tasks
                bench = Bench(None, core=core)
                bench.tasks = tasks
                circuits += 1
                for number, name in enumerate(NAMES[:12]):
                    bench.feed(
                        pack(Command.CREATE_CHAN, 0, 0, number, 13, name.encode("latin-1") + b"\0")
                    )
        bench.circuit.close()
        for task in bench.tasks:
            await task
        assert all(not channel._subs for channel in pvdb.values()), "subscriptions are left"
        other = Bench(None, core=core)
        sid = other.create("d")
        assert other.talk(pack(Command.READ_NOTIFY, 6, 1, sid, 1))[0].parameter1 == 1
    finally:
        log.removeHandler(faults)
        log.propagate = propagate
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
    return circuits, time.monotonic() - started


if __name__ == "__main__":
    total, seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    part = 250_000
    for done in range(0, total, part):
        circuits, seconds = asyncio.run(fuzz(part, seed))
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        sys.stdout.write(
            f"seed {seed}: {done + part} messages, {circuits} circuits, {seconds:.1f} s,"
            f" {memory} MB\n"
        )
        sys.stdout.flush()
        seed += 1
