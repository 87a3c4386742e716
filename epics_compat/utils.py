"""Text and bytes, and where the libraries are."""

from __future__ import annotations

import os
from typing import Any

from cachannel.protocol import text

__all__ = ["IOENCODING", "bytes2str", "clib_search_path", "str2bytes", "strjoin"]

IOENCODING = (
    os.environ.get("PYEPICS_ENCODING") or os.environ.get("PYTHONIOENCODING", "").split(":")[0]
) or "utf-8"
"""The encoding of text: PYEPICS_ENCODING, else PYTHONIOENCODING, else utf-8.

Bytes that are not valid in it are decoded as UTF-8 if they are valid UTF-8, else as Latin-1; text
with a character that it does not have is written as UTF-8.
"""


def str2bytes(st1: Any) -> bytes:
    """Encode text by `IOENCODING`; bytes stay as they are.

    Raises:
        TypeError: it is neither.
        UnicodeEncodeError: it holds half of a UTF-16 pair.
        LookupError: Python does not know the encoding.
    """
    if isinstance(st1, bytes):
        return st1
    if not isinstance(st1, str):
        message = f"text is required, not {type(st1).__name__}"
        raise TypeError(message)
    return text.encode(st1, IOENCODING)


def bytes2str(st1: Any) -> str:
    """Decode bytes by `IOENCODING`, see there; never raises. Other objects give their `str`."""
    if isinstance(st1, str):
        return st1
    if not isinstance(st1, bytes | bytearray | memoryview):
        return str(st1)
    data = bytes(st1)
    try:
        return text.decode(data, IOENCODING)
    except LookupError:
        return text.decode(data)


def strjoin(sep: Any, seq: Any) -> str:
    """Join pieces, bytes among them, to a text.

    Pieces that are bytes end at one that is a NUL. Without a separator they are joined before
    they are decoded, since a character may be several of them.
    """
    pieces = list(seq)
    if pieces and isinstance(pieces[0], bytes):
        if b"\0" in pieces:
            del pieces[pieces.index(b"\0") :]
        if not sep and all(isinstance(piece, bytes) for piece in pieces):
            return bytes2str(b"".join(pieces))
    return bytes2str(sep).join([bytes2str(piece) for piece in pieces])


def clib_search_path(lib: str) -> str | None:
    """Find the library ``lib`` (``'ca'``, ``'Com'``) of the `epicscorelibs` distribution.

    Returns:
        The path of the file, or None.
    """
    import importlib.util
    from pathlib import Path

    spec = importlib.util.find_spec("epicscorelibs")
    for folder in (spec and spec.submodule_search_locations) or ():
        found = sorted((Path(folder) / "lib").glob(f"*{lib}.*"), key=lambda p: -len(p.name))
        for path in found:
            if path.name.removeprefix("lib").startswith(f"{lib}.") and path.suffix != ".lib":
                return str(path)
    return None
