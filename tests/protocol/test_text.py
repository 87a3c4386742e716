"""Bytes to text and back, by the one rule that every API follows."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given, strategies as st

from cachannel.protocol import text
from cachannel.protocol.broadcast import SearchResponder, search_name
from cachannel.protocol.errors import ErrorResponseReceived
from cachannel.protocol.messages import Command, error, pack
from cachannel.protocol.status_codes import ca_status


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_text_that_is_written_is_read_back(value: str) -> None:
    """UTF-8 is written, and read as UTF-8."""
    assert text.decode(text.encode(value)) == value


@given(st.binary())
def test_any_bytes_are_text_without_replacement(data: bytes) -> None:
    """Decoding never fails and never puts U+FFFD where the bytes do not have it."""
    decoded = text.decode(data)
    try:
        assert decoded == data.decode("utf-8")
    except UnicodeDecodeError:
        assert decoded.encode("latin-1") == data
    assert text.c_text(data) == text.decode(text.until_nul(data))


def test_bytes_that_are_not_utf8_are_latin1() -> None:
    """A degree sign of an old IOC is one byte."""
    assert text.decode(b"21 \xb0C") == "21 \u00b0C"
    assert text.decode("21 \u00b0C".encode()) == "21 \u00b0C"
    assert text.decode(memoryview(b"\xb5m")) == "\u00b5m"


def test_undecodable_arguments_become_their_bytes_again() -> None:
    """An argument of a command that is not valid UTF-8 has surrogates (PEP 383)."""
    assert text.encode(b"a\xb0".decode("utf-8", "surrogateescape")) == b"a\xb0"
    with pytest.raises(UnicodeEncodeError):
        text.encode("\ud800")


@given(st.text(alphabet="a\u00b0\u20ac\U0001f600"), st.integers(0, 40))
def test_no_character_is_cut(value: str, limit: int) -> None:
    """A text that is too long keeps as many whole characters as fit."""
    data = text.encode(value, limit=limit)
    assert len(data) <= limit
    kept = data.decode("utf-8")
    assert value.startswith(kept)
    assert kept == value or len(text.encode(value[: len(kept) + 1])) > limit


def test_a_declared_encoding() -> None:
    """The encoding of a PV is used both ways; what it cannot hold is UTF-8."""
    assert text.encode("\u00b0", "latin-1") == b"\xb0"
    assert text.decode(b"\xb0", "cp437") == "\u2591"
    assert text.decode(text.encode("\u20ac", "latin-1")) == "\u20ac"
    assert text.decode(text.encode("\u20ac", "ascii"), "ascii") == "\u20ac"
    assert text.decode(b"\xb0", "ascii") == "\u00b0"


@given(st.binary())
def test_until_nul(data: bytes) -> None:
    """What is behind the first NUL does not count."""
    assert text.until_nul(data) == data.split(b"\0", 1)[0]


@pytest.mark.parametrize(
    ("data", "limit", "left"),
    [
        (b"abc", 3, b"abc"),
        (b"abcd", 3, b"abc"),
        (b"", 0, b""),
        ("abä".encode(), 3, b"ab"),
        ("aäb".encode(), 3, "aä".encode()),
        ("温度".encode(), 5, "温".encode()),
        ("😀".encode(), 3, b""),
        # A peer cut the last character already: what is left of it goes as well.
        (b"x" * 38 + "温".encode()[:2], 39, b"x" * 38),
        ("aäö".encode("latin-1"), 2, "aä".encode("latin-1")),
        (b"\x80" * 5, 3, b"\x80" * 3),
    ],
)
def test_cut(data: bytes, limit: int, left: bytes) -> None:
    """Texts are cut between characters; bytes that are not UTF-8 anywhere."""
    assert text.cut(data, limit) == left


def test_names_in_searches() -> None:
    """A PV's name is decoded as all text is."""
    for raw in ("größe:1".encode(), "größe:1".encode("latin-1")):
        assert search_name(raw + b"\0rest") == "größe:1"
    answered = SearchResponder(5064, {"größe:1"}.__contains__).answer(
        pack(Command.SEARCH, 5, 13, 7, 7, "größe:1".encode() + b"\0")
    )
    assert len(list(answered)) == 1


def test_texts_of_errors() -> None:
    """What a server says is text too, and any description can be sent."""
    for raw in ("5 µm".encode(), "5 µm".encode("latin-1")):
        message = SimpleNamespace(status=ca_status(160), error_message=memoryview(raw + b"\0more"))
        assert "5 µm" in str(ErrorResponseReceived(message))
    packed = error(bytes(16), 1, 160, "ä" * 400 + "\ud800")
    words = packed[32:].rstrip(b"\0")
    assert words.decode() == "ä" * 255
    assert error(bytes(16), 1, 160, "half \ud800")[32:].rstrip(b"\0") == b"half \\ud800"
