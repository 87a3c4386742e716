"""PV names with fields and modifiers: ``record.FIELD$`` and ``record.FIELD{"arr":{"s":1}}``."""

from __future__ import annotations

import re
from enum import Flag
from typing import Any, Final, NamedTuple

from .errors import FilterValidationError

__all__ = [
    "ArrayFilter",
    "ChannelFilter",
    "DeadbandFilter",
    "DecimateFilter",
    "RecordAndField",
    "RecordModifier",
    "RecordModifiers",
    "SyncFilter",
    "parse_channel_filter",
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


class ChannelFilter(NamedTuple):
    """The filters of one channel; None (or False) where there is none of a kind."""

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
        raise FilterValidationError(f"{where} is no number: {value!r}")
    try:
        number = float(value)
    except ValueError:
        raise FilterValidationError(f"{where} is no number: {value!r}") from None
    if not number >= 0:
        raise FilterValidationError(f"{where} must not be negative: {value!r}")
    return number


def _integer(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > 0x7FFFFFFF:
        raise FilterValidationError(f"{where} is no integer: {value!r}")
    return int(value)


def _mapping(value: Any, where: str, keys: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise FilterValidationError(f"{where!r} takes an object, not {value!r}")
    unknown = set(value) - keys
    if unknown:
        raise FilterValidationError(f"unknown keys in {where!r}: {sorted(unknown)}")
    return value


def _array(value: Any) -> ArrayFilter:
    given = _mapping(value, "arr", {"s", "i", "e"})
    parts = {key: _integer(part, f"arr {key!r}") for key, part in given.items()}
    if parts.get("i", 1) < 1:
        raise FilterValidationError(f"the increment of 'arr' must be 1 or more: {parts['i']}")
    return ArrayFilter(**parts)


def _array_shorthand(text: str) -> ArrayFilter:
    inner = text[1:-1]
    parts = inner.split(":")
    if not text.endswith("]") or not 1 <= len(parts) <= 3:
        raise FilterValidationError(f"not an array filter: {text}")
    try:
        numbers = [int(part) if part.strip() else None for part in parts]
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
    given = _mapping(value, "dbnd", {"abs", "rel", "m", "d"})
    keys = set(given)
    if keys in ({"abs"}, {"rel"}):
        mode = keys.pop()
        return DeadbandFilter(mode, _number(given[mode], f"dbnd {mode!r}"))
    if keys == {"m", "d"} and given["m"] in ("abs", "rel"):
        return DeadbandFilter(given["m"], _number(given["d"], "dbnd 'd'"))
    raise FilterValidationError(f"'dbnd' takes 'abs', 'rel', or 'm' and 'd', not {sorted(keys)}")


def _sync(mode: Any, state: Any) -> SyncFilter:
    if mode not in _SYNC_MODES:
        raise FilterValidationError(f"unknown mode of 'sync': {mode!r}")
    if not isinstance(state, str):
        raise FilterValidationError(f"the state of 'sync' must be text: {state!r}")
    return SyncFilter(mode, state)


def parse_channel_filter(text: str) -> ChannelFilter:
    """Read the filter at the end of a PV name: JSON, or ``[start:increment:end]``.

    Raises:
        FilterValidationError: the text is not a filter, or one that does not exist.

    Source:
        EPICS base, filters documentation; `{"while": "state"}` is a short form of sync.
    """
    if text.startswith("["):
        return ChannelFilter(ts=False, arr=_array_shorthand(text))
    import json  # few clients use filters, and an IOC's start should not take longer for them

    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        raise FilterValidationError(f"not JSON: {text}") from None
    if not isinstance(given, dict):
        raise FilterValidationError(f"not a JSON object: {text}")
    found: dict[str, Any] = {}
    for key, value in given.items():
        if key == "ts":
            _mapping(value, "ts", set())
            found["ts"] = True
        elif key == "dbnd":
            found["dbnd"] = _deadband(value)
        elif key == "arr":
            found["arr"] = _array(value)
        elif key == "sync":
            given_sync = _mapping(value, "sync", {"m", "s"})
            found["sync"] = _sync(given_sync.get("m"), given_sync.get("s"))
        elif key == "dec":
            count = _integer(_mapping(value, "dec", {"n"}).get("n"), "dec 'n'")
            if count < 1:
                raise FilterValidationError(f"'dec' takes 1 or more, not {count}")
            found["dec"] = DecimateFilter(count)
        elif key in _SYNC_MODES:
            if len(given) != 1:
                raise FilterValidationError(f"{key!r} must be the only key of the filter: {text}")
            found["sync"] = _sync(key, value)
        else:
            raise FilterValidationError(f"unknown filter {key!r} in {text}")
    return ChannelFilter(**found)
