"""The layouts of all DBR types, once, for both byte orders.

A value of Channel Access is a metadata structure followed by its elements. The C structures of
EPICS base's ``db_access.h`` (what libca hands over, in host order) and the payloads on the wire
(big-endian) are laid out alike, so the table `LAYOUTS` serves both: entry ``t`` describes request
type ``t``, from DBR_STRING (0) to DBR_CLASS_NAME (38).

A metadata structure never contains the value. ``layout.native.unpack_from(buffer)`` gives the
metadata fields in the order of ``layout.fields`` and the elements start at
``layout.value_offset``. The numbers are compared with the C compiler's in the tests.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "ELEMENT_SIZES",
    "LAST_DBR_TYPE",
    "LAYOUTS",
    "MAX_ENUM_STATES",
    "MAX_ENUM_STRING_SIZE",
    "MAX_STRING_SIZE",
    "MAX_UNITS_SIZE",
    "DbrLayout",
    "Field",
    "base_type",
    "dbr_size",
    "dbr_size_n",
    "dbr_value_offset",
    "is_control",
    "is_graphic",
    "is_plain",
    "is_status",
    "is_time",
    "is_valid",
    "numpy_dtype",
]

MAX_STRING_SIZE: Final = 40
"""Bytes of a DBR_STRING element, its final NUL included."""
MAX_UNITS_SIZE: Final = 8
"""Bytes of the units field, its final NUL included."""
MAX_ENUM_STRING_SIZE: Final = 26
"""Bytes of one state name, its final NUL included."""
MAX_ENUM_STATES: Final = 16
"""Number of state names in GR_ENUM and CTRL_ENUM."""

LAST_DBR_TYPE: Final = 38
"""The highest request type there is (DBR_CLASS_NAME, ``LAST_BUFFER_TYPE``)."""


class Field(NamedTuple):
    """One member of a metadata structure.

    Attributes:
        name: the member's name in db_access.h; ``secs`` and ``nsec`` for the two halves of
            ``stamp`` (seconds since 1990-01-01 UTC, nanoseconds).
        code: its `struct` code; ``416s`` holds 16 names of 26 bytes.
        offset: bytes from the start of the structure.
    """

    name: str
    code: str
    offset: int


class DbrLayout(NamedTuple):
    """What one request type looks like in memory and on the wire.

    Attributes:
        dbr_type: the request type, 0 to 38.
        base_type: the type of the elements, 0 (STRING) to 6 (DOUBLE).
        name: the name of the C structure's type, such as ``'DBR_TIME_DOUBLE'``.
        fields: the metadata members in order; padding is not listed. Empty for plain types.
        native: `struct.Struct` of the metadata in host byte order, ``value_offset`` bytes long.
        wire: the same, big-endian.
        value_offset: bytes before the first element.
        element_size: bytes of one element.
        size: bytes of the structure with one element, as ``sizeof`` has it: trailing padding of
            the compiler is included, so it may exceed ``value_offset + element_size``.
        dtype: NumPy dtype text of the elements in host order.
        wire_dtype: the same, big-endian.
    """

    dbr_type: int
    base_type: int
    name: str
    fields: tuple[Field, ...]
    native: Struct
    wire: Struct
    value_offset: int
    element_size: int
    size: int
    dtype: str
    wire_dtype: str


class _Base(NamedTuple):
    name: str
    code: str  # struct code of a limit of this type
    size: int
    dtype: str
    # Padding that db_access.h puts before the value in the STS, TIME, GR and CTRL structures.
    sts_pad: int
    time_pad: int
    limits_pad: int


_BASES: Final = (
    _Base("STRING", "", MAX_STRING_SIZE, "S40", 0, 0, 0),
    _Base("SHORT", "h", 2, "i2", 0, 2, 0),
    _Base("FLOAT", "f", 4, "f4", 0, 0, 0),
    _Base("ENUM", "H", 2, "u2", 0, 2, 0),
    # Channel Access calls CHAR unsigned (epicsUInt8 dbr_char_t).
    _Base("CHAR", "B", 1, "u1", 1, 3, 1),
    _Base("LONG", "i", 4, "i4", 0, 0, 0),
    _Base("DOUBLE", "d", 8, "f8", 4, 4, 0),
)

ELEMENT_SIZES: Final = tuple(base.size for base in _BASES)
"""Bytes of one element, by base type."""

_STATUS: Final = (("status", "h"), ("severity", "h"))
_STAMP: Final = (("secs", "I"), ("nsec", "I"))
_DISPLAY_LIMITS: Final = (
    "upper_disp_limit",
    "lower_disp_limit",
    "upper_alarm_limit",
    "upper_warning_limit",
    "lower_warning_limit",
    "lower_alarm_limit",
)
_CONTROL_LIMITS: Final = ("upper_ctrl_limit", "lower_ctrl_limit")
_ENUM_STATES: Final = (("no_str", "h"), ("strs", f"{MAX_ENUM_STATES * MAX_ENUM_STRING_SIZE}s"))

_PAD: Final = ""  # the name of a member that is padding


def _members(group: int, base: _Base) -> list[tuple[str, str]]:
    """List (name, code) of the metadata of a type of the groups plain, STS, TIME, GR, CTRL."""
    if group == 0:
        return []
    members: list[tuple[str, str]] = list(_STATUS)
    if group == 1 or (group >= 3 and base.name == "STRING"):
        # GR_STRING and CTRL_STRING have nothing to show but the alarm.
        return [*members, (_PAD, f"{base.sts_pad}x")]
    if group == 2:
        return [*members, *_STAMP, (_PAD, f"{base.time_pad}x")]
    if base.name == "ENUM":
        return [*members, *_ENUM_STATES]
    if base.name in ("FLOAT", "DOUBLE"):
        members += [("precision", "h"), (_PAD, "2x")]
    members.append(("units", f"{MAX_UNITS_SIZE}s"))
    limits = _DISPLAY_LIMITS if group == 3 else _DISPLAY_LIMITS + _CONTROL_LIMITS
    members += [(name, base.code) for name in limits]
    return [*members, (_PAD, f"{base.limits_pad}x")]


def _layout(
    dbr_type: int, name: str, base_type: int, members: list[tuple[str, str]], dtype: str
) -> DbrLayout:
    fields: list[Field] = []
    offset = 0
    alignment = 1
    for member, code in members:
        size = Struct("=" + code).size
        if member != _PAD:
            fields.append(Field(member, code, offset))
            alignment = max(alignment, 1 if code.endswith("s") else size)
        offset += size
    codes = "".join(code for _, code in members)
    text = dtype.startswith("S")
    element_size = int(dtype[1:])
    alignment = max(alignment, 1 if text else element_size)
    end = offset + element_size
    return DbrLayout(
        dbr_type=dbr_type,
        base_type=base_type,
        name=name,
        fields=tuple(fields),
        native=Struct("=" + codes),
        wire=Struct(">" + codes),
        value_offset=offset,
        element_size=element_size,
        size=end + -end % alignment,
        dtype=dtype if text or element_size == 1 else "=" + dtype,
        wire_dtype=dtype if text or element_size == 1 else ">" + dtype,
    )


def _build() -> tuple[DbrLayout, ...]:
    layouts = [
        _layout(7 * group + number, f"DBR_{prefix}{base.name}", number, members, base.dtype)
        for group, prefix in enumerate(("", "STS_", "TIME_", "GR_", "CTRL_"))
        for number, base in enumerate(_BASES)
        for members in (_members(group, base),)
    ]
    acknowledge = [("status", "H"), ("severity", "H"), ("ackt", "H"), ("acks", "H")]
    layouts.append(_layout(35, "DBR_PUT_ACKT", 3, [], "u2"))
    layouts.append(_layout(36, "DBR_PUT_ACKS", 3, [], "u2"))
    layouts.append(_layout(37, "DBR_STSACK_STRING", 0, acknowledge, "S40"))
    layouts.append(_layout(38, "DBR_CLASS_NAME", 0, [], "S40"))
    return tuple(layouts)


LAYOUTS: Final[tuple[DbrLayout, ...]] = _build()
"""The layout of each request type, indexed by its number."""


def is_valid(dbr_type: int) -> bool:
    """Tell whether a number is a request type, 0 to 38."""
    return 0 <= dbr_type <= LAST_DBR_TYPE


def is_plain(dbr_type: int) -> bool:
    """Tell whether a request type is a value without metadata (0 to 6)."""
    return 0 <= dbr_type <= 6


def is_status(dbr_type: int) -> bool:
    """Tell whether a request type is of the STS group (7 to 13)."""
    return 7 <= dbr_type <= 13


def is_time(dbr_type: int) -> bool:
    """Tell whether a request type is of the TIME group (14 to 20)."""
    return 14 <= dbr_type <= 20


def is_graphic(dbr_type: int) -> bool:
    """Tell whether a request type is of the GR group (21 to 27)."""
    return 21 <= dbr_type <= 27


def is_control(dbr_type: int) -> bool:
    """Tell whether a request type is of the CTRL group (28 to 34)."""
    return 28 <= dbr_type <= 34


def _layout_of(dbr_type: int) -> DbrLayout:
    # A negative number must not index from the end.
    if not 0 <= dbr_type <= LAST_DBR_TYPE:
        raise ValueError(f"{dbr_type} is not a DBR type; DBR types are 0 to {LAST_DBR_TYPE}")
    return LAYOUTS[dbr_type]


def base_type(dbr_type: int) -> int:
    """Return the type of the elements, 0 (STRING) to 6 (DOUBLE).

    Raises:
        ValueError: `dbr_type` is not a request type.
    """
    return _layout_of(dbr_type).base_type


def dbr_size(dbr_type: int) -> int:
    """Return the bytes of a structure with one element, as C's ``sizeof`` has it.

    Raises:
        ValueError: `dbr_type` is not a request type.

    Source:
        db_access.h, ``dbr_size[]``.
    """
    return _layout_of(dbr_type).size


def dbr_size_n(dbr_type: int, count: int) -> int:
    """Return the bytes that a value of `count` elements takes in memory.

    A negative count gives the size with one element, as the C macro does.

    Raises:
        ValueError: `dbr_type` is not a request type.

    Source:
        db_access.h, ``dbr_size_n(TYPE, COUNT)``.
    """
    layout = _layout_of(dbr_type)
    return layout.size + (count - 1) * layout.element_size if count >= 0 else layout.size


def dbr_value_offset(dbr_type: int) -> int:
    """Return the bytes before the first element.

    Raises:
        ValueError: `dbr_type` is not a request type.

    Source:
        db_access.h, ``dbr_value_offset[]``.
    """
    return _layout_of(dbr_type).value_offset


_dtypes: dict[tuple[int, bool], np.dtype[Any]] = {}


def numpy_dtype(dbr_type: int, *, wire: bool = False) -> np.dtype[Any]:
    """Return the NumPy dtype of the elements; imports NumPy on the first call.

    Args:
        dbr_type: the request type.
        wire: big-endian instead of host order.

    Raises:
        ValueError: `dbr_type` is not a request type.
        ImportError: NumPy is not installed.
    """
    try:
        return _dtypes[dbr_type, wire]
    except KeyError:
        import numpy as np

        layout = _layout_of(dbr_type)
        dtype: np.dtype[Any] = np.dtype(layout.wire_dtype if wire else layout.dtype)
        return _dtypes.setdefault((dbr_type, wire), dtype)
