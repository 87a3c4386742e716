"""What groups, properties and channels say of themselves, and the names of modules."""

import enum
import importlib

import pytest
from test_servers import LIBRARIES

from cachannel.server import PVGroup, PvpropertyDouble, SubGroup, get_pv_pair_wrapper, pvproperty


class Two(enum.IntEnum):
    off = 0
    on = 1


class Inner(PVGroup):
    y = pvproperty(value=2)


class Simple(PVGroup):
    gain = pvproperty(value=2.0, name="Gain", read_only=True)
    profile = pvproperty(value=[0.0], max_length=1000)
    text = pvproperty(value="a text of some length, which is cut in repr", max_length=100)
    state = pvproperty(value=Two.on)
    level = pvproperty(value=1.0, record="ai")
    inner = SubGroup(Inner, prefix="in:")
    pair = get_pv_pair_wrapper()(value=1)


def test_groups():
    """Class, prefix, number of PVs."""
    assert repr(Simple(prefix="s:")) == "<Simple 's:', 8 PVs>"
    assert repr(Simple(prefix="s:").inner) == "<Inner 's:in:', 1 PV>"


def test_properties():
    """Class and attribute, type, value, and what else makes the PV."""
    assert [repr(getattr(Simple, attr)) for attr in ("gain", "profile", "text", "state")] == [
        "<pvproperty Simple.gain, name 'Gain', float, 2.0, read only>",
        "<pvproperty Simple.profile, float, 1 of 1000 elements>",
        "<pvproperty Simple.text, str, 'a text of some length, which is cut ...>",
        "<pvproperty Simple.state, Two, <Two.on: 1>>",
    ]
    assert repr(Simple.level) == "<pvproperty Simple.level, float, 1.0, record 'ai'>"
    assert repr(pvproperty()) == "<pvproperty int>"
    assert repr(Simple.inner) == "<SubGroup Simple.inner, Inner, prefix 'in:'>"
    assert repr(Simple.pair) == "<SubGroup Simple.pair, setpoint, readback>"
    assert repr(SubGroup({"a": {}, "b": {}})) == "<SubGroup a, b>"
    assert repr(SubGroup(prefix="x")) == "<SubGroup no group yet, prefix 'x'>"


def test_channels():
    """Class, PV name, value or number of elements."""
    group = Simple(prefix="s:")
    assert [repr(channel) for channel in list(group.pvdb.values())[:6]] == [
        "<PvpropertyDoubleRO 's:Gain', 2.0>",
        "<PvpropertyDouble 's:profile', 1 of 1000 elements>",
        "<PvpropertyChar 's:text', 'a text of some length, which is cut ...>",
        "<PvpropertyEnum 's:state', 'on'>",
        "<PvpropertyDouble 's:level', 1.0, record 'ai'>",
        "<PvpropertyInteger 's:in:y', 2>",
    ]
    assert repr(group.level.get_field("EGU")) == "<PvpropertyChar 's:level.EGU', ''>"


def test_channels_that_are_not_ready():
    """A channel says what it can while its constructor runs, and when its value fails."""

    class Failing(PvpropertyDouble):
        @property
        def value(self):
            raise RuntimeError("no value")

    assert repr(PvpropertyDouble.__new__(PvpropertyDouble)).startswith("<PvpropertyDouble ''")
    assert repr(Failing(value=1.0, pvname="f")) == "<Failing 'f'>"


@pytest.mark.parametrize("library", LIBRARIES)
def test_names_of_server_modules(library):
    """Programs import these from the module of their library."""
    module = importlib.import_module(f"cachannel.{library}.server")
    names = {"AsyncLibraryLayer", "Context", "DisconnectedCircuit", "Event", "LoopExit",
             "ServerExit", "VirtualCircuit", "run", "start_server",
             f"{library.capitalize()}AsyncLayer"}  # fmt: skip
    if library == "asyncio":
        names |= {"AsyncioEvent", "AsyncioQueue"}
    assert names <= set(module.__all__)
    assert all(hasattr(module, name) for name in module.__all__)


def test_hook_types():
    """They are generic in the channel's class, whose variable programs import too."""
    from cachannel.server import typing

    assert typing.T_contra.__contravariant__
    assert typing.Putter[PvpropertyDouble].__origin__ is typing.Putter
    assert set(typing.__all__) <= set(dir(typing))
