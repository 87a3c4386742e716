"""Text and bytes, and where the libraries are."""

from __future__ import annotations

import os
from typing import Any

__all__ = ["IOENCODING", "bytes2str", "clib_search_path", "str2bytes", "strjoin"]

IOENCODING = (
    os.environ.get("PYEPICS_ENCODING") or os.environ.get("PYTHONIOENCODING", "").split(":")[0]
) or "utf-8"
"""What text is sent and read as: PYEPICS_ENCODING, else PYTHONIOENCODING, else utf-8."""


def str2bytes(st1: Any) -> bytes:
    """Encode text by `IOENCODING`; bytes stay as they are.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(st1, bytes):
        return st1
    if not isinstance(st1, str):
        message = f"text is required, not {type(st1).__name__}"
        raise TypeError(message)
    return st1.encode(IOENCODING)


def bytes2str(st1: Any) -> str:
    """Decode bytes by `IOENCODING`, and as Latin-1 if they are not valid in it; never raises."""
    if isinstance(st1, str):
        return st1
    if not isinstance(st1, bytes | bytearray | memoryview):
        return str(st1)
    data = bytes(st1)
    try:
        return data.decode(IOENCODING)
    except (UnicodeDecodeError, LookupError):
        return data.decode("latin-1")


def strjoin(sep: Any, seq: Any) -> str:
    """Join pieces, bytes among them, to a text."""
    return bytes2str(sep).join([bytes2str(piece) for piece in seq])


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
