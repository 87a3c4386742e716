"""The IOC under measurement on pythonSoftIOC: ``python softioc_ioc.py softioc MODE``."""

import asyncio
import sys
import time

import numpy as np
from softioc import asyncio_dispatcher, builder, softioc

MODE = sys.argv[2]


async def posts(channels):
    turn, due = 0, time.monotonic()
    while True:
        turn += 1
        for channel in channels:
            channel.set(float(turn))
        due += 0.1
        await asyncio.sleep(max(0.0, due - time.monotonic()))


async def fanout(channel):
    turn, due = 0, time.monotonic()
    while True:
        turn += 1
        channel.set(float(turn))
        due += 0.01
        await asyncio.sleep(max(0.0, due - time.monotonic()))


async def putter(value):
    """Accept."""


dispatcher = asyncio_dispatcher.AsyncioDispatcher()
scalar = builder.aOut("scalar", initial_value=1.5, always_update=True)
builder.aOut("hooked", initial_value=0.0, on_update=putter, always_update=True)
builder.WaveformOut("array", initial_value=np.full(1_000_000, 0.5))
many = [builder.aOut(f"pv{n}", initial_value=float(n), always_update=True) for n in range(10_000)]
builder.LoadDatabase()
softioc.iocInit(dispatcher)
if MODE == "posts":
    dispatcher(posts, (many[:1000],))
elif MODE == "fanout":
    dispatcher(fanout, (scalar,))
while True:
    time.sleep(3600)
