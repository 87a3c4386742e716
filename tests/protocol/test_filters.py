"""Names with fields, modifiers and filters."""

import contextlib
import math

import pytest
from hypothesis import given, strategies as st

from cachannel.protocol.errors import FilterValidationError
from cachannel.protocol.filters import (
    ArrayFilter,
    ChannelFilter,
    DeadbandFilter,
    DecimateFilter,
    RecordModifiers,
    SyncFilter,
    TimestampFilter,
    parse_channel_filter,
    parse_filters,
    parse_record_field,
    split_candidates,
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("A", ("A", "A", None, None)),
        ("A.", ("A", "A", None, None)),
        ("A.VAL", ("A.VAL", "A", "VAL", None)),
        ("A.DESC$", ("A.DESC", "A", "DESC", (RecordModifiers.long_string, None))),
        ("A.$", ("A", "A", None, (RecordModifiers.long_string, None))),
        ('A.{"ts":{}}', ("A", "A", None, (RecordModifiers.filtered, '{"ts":{}}'))),
        ("A.VAL[1:2]", ("A.VAL", "A", "VAL", (RecordModifiers.filtered, "[1:2]"))),
        ("A[1]", ("A[1]", "A[1]", None, None)),
        ("S{Mtr:1}Pos", ("S{Mtr:1}Pos", "S{Mtr:1}Pos", None, None)),
        ("S{Mtr:1}.VAL", ("S{Mtr:1}.VAL", "S{Mtr:1}", "VAL", None)),
    ],
)
def test_parse_record_field(name, expected):
    """Record, field and modifiers of a name."""
    assert parse_record_field(name) == expected


def test_candidates():
    """A name with several dots can be read in several ways, shortest record first."""
    assert [(c.record, c.field) for c in split_candidates("a.b.RBV")] == [
        ("a", "b.RBV"),
        ("a.b", "RBV"),
    ]
    assert len(split_candidates("." * 100_000)) == 512


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"ts":{}}', ChannelFilter(ts=True)),
        ('{"arr":{"s":1,"i":2,"e":-2}}', ChannelFilter(arr=ArrayFilter(1, 2, -2))),
        ('{"arr":{}}', ChannelFilter(arr=ArrayFilter(0, 1, -1))),
        ("[3]", ChannelFilter(ts=False, arr=ArrayFilter(3, 1, 3))),
        ("[1:5]", ChannelFilter(ts=False, arr=ArrayFilter(1, 1, 5))),
        ("[1:2:5]", ChannelFilter(ts=False, arr=ArrayFilter(1, 2, 5))),
        ("[:]", ChannelFilter(ts=False, arr=ArrayFilter(None, 1, None))),
        ('{"dbnd":{"abs":1.5}}', ChannelFilter(dbnd=DeadbandFilter("abs", 1.5))),
        ('{"dbnd":{"m":"rel","d":5}}', ChannelFilter(dbnd=DeadbandFilter("rel", 5.0))),
        ('{"sync":{"m":"while","s":"red"}}', ChannelFilter(sync=SyncFilter("while", "red"))),
        ("{sync:{while:'red'}}", ChannelFilter(sync=SyncFilter("while", "red"))),
        ('{"dbnd":{}}', ChannelFilter(dbnd=DeadbandFilter("abs", 0.0))),
        ("{dbnd:{d:'0x2',},}", ChannelFilter(dbnd=DeadbandFilter("abs", 2.0))),
        ("{'dbnd':{m:'rel'}}", ChannelFilter(dbnd=DeadbandFilter("rel", 0.0))),
        ("[0x1:010]", ChannelFilter(ts=False, arr=ArrayFilter(1, 1, 8))),
        (
            "[1:]{dbnd:{abs:.5}}",
            ChannelFilter(ts=False, arr=ArrayFilter(1, 1, None), dbnd=DeadbandFilter("abs", 0.5)),
        ),
        ('{"while":"red"}', ChannelFilter(sync=SyncFilter("while", "red"))),
        ('{"dec":{"n":3}}', ChannelFilter(dec=DecimateFilter(3))),
        (
            '{"ts":{},"arr":{"s":1}}',
            ChannelFilter(ts=True, arr=ArrayFilter(1, 1, -1)),
        ),
    ],
)
def test_filters(text, expected):
    """Filters in JSON and in brackets."""
    assert parse_channel_filter(text) == expected


@pytest.mark.parametrize(
    "text",
    ["{", "[", "[]", "[1", "[a]", "[1:2:3:4]", "[1:0:3]", "17", '{"bad":1}', '{"arr":{"z":1}}',
     '{"arr":{"i":0}}', '{"arr":{"s":"1"}}', '{"arr":[]}', '{"arr":{"s":true}}',
     '{"dbnd":{"abs":"x"}}', '{"dbnd":{"abs":-1}}', '{"dbnd":{"abs":1,"rel":2}}',
     '{"sync":{"m":"bad","s":"x"}}', '{"sync":{"m":"while"}}', '{"before":"a","ts":{}}',
     '{"dec":{"n":0}}', '{"dec":{}}', '{"ts":1}', "[" * 5000, '{"a":' * 5000],
)  # fmt: skip
def test_refused(text):
    """What is no filter, or none that exists, is refused by name."""
    with pytest.raises(FilterValidationError):
        parse_channel_filter(text)


def test_order():
    """Filters work in the order of the name, and a kind may be there twice."""
    assert parse_filters("[2:]{dec:{n:2},ts:{},dbnd:{abs:1},dec:{n:3}}") == (
        ArrayFilter(2, 1, None),
        DecimateFilter(2),
        TimestampFilter(),
        DeadbandFilter("abs", 1.0),
        DecimateFilter(3),
    )


@given(st.text(max_size=60), st.sampled_from(["{", "[", '{"arr":', '{"dbnd":{"abs":']))
def test_any_text(text, start):
    """Nothing but FilterValidationError is raised."""
    parse_record_field(text)
    with contextlib.suppress(FilterValidationError):
        parse_channel_filter(start + text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("[1:2]", [1, 2]), ("[-2:]", [3, 4]), ("[0:2:4]", [0, 2, 4]), ("[3]", [3]), ("[9]", []),
     ("[:-2]", [0, 1, 2, 3]), ("[-9:1]", [0, 1]), ("[3:1]", [])],
)  # fmt: skip
def test_slices(text, expected):
    """Ends are inclusive, negative indices count from the end, overshoot is cut."""
    part = parse_channel_filter(text).arr
    assert list(range(5))[part.as_slice(5)] == expected


def test_deadbands():
    """Absolute in units, relative in percent of the last value; a NaN is a change."""
    absolute, relative = DeadbandFilter("abs", 1.0), DeadbandFilter("rel", 10.0)
    assert not absolute.passes(1.0, 2.0)
    assert absolute.passes(1.0, 2.1)
    assert not relative.passes(100.0, 110.0)
    assert relative.passes(100.0, 111.0)
    assert relative.passes(0.0, 0.001)
    assert not relative.passes(0.0, 0.0)
    assert absolute.passes(1.0, math.nan)
    assert not absolute.passes(math.nan, math.nan)
