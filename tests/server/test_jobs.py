"""Requests that run user code: their order, their failures, what they are given."""

import asyncio
import struct

import numpy as np
import pytest
from bench_circuit import Bench, Hooked, bench_run, put, subscribe, values_of

from cachannel.protocol.errors import SkipWrite
from cachannel.protocol.messages import Command, Message, pack
from cachannel.server.numeric import ChannelDouble, ChannelInteger


def test_read_after_put_sees_the_putter():
    """A read behind a put is answered after the putter's first steps."""

    async def hook(channel, value):
        return value * 2

    bench = Bench({"x": Hooked(hook)})
    sid = bench.create("x")
    answers = bench_run(
        bench,
        put(sid, 4.0, 1, Command.WRITE),
        pack(Command.READ_NOTIFY, 6, 1, sid, 2),
        put(sid, 5.0, 3),
        pack(Command.READ_NOTIFY, 6, 1, sid, 4),
    )
    assert [m.command for m in answers] == [15, 19, 15]
    assert struct.unpack(">d", answers[0].payload)[0] == 8.0
    assert struct.unpack(">d", answers[2].payload)[0] == 10.0


def test_slow_putters_delay_nobody():
    """Putters run concurrently, start in order, and complete in their own time."""
    started = []

    async def main():
        release = asyncio.Event()

        async def hook(channel, value):
            started.append(value)
            if value == 1.0:
                await release.wait()
            return value

        bench = Bench({"x": Hooked(hook), "y": ChannelDouble(value=5.0)})
        x, y = bench.create("x"), bench.create("y", 2)
        bench.feed(
            put(x, 1.0, 1), put(x, 2.0, 2), put(x, 3.0, 3), pack(Command.READ_NOTIFY, 6, 1, y, 4)
        )
        for _ in range(10):
            await asyncio.sleep(0)
        first = bench.output()
        release.set()
        for task in bench.tasks:
            await task
        return first, bench.output()

    first, second = asyncio.run(main())
    assert started == [1.0, 2.0, 3.0]
    assert [m.parameter2 for m in first] == [2, 3, 4]
    assert [m.parameter2 for m in second] == [1]


def test_putters_have_a_task_and_a_context():
    """A putter may use timeouts and context variables as in any task of its own."""
    import contextvars

    guard = contextvars.ContextVar("guard", default=0)
    seen = []

    async def hook(channel, value):
        seen.append(guard.get())
        guard.set(value)
        try:
            async with asyncio.timeout(0.01):
                await asyncio.sleep(10)
        except TimeoutError:
            pass
        assert guard.get() == value
        assert asyncio.current_task() is not None
        return value

    bench = Bench({"x": Hooked(hook)})
    sid = bench.create("x")
    answers = bench_run(bench, *(put(sid, float(n), n) for n in range(1, 6)))
    assert sorted(m.parameter2 for m in answers) == [1, 2, 3, 4, 5]
    assert all(m.parameter1 == 1 for m in answers)
    assert seen == [0] * 5


def test_skip_write_is_success():
    """SkipWrite keeps the value, makes no event and no alarm, and is success for the client."""

    async def hook(channel, value):
        raise SkipWrite

    bench = Bench({"x": Hooked(hook)})
    sid = bench.create("x")
    bench.talk(subscribe(sid))
    assert bench_run(bench, put(sid, 4.0)) == [Message(Command.WRITE_NOTIFY, 6, 1, 1, 1)]
    channel = bench.core.pvdb["x"]
    assert (channel.value, channel.severity) == (0.0, 0)


def test_failing_putter(caplog):
    """The client gets the exception's text, the alarm is WRITE/MAJOR, the log says it once."""

    async def hook(channel, value):
        raise RuntimeError("motor stuck")

    bench = Bench({"x": Hooked(hook)})
    sid = bench.create("x")
    (answer,) = bench_run(bench, put(sid, 4.0))
    assert (answer.command, answer.parameter1, answer.parameter2) == (Command.ERROR, 1, 160)
    assert answer.payload[:16] == put(sid, 4.0)[:16]
    assert b"Python exception: RuntimeError motor stuck\0" in answer.payload
    channel = bench.core.pvdb["x"]
    assert (channel.value, channel.status, channel.severity) == (0.0, 2, 2)
    (record,) = caplog.records
    assert "x" in record.getMessage()
    assert record.exc_info


def test_client_leaves_while_a_putter_runs():
    """The putter goes on; its reply goes nowhere."""

    async def hook(channel, value):
        await asyncio.sleep(0.01)
        return value

    async def main():
        bench = Bench({"x": Hooked(hook)})
        sid = bench.create("x")
        bench.feed(put(sid, 4.0))
        await asyncio.sleep(0)
        bench.circuit.close()
        await asyncio.gather(*bench.tasks)
        return bench

    bench = asyncio.run(main())
    assert bench.core.pvdb["x"].value == 4.0
    assert bench.circuit.next_output() is None


def test_command_backlog():
    """Only so many putters of a circuit run at once; the others wait and run later."""
    running = []

    async def hook(channel, value):
        running.append(value)
        assert len(running) <= 3
        await asyncio.sleep(0)
        running.remove(value)
        return value

    bench = Bench({"x": Hooked(hook)}, command_backlog=3)
    sid = bench.create("x")

    async def main():
        bench.feed(*(put(sid, float(n), n) for n in range(50)))
        answers = []
        for _ in range(1000):
            await asyncio.sleep(0)
            answers += bench.output()
        return answers

    assert sorted(m.parameter2 for m in asyncio.run(main())) == list(range(50))


def test_getter():
    """A getter runs on every read of a client; its value is written, with events."""
    reads = []

    async def getter(channel):
        reads.append(1)
        return float(len(reads))

    channel = ChannelDouble(value=0.0)
    channel._getter = getter
    bench = Bench({"x": channel})
    sid = bench.create("x")
    bench.talk(subscribe(sid))
    answers = bench_run(bench, *(pack(Command.READ_NOTIFY, 6, 1, sid, n) for n in range(3)))
    reads_seen = [struct.unpack(">d", m.payload)[0] for m in answers if m.command == 15]
    assert reads_seen == [1.0, 2.0, 3.0]
    assert values_of(answers) == [1.0, 2.0, 3.0]


def test_overridden_read():
    """A class may answer reads itself."""

    class Counter(ChannelInteger):
        async def read(self, data_type):
            self._value += 1
            self._invalidate()
            return await super().read(data_type)

    bench = Bench({"x": Counter(value=0)})
    sid = bench.create("x")
    answers = bench_run(bench, *(pack(Command.READ_NOTIFY, 5, 1, sid, n) for n in range(3)))
    assert [int.from_bytes(m.payload[:4], "big") for m in answers] == [1, 2, 3]


def test_what_putters_are_given():
    """Arrays are arrays, also of one element; texts are texts; states are names."""
    from cachannel.protocol.channel_types import ChannelType
    from cachannel.server import PVGroup, pvproperty

    seen = {}

    class G(PVGroup):
        async def group_write(self, instance, value):
            seen[instance.pvname] = value

        a = pvproperty(value=[1.0, 2.0])
        d = pvproperty(value=1.0)
        i = pvproperty(value=1)
        e = pvproperty(value=False)
        t = pvproperty(value="", max_length=20)
        s = pvproperty(value="", dtype=ChannelType.STRING)
        b = pvproperty(value=b"", max_length=10)

    bench = Bench(G("").pvdb)
    puts = {
        "a": (6, 1, struct.pack(">d", 5.0)),
        "d": (5, 1, struct.pack(">i", 5)),
        "i": (6, 1, struct.pack(">d", 5.7)),
        "e": (3, 1, b"\0\1"),
        "t": (4, 6, b"ab\0cd\0"),
        "s": (0, 1, b"text\0"),
        "b": (4, 4, b"ab\0\0"),
    }
    for number, (name, (kind, count, payload)) in enumerate(puts.items()):
        sid = bench.create(name, number)
        bench_run(bench, pack(Command.WRITE, kind, count, sid, 1, payload))
    assert isinstance(seen["a"], np.ndarray)
    assert seen.pop("a").tolist() == [5.0]
    assert seen == {"d": 5.0, "i": 5, "e": "On", "t": "ab", "s": "text", "b": b"ab"}
    assert {name: type(value) for name, value in seen.items()} == {
        "d": float, "i": int, "e": str, "t": str, "s": str, "b": bytes,
    }  # fmt: skip


@pytest.mark.parametrize("late", [False, True])
def test_cancelled_putter(late):
    """A putter that is cancelled fails its put, and only its own."""

    async def hook(channel, value):
        if value == 2.0:
            if late:
                await asyncio.sleep(0)
            raise asyncio.CancelledError
        return value

    async def main():
        bench = Bench({"x": Hooked(hook)})
        sid = bench.create("x")
        bench.feed(
            *(put(sid, float(n), n) for n in range(1, 5)), pack(Command.READ_NOTIFY, 6, 1, sid, 9)
        )
        while bench.tasks:
            await asyncio.gather(bench.tasks.pop(0), return_exceptions=True)
        return bench, bench.output()

    bench, answers = asyncio.run(main())
    found = {m.parameter2: m.command for m in answers if m.command == Command.WRITE_NOTIFY}
    assert found == {1: 19, 3: 19, 4: 19}
    (failed,) = [m for m in answers if m.command == Command.ERROR]
    assert failed.payload[:16] == put(sid=1, value=2.0, ioid=2)[:16]
    assert bench.circuit._active == 0
    assert [m.parameter2 for m in answers if m.command == Command.READ_NOTIFY] == [9]
