"""The record of the event queue, as C lays it out and as Python reads it."""

import struct

import pytest

from cachannel._native import ffi
from cachannel.values import decode

FIELDS = {
    "owner": decode.OWNER,
    "kind": decode.KIND,
    "place": decode.PLACE,
    "type": decode.TYPE,
    "alarm_status": decode.ALARM_STATUS,
    "alarm_severity": decode.ALARM_SEVERITY,
    "status": decode.STATUS,
    "count": decode.COUNT,
    "seconds": decode.SECONDS,
    "nanoseconds": decode.NANOSECONDS,
    "nbytes": decode.NBYTES,
    "value": decode.VALUE,
    "payload": decode.PAYLOAD,
}


def test_size_is_that_of_the_compiler() -> None:
    assert decode.RECORD.size == ffi.sizeof("cc_record")
    assert struct.calcsize(decode.RECORD.format.replace("=", "@")) == decode.RECORD.size


@pytest.mark.parametrize("name", FIELDS)
def test_field_is_where_python_looks_for_it(name: str) -> None:
    record = ffi.new("cc_record *")
    value = 2.5 if name == "value" else 77
    setattr(record, name, value)
    fields = decode.RECORD.unpack(ffi.buffer(record))
    assert fields[FIELDS[name]] == value
    assert sum(field != 0 for field in fields) == 1


def test_no_field_is_forgotten() -> None:
    names = {name for name, _ in ffi.typeof("cc_record").fields}
    assert names == {*FIELDS, "reserved"}


def test_fields_of_the_sink_are_at_their_places() -> None:
    from cachannel.many import _record_type

    kind = _record_type()
    names = {"status": "alarm_status", "severity": "alarm_severity", "eca": "status"}
    for name in kind.names:
        assert kind.fields[name][1] == ffi.offsetof("cc_record", names.get(name, name))
    assert kind.itemsize == ffi.sizeof("cc_record")
