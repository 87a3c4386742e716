"""A circuit without a socket, for tests."""

import asyncio
import struct

from cachannel.protocol.messages import Command, pack, unpack
from cachannel.protocol.settings import ServerSettings
from cachannel.server.circuit import Circuit
from cachannel.server.core import ServerCore
from cachannel.server.numeric import ChannelByte, ChannelDouble, ChannelInteger
from cachannel.server.text import ChannelChar, ChannelEnum, ChannelString


class Bench:
    """Feeds bytes to a circuit and collects what it answers."""

    def __init__(self, pvdb, core=None, **settings):
        self.core = core or ServerCore(pvdb, ServerSettings()._replace(**settings))
        self.tasks = []
        self.woken = 0
        self.circuit = Circuit(self.core, ("127.0.0.1", 1), self._wake, self._spawn)
        self.greeting = self.output()

    def _wake(self):
        self.woken += 1

    def _spawn(self, coroutine):
        self.tasks.append(asyncio.get_running_loop().create_task(coroutine))

    def feed(self, *messages):
        """Give bytes to the circuit, in the pieces that its buffer takes."""
        data = b"".join(messages)
        while data:
            buffer = self.circuit.get_buffer()
            size = min(len(buffer), len(data))
            buffer[:size] = data[:size]
            data = data[size:]
            self.circuit.buffer_updated(size)

    def output(self):
        """Return all messages that the circuit has to say."""
        parts = []
        while True:
            chunk = self.circuit.next_output()
            if chunk is None:
                if self.circuit.resume():
                    continue
                break
            parts.append(bytes(chunk))
        return list(unpack(b"".join(parts), complete=True))

    def talk(self, *messages):
        """Feed and return the answers."""
        self.feed(*messages)
        return self.output()

    def create(self, name, cid=1):
        """Create a channel; return its sid."""
        rights, created = self.talk(pack(Command.CREATE_CHAN, 0, 0, cid, 13, name.encode() + b"\0"))
        assert rights.command == Command.ACCESS_RIGHTS
        return created.parameter2


def subscribe(sid, dbr_type=6, count=0, mask=1, subid=21):
    """Return an EVENT_ADD."""
    payload = bytes(12) + mask.to_bytes(2, "big") + bytes(2)
    return pack(Command.EVENT_ADD, dbr_type, count, sid, subid, payload)


def make(**extra):
    """Return one PV of each kind."""
    return {
        "d": ChannelDouble(value=1.5),
        "i": ChannelInteger(value=5),
        "a": ChannelDouble(value=[1.0, 2.0], max_length=4),
        "e": ChannelEnum(value="one", enum_strings=("zero", "one")),
        "s": ChannelString(value="hello"),
        "t": ChannelChar(value="text", max_length=100, report_as_string=True),
        "b": ChannelByte(value=b"ab", max_length=10),
        **extra,
    }


def bench_run(bench, *messages):
    """Feed in a loop, let all tasks end, return the answers."""

    async def run():
        bench.feed(*messages)
        while bench.tasks:
            await asyncio.wait_for(bench.tasks.pop(0), 60)
        return bench.output()

    return asyncio.run(run())


def put(sid, value, ioid=1, command=Command.WRITE_NOTIFY):
    """Return a put of one DOUBLE."""
    return pack(command, 6, 1, sid, ioid, struct.pack(">d", value))


def values_of(messages):
    """Return the numbers of the events among messages."""
    return [struct.unpack_from(">d", m.payload)[0] for m in messages if m.command == 1]


class Hooked(ChannelDouble):
    """A channel with a putter of its own, as IOCs write them."""

    def __init__(self, hook, **kwargs):
        super().__init__(value=0.0, **kwargs)
        self.hook = hook

    async def verify_value(self, value):
        value = await super().verify_value(value)
        return await self.hook(self, value)
