"""Macros in PV names: which braces are replaced, and which belong to the name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

__all__ = ["expand_macros"]

# An escaped brace, a pair of braces without a brace between them, or a single brace.
_TOKEN: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
# A format specification or a conversion may follow the name, as in str.format: {number:02d}.
_FIELD: Final = re.compile(r"([^!:.\[\]]*)([!:.\[].*)?", re.DOTALL)


def expand_macros(text: str, macros: Mapping[str, str]) -> str:
    """Return a prefix or a name with its macros replaced.

    - ``{name}`` is replaced if `macros` has the name; ``{name:02d}`` is formatted.
    - ``{{x}}`` gives ``{x}``.
    - All other braces are part of the name: those around what cannot be the name of a macro, as in
      ``LAB:12-OP{Shut:2}``, and all of them if there are no macros.

    What a macro stands for is not looked at again.

    Args:
        text: the prefix or name.
        macros: name of a macro to its text.

    Raises:
        KeyError: `macros` is not empty and lacks a name that could be one of a macro.
    """
    if "{" not in text and "}" not in text:
        return text
    found: list[str] = []
    position = opened = 0  # opened: braces that are part of the name and are not closed yet
    while (match := _TOKEN.search(text, position)) is not None:
        found.append(text[position : match.start()])
        token = match.group()
        position = match.end()
        if token == "{{":
            found.append("{")
        elif token == "}}":
            # In {A{B}} the two end two literal pairs; elsewhere they stand for one brace.
            if opened:
                position -= 1
                opened -= 1
            found.append("}")
        elif match.group(1) is not None:
            found.append(_expand(match.group(1), macros))
        else:
            opened = opened + 1 if token == "{" else max(opened - 1, 0)
            found.append(token)
    found.append(text[position:])
    return "".join(found)


def _expand(inner: str, macros: Mapping[str, str]) -> str:
    """Return what a pair of braces around a text stands for."""
    if inner in macros:
        return str(macros[inner])
    field = _FIELD.fullmatch(inner)
    name, rest = field.groups() if field is not None else (inner, None)
    if rest is not None and name in macros:
        return f"{{0{rest}}}".format(macros[name])
    if macros and inner.isidentifier():
        raise KeyError(inner)
    return f"{{{inner}}}"
