"""IOCs in Python: classes whose attributes are PVs, served over Channel Access::

    class Simple(PVGroup):
        x = pvproperty(value=0.0, doc="a number")

    ioc_options, run_options = ioc_arg_parser(default_prefix="simple:", desc="A simple IOC")
    run(Simple(**ioc_options).pvdb, **run_options)

Nothing here needs libca. A group makes a dictionary of PV name to channel (`PVGroup.pvdb`), which
any mapping can replace; `run` serves it on asyncio, trio or curio.
"""

import importlib
import sys
from typing import Any

from . import server
from .server import (
    AsyncLibraryLayer,
    NestedPvproperty,
    PVGroup,
    PvpropertyBoolEnum,
    PvpropertyBoolEnumRO,
    PvpropertyByte,
    PvpropertyByteRO,
    PvpropertyChar,
    PvpropertyCharRO,
    PvpropertyData,
    PvpropertyDouble,
    PvpropertyDoubleRO,
    PvpropertyEnum,
    PvpropertyEnumRO,
    PvpropertyFloat,
    PvpropertyFloatRO,
    PvpropertyInteger,
    PvpropertyIntegerRO,
    PvpropertyReadOnlyData,
    PvpropertyShort,
    PvpropertyShortRO,
    PvpropertyString,
    PvpropertyStringRO,
    PVSpec,
    SubGroup,
    channeldata_from_pvspec,
    data_class_from_pvspec,
    expand_macros,
    get_pv_pair_wrapper,
    ioc_arg_parser,
    pvfunction,
    pvproperty,
    run,
    scan_wrapper,
    template_arg_parser,
)

__all__ = [
    "AsyncLibraryLayer",
    "NestedPvproperty",
    "PVGroup",
    "PVSpec",
    "PvpropertyBoolEnum",
    "PvpropertyBoolEnumRO",
    "PvpropertyByte",
    "PvpropertyByteRO",
    "PvpropertyChar",
    "PvpropertyCharRO",
    "PvpropertyData",
    "PvpropertyDouble",
    "PvpropertyDoubleRO",
    "PvpropertyEnum",
    "PvpropertyEnumRO",
    "PvpropertyFloat",
    "PvpropertyFloatRO",
    "PvpropertyInteger",
    "PvpropertyIntegerRO",
    "PvpropertyReadOnlyData",
    "PvpropertyShort",
    "PvpropertyShortRO",
    "PvpropertyString",
    "PvpropertyStringRO",
    "SubGroup",
    "channeldata_from_pvspec",
    "data_class_from_pvspec",
    "expand_macros",
    "get_pv_pair_wrapper",
    "ioc_arg_parser",
    "menus",
    "pvfunction",
    "pvproperty",
    "records",
    "run",
    "scan_wrapper",
    "server",
    "template_arg_parser",
]

_SUBMODULES = ("menus", "records", "typing")


def __getattr__(name: str) -> Any:
    # Records and their menus take as long to import as all the rest, and not every IOC
    # has any.
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message, name=name, obj=sys.modules[__name__])


def __dir__() -> list[str]:
    dunders = (name for name in globals() if name.startswith("__") and name.endswith("__"))
    return sorted({*__all__, *_SUBMODULES, *dunders})
