"""Which of the top-level modules are another distribution's: those of CaChannel, in most cases.

pip lets CaChannel be installed beside this package. Its folder ``CaChannel`` is then found before
our file ``CaChannel.py``, and of ``ca.py``, ``epicsPV.py`` and ``epicsMotor.py`` only those of the
distribution that was installed last are there.
"""

from __future__ import annotations

import re
import warnings
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from typing import Final

__all__ = ["NAMES", "REMEDY", "describe", "find", "warn_once"]

NAMES: Final = ("CaChannel", "ca", "epicsPV", "epicsMotor")
"""The modules that scripts for CaChannel import."""

REMEDY: Final = (
    "do 'pip uninstall CaChannel', then 'pip install --force-reinstall --no-deps cachannel-cffi'"
)

_OURS: Final = re.compile(rb"^(?:from|import) cachannel\b", re.MULTILINE)
"""Each of our modules has such a line, and no other does: CaChannel has capitals."""

_warned = False


def find() -> dict[str, str]:
    """Look for the modules as an import would, without importing them.

    Returns:
        For each module that is not ours, its file; "" if it is absent.
    """
    return {name: place for name in NAMES if (place := _foreign(name)) is not None}


def _foreign(name: str) -> str | None:
    """The file of a module that is not ours, "" if there is none; None for ours."""
    try:
        spec: ModuleSpec | None = find_spec(name)
    except ValueError:  # a module that a program made, without a spec
        return None
    if spec is None:
        return ""
    if spec.origin is None or not spec.has_location:
        places = list(spec.submodule_search_locations or ())
        return places[0] if places else None
    try:
        ours = _OURS.search(Path(spec.origin).read_bytes()) is not None
    except OSError:  # in an archive
        return None
    return None if ours else spec.origin


def describe(found: dict[str, str]) -> str:
    """Say in a sentence which modules are not ours, and what to do; "" if all are."""
    others = [f"{name} ({place})" for name, place in found.items() if place]
    absent = [name for name, place in found.items() if not place]
    parts = []
    if others:
        verb = "is" if len(others) == 1 else "are"
        parts.append(f"{', '.join(others)} {verb} of another distribution, not of cachannel-cffi")
    if absent:
        parts.append(f"the modules {', '.join(absent)} of cachannel-cffi are missing")
    return f"{'; '.join(parts)}: {REMEDY}" if parts else ""


def warn_once(stacklevel: int) -> None:
    """Warn of another CaChannel, at the first call only.

    Args:
        stacklevel: as that of `warnings.warn`, counted from the caller.
    """
    global _warned
    if _warned:
        return
    _warned = True
    if sentence := describe(find()):
        warnings.warn(sentence, RuntimeWarning, stacklevel=stacklevel + 1)
