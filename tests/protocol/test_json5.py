"""JSON5 as EPICS base reads it in names."""

import contextlib
import json
import math

import pytest
from hypothesis import given, strategies as st

from cachannel.protocol.json5 import Object, parse


def plain(value):
    """Return a value with dicts for objects."""
    if isinstance(value, Object):
        return {key: plain(part) for key, part in value}
    return [plain(part) for part in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", {}),
        (" { a : 1 , } ", {"a": 1}),
        ('{$a_1:\'x\',"b":"y",\'c\':"\'"}', {"$a_1": "x", "b": "y", "c": "'"}),
        ("[1,'2',[],{},]", [1, "2", [], {}]),
        ("[+1,-1,.5,5.,-.5e1,1E+2,0x1F,-0X1f,0]", [1, -1, 0.5, 5.0, -5.0, 100.0, 31, -31, 0]),
        ("[Infinity,-Infinity,true,false,null]", [math.inf, -math.inf, True, False, None]),
        ("/* c */{// d\na:/**/1}//e", {"a": 1}),
        (r"'\'\"\\\n\x41B\0\q'", "'\"\\\nAB\0q"),
        ("'a\\\nb'", "ab"),
        ("'\u00b5'", "\u00b5"),
    ],
)
def test_values(text, expected):
    """What JSON5 has beyond JSON."""
    assert plain(parse(text)) == expected


def test_not_a_number():
    """NaN is a number of JSON5."""
    assert math.isnan(parse("NaN"))


def test_order_and_repetition():
    """Keys keep their order, and one may be there twice."""
    assert parse("{b:1,a:2,b:3}") == [("b", 1), ("a", 2), ("b", 3)]


@pytest.mark.parametrize(
    "text",
    ["", "{", "{a}", "{a:}", "{a:1 b:2}", "{,}", "{a:1,,}", "[,]", "[1 2]", "{1:2}", "01", "1e",
     "0x", "--1", "1x", "'", "'\n'", r"'\x4'", r"'\1'", "\"a'", "{a:b}", "nul", "{}x", "{}{}",
     "/*", "[" * 40 + "]" * 40, "{a:" * 5000],
)  # fmt: skip
def test_what_is_not_json5(text):
    """It is a ValueError, whatever its depth."""
    with pytest.raises(ValueError, match=r"at \d+ |ends where|nested"):
        parse(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_json_is_json5(value):
    """Every JSON text means the same."""
    text = json.dumps(value)
    assert repr(plain(parse(text))) == repr(json.loads(text))


@given(st.text(max_size=60))
def test_any_text(text):
    """Nothing but ValueError is raised."""
    with contextlib.suppress(ValueError):
        parse("{" + text)
