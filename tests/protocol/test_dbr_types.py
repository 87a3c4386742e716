"""Metadata structures and arrays of strings."""

import pytest

from cachannel.protocol.channel_types import AlarmSeverity, AlarmStatus, ChannelType
from cachannel.protocol.dbr import LAYOUTS
from cachannel.protocol.dbr_types import DBR_TYPES, DbrStringArray
from cachannel.protocol.timestamp import TimeStamp


@pytest.mark.parametrize("dbr_type", [t for t in ChannelType if t not in (21, 28)])
def test_sizes(dbr_type):
    """A structure is as large as the metadata on the wire (two types are all metadata)."""
    cls = DBR_TYPES[dbr_type]
    extra = 40 if dbr_type >= 37 else 2 if dbr_type in (35, 36) else 0
    assert len(bytes(cls())) == LAYOUTS[dbr_type].value_offset + extra
    assert cls.__name__ == f"DBR_{dbr_type.name}"


def test_time():
    """A stamp and its Unix time."""
    packed = LAYOUTS[20].wire.pack(3, 2, 5, 6000)
    metadata = DBR_TYPES[ChannelType.TIME_DOUBLE].from_buffer_copy(packed)
    assert metadata.stamp == (5, 6000)
    assert metadata.timestamp == 631152005.000006
    assert metadata.to_dict() == {
        "status": AlarmStatus.HIHI,
        "severity": AlarmSeverity.MAJOR_ALARM,
        "timestamp": 631152005.000006,
    }
    assert bytes(metadata) == packed
    assert "AlarmStatus.HIHI" in repr(metadata)


def test_a_structure_takes_a_stamp_whole_or_by_name():
    """The time stamp of a new structure is one field, as in C."""
    cls = DBR_TYPES[ChannelType.TIME_DOUBLE]
    packed = LAYOUTS[20].wire.pack(3, 2, 5, 6000)
    assert bytes(cls(3, 2, TimeStamp(5, 6000))) == packed
    assert bytes(cls(3, 2, (5, 6000))) == packed
    assert bytes(cls(status=3, severity=2, stamp=(5, 6000))) == packed
    assert bytes(cls(3, 2, secondsSinceEpoch=5, nanoSeconds=6000)) == packed
    assert bytes(cls()) == bytes(16)


def test_the_number_of_a_structure_is_its_type():
    """Of the two string types that there are not: what a server answers with."""
    assert DBR_TYPES[ChannelType.CTRL_LONG].DBR_ID is ChannelType.CTRL_LONG
    for dbr_type in (ChannelType.GR_STRING, ChannelType.CTRL_STRING):
        assert DBR_TYPES[dbr_type].DBR_ID is ChannelType.STS_STRING


def test_control():
    """Limits, precision, units, and the names of states."""
    limits = [float(n) for n in range(8)]
    packed = LAYOUTS[34].wire.pack(0, 0, 3, b"mm", *limits)
    metadata = DBR_TYPES[ChannelType.CTRL_DOUBLE].from_buffer_copy(packed)
    assert (metadata.precision, metadata.units) == (3, b"mm")
    assert (metadata.upper_disp_limit, metadata.lower_ctrl_limit) == (0.0, 7.0)
    names = b"".join(name.ljust(26, b"\0") for name in (b"a", b"bb"))
    packed = LAYOUTS[31].wire.pack(0, 0, 2, names)
    assert DBR_TYPES[ChannelType.CTRL_ENUM].from_buffer_copy(packed).enum_strings == (b"a", b"bb")


def test_string_arrays():
    """Fields of 40 bytes, cut at their NULs, and back."""
    array = DbrStringArray.frombuffer(b"a".ljust(40, b"\0") + b"bb\0x")
    assert array == [b"a", b"bb"]
    assert isinstance(array[:1], DbrStringArray)
    assert array.tobytes() == b"a".ljust(40, b"\0") + b"bb".ljust(40, b"\0")
