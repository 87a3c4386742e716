"""Compiles cachannel._native._cachannel, the C boundary, against EPICS libca and libCom.

By default these are the libraries of the package ``epicscorelibs``. With EPICS_BASE set (and
EPICS_HOST_ARCH, if the base has more than one architecture) they are those of that base, where
they are looked for at run time, too.
"""

import os
import shutil
import sys
from pathlib import Path

from cffi import FFI

HERE = Path(__file__).parent
NATIVE = Path("cachannel/_native")

# One stub per header of EPICS, then our own. Order matters: later files use earlier names.
CDEF = ["cadef.h", "engine.h"]
SOURCES = [
    "memory.c",
    "events.c",
    "context.c",
    "messages.c",
    "channel.c",
    "request.c",
    "bulk.c",
    "burst.c",
    "search.c",
    "circuits.c",
    "fork.c",
    "library.c",
]

# epicsAtomic, osdThread and friends are kept in folders per system and compiler.
SYSTEMS = {"linux": "Linux", "darwin": "Darwin", "win32": "WIN32"}

COMPILE = [
    "-O2",
    "-std=gnu11",
    "-fvisibility=hidden",
    # An older base may lack a function; the compiler would make up what it takes and returns.
    "-Werror=implicit-function-declaration",
    # epicsMutexMustLock declares a variable that only its assertion uses.
    "-Wno-unused-variable",
]


def fail(sentence: str) -> None:
    """End the build with one sentence that says what to do."""
    sys.exit(f"cachannel: {sentence}")


def base_of(folder: str) -> tuple[list[str], str]:
    """Include folders and library folder of an EPICS base."""
    base = Path(folder).absolute()
    if not (base / "include" / "cadef.h").is_file():
        fail(f"EPICS_BASE={folder} has no include/cadef.h; set it to a built EPICS base 7.")
    arch = os.environ.get("EPICS_HOST_ARCH")
    built = sorted({p.parent.name for p in (base / "lib").glob("*/*ca.*")})
    if not arch and len(built) == 1:
        arch = built[0]
    if not arch or arch not in built:
        fail(f"set EPICS_HOST_ARCH to one of {', '.join(built) or 'the built architectures'}.")
    system = SYSTEMS.get(sys.platform, "posix")
    compiler = "msvc" if sys.platform == "win32" else "clang" if system == "Darwin" else "gcc"
    include = base / "include"
    folders = [include, include / "os" / system, include / "compiler" / compiler]
    return [str(p) for p in folders], str(base / "lib" / str(arch))


def find_epics() -> tuple[list[str], str]:
    """Where the headers and the libraries are."""
    if folder := os.environ.get("EPICS_BASE"):
        return base_of(folder)
    try:
        from epicscorelibs import path
    except ImportError:
        fail("no EPICS found; install the package epicscorelibs or set EPICS_BASE.")
    return [path.include_path], path.lib_path


def find_compiler() -> None:
    """Nothing can be built without a C compiler, and distutils says so in a hundred lines."""
    names = [(os.environ.get("CC") or "cc").split()[0], "gcc", "clang"]
    if sys.platform != "win32" and not any(shutil.which(name) for name in names):
        fail("no C compiler found; install one (gcc or clang, with make) or set CC.")


def marker(base: str) -> str:
    """C code that says which EPICS base of the user's own the module is built against.

    Its beginning is looked for in the file of the module, too, if that cannot be loaded.
    """
    text = f"cachannel: EPICS_BASE={base}".encode()
    text = "".join(f"\\{byte:03o}" for byte in text)
    return (
        f'const char *cc_epics_base(void) {{ return "{text}" + {len("cachannel: EPICS_BASE=")}; }}'
    )


def build() -> FFI:
    """The module, ready to be compiled."""
    find_compiler()
    includes, libraries = find_epics()
    ffi = FFI()
    for name in CDEF:
        ffi.cdef((HERE / NATIVE / "cdef" / name).read_text())
    # Beside our package in site-packages; an editable install finds them another way
    # (see cachannel/_native/__init__.py). An EPICS base stays where it is.
    origin = "@loader_path" if sys.platform == "darwin" else "$ORIGIN"
    base = os.environ.get("EPICS_BASE", "")
    home = libraries if base else f"{origin}/../../epicscorelibs/lib"
    posix = sys.platform != "win32"
    ffi.set_source(
        "cachannel._native._cachannel",
        f'#include "src/engine.h"\n{marker(base)}',
        sources=[str(NATIVE / "src" / name) for name in SOURCES],
        include_dirs=[str(NATIVE), *includes],
        library_dirs=[libraries],
        libraries=["ca", "Com"],
        define_macros=[("_GNU_SOURCE", None)],  # sem_clockwait
        extra_compile_args=COMPILE if posix else [],
        extra_link_args=[f"-Wl,-rpath,{home}"] if posix else [],
    )
    return ffi


ffi = build()

if __name__ == "__main__":
    ffi.compile(verbose=True)
