"""The C boundary: libca behind ids, a bounded event queue, and waits that need no Python.

This is the only place where `ffi` and `lib` come from. Raw C names stay on ``lib.``; what they
do is told in ``cdef/engine.h``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    ffi: Any
    lib: Any

__all__ = ["ffi", "lib"]


def _preload() -> None:
    """Load libCom and libca of epicscorelibs, so that our extension finds them by name.

    The extension looks for them beside the installed package; an editable install lies
    elsewhere. `epicscorelibs` itself is not imported: that would take longer than all the rest.
    """
    import ctypes
    import importlib.util
    from pathlib import Path

    spec = importlib.util.find_spec("epicscorelibs")
    for folder in (spec and spec.submodule_search_locations) or ():
        for name in ("Com", "ca"):
            # The versioned file is the one that everybody else in the process loads; the plain
            # one is a copy of it, and two libca in one process would know nothing of each other.
            found = sorted((Path(folder) / "lib").glob(f"*{name}.*"), key=lambda p: -len(p.name))
            libraries = [p for p in found if p.name.removeprefix("lib").startswith(f"{name}.")]
            for library in libraries:
                if library.suffix != ".lib":
                    ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
                    break


def _load() -> tuple[Any, Any]:
    try:
        from . import _cachannel  # type: ignore[attr-defined, unused-ignore]
    except ImportError as first:
        try:
            _preload()
            from . import _cachannel  # type: ignore[attr-defined, unused-ignore]
        except (ImportError, OSError) as second:
            message = (
                "cachannel cannot load its C extension: "
                f"{first}. Reinstall cachannel-cffi with this interpreter, or build it against "
                "your EPICS base (EPICS_BASE, EPICS_HOST_ARCH)."
            )
            raise ImportError(message) from second
    return _cachannel.ffi, _cachannel.lib


ffi, lib = _load()
if not lib.cc_initialize():
    message = "cachannel: out of memory while setting up the C boundary"
    raise ImportError(message)

os.register_at_fork(after_in_child=lib.cc_after_fork)
