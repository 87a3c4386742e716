"""A short run of everything the C boundary does, for valgrind.

It is run by `run.py`, which gives it an IOC.  Python's own allocator must be plain malloc, or
valgrind sees nothing of what is in its arenas.
"""

import gc
import sys
import threading

import numpy as np

from cachannel import CaChannel, CaChannelException, Context, ca
from cachannel._native import ffi, lib
from cachannel.many import BulkSink, connect_many, get_many, put_many

NAMES = [
    "catest",
    "cabo",
    "cambbo",
    "calong",
    "castring",
    "cawave",
    "cawavec",
    "cawaves",
    "camillion",
]


def family() -> None:
    """The class: connect, get, put, monitors, arrays, clears."""
    seen = threading.Semaphore(0)
    for name in NAMES:
        channel = CaChannel(name)
        channel.setTimeout(60)
        channel.searchw()
        for request in range(0, 35, 7):
            channel.getw(request + int(channel.field_type()), use_numpy=bool(request % 2))
        channel.array_get_callback(None, 0, lambda event, args: seen.release())
        channel.add_masked_array_event(None, None, None, lambda event, args: seen.release())
        channel.flush_io()
        for _ in range(2):
            assert seen.acquire(timeout=60)
        if name != "camillion":
            value = channel.getw()
            channel.array_put_callback(value, None, None, lambda event, args: seen.release())
            channel.flush_io()
            assert seen.acquire(timeout=60)
        channel.clear_event()
        channel.array_get_callback(None, None, lambda event, args: None)
        channel.array_get()
        channel.clear_channel()
    refused = CaChannel("cadisabled")
    refused.setTimeout(60)
    refused.searchw()
    refused.array_put_callback(1, None, None, lambda event, args: seen.release())
    refused.flush_io()
    assert seen.acquire(timeout=60)
    text = CaChannel("castring")
    text.setTimeout(60)
    text.searchw()
    try:
        text.getw(ca.DBR_DOUBLE)
    except CaChannelException as exc:
        assert exc.status == ca.ECA.GETFAIL
    missing = CaChannel("no:such:pv")
    missing.setTimeout(0.1)
    try:
        missing.searchw()
    except CaChannelException as exc:
        assert exc.status == ca.ECA.TIMEOUT


def full_queue() -> None:
    """Replace pending values of every size while the dispatcher is held up."""
    with Context(queue_records=4, queue_bytes=4096, repeater=False) as context:
        held, go = threading.Event(), threading.Event()

        def hold(record: object, buffer: object, offset: int) -> None:
            held.set()
            go.wait(60)

        channels = []
        for name in ("cacalc", "cawave", "camillion", "cawaves"):
            made = lib.cc_channel_create(context.id, name.encode(), 0, 0, 1)
            channels.append(made)
        assert lib.cc_wait_all(context.id, 60) == 1
        token = context.own(hold)
        first = lib.cc_subscribe(channels[0], -1, 1, 5, token, ffi.NULL)
        lib.cc_flush(context.id)
        assert held.wait(60)
        quiet = context.own(lambda record, buffer, offset: None)
        for made in channels[1:]:
            lib.cc_subscribe(made, -1, 0, 5, quiet, ffi.NULL)
        lib.cc_flush(context.id)
        wave = np.zeros(20)
        for number in range(40):
            wave[:] = number
            size = 1 + number % 20
            lib.cc_put(channels[1], 6, size, ffi.from_buffer(wave))
            image = np.full(1 + 3000 * (number % 3), float(number))
            lib.cc_put(channels[2], 6, len(image), ffi.from_buffer(image))
        request = lib.cc_put_request(channels[2], 6, 1, ffi.from_buffer(wave), 0)
        assert lib.cc_request_wait(request, 60) == 1
        lib.cc_request_release(request)
        go.set()
        lib.cc_unsubscribe(first)
        for made in channels:
            lib.cc_channel_clear(made)


def lists() -> None:
    """Bulk requests, also abandoned ones, and a sink."""
    channels = connect_many(NAMES[:-1] * 20, 60)
    get_many(channels, timeout=60)
    get_many(channels, as_string=True, timeout=60)
    put_many(channels[:1] * 5, range(5), wait=True, timeout=60)
    try:
        get_many(channels, timeout=1e-6)
    except CaChannelException as exc:
        assert exc.status == ca.ECA.TIMEOUT
    with BulkSink([*NAMES[:4], "cacalc"]) as sink:
        assert len(sink.get(60))
        assert len(sink.get(60))
    del channels


def low_level() -> None:
    """Contexts without preemption, groups, stale handles."""
    assert ca.create_context(False) == ca.ECA.NORMAL
    status, chid = ca.create_channel("catest")
    assert status == ca.ECA.NORMAL
    assert ca.pend_io(60) == ca.ECA.NORMAL
    _, group = ca.sg_create()
    ca.sg_get(group, chid)
    ca.sg_put(group, chid, 3)
    assert ca.sg_block(group, 60) == ca.ECA.NORMAL
    ca.sg_delete(group)
    seen: list[object] = []
    _, evid = ca.create_subscription(chid, seen.append)
    while not seen:
        ca.pend_event(0.1)
    ca.clear_channel(chid)
    assert ca.clear_subscription(evid) == ca.ECA.BADMONID
    ca.destroy_context()


def main() -> None:
    """Do everything once."""
    thread = threading.Thread(target=low_level)
    thread.start()
    thread.join()
    family()
    full_queue()
    lists()
    gc.collect()
    from cachannel.context import contexts

    for context in contexts():
        context.close()
    counts = ffi.new("cc_counts *")
    lib.cc_get_counts(counts)
    left = (counts.contexts, counts.channels, counts.subscriptions)
    assert left == (0, 0, 0), left
    sys.stdout.write("the C boundary was exercised\n")


main()
