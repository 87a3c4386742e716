"""PV names with fields and modifiers: ``record.FIELD$`` and ``record.FIELD{"arr":{"s":1}}``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from enum import Flag
from typing import Any, Final, NamedTuple

from .errors import FilterValidationError
from .json5 import Object, parse

__all__ = [
    "ArrayFilter",
    "ChannelFilter",
    "DeadbandFilter",
    "DecimateFilter",
    "Filter",
    "RecordAndField",
    "RecordModifier",
    "RecordModifiers",
    "SyncFilter",
    "TimestampFilter",
    "parse_channel_filter",
    "parse_filters",
    "parse_record_field",
    "split_candidates",
]


class RecordModifiers(Flag):
    """What a name asks for beyond its field."""

    long_string = 1
    filtered = 2
    filter_timestamp = 4
    filter_deadband = 8
    filter_array = 16
    filter_synchronize = 32


class ArrayFilter(NamedTuple):
    """Part of an array: start, increment, end (inclusive); None is the default of each."""

    s: int | None = 0
    i: int | None = 1
    e: int | None = -1

    def as_slice(self, length: int) -> slice:
        """Return the slice that it selects from an array of `length` elements."""
        start = self.s or 0
        end = -1 if self.e is None else self.e
        if start < 0:
            start = max(start + length, 0)
        if end < 0:
            end += length
        return slice(start, max(end + 1, 0), self.i or 1)


class DeadbandFilter(NamedTuple):
    """Updates only if the value moved by more than `d`; `m` is 'abs', or 'rel' in percent."""

    m: str
    d: float

    def passes(self, last: float, value: float) -> bool:
        """Tell whether `value` is far enough from the last one sent."""
        difference = abs(value - last)
        if difference != difference:  # a NaN on one side, or two infinities that differ by NaN
            return not (last != last and value != value)
        limit = self.d if self.m == "abs" else abs(last) * self.d / 100.0
        return difference > limit


class SyncFilter(NamedTuple):
    """Updates in relation to a state of the server: mode `m`, state name `s`."""

    m: str
    s: str


class DecimateFilter(NamedTuple):
    """One update of every `n`."""

    n: int


class TimestampFilter(NamedTuple):
    """Every update has the time at which it is sent."""


Filter = ArrayFilter | DeadbandFilter | SyncFilter | DecimateFilter | TimestampFilter


class ChannelFilter(NamedTuple):
    """The filters of one channel by kind; None (or False) where there is none of a kind.

    The order in which they work is that of the name: see `parse_filters`.
    """

    ts: bool | None = None
    dbnd: DeadbandFilter | None = None
    arr: ArrayFilter | None = None
    sync: SyncFilter | None = None
    dec: DecimateFilter | None = None


class RecordModifier(NamedTuple):
    """The modifiers of a name: which kinds there are, and the text of the filter."""

    modifiers: RecordModifiers
    filter_: str | None = None


class RecordAndField(NamedTuple):
    """A PV name taken apart.

    Attributes:
        record_dot_field: the name without modifiers.
        record: what comes before the dot.
        field: what comes after it; None when there is nothing.
        modifiers: None when there are none.
    """

    record_dot_field: str
    record: str
    field: str | None
    modifiers: RecordModifier | None


_TAIL: Final = re.compile(r"([A-Za-z0-9_.]*)(\$?)(\{.*|\[.*)?", re.DOTALL)
_INDEX: Final = re.compile(r"[+-]?(?:0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)", re.ASCII)
_SYNC_MODES: Final = frozenset(("before", "first", "while", "last", "after", "unless"))


def _take_apart(record: str, tail: str) -> RecordAndField | None:
    match = _TAIL.fullmatch(tail)
    if match is None:
        return None
    field, dollar, text = match.groups()
    modifiers = RecordModifiers(0)
    if dollar:
        modifiers |= RecordModifiers.long_string
    if text:
        modifiers |= RecordModifiers.filtered
    return RecordAndField(
        f"{record}.{field}" if field else record,
        record,
        field or None,
        RecordModifier(modifiers, text) if modifiers else None,
    )


def parse_record_field(pvname: str) -> RecordAndField:
    """Take a PV name apart at its first dot.

    A name without a dot, or one whose tail is not a field, is a record as a whole.
    """
    record, dot, tail = pvname.partition(".")
    parts = _take_apart(record, tail) if dot else None
    return parts or RecordAndField(pvname, pvname, None, None)


def split_candidates(pvname: str) -> list[RecordAndField]:
    """List the ways to read a PV name as record and field, one per dot, shortest record first.

    Names of records may contain dots here (in EPICS base they may not), so which dot ends the
    record depends on which records there are.
    """
    found = []
    position = pvname.find(".")
    # No record name is anywhere near that long; a name made of dots costs nothing then.
    while 0 <= position < 512:
        parts = _take_apart(pvname[:position], pvname[position + 1 :])
        if parts is not None:
            found.append(parts)
        position = pvname.find(".", position + 1)
    return found


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise FilterValidationError(f"{where} is not a number: {value!r}")
    try:
        if isinstance(value, str) and value.strip().lower().startswith(("0x", "+0x")):
            number = float(int(value, 16))
        else:
            number = float(value)
    except (ValueError, OverflowError):
        raise FilterValidationError(f"{where} is not a number: {value!r}") from None
    if not number >= 0:
        raise FilterValidationError(f"{where} must not be negative: {value!r}")
    return number


def _integer(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > 0x7FFFFFFF:
        raise FilterValidationError(f"{where} is not an integer: {value!r}")
    return int(value)


def _pairs(value: Any, where: str, keys: Iterable[str]) -> Object:
    """Return the keys and values of an object, in order."""
    if not isinstance(value, Object):
        raise FilterValidationError(f"{where!r} takes an object, not {value!r}")
    unknown = {key for key, _ in value} - set(keys)
    if unknown:
        raise FilterValidationError(f"unknown keys in {where!r}: {sorted(unknown)}")
    return value


def _array(value: Any) -> ArrayFilter:
    given = _pairs(value, "arr", ("s", "i", "e"))
    parts = {key: _integer(part, f"arr {key!r}") for key, part in given}
    if parts.get("i", 1) < 1:
        raise FilterValidationError(f"the increment of 'arr' must be 1 or more: {parts['i']}")
    return ArrayFilter(**parts)


def _index(text: str) -> int | None:
    """Return a number of an array filter as C's strtol reads it; None for none."""
    if not text:
        return None
    if _INDEX.fullmatch(text) is None:
        raise ValueError(text)
    digits = text.lstrip("+-").lower()
    octal = len(digits) > 1 and digits[0] == "0" and digits[1] != "x"
    number = int(digits, 8 if octal else 0)
    return -number if text[0] == "-" else number


def _array_shorthand(text: str) -> ArrayFilter:
    parts = text[1:-1].split(":")
    if not text.endswith("]") or not 1 <= len(parts) <= 3:
        raise FilterValidationError(f"not an array filter: {text}")
    try:
        numbers = [_index(part) for part in parts]
    except ValueError:
        raise FilterValidationError(f"not an array filter: {text}") from None
    if len(numbers) == 1:
        if numbers[0] is None:
            raise FilterValidationError(f"not an array filter: {text}")
        return ArrayFilter(numbers[0], 1, numbers[0])
    start, end = numbers[0], numbers[-1]
    increment = numbers[1] if len(numbers) == 3 else 1
    if increment is not None and increment < 1:
        raise FilterValidationError(f"the increment of an array filter must be 1 or more: {text}")
    return ArrayFilter(start, increment, end)


def _deadband(value: Any) -> DeadbandFilter:
    given = _pairs(value, "dbnd", ("abs", "rel", "m", "d"))
    mode, distance = "abs", 0.0
    if len({key for key, _ in given} & {"abs", "rel", "d"}) > 1 or (
        "m" in dict(given) and not {key for key, _ in given} <= {"m", "d"}
    ):
        raise FilterValidationError("'dbnd' takes one of 'abs', 'rel', or 'm' and 'd'")
    for key, part in given:
        if key == "m":
            if part not in ("abs", "rel"):
                raise FilterValidationError(f"unknown mode of 'dbnd': {part!r}")
            mode = part
        else:
            distance = _number(part, f"dbnd {key!r}")
            if key != "d":
                mode = key
    return DeadbandFilter(mode, distance)


def _sync(mode: Any, state: Any) -> SyncFilter:
    if not isinstance(mode, str) or mode not in _SYNC_MODES:
        raise FilterValidationError(f"unknown mode of 'sync': {mode!r}")
    if not isinstance(state, str):
        raise FilterValidationError(f"the state of 'sync' must be text: {state!r}")
    return SyncFilter(mode, state)


def _sync_object(value: Any) -> SyncFilter:
    given = _pairs(value, "sync", ("m", "s", *_SYNC_MODES))
    mode = state = None
    for key, part in given:
        if key == "m":
            mode = part
        elif key == "s":
            state = part
        else:  # a short form of both
            mode, state = key, part
    return _sync(mode, state)


def _decimate(value: Any) -> DecimateFilter:
    count = _integer(dict(_pairs(value, "dec", ("n",))).get("n"), "dec 'n'")
    if count < 1:
        raise FilterValidationError(f"'dec' takes 1 or more, not {count}")
    return DecimateFilter(count)


def _timestamp(value: Any) -> TimestampFilter:
    _pairs(value, "ts", ())
    return TimestampFilter()


_KINDS: Final[dict[str, Callable[[Any], Filter]]] = {
    "ts": _timestamp,
    "dbnd": _deadband,
    "arr": _array,
    "sync": _sync_object,
    "dec": _decimate,
}


def parse_filters(text: str) -> tuple[Filter, ...]:
    """Read the filters at the end of a PV name, in the order in which they work.

    The text is ``[start:increment:end]``, a JSON5 object, or the first followed by the second. A
    kind of filter may be there more than once.

    Raises:
        FilterValidationError: the text is not a filter, or one that does not exist.

    Source:
        EPICS base, filters documentation and dbChannel.c; `{"while": "state"}` is a short form of
        sync.
    """
    found: list[Filter] = []
    if text.startswith("["):
        end = text.find("]") + 1 or len(text)
        found.append(_array_shorthand(text[:end]))
        text = text[end:]
        if not text:
            return tuple(found)
    try:
        given = parse(text)
    except ValueError as exc:
        raise FilterValidationError(f"not JSON5: {text} ({exc})") from None
    if not isinstance(given, Object):
        raise FilterValidationError(f"not a JSON5 object: {text}")
    for key, value in given:
        if key in _KINDS:
            found.append(_KINDS[key](value))
        elif key in _SYNC_MODES:
            if len(given) != 1:
                raise FilterValidationError(f"{key!r} must be the only key of the filter: {text}")
            found.append(_sync(key, value))
        else:
            raise FilterValidationError(f"unknown filter {key!r} in {text}")
    return tuple(found)


def parse_channel_filter(text: str) -> ChannelFilter:
    """Read the filters at the end of a PV name, by kind; of two of a kind the last.

    Raises:
        FilterValidationError: the text is not a filter, or one that does not exist.
    """
    found: dict[str, Any] = {"ts": False} if text.startswith("[") else {}
    for one in parse_filters(text):
        if isinstance(one, TimestampFilter):
            found["ts"] = True
        else:
            found[_FIELDS[type(one)]] = one
    return ChannelFilter(**found)


_FIELDS: Final[dict[type, str]] = {
    ArrayFilter: "arr",
    DeadbandFilter: "dbnd",
    SyncFilter: "sync",
    DecimateFilter: "dec",
}
