"""JSON5, as far as EPICS base takes it in PV names: the text of channel filters.

JSON, and besides: keys without quotes, single quotes, trailing commas, comments, hexadecimal
numbers, a leading plus or decimal point, a trailing decimal point, Infinity and NaN.
"""

from __future__ import annotations

import re
from typing import Any, Final

__all__ = ["Object", "parse", "parse_start"]

_MAX_DEPTH: Final = 32  # filters are three deep

_SPACE: Final = re.compile(r"(?:[\s\ufeff]|//[^\n\r\u2028\u2029]*|/\*.*?\*/)*", re.DOTALL)
_IDENTIFIER: Final = re.compile(r"[^\W\d][\w$]*|\$[\w$]*")
_NUMBER: Final = re.compile(
    r"([+-]?)(?:(0[xX][0-9a-fA-F]+)|(Infinity|NaN)"
    r"|((?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?)(?![\w$.])",
    re.ASCII,
)
_PLAIN: Final = re.compile(r"[^'\"\\\n\r]*")
_ESCAPE: Final = re.compile(
    r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(\r\n|[\n\r\u2028\u2029])|([^1-9ux]))"
)
_ESCAPED: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "0": "\0"}
_WORDS: Final = {"true": True, "false": False, "null": None}


class Object(list[tuple[str, Any]]):
    """An object: its keys and values, in order. A key may be there twice."""


def parse(text: str) -> Any:
    """Return the value that a text stands for: objects as `Object`, arrays as lists.

    Raises:
        ValueError: the text is not JSON5; the message says where.
    """
    value, position = parse_start(text)
    if position < len(text):
        raise ValueError(f"{text[position]!r} at {position} is behind the end")
    return value


def parse_start(text: str) -> tuple[Any, int]:
    """Return the value at the start of a text, and where it and the space behind it end.

    Raises:
        ValueError: there is none.
    """
    parser = _Parser(text)
    value = parser.value(0)
    parser.skip()
    return value, parser.position


class _Parser:
    """Reads values one after the other."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0

    def skip(self) -> None:
        """Skip white space and comments."""
        match = _SPACE.match(self.text, self.position)
        assert match is not None
        self.position = match.end()

    def next(self) -> str:
        """Return the next character, empty at the end."""
        self.skip()
        return self.text[self.position : self.position + 1]

    def wrong(self, wanted: str) -> ValueError:
        found = self.text[self.position : self.position + 1]
        return ValueError(
            f"{found!r} at {self.position} where {wanted} is expected"
            if found
            else f"the text ends where {wanted} is expected"
        )

    def value(self, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise ValueError(f"objects are nested more than {_MAX_DEPTH} deep")
        start = self.next()
        if start == "{":
            return self.members(depth)
        if start == "[":
            return self.elements(depth)
        if start in ("'", '"'):
            return self.string(start)
        match = _NUMBER.match(self.text, self.position)
        if match is not None:
            self.position = match.end()
            return _number(match)
        word = _IDENTIFIER.match(self.text, self.position)
        if word is not None and word.group() in _WORDS:
            self.position = word.end()
            return _WORDS[word.group()]
        raise self.wrong("a value")

    def members(self, depth: int) -> Object:
        found = Object()
        self.position += 1
        while self.next() != "}":
            key = self.key()
            if self.next() != ":":
                raise self.wrong("a colon")
            self.position += 1
            found.append((key, self.value(depth + 1)))
            self.separator("}")
        self.position += 1
        return found

    def elements(self, depth: int) -> list[Any]:
        found: list[Any] = []
        self.position += 1
        while self.next() != "]":
            found.append(self.value(depth + 1))
            self.separator("]")
        self.position += 1
        return found

    def separator(self, end: str) -> None:
        if self.next() == ",":
            self.position += 1
        elif self.next() != end:
            raise self.wrong(f"a comma or {end}")

    def key(self) -> str:
        start = self.next()
        if start in ("'", '"'):
            return self.string(start)
        match = _IDENTIFIER.match(self.text, self.position)
        if match is None:
            raise self.wrong("a key")
        self.position = match.end()
        return match.group()

    def string(self, quote: str) -> str:
        parts: list[str] = []
        self.position += 1
        while True:
            plain = _PLAIN.match(self.text, self.position)
            assert plain is not None
            parts.append(plain.group())
            self.position = plain.end()
            character = self.text[self.position : self.position + 1]
            if character == quote:
                self.position += 1
                return _joined("".join(parts))
            if character in ("'", '"') and character:
                parts.append(character)
                self.position += 1
                continue
            escape = _ESCAPE.match(self.text, self.position)
            if escape is None:
                raise self.wrong(f"the end of the text in {quote}")
            self.position = escape.end()
            unicode, byte, line_end, other = escape.groups()
            if line_end is None:
                code = unicode or byte
                parts.append(chr(int(code, 16)) if code else _ESCAPED.get(other, other))


def _joined(text: str) -> str:
    r"""Return a text with the pairs that stand for one character, as in \ud83d\ude00, joined."""
    if not any("\ud800" <= character <= "\udbff" for character in text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def _number(match: re.Match[str]) -> int | float:
    sign, hexadecimal, word, digits, exponent = match.groups()
    number: int | float
    if hexadecimal is not None:
        number = int(hexadecimal, 16)
    elif word is not None:
        number = float(word.lower())
    elif exponent is None and digits.isdigit():
        number = int(digits)
    else:
        number = float(digits + (exponent or ""))
    return -number if sign == "-" else number
