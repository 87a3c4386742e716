"""The IOC under measurement, for any package with the programming model of `cachannel.server`.

    python ioc.py cachannel MODE     python ioc.py caproto MODE

MODE is ``static`` (10,000 PVs pv0 ... and the ones that the scenarios name), ``posts`` (1,000 of
the PVs are written 10 times a second each), ``fanout`` (one PV is written 100 times a second) or
``overload`` (as posts, and an array of 8 MB is written twice a second).
"""

import importlib
import resource
import sys
import time

STARTED = time.time()
ROOT, MODE = sys.argv[1], sys.argv[2]
server = importlib.import_module(f"{ROOT}.server")


async def putter(group, instance, value):
    """Accept."""


class Bench(server.PVGroup):
    scalar = server.pvproperty(value=1.5)
    hooked = server.pvproperty(value=0.0, put=putter)
    array = server.pvproperty(value=[0.5] * 1_000_000)


async def posts(async_lib, array=None):
    channels = [pvdb[f"pv{number}"] for number in range(1000)]
    turn, due = 0, time.monotonic()
    while True:
        turn += 1
        for channel in channels:
            await channel.write(float(turn))
        if array is not None and turn % 5 == 0:
            await array.write(array.value)
        due += 0.1
        await async_lib.sleep(max(0.0, due - time.monotonic()))


async def fanout(async_lib):
    channel = bench.scalar
    turn, due = 0, time.monotonic()
    while True:
        turn += 1
        await channel.write(float(turn))
        due += 0.01
        await async_lib.sleep(max(0.0, due - time.monotonic()))


def resident():
    """Return the bytes of this process in memory now (not at its peak)."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


async def hook(async_lib):
    print("READY", time.time() - STARTED, flush=True)
    if MODE == "posts":
        await posts(async_lib)
    if MODE == "overload":
        await posts(async_lib, bench.array)
    if MODE == "fanout":
        await fanout(async_lib)


bench = Bench("")
before = resident()
group = type(
    "Many", (server.PVGroup,), {f"pv{n}": server.pvproperty(value=float(n)) for n in range(10_000)}
)("")
print("BYTES", (resident() - before) / 10_000, flush=True)
pvdb = {**bench.pvdb, **group.pvdb}
server.run(
    pvdb,
    module_name=f"{ROOT}.asyncio.server",
    interfaces=["127.0.0.1"],
    startup_hook=hook,
)
