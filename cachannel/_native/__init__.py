"""The C boundary: libca behind ids, a bounded event queue, and waits that need no Python.

This is the only place where `ffi` and `lib` come from. Raw C names stay on ``lib.``; what they
do is told in ``cdef/engine.h``.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    ffi: Any
    lib: Any

__all__ = ["ffi", "lib"]

_MODULE: Final = "cachannel._native._cachannel"

_MARKER: Final = b"cachannel: EPICS_BASE="
"""The file of the extension contains this, and the EPICS base that it was built against."""


def _preload(fault: str) -> bool:
    """Load libCom and libca of epicscorelibs, so that our extension finds them by name.

    The extension looks for them beside the installed package; an editable install lies
    elsewhere. `epicscorelibs` itself is not imported: that would take longer than all the rest.

    Args:
        fault: why the extension could not be loaded. A library is loaded here only if it is the
            missing one: with another version there would be two libca in the process.

    Returns:
        Whether libraries were loaded, so that the extension may be tried again.
    """
    import ctypes

    spec = find_spec("epicscorelibs")
    for folder in (spec and spec.submodule_search_locations) or ():
        # The versioned file is the one that everybody else in the process loads; the plain one is a
        # copy of it, and two libca in one process would know nothing of each other.
        found = sorted((Path(folder) / "lib").glob("*"), key=lambda path: -len(path.name))
        libraries = [
            next(path for path in found if path.name.removeprefix("lib").startswith(f"{name}."))
            for name in ("Com", "ca")
        ]
        # Windows does not say which library it is.
        if sys.platform == "win32" or any(path.name in fault for path in libraries):
            for path in libraries:
                ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
            return True
    return False


def _own_base() -> str:
    """Tell which EPICS base of the user's own the extension is built against; "" for none."""
    spec = find_spec(_MODULE)
    data = Path(spec.origin).read_bytes() if spec is not None and spec.origin else b""
    return os.fsdecode(data.partition(_MARKER)[2].partition(b"\0")[0])


def _load() -> Any:
    try:
        return import_module(_MODULE)
    except ModuleNotFoundError as exc:
        if exc.name != _MODULE:
            raise
        folder = Path(__file__).parents[2]
        if (folder / "build_ffi.py").is_file():
            message = (
                f"cachannel is not built: the checkout {folder} has no C extension for this "
                f"interpreter; run '{sys.executable} -m pip install --editable {folder}'."
            )
        else:
            message = (
                f"cachannel has no C extension for this interpreter in {Path(__file__).parent}; "
                "reinstall cachannel-cffi with it."
            )
        raise ImportError(message, name=_MODULE) from None
    except ImportError as exc:
        first = exc
    base = _own_base()
    if base:
        message = (
            f"cachannel was built against the EPICS base {base} and cannot load its C extension: "
            f"{first}. Is this base still there? If it has moved, build cachannel again."
        )
        raise ImportError(message, name=_MODULE) from first
    try:
        if _preload(str(first)):
            return import_module(_MODULE)
    except (ImportError, OSError) as exc:
        first.__cause__ = exc
    message = (
        f"cachannel cannot load its C extension: {first}. Reinstall cachannel-cffi with this "
        "interpreter, or build it against your EPICS base (EPICS_BASE, EPICS_HOST_ARCH)."
    )
    raise ImportError(message, name=_MODULE) from first


_extension = _load()
ffi, lib = _extension.ffi, _extension.lib
if not lib.cc_initialize():
    message = "cachannel: out of memory while setting up the C boundary"
    raise ImportError(message)

os.register_at_fork(after_in_child=lib.cc_after_fork)
