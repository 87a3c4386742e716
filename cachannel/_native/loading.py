"""Loading the C extension, and what is said if that fails.

The extension needs libca and libCom: those of the package `epicscorelibs`, or those of an EPICS
base of the user's own. Each fault ends in an `ImportError` that says in a sentence what to do.
"""

from __future__ import annotations

import os
import re
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

__all__ = ["UnusableLibraryError", "load", "preload"]

_MODULE: Final = "cachannel._native._cachannel"

_MARKER: Final = b"cachannel: EPICS_BASE="
"""The file of the extension contains this, and the EPICS base that it was built against."""

_LIBRARY: Final = re.compile(r"\blib(?:ca|Com)(\.[\w.]*\b)")
"""A file of libca or libCom in the linker's message; the group is the end of its name."""


class UnusableLibraryError(Exception):
    """A library of epicscorelibs is missing or cannot be loaded; the text says what to do."""


def load() -> Any:
    """Import the extension.

    Raises:
        ImportError: with the reason, and with what to do.
    """
    try:
        return import_module(_MODULE)
    except ModuleNotFoundError as exc:
        if exc.name != _MODULE:
            raise
        sentence = _not_built()
    except ImportError as exc:
        sentence = str(exc)
        base = _own_base()
        try:
            if not base and preload(sentence):
                return import_module(_MODULE)
            sentence = _not_loaded(sentence, base)
        except UnusableLibraryError as unusable:
            sentence = str(unusable)
        except ImportError as second:
            sentence = _not_loaded(str(second), base)
    # Outside of the handlers: the failed attempts would be printed before the sentence.
    raise ImportError(sentence, name=_MODULE)


def preload(fault: str) -> bool:
    """Load libCom and libca of epicscorelibs, so that our extension finds them by name.

    The extension looks for them beside the installed package; an editable install lies
    elsewhere. `epicscorelibs` itself is not imported: that would take longer than all the rest.

    Args:
        fault: why the extension could not be loaded. Only a library that is missing or broken is
            loaded from here: with another version there would be two libca in the process.

    Returns:
        Whether libraries were loaded, so that the extension may be tried again.

    Raises:
        UnusableLibraryError: epicscorelibs lacks a library that is needed, or it cannot be loaded.
    """
    import ctypes

    named = _LIBRARY.search(fault)
    # Windows does not name the library.
    if not named and sys.platform != "win32":
        return False
    spec = find_spec("epicscorelibs")
    if spec is None or not spec.submodule_search_locations:
        message = f"cachannel needs libca, and epicscorelibs is not installed: {_reinstall()}."
        raise UnusableLibraryError(message)
    folder = Path(next(iter(spec.submodule_search_locations)), "lib")
    # The versioned file is the one that everybody else in the process loads; the plain one is a
    # copy of it, and two libca in one process would know nothing of each other.
    if named:
        libraries = [folder / f"lib{name}{named[1]}" for name in ("Com", "ca")]
    else:
        libraries = [max(folder.glob(f"{name}.*dll"), key=_length, default=folder / f"{name}.dll")
                     for name in ("Com", "ca")]  # fmt: skip
    lacking = [path.name for path in libraries if not path.is_file()]
    if lacking:
        message = f"cachannel needs {' and '.join(lacking)} in {folder}: {_reinstall()}."
        raise UnusableLibraryError(message)
    for path in libraries:
        try:
            ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
        except OSError as exc:
            reason = str(exc).removeprefix(f"{path}: ")
            raise UnusableLibraryError(_not_usable(path, reason)) from None
    return True


def _length(path: Path) -> int:
    return len(path.name)


def _own_base() -> str:
    """Tell which EPICS base of the user's own the extension is built against; "" for none."""
    spec = find_spec(_MODULE)
    data = Path(spec.origin).read_bytes() if spec is not None and spec.origin else b""
    return os.fsdecode(data.partition(_MARKER)[2].partition(b"\0")[0])


def _reinstall() -> str:
    """Tell how to get the libraries of epicscorelibs that this package was built against."""
    from importlib import metadata

    wanted = "epicscorelibs"
    try:
        requirements = metadata.requires("cachannel-cffi") or ()
    except metadata.PackageNotFoundError:
        requirements = ()
    for requirement in requirements:
        name, _, condition = requirement.partition(";")
        if name.startswith("epicscorelibs") and "extra" not in condition:
            wanted = name.strip()
    return f"run '{sys.executable} -m pip install --force-reinstall --no-deps \"{wanted}\"'"


def _not_built() -> str:
    folder = Path(__file__).parents[2]
    if (folder / "build_ffi.py").is_file():
        return (
            f"cachannel is not built: the checkout {folder} has no C extension for this "
            f"interpreter; run '{sys.executable} -m pip install --editable {folder}'."
        )
    return (
        f"cachannel has no C extension for this interpreter in {Path(__file__).parent}; "
        "reinstall cachannel-cffi with it."
    )


def _not_usable(path: Path, reason: str) -> str:
    """Explain a library of epicscorelibs that is there and cannot be loaded."""
    import platform

    if other := _missing_library(reason):
        return f"cachannel cannot load {path}: the system lacks {other}; install it."
    return (
        f"cachannel cannot load {path} ({reason}): the file is broken, or not for this machine "
        f"({platform.machine()}); {_reinstall()}."
    )


def _missing_library(fault: str) -> str:
    """Find the name of a library of the system that the linker does not find; "" if none."""
    found = re.match(r"(lib[^/\s:]+): cannot open shared object file", fault)
    return found[1] if found else ""


def _not_loaded(fault: str, base: str) -> str:
    """Explain why the extension cannot be loaded, from the linker's message."""
    start = f"cachannel was built against the EPICS base {base} and" if base else "cachannel"
    symbol = re.search(r"(?:undefined symbol: |Symbol not found: _)(?!_?Py)(\w+)", fault)
    if symbol:
        remedy = "build cachannel again" if base else _reinstall()
        if os.environ.get("LD_LIBRARY_PATH"):
            remedy = f"take its folder out of LD_LIBRARY_PATH, or {remedy}"
        return (
            f"{start} cannot use this libca or libCom, which has no function {symbol[1]}: it is "
            f"older than the one that cachannel was built against; {remedy}."
        )
    if base:
        return (
            f"{start} cannot load its C extension: {fault}. If the base has moved or changed, "
            "build cachannel again."
        )
    if other := _missing_library(fault):
        return f"cachannel cannot load its C extension: the system lacks {other}; install it."
    return (
        f"cachannel cannot load its C extension: {fault}. Reinstall cachannel-cffi with this "
        "interpreter, or build it against your EPICS base (EPICS_BASE, EPICS_HOST_ARCH)."
    )
