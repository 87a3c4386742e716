"""The programming model of IOCs under one name: groups, properties, and how to run them."""

from .arguments import ioc_arg_parser, run, template_arg_parser
from .field_spec import FieldProxy, FieldSpec, get_record_class
from .functions import get_pv_pair_wrapper, pvfunction
from .group import NestedPvproperty, PVGroup, PVGroupMeta, SubGroup
from .hooks import check_signature, scan_wrapper
from .layer import AsyncLibraryLayer
from .names import expand_macros
from .pvproperty_data import (
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
    pvspec_type_map,
    pvspec_type_map_read_only,
)
from .pvspec import (
    PVSpec,
    channeldata_from_pvspec,
    data_class_from_pvspec,
    pvproperty,
)

__all__ = [
    "AsyncLibraryLayer",
    "FieldProxy",
    "FieldSpec",
    "NestedPvproperty",
    "PVGroup",
    "PVGroupMeta",
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
    "check_signature",
    "data_class_from_pvspec",
    "expand_macros",
    "get_pv_pair_wrapper",
    "get_record_class",
    "ioc_arg_parser",
    "pvfunction",
    "pvproperty",
    "pvspec_type_map",
    "pvspec_type_map_read_only",
    "run",
    "scan_wrapper",
    "template_arg_parser",
]
