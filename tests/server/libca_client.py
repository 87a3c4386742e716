"""A client on libca through ctypes: does what test_libca.py asks about, prints JSON."""

import ctypes
import json
import sys
import time
from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    byref,
    c_char_p,
    c_double,
    c_int,
    c_long,
    c_uint,
    c_ulong,
    c_void_p,
)

from epicscorelibs.path import get_lib

ca = ctypes.CDLL(get_lib("ca"))


class EventArgs(Structure):
    _fields_ = [("usr", c_void_p), ("chid", c_void_p), ("type", c_long), ("count", c_long),
                ("dbr", c_void_p), ("status", c_int)]  # fmt: skip


class ExceptionArgs(Structure):
    _fields_ = [("usr", c_void_p), ("chid", c_void_p), ("type", c_long), ("count", c_long),
                ("addr", c_void_p), ("stat", c_long), ("op", c_long),
                ("ctx", c_char_p)]  # fmt: skip


EventHandler = CFUNCTYPE(None, EventArgs)
ExceptionHandler = CFUNCTYPE(None, ExceptionArgs)
for name, arguments in {
    "ca_create_channel": [c_char_p, c_void_p, c_void_p, c_uint, POINTER(c_void_p)],
    "ca_pend_io": [c_double], "ca_pend_event": [c_double],
    "ca_array_get": [c_long, c_ulong, c_void_p, c_void_p],
    "ca_array_get_callback": [c_long, c_ulong, c_void_p, EventHandler, c_void_p],
    "ca_array_put": [c_long, c_ulong, c_void_p, c_void_p],
    "ca_array_put_callback": [c_long, c_ulong, c_void_p, c_void_p, EventHandler, c_void_p],
    "ca_create_subscription": [c_long, c_ulong, c_void_p, c_long, EventHandler, c_void_p, c_void_p],
    "ca_field_type": [c_void_p], "ca_read_access": [c_void_p], "ca_write_access": [c_void_p],
    "ca_add_exception_event": [ExceptionHandler, c_void_p],
}.items():  # fmt: skip
    getattr(ca, name).argtypes = arguments
ca.ca_element_count.argtypes = [c_void_p]
ca.ca_element_count.restype = c_ulong

exceptions, events = [], []


@ExceptionHandler
def on_exception(args):
    exceptions.append([args.stat, (args.ctx or b"").decode("latin-1")])


@EventHandler
def on_event(args):
    first = None
    if args.dbr and args.status == 1 and args.type == 6:
        first = ctypes.cast(args.dbr, POINTER(c_double))[0]
    events.append((args.usr or 0, args.status, first))


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        ca.ca_pend_event(0.005)


def create(*names):
    channels = []
    for name in names:
        channel = c_void_p()
        assert ca.ca_create_channel(name.encode(), None, None, 0, byref(channel)) == 1
        channels.append(channel)
    assert ca.ca_pend_io(20.0) == 1
    return channels


def get(channel, count=1):
    values = (c_double * count)()
    assert ca.ca_array_get(6, count, channel, values) == 1
    assert ca.ca_pend_io(60.0) == 1
    return list(values)


def put_callback(channel, value):
    events.clear()
    status = ca.ca_array_put_callback(6, 1, channel, byref(c_double(value)), on_event, None)
    if status != 1:
        return status
    until(lambda: events)
    return events[0][1]


found = {}
assert ca.ca_context_create(0) == 1
ca.ca_add_exception_event(on_exception, None)
many = create(*(f"x{n}" for n in range(2000)))
found["connected"] = len(many)
names = ("d", "t", "e", "ro", "array")
channels = dict(zip(names, create(*names), strict=True))
found["types"] = {
    name: [
        ca.ca_field_type(channel),
        ca.ca_element_count(channel),
        ca.ca_read_access(channel) + 2 * ca.ca_write_access(channel),
    ]
    for name, channel in channels.items()
}
d = channels["d"]
found["get"] = get(d)[0]
values = get(channels["array"], 200_000)
found["array"] = [values[-1], len(values)]
short, burst, slow, bad = create("short", "burst", "slow", "bad")
found["padded"] = get(short, 4)
found["put"] = [put_callback(d, 7.5), get(d)[0]]
found["put failed"] = put_callback(bad, 1.0)
found["put read only"] = put_callback(channels["ro"], 1.0)
found["slow put"] = put_callback(slow, 1.0)
for number in range(20_000):
    assert ca.ca_array_put(6, 1, d, byref(c_double(number))) == 1
found["bulk"] = [20_000, get(d)[0]]
events.clear()
assert ca.ca_create_subscription(6, 1, burst, 1, on_event, c_void_p(1), None) == 1
assert ca.ca_create_subscription(6, 1, burst, 8, on_event, c_void_p(2), None) == 1
until(lambda: len(events) == 2)
events.clear()
assert ca.ca_array_put(6, 1, burst, byref(c_double(500))) == 1
until(lambda: sum(usr == 1 for usr, _, _ in events) >= 501)
found["events"] = [int(value) for usr, _, value in events if usr == 1][:500]
found["property events"] = 1 + sum(usr == 2 for usr, _, _ in events)
found["exceptions"] = [entry for entry in exceptions if "no" not in entry[1]]
sys.stdout.write(json.dumps(found))
