"""Text in Channel Access: how bytes become str, and str becomes bytes, in every API and tool.

Channel Access does not say how text is encoded. Bytes are decoded as UTF-8 if they are valid
UTF-8, else as Latin-1, which decodes any bytes: decoding never fails and never loses a byte.
Text is written as UTF-8, so that reading gives back the text that was written.
"""

from __future__ import annotations

__all__ = ["c_text", "cut", "decode", "encode", "until_nul"]


def until_nul(data: bytes) -> bytes:
    """Return the bytes before the first NUL: the length of a C string is not sent."""
    end = data.find(b"\0")
    return data if end < 0 else data[:end]


def c_text(data: bytes) -> str:
    """Decode a C string, the bytes before the first NUL: `until_nul` and `decode` in one call.

    Every element of a STRING goes through it, so it does not call the two.
    """
    data = data.split(b"\0", 1)[0]
    try:
        return data.decode()
    except UnicodeDecodeError:
        return str(data, "latin-1")


def decode(data: bytes, encoding: str | None = None) -> str:
    """Decode bytes; NULs are kept, see `until_nul`.

    Args:
        data: any bytes, also a memoryview.
        encoding: of a PV that declares one; bytes that are not valid in it are decoded as if it
            were not declared.

    Raises:
        LookupError: Python does not know the encoding.
    """
    try:
        return str(data, encoding or "utf-8")
    except UnicodeDecodeError:
        # `encode` writes UTF-8 if the encoding does not have a character.
        return str(data, "latin-1") if encoding is None else decode(data)


def encode(text: str, encoding: str | None = None, limit: int | None = None) -> bytes:
    """Encode text; bytes that Python could not decode (PEP 383) become themselves again.

    Args:
        text: what to encode.
        encoding: of a PV that declares one, else UTF-8; a character that the encoding does not
            have makes the whole text UTF-8, as `decode` cannot tell two encodings in one text.
        limit: the most bytes to return. No character is cut in the middle, because the bytes
            would not be valid UTF-8 any more and the whole text would be read as Latin-1.

    Raises:
        UnicodeEncodeError: a surrogate that stands for no byte (half of a UTF-16 pair).
        LookupError: Python does not know the encoding.
    """
    if encoding is None:
        data = text.encode("utf-8", "surrogateescape")
    else:
        try:
            data = text.encode(encoding)
        except UnicodeEncodeError:
            data = text.encode("utf-8", "surrogateescape")
    return data if limit is None else cut(data, limit)


def cut(data: bytes, limit: int) -> bytes:
    """Return the first bytes of an encoded text, without half a character at the end.

    Args:
        data: text as it travels; it is taken for UTF-8 if what is left is valid UTF-8.
        limit: the most bytes to return.
    """
    if len(data) <= limit:
        return data
    if limit > 0 and data[limit] & 0xC0 == 0x80:
        # The first byte that is left out continues a character: leave the whole of it out.
        start = limit - 1
        while start > 0 and start > limit - 4 and data[start] & 0xC0 == 0x80:
            start -= 1
        if data[start] >= 0xC0:
            try:
                data[:start].decode("utf-8")
            except UnicodeDecodeError:
                return data[:limit]
            return data[:start]
    return data[:limit]
