"""Channels of text and of named states: CHAR text, STRING, ENUM, and long string views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from cachannel.protocol.channel_types import ChannelType, SubscriptionType
from cachannel.protocol.dbr import (
    MAX_ENUM_STATES,
    MAX_ENUM_STRING_SIZE,
    MAX_STRING_SIZE,
    DbrLayout,
)
from cachannel.protocol.errors import CaprotoConversionError, CaprotoValueError
from cachannel.protocol.text import cut, decode, encode, until_nul

from .data import ChannelData, standard
from .encoding import (
    Elements,
    Reply,
    is_array,
    number_in_text,
    numpy,
    pack_numbers,
    pack_scalar,
    pack_texts,
    reply,
    to_integer,
)
from .values import (
    NOT_GIVEN,
    bytes_of,
    encoded_text,
    is_masked,
    is_sequence,
    numbers_from_wire,
    shaped,
)

__all__ = ["ChannelChar", "ChannelEnum", "ChannelString", "LongStringView"]

_STRING: Final = int(ChannelType.STRING)
_CHAR: Final = int(ChannelType.CHAR)


def _numbers_of_texts(texts: Sequence[bytes], base: int) -> Elements:
    data = b"".join(pack_scalar(number_in_text(text, base), base) for text in texts)
    return Elements(len(texts), data)


def _take_encoding(channel: ChannelData, arguments: dict[str, Any]) -> None:
    """Let a channel know its encoding before the common arguments are looked at."""
    if arguments.get("string_encoding") is not None:
        channel._encoding = arguments["string_encoding"]


def _characters(base: int, data: Any, where: str) -> bytes:
    """Return put elements as bytes of a text: STRING elements joined, or characters by number.

    Raises:
        CaprotoConversionError: a number that is not a byte.
    """
    if base == _STRING:
        return b"".join(data)
    raw: bytes = numbers_from_wire(data, base, _CHAR, False, where).astype("u1").tobytes()
    return raw


class ChannelChar(ChannelData):
    """Text, served as an array of CHAR.

    Args:
        report_as_string: serve it as one STRING instead; its name with a ``$`` is still CHAR.
        value: the initial text.
        max_length: the bytes that it may have; those of the initial text if absent, of a text
            that is served as STRING at least the 40 that one has.
        **kwargs: see `ChannelData`.
    """

    data_type = ChannelType.CHAR

    def __init__(
        self,
        *,
        report_as_string: bool = False,
        value: Any = None,
        max_length: int | None = None,
        **kwargs: Any,
    ) -> None:
        _take_encoding(self, kwargs)
        value = "" if value is None else value
        self._report_as_string = report_as_string
        if report_as_string and max_length is None:
            max_length = max(self.calculate_length(value), MAX_STRING_SIZE)
        super().__init__(value=value, max_length=max_length, **kwargs)
        if report_as_string:
            self.data_type = ChannelType.STRING  # type: ignore[misc]

    @property
    def long_string_max_length(self) -> int:
        """The bytes that the text may have."""
        return self._max_length

    @property
    def _element_count(self) -> int:
        """The count that a client sees: the bytes of the text, or one STRING."""
        return 1 if self._report_as_string else self._max_length

    @standard
    def calculate_length(self, value: Any) -> int:
        """Return the number of bytes of a text."""
        if value is None:
            return 1
        if isinstance(value, str):
            return len(encoded_text(value, self._encoding, self._label))
        return len(value) if hasattr(value, "__len__") else 1

    @standard
    def preprocess_value(self, value: Any) -> Any:
        """Make text of what is written; it ends at the first NUL and is cut at ``max_length``."""
        if isinstance(value, (bytes, bytearray, memoryview)):
            value = self._decoded(bytes(value))
        elif not isinstance(value, str):
            value = self._join(value)
        value = str(value).partition("\0")[0]
        if value.isascii() and len(value) <= self._max_length and self._encoding is None:
            return value  # nearly all
        raw = encoded_text(value, self._encoding, self._label)
        if len(raw) > self._max_length:
            self._channel_log.warning(
                "%s: a text of %d bytes was cut to its max_length (%d)",
                self._label,
                len(raw),
                self._max_length,
            )
            value = self._decoded(cut(raw, self._max_length))
        return value

    def _join(self, value: Any) -> str:
        if value is None:
            raise CaprotoValueError(f"write to {self._label}: None is not text")
        if is_masked(value):
            raise CaprotoValueError(f"write to {self._label}: masked elements have no value")
        if getattr(value, "ndim", None) == 0:
            value = value.item()
            if isinstance(value, (str, bytes)):
                value = [value]
        if isinstance(value, (int, float)):
            value = [value]
        if not (is_sequence(value) or is_array(value)):
            raise CaprotoValueError(f"write to {self._label}: {value!r} is not text")
        return self._decoded(bytes_of(value, self._label, texts=True, encoding=self._encoding))

    def _decoded(self, raw: bytes) -> str:
        return decode(raw, self._encoding)

    def _from_wire(self, base: int, data: Any) -> Any:
        """Return put elements as text: STRING elements joined, or characters by number."""
        return self._decoded(until_nul(_characters(base, data, self._label)))

    def _raw_text(self) -> bytes:
        """Return the text in its encoding."""
        return encode(self._value, self._encoding)

    def _elements(self, base: int) -> Elements:
        raw = self._raw_text()
        if self._report_as_string:
            if base == _STRING:
                return pack_texts([raw])
            return _numbers_of_texts([raw], base)
        if base == _CHAR:
            return Elements(len(raw), raw)
        # EPICS base converts CHAR arrays number by number, also to STRING.
        if base == _STRING:
            return pack_texts([str(number).encode() for number in raw])
        return pack_numbers(numpy().frombuffer(raw, "u1"), base)


class ChannelString(ChannelData):
    """Text of up to 39 bytes, or an array of such texts.

    Args:
        long_string_max_length: bytes that are reachable under the name with a ``$``.
        **kwargs: see `ChannelData`.
    """

    data_type = ChannelType.STRING

    default_value = ""

    def __init__(
        self, *, long_string_max_length: int = 81, value: Any = None, **kwargs: Any
    ) -> None:
        self.long_string_max_length = long_string_max_length
        super().__init__(value=NOT_GIVEN if value is None else value, **kwargs)

    @standard
    def preprocess_value(self, value: Any) -> Any:
        """Make text, or a list of texts, of what is written."""
        if self._max_length == 1:
            if type(value) is str and value.isascii():  # nearly all
                return value.partition("\0")[0]
            return self._text(shaped(value, 1, self._label))
        value = shaped(value, self._max_length, self._label)
        return [self._text(part) for part in value]

    def _text(self, value: Any) -> str:
        if isinstance(value, (bytes, bytearray)):
            return decode(until_nul(bytes(value)), self._encoding)
        if value is None:
            raise CaprotoValueError(f"write to {self._label}: None is not text")
        if is_masked(value):
            raise CaprotoValueError(f"write to {self._label}: masked elements have no value")
        text = str(value).partition("\0")[0]
        encoded_text(text, self._encoding, self._label)
        return text

    def _texts(self, base: int, data: Any) -> list[str]:
        """Return put elements as texts."""
        if base == 0:
            return [decode(part, self._encoding) for part in data]
        numbers = data.tolist() if hasattr(data, "tolist") else [data]
        return [str(number) for number in numbers]

    def _from_wire(self, base: int, data: Any) -> Any:
        """Return put elements as texts; numbers become their decimal texts.

        Several characters for one text are that text.
        """
        if base == _CHAR and self._max_length == 1 and is_array(data) and len(data) > 1:
            raw: bytes = data.astype("u1").tobytes()
            return decode(until_nul(raw), self._encoding)
        if base == _STRING and len(data) == 1 and self._max_length == 1:  # nearly all
            return decode(data[0], self._encoding)
        return self._texts(base, data)

    def _raw_text(self) -> bytes:
        """Return the (first) text in its encoding."""
        value = self._value
        text = value if isinstance(value, str) else (value[0] if value else "")
        return encode(text, self._encoding)

    def _elements(self, base: int) -> Elements:
        value = self._value
        texts = [value] if self._max_length == 1 else value
        raws = [encode(text, self._encoding) for text in texts]
        return pack_texts(raws) if base == _STRING else _numbers_of_texts(raws, base)


def _conversion_error(channel: ChannelData, value: Any, what: str) -> CaprotoConversionError:
    """Return the error for a put that does not convert."""
    return CaprotoConversionError(f"write to {channel._label}: {value!r} is not {what}")


class ChannelEnum(ChannelData):
    """One of up to 16 named states.

    Args:
        enum_strings: the names, each of at most 25 bytes.
        **kwargs: see `ChannelData`.

    Raises:
        ValueError: too many names, or one that is too long.
    """

    data_type = ChannelType.ENUM

    # Names of the states beyond the sixteenth, which a request for the names does not have: only
    # menus of records have so many. As base does, such a state is read as text, and as number.
    _further_states: tuple[str, ...] = ()

    def __init__(
        self,
        *,
        enum_strings: Sequence[str] | None = None,
        value: Any = NOT_GIVEN,
        **kwargs: Any,
    ) -> None:
        _take_encoding(self, kwargs)
        self._enum_strings: tuple[str, ...] = self._checked_strings(
            () if enum_strings is None else enum_strings
        )
        self._states = self._enum_strings
        super().__init__(value=NOT_GIVEN if value is None else value, **kwargs)
        if self._states and isinstance(self._value, str):
            self._check(self._value)  # a number without a name may be there from the start

    @standard
    def preprocess_value(self, value: Any) -> Any:
        """Bring a value into shape; NumPy's texts and bytes become plain ones.

        Raises:
            CaprotoValueError: a wrong shape, or masked elements.
        """
        if self._max_length == 1:
            if type(value) is str:  # nearly all
                return value
            return self._plain(shaped(value, 1, self._label))
        value = shaped(value, self._max_length, self._label)
        if is_array(value) and value.dtype.kind not in "USO" and not is_masked(value):
            return value
        return [self._plain(part) for part in value]

    def _plain(self, value: Any) -> Any:
        if isinstance(value, bytes):
            return decode(until_nul(value), self._encoding)
        if isinstance(value, str):
            return str(value)
        if is_masked(value):
            raise CaprotoValueError(f"write to {self._label}: masked elements have no value")
        return value

    def _checked_strings(self, strings: Sequence[str]) -> tuple[str, ...]:
        texts = tuple(
            decode(until_nul(text), self._encoding) if isinstance(text, bytes) else str(text)
            for text in strings
        )
        if len(texts) > MAX_ENUM_STATES:
            raise CaprotoValueError(
                f"an ENUM has at most {MAX_ENUM_STATES} states, not {len(texts)}"
            )
        for text in texts:
            if len(encoded_text(text, self._encoding, self._label)) >= MAX_ENUM_STRING_SIZE:
                raise CaprotoValueError(
                    f"the name of a state has at most {MAX_ENUM_STRING_SIZE - 1} bytes: {text!r}"
                )
        return texts

    @property
    def enum_strings(self) -> tuple[str, ...]:
        """The names of the states."""
        return self._enum_strings

    @property
    def raw_value(self) -> Any:
        """The state's index, or the indices of an array of states."""
        value = self._value
        if isinstance(value, (list, tuple)) or is_array(value):
            return self.get_raw_values(value)
        return self.get_raw_value(value)

    def get_raw_value(self, value: Any) -> int:
        """Return the index of a state given by name or index; 0 for what is neither."""
        value = self._plain(value)
        if isinstance(value, str):
            try:
                return self._states.index(value)
            except ValueError:
                return int(value) & 0xFFFF if value.isdecimal() else 0
        if value is None:
            return 0
        return int(value)

    def get_raw_values(self, values: Sequence[Any]) -> list[int]:
        """Return the indices of several states."""
        return [self.get_raw_value(value) for value in values]

    def _check(self, value: Any) -> Any:
        if isinstance(value, (list, tuple)) or is_array(value):
            return [self._state(part) for part in value]
        return self._state(value)

    _settle = _check

    def _state(self, value: Any) -> Any:
        """Return the name of a state given by name, index or index as text.

        Where no state has a name there is one state, the number 0.
        """
        strings = self._states
        if type(value) is not str:
            value = self._plain(value)
        if isinstance(value, str):
            if value in strings:
                return value
            # As base does: what is no name may be a number.
            if not value.strip().isdecimal():
                raise _conversion_error(self, value, f"a state; the states are {list(strings)}")
            value = int(value)
        try:
            index = int(value)
        except (TypeError, ValueError):
            raise _conversion_error(self, value, "a state") from None
        if not strings and index == 0:
            return 0
        if not 0 <= index < len(strings):
            raise _conversion_error(
                self, value, f"the number of a state; there are {len(strings)}: {list(strings)}"
            )
        return strings[index]

    def _data_keys(self) -> tuple[str, ...]:
        return ("enum_strings",)

    def _set_metadata(self, metadata: dict[str, Any]) -> int:
        strings = metadata.get("enum_strings")
        if strings is None:
            return 0
        texts = self._checked_strings(strings)
        if texts == self._enum_strings:
            return 0
        mask = int(SubscriptionType.DBE_PROPERTY)
        before = self._value
        numbers = self.raw_value
        self._enum_strings = texts
        self._states = texts + self._further_states
        # The number of the state stays, and with it what the device does; its name may be new.
        if is_array(numbers) or isinstance(numbers, list):
            self._value = [self._named(number) for number in numbers]
        else:
            self._value = self._named(numbers)
        if self._value != before:
            mask |= int(SubscriptionType.DBE_VALUE | SubscriptionType.DBE_LOG)
        if self._field_inst is not None:
            self._field_inst.metadata_changed()
        return mask

    def _take_further_states(self, names: tuple[str, ...]) -> None:
        """Know the names of more states than clients can be told of."""
        self._further_states = names
        self._states = self._enum_strings + names

    def _named(self, number: int) -> Any:
        """Return the name of a state, or the number of one that has none."""
        return self._states[number] if 0 <= number < len(self._states) else number

    async def write_metadata(  # type: ignore[override]
        self, enum_strings: Sequence[str] | None = None, **kwargs: Any
    ) -> None:
        """Store metadata and tell the subscribers of DBE_PROPERTY.

        Args:
            enum_strings: new names of the states.
            **kwargs: see `ChannelData.write_metadata`.
        """
        await super().write_metadata(enum_strings=enum_strings, **kwargs)

    def _from_wire(self, base: int, data: Any) -> Any:
        """Return put elements as names of states.

        Raises:
            CaprotoConversionError: no such state.
        """
        if base == _STRING:
            parts: list[Any] = [self._state(part) for part in data]
        else:
            numbers = data.tolist() if hasattr(data, "tolist") else [data]
            parts = [self._state(to_integer(number)) for number in numbers]
        return parts if self._max_length > 1 else (parts[0] if parts else [])

    def _state_name(self, value: Any) -> bytes:
        if isinstance(value, str):
            return encode(value, self._encoding)
        index = self.get_raw_value(value)
        if 0 <= index < len(self._states):
            return encode(self._states[index], self._encoding)
        return str(index).encode()

    def _elements(self, base: int) -> Elements:
        value = self._value
        values = [value] if self._max_length == 1 else value
        if base == _STRING:
            return pack_texts([self._state_name(part) for part in values])
        data = b"".join(pack_scalar(self.get_raw_value(part), base) for part in values)
        return Elements(len(values), data)

    def _fill_metadata(self, layout: DbrLayout, values: list[Any]) -> None:
        if layout.base_type == int(ChannelType.ENUM):
            names = [
                encode(text, self._encoding, MAX_ENUM_STRING_SIZE - 1)
                for text in self._enum_strings
            ]
            values[2] = len(names)
            values[3] = b"".join(name.ljust(MAX_ENUM_STRING_SIZE, b"\0") for name in names)


class LongStringView:
    """A text channel under its name with a ``$``: an array of CHAR.

    Args:
        channel: the channel with the text.
    """

    data_type = ChannelType.CHAR

    def __init__(self, channel: ChannelChar | ChannelString) -> None:
        self.channel = channel
        self._cache: dict[int, Reply] = {}
        self._version = -1

    @property
    def _element_count(self) -> int:
        """The count that a client sees."""
        return self.channel.long_string_max_length

    def _encoded(self, dbr_type: int, count: int) -> Reply:
        """Return the reply with the present text as characters; see `ChannelData._encoded`."""
        channel = self.channel
        if dbr_type > 34:
            return channel._encoded(dbr_type, count)
        if self._version != channel._version or len(self._cache) > 8:
            self._cache.clear()
            self._version = channel._version
        key = count << 6 | dbr_type
        found = self._cache.get(key)
        if found is None:
            raw = cut(channel._raw_text(), self._element_count - 1) + b"\0"
            base = dbr_type % 7
            if base == _CHAR:
                elements = Elements(len(raw), raw)
            elif base == _STRING:
                elements = pack_texts([raw[:-1]])
            else:
                elements = pack_numbers(numpy().frombuffer(raw, "u1"), base)
            found = reply(dbr_type, channel._metadata(dbr_type), elements, count)
            if count <= self._element_count:
                self._cache[key] = found
        return found

    def _from_wire(self, base: int, data: Any) -> str:
        """Return put elements as text."""
        channel = self.channel
        raw = _characters(base, data, channel._label)
        return decode(until_nul(raw), channel._encoding)
