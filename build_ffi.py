"""Compiles cachannel._native._cachannel, the C boundary, against EPICS libca and libCom.

By default these are the libraries of the package ``epicscorelibs``. With EPICS_BASE set (and
EPICS_HOST_ARCH, if the base has more than one architecture) they are those of that base, where
they are looked for at run time, too.
"""

import os
import platform
import re
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import NoReturn

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


def fail(sentence: str) -> NoReturn:
    """End the build with one sentence that says what to do."""
    sys.exit(f"cachannel: {sentence}")


def version_of(header: Path) -> str:
    """Version of an EPICS base, from its epicsVersion.h; "" if there is none."""
    found = {}
    if header.is_file():
        text = header.read_text(errors="replace")
        found = dict(re.findall(r"^#define\s+EPICS_(\w+)\s+(\d+)", text, re.MULTILINE))
    parts = [found[n] for n in ("VERSION", "REVISION", "MODIFICATION") if n in found]
    return ".".join(parts)


def machine_of(file: Path) -> bytes:
    """Word size and machine of a library or program of Linux; b"" for other files."""
    with file.open("rb") as opened:
        start = opened.read(20)
    return start[4:6] + start[18:20] if start[:4] == b"\x7fELF" and len(start) == 20 else b""


def check_library(library: Path) -> None:
    """The linker skips a library for another machine, and says that there is none."""
    if not sys.platform.startswith("linux") or "_PYTHON_HOST_PLATFORM" in os.environ:
        return  # other formats; a build for another machine
    machine = machine_of(library)
    if not machine:
        fail(f"{library} is not a shared library; build the EPICS base again.")
    if machine != machine_of(Path(sys.executable)):
        fail(
            f"{library} is for another machine than this Python ({platform.machine()}); set "
            "EPICS_HOST_ARCH to an architecture of this machine."
        )


def base_of(folder: str) -> tuple[list[str], str]:
    """Include folders and library folder of an EPICS base."""
    base = Path(folder).absolute()
    include = base / "include"
    if not (include / "cadef.h").is_file():
        fail(f"EPICS_BASE={folder} has no include/cadef.h; set it to a built EPICS base 7.")
    version = version_of(include / "epicsVersion.h")
    if version and int(version.partition(".")[0]) < 7:
        fail(f"EPICS_BASE={folder} is EPICS {version}; set it to an EPICS base 7.")
    arch = os.environ.get("EPICS_HOST_ARCH")
    name = {"win32": "ca.lib", "darwin": "libca.dylib"}.get(sys.platform, "libca.so")
    built = sorted({p.parent.name for p in (base / "lib").glob(f"*/{name}")})
    if not built:
        fail(
            f"EPICS_BASE={folder} has no lib/*/{name}; build the base with shared libraries "
            "(SHARED_LIBRARIES=YES in configure/CONFIG_SITE)."
        )
    if not arch and len(built) == 1:
        arch = built[0]
    if arch not in built:
        wrong = f"EPICS_HOST_ARCH={arch} is not in EPICS_BASE={folder}; " if arch else ""
        fail(f"{wrong}set EPICS_HOST_ARCH to one of {', '.join(built)}.")
    check_library(base / "lib" / arch / name)
    system = SYSTEMS.get(sys.platform, "posix")
    compiler = "msvc" if sys.platform == "win32" else "clang" if system == "Darwin" else "gcc"
    folders = [include, include / "os" / system, include / "compiler" / compiler]
    return [str(p) for p in folders], str(base / "lib" / arch)


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
    if sys.platform == "win32":
        return
    # What distutils calls: the compiler that this Python was built with, unless CC is set.
    command = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    name = command.split()[0]
    if not shutil.which(name):
        fail(f"no C compiler: {name} is not found; install it (gcc, make), or set CC to another.")
    header = Path(sysconfig.get_path("include"), "Python.h")
    elsewhere = any(os.environ.get(n) for n in ("CFLAGS", "CPPFLAGS", "CPATH", "C_INCLUDE_PATH"))
    if not header.is_file() and not elsewhere:
        fail(f"{header} is missing; install the headers of Python (python3-dev, python3-devel).")


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
