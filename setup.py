"""Compiles the cffi module, and names the requirements that depend on EPICS_BASE.

Everything else is in pyproject.toml.
"""

import os
import sys
import sysconfig

from setuptools import setup
from setuptools.command.build_ext import build_ext

if sys.version_info < (3, 11):  # noqa: UP036 - only pip looks at what is required
    sys.exit(
        "cachannel: Python 3.11 or newer is needed, and this is Python "
        f"{sys.version.split()[0]}; use a newer one."
    )

# Headers and libraries at build time, libraries at run time. Their file names contain the full
# version, so both must be the same. An EPICS base of the user takes the place of the package.
EPICS = [] if os.environ.get("EPICS_BASE") else ["epicscorelibs>=7.0.10.99.0,<7.0.10.99.1"]


def without_rpaths(words: list[str]) -> list[str]:
    """Remove the run-time folders that this Python was built with.

    They would go to other machines with a wheel. Those of the caller's LDFLAGS stay.
    """
    inherited = set((sysconfig.get_config_var("LDSHARED") or "").split())
    inherited -= set(os.environ.get("LDFLAGS", "").split())
    return [word for word in words if not (word in inherited and word.startswith("-Wl,-rpath"))]


class BuildExt(build_ext):
    """Compiles every time, and fails if the EPICS libraries lack a function that we call."""

    def finalize_options(self) -> None:
        super().finalize_options()
        # What is in `build` may have been compiled against another EPICS, or with other headers.
        self.force = True

    def build_extension(self, ext) -> None:
        if self.compiler.compiler_type == "unix":
            self.compiler.linker_so = without_rpaths(self.compiler.linker_so)
        linux = sys.platform.startswith("linux")
        if linux and not (self.inplace or self.editable_mode):
            ext.extra_link_args.append("-Wl,--strip-all")
        super().build_extension(ext)
        if linux:
            self.link_alone(ext)

    def link_alone(self, ext) -> None:
        """Link our own files without Python: every symbol must be in libca, libCom or libc.

        An extension is linked with undefined symbols, because those of Python are found when it is
        imported. A function that libca lacks would otherwise show at that time only.
        """
        own = [source for source in ext.sources if source.startswith("cachannel")]
        self.compiler.link_shared_object(
            self.compiler.object_filenames(own, output_dir=self.build_temp),
            os.path.join(self.build_temp, "alone.so"),
            libraries=ext.libraries,
            library_dirs=ext.library_dirs,
            extra_postargs=["-Wl,-z,defs"],
        )


setup(
    cffi_modules=["build_ffi.py:ffi"],
    cmdclass={"build_ext": BuildExt},
    setup_requires=EPICS,
    install_requires=["cffi>=1.15", "numpy>=1.24", *EPICS],
)
