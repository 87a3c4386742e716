"""DBR data to Python values."""

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from cachannel.protocol.dbr import LAYOUTS
from cachannel.values.decode import ca_value, elements, pv_items, text

CODES = {1: "h", 2: "f", 3: "H", 4: "B", 5: "i", 6: "d"}
DTYPES = {1: "i2", 2: "f4", 3: "u2", 4: "u1", 5: "i4", 6: "f8"}


def record(dbr_type: int, count: int, data: bytes, place: int = 2) -> tuple[Any, ...]:
    return (1, 3, place, dbr_type, 3, 2, 0, 1, count, 5, 6, len(data), 0.0, 0)


def dbr(dbr_type: int, values: bytes) -> bytes:
    """A DBR structure whose metadata is zero but for the alarm."""
    offset = LAYOUTS[dbr_type].value_offset
    head = bytearray(offset)
    if dbr_type >= 7:
        head[:4] = struct.pack("=hh", 3, 2)
    return bytes(head) + values


@pytest.mark.parametrize("base", CODES)
@pytest.mark.parametrize("group", range(0, 35, 7))
@given(data=st.data())
def test_numbers_come_back(base: int, group: int, data: st.DataObject) -> None:
    kind = np.dtype(DTYPES[base])
    if base in (2, 6):
        number: Any = st.floats(width=32 if base == 2 else 64, allow_nan=False)
    else:
        limits = np.iinfo(kind)
        number = st.integers(int(limits.min), int(limits.max))
    values = data.draw(st.lists(number, max_size=8))
    packed = dbr(base + group, struct.pack(f"={len(values)}{CODES[base]}", *values))
    shift = data.draw(st.sampled_from([0, 8, 24]))
    buffer = bytes(shift) + packed
    fields = record(base + group, len(values), packed)
    plain = elements(fields, buffer, shift, False)
    array = elements(fields, buffer, shift, True)
    if len(values) == 1:
        assert plain == array == values[0]
        assert type(plain) is (float if base in (2, 6) else int)
    else:
        assert plain == values
        assert array.tolist() == values
        assert array.dtype == kind
        assert array.flags.writeable
        assert array.shape == (len(values),)
    value = ca_value(fields, buffer, shift, False)
    assert (value if group == 0 else value["value"]) == plain
    items: dict[str, Any] = {}
    pv_items(items, fields, buffer, shift, False)
    assert items["pv_value"] == plain
    if group:
        assert (value["status"], value["severity"]) == (3, 2)
        assert (items["pv_status"], items["pv_severity"]) == (3, 2)
    if group == 14:
        assert value["stamp"]["seconds"] - items["pv_seconds"] == 631152000


@given(values=st.lists(st.binary(max_size=39), min_size=2, max_size=5))
def test_strings_come_back(values: list[bytes]) -> None:
    packed = b"".join(value.ljust(40, b"\0") for value in values)
    found = elements(record(0, len(values), packed), packed, 0, True)
    assert found == [text(value) for value in values]


@given(data=st.binary(max_size=60))
def test_text_ends_at_its_nul_and_is_latin1_if_it_must(data: bytes) -> None:
    start = data.partition(b"\0")[0]
    try:
        wanted = start.decode()
    except UnicodeDecodeError:
        wanted = start.decode("latin-1")
    assert text(data) == wanted


def test_string_of_forty_bytes_without_nul() -> None:
    packed = b"x" * 40
    assert elements(record(0, 1, packed), packed, 0, False) == "x" * 40


@pytest.mark.parametrize("number", [-1, 0, 2, 16, 17, 30000])
def test_states_are_never_more_than_there_is_room_for(number: int) -> None:
    packed = struct.pack("=hhh", 0, 0, number) + b"state".ljust(26, b"\0") * 16 + b"\1\0"
    value = ca_value(record(31, 1, packed), packed, 0, False)
    assert value["strs"] == ("state",) * max(0, min(number, 16))


def test_large_array_is_taken_over_and_small_one_copied() -> None:
    packed = struct.pack("=3d", 1, 2, 3)
    buffer = bytearray(packed)
    copied = elements(record(6, 3, packed, 2), buffer, 0, True)
    taken = elements(record(6, 3, packed, 3), buffer, 0, True)
    buffer[:8] = struct.pack("=d", 9)
    assert copied.tolist() == [1, 2, 3]
    assert taken.tolist() == [9, 2, 3]
