"""The table of DBR layouts against the C compiler, libca's own tables and NumPy."""

import ctypes
import struct
import subprocess
import sysconfig

import numpy as np
import pytest
from epicscorelibs import path as epics_path

from cachannel.protocol import dbr
from cachannel.protocol.enums import DBR

STRUCTS = {7 * group + number: f"dbr_{prefix}_{base}"
           for group, prefix in ((1, "sts"), (2, "time"), (3, "gr"), (4, "ctrl"))
           for number, base in enumerate(
               ("string", "short", "float", "enum", "char", "long", "double"))
           # db_access.h has no structure for these two: they are the STS one.
           if (group, number) not in ((3, 0), (4, 0))}  # fmt: skip
STRUCTS |= {21: "dbr_sts_string", 28: "dbr_sts_string", 37: "dbr_stsack_string"}

C_NAMES = {"secs": "stamp.secPastEpoch", "nsec": "stamp.nsec"}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """Sizes and offsets as the C compiler sees them: {(type, field or 'sizeof'): number}."""
    lines = []
    for number, name in STRUCTS.items():
        c = f"struct {name}"
        lines.append(f'printf("{number} sizeof %zu\\n", sizeof({c}));')
        for field in [f.name for f in dbr.LAYOUTS[number].fields] + ["value"]:
            member = C_NAMES.get(field, field)
            lines.append(f'printf("{number} {field} %zu\\n", offsetof({c}, {member}));')
    for number, name in enumerate(("string", "short", "float", "enum", "char", "long", "double")):
        lines.append(f'printf("{number} sizeof %zu\\n", sizeof(dbr_{name}_t));')
    lines.append('printf("35 sizeof %zu\\n36 sizeof %zu\\n", sizeof(dbr_put_ackt_t),')
    lines.append("       sizeof(dbr_put_acks_t));")
    lines.append('printf("38 sizeof %zu\\n", sizeof(dbr_class_name_t));')
    folder = tmp_path_factory.mktemp("dbr")
    source = folder / "layouts.c"
    source.write_text(
        "#include <stdio.h>\n#include <stddef.h>\n#include <epicsTypes.h>\n"
        "#include <db_access.h>\n"
        "int main(void) {\n" + "\n".join(lines) + "\nreturn 0;\n}\n"
    )
    include = epics_path.include_path
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    system = {"linux": "Linux", "darwin": "Darwin"}[sysconfig.get_platform().split("-")[0]
                                                    .replace("macosx", "darwin")]  # fmt: skip
    command = [compiler, str(source), "-o", str(folder / "layouts"), f"-I{include}"]
    command += [f"-I{include}/os/{system}", f"-I{include}/compiler/gcc"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    output = subprocess.run([folder / "layouts"], capture_output=True, text=True, check=True)
    rows = [line.split() for line in output.stdout.splitlines()]
    return {(int(number), field): int(value) for number, field, value in rows}


@pytest.mark.parametrize("layout", dbr.LAYOUTS, ids=lambda layout: layout.name)
def test_layout_is_the_compilers(layout, compiled):
    """Size, value offset and every field offset equal those of db_access.h."""
    expected = {key[1]: value for key, value in compiled.items() if key[0] == layout.dbr_type}
    assert layout.size == expected.pop("sizeof")
    if layout.dbr_type in STRUCTS:
        assert layout.value_offset == expected.pop("value")
    assert {field.name: field.offset for field in layout.fields} == expected


@pytest.mark.parametrize("layout", dbr.LAYOUTS, ids=lambda layout: layout.name)
def test_layout_is_consistent(layout):
    """Name, both structs, field codes and dtypes of one entry fit together."""
    assert layout.name == f"DBR_{DBR(layout.dbr_type).name}"
    assert layout.native.size == layout.wire.size == layout.value_offset
    fields = layout.fields
    values = [b"\1" * int(f.code[:-1]) if f.code.endswith("s") else 3 for f in fields]
    for packer, order in ((layout.native, "="), (layout.wire, ">")):
        packed = packer.pack(*values)
        for field, value in zip(fields, values, strict=True):
            found = struct.unpack_from(order + field.code, packed, field.offset)
            assert found == (value,)
    for text in (layout.dtype, layout.wire_dtype):
        assert np.dtype(text).itemsize == layout.element_size
    assert dbr.numpy_dtype(layout.dbr_type) == np.dtype(layout.dtype)
    assert dbr.numpy_dtype(layout.dbr_type, wire=True) == np.dtype(layout.wire_dtype)
    assert dbr.numpy_dtype(layout.dbr_type).isnative


def test_tables_of_libca():
    """dbr_size and dbr_value_offset equal the tables that libca exports."""
    from epicscorelibs.path import get_lib

    libca = ctypes.CDLL(get_lib("ca"))
    table = ctypes.c_ushort * 39
    sizes = list(table.in_dll(libca, "dbr_size"))
    offsets = list(table.in_dll(libca, "dbr_value_offset"))
    element_sizes = list(table.in_dll(libca, "dbr_value_size"))
    assert [dbr.dbr_size(t) for t in range(39)] == sizes
    assert [dbr.dbr_value_offset(t) for t in range(39)] == offsets
    assert [dbr.LAYOUTS[t].element_size for t in range(39)] == element_sizes


def test_size_of_several_elements():
    """dbr_size_n follows the macro of db_access.h, zero and negative counts included."""
    assert dbr.dbr_size_n(DBR.DOUBLE, 1000) == 8000
    assert dbr.dbr_size_n(DBR.TIME_DOUBLE, 10) == 16 + 80
    assert dbr.dbr_size_n(DBR.TIME_SHORT, 1) == dbr.dbr_size(DBR.TIME_SHORT) == 16
    assert dbr.dbr_size_n(DBR.TIME_DOUBLE, 0) == 16
    assert dbr.dbr_size_n(DBR.TIME_DOUBLE, -1) == 24


@pytest.mark.parametrize("number", [-1, 39, 70000])
def test_unknown_types(number):
    """A number that is no request type is refused with a ValueError that names it."""
    assert not dbr.is_valid(number)
    functions = (dbr.dbr_size, dbr.dbr_value_offset, dbr.base_type, dbr.numpy_dtype)
    for function in functions:
        with pytest.raises(ValueError, match=str(number)):
            function(number)


def test_groups():
    """The five groups are the five runs of seven numbers."""
    predicates = (dbr.is_plain, dbr.is_status, dbr.is_time, dbr.is_graphic, dbr.is_control)
    for group, predicate in enumerate(predicates):
        assert [t for t in range(-7, 50) if predicate(t)] == list(range(7 * group, 7 * group + 7))
    assert [dbr.base_type(t) for t in range(35)] == [t % 7 for t in range(35)]
