"""PV names: macros, braces that are part of a name, prefixes of groups in groups."""

import pytest
from bench_circuit import Bench

from cachannel.protocol.filters import parse_record_field
from cachannel.server import PVGroup, SubGroup, expand_macros, get_pv_pair_wrapper, pvproperty


@pytest.mark.parametrize(
    ("text", "macros", "expected"),
    [
        ("LAB:12-OP{Shut:2}", {}, "LAB:12-OP{Shut:2}"),
        ("LAB:12{Diag}", {}, "LAB:12{Diag}"),
        ("LAB:{{Shut:2}}", {}, "LAB:{Shut:2}"),
        ("{", {}, "{"),
        ("}x{", {}, "}x{"),
        ("{A{B}}", {}, "{A{B}}"),
        ("{A{B}C}", {}, "{A{B}C}"),
        ("{}", {"a": "1"}, "{}"),
        ("{a}{{b}}", {"a": "1"}, "1{b}"),
        ("{{{a}}}", {"a": "1"}, "{1}"),
        ("{a}{a}", {"a": "{b}", "b": "no"}, "{b}{b}"),
        ("{line}{Shut:2}", {"line": "12"}, "12{Shut:2}"),
        ("{beam-line}{Slit:1-Top}", {"beam-line": "7"}, "7{Slit:1-Top}"),
        ("{n:02d}{n!r}{s[0]}", {"n": 3, "s": "xy"}, "033x"),
    ],
)
def test_macros_and_braces(text, macros, expected):
    """A brace that names no macro is part of the name; a doubled one stands for one."""
    assert expand_macros(text, macros) == expected


def test_a_missing_macro():
    """A name that is not among the macros that are given is an error, and is named."""
    with pytest.raises(KeyError, match="line"):
        expand_macros("{other}{line}", {"other": "1"})


class Inner(PVGroup):
    y = pvproperty(value=2.0, name="{{y}}{Cur}")


class Middle(PVGroup):
    inner = SubGroup(Inner, prefix="{Slit:1-Top}")
    plain = SubGroup(Inner)


class Outer(PVGroup):
    x = pvproperty(value=1.0, name="{Foil:4}Current-I")
    middle = SubGroup(Middle, prefix="{{Mid}}")


def test_braces_in_groups_in_groups():
    """Prefixes of all levels keep their braces, and each is expanded once."""
    assert list(Outer(prefix="LAB{Op}{{z}}:").pvdb) == [
        "LAB{Op}{z}:{Foil:4}Current-I",
        "LAB{Op}{z}:{Mid}{Slit:1-Top}{y}{Cur}",
        "LAB{Op}{z}:{Mid}plain:{y}{Cur}",
    ]


def test_macros_in_groups_in_groups():
    """A prefix of any level has the macros of its level; those of a deeper one do not reach up."""

    class Leaf(PVGroup):
        v = pvproperty(value=1, name="{axis}{line}v")

    class Stage(PVGroup):
        one = SubGroup(Leaf, prefix="{axis}-{n}:", macros={"n": "1"})
        two = SubGroup(Leaf, prefix="{axis}-{n}:", macros={"n": "2", "axis": "Y"})

    class Top(PVGroup):
        stage = SubGroup(Stage, prefix="{line}{Stage:1}:", macros={"axis": "X"})

    group = Top(prefix="{line}{Top:1}:", macros={"line": "L"})
    assert list(group.pvdb) == [
        "L{Top:1}:L{Stage:1}:X-1:XLv",
        "L{Top:1}:L{Stage:1}:Y-2:YLv",
    ]


def test_a_group_that_changes_its_prefix():
    """An __init__ sees the outer prefix as it is, and what it appends is expanded."""
    seen = []

    class Own(PVGroup):
        v = pvproperty(value=1)

        def __init__(self, prefix, **kwargs):
            seen.append(prefix)
            super().__init__(prefix + "{m}{Own:1}:", **kwargs)

    class Top(PVGroup):
        own = SubGroup(Own, prefix="{m}-")

    group = Top(prefix="{{m}}{Top:1}:", macros={"m": "M"})
    assert list(group.pvdb) == ["{m}{Top:1}:M-M{Own:1}:v"]
    assert seen == ["{m}{Top:1}:{m}-"]


def test_braces_of_a_pair():
    """The factory of setpoint and readback pairs takes such names too."""
    pair = get_pv_pair_wrapper(setpoint_suffix="{SP}", readback_suffix="{RB}")
    group = type("G", (PVGroup,), {"p": pair(name="{Gap:1}", value=1.0)})("U{x}:")
    assert list(group.pvdb) == ["U{x}:{Gap:1}{SP}", "U{x}:{Gap:1}{RB}"]


def test_names_with_braces_are_found():
    """A brace in a name is not a filter; a filter behind such a name is."""
    bench = Bench(Outer(prefix="LAB{Op}:").pvdb)
    name = "LAB{Op}:{Foil:4}Current-I"
    for found in (name, f"{name}.VAL", f'{name}.{{"dbnd":{{"abs":1}}}}', f"{name}.[0]"):
        assert bench.core.exists(found), found
    assert not bench.core.exists("LAB{Op}:{Foil:5}Current-I")


@pytest.mark.parametrize("name", ["x.$", "x.VAL$", "x.$[0:1]", 'x.${"ts":{}}'])
def test_long_text_names(name):
    """`$` behind the dot, with or without a field or filter, asks for the text as characters."""
    parts = parse_record_field(name)
    assert parts.record == "x"
    assert parts.modifiers.modifiers.long_string
    bench = Bench(type("G", (PVGroup,), {"x": pvproperty(value="text", max_length=60)})("").pvdb)
    assert bench.core.exists(name)
