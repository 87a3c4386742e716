"""Make ``import epics`` mean this package, its submodules included."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

__all__ = ["ALIAS_FOLDER", "install"]

_OURS = "epics_compat"
_THEIRS = "epics"
_HINT = "PYEPICS_LIBCA"

_LEFT_OUT = ("wx", "qt", "compat")
"""Modules of pyepics that have no counterpart here."""

ALIAS_FOLDER = str(Path(__file__).resolve().parent / "_alias")
"""A folder with a package ``epics`` that installs the alias when it is imported; on `sys.path`
it makes the alias work in the children of multiprocessing, too."""


class _Alias(MetaPathFinder, Loader):
    """Finds ``epics.X`` as ``epics_compat.X``: the same module object, under both names."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if fullname != _THEIRS and not fullname.startswith(_THEIRS + "."):
            return None
        ours = _OURS + fullname[len(_THEIRS) :]
        try:
            found = find_spec(ours)
        except ModuleNotFoundError:
            found = None
        if found is None:
            # Pyepics, if it is installed as well, must not supply what is missing here.
            message = f"No module named {fullname!r}: 'epics' is epics_compat here"
            if fullname.split(".")[1] in _LEFT_OUT:
                message += (
                    f", which leaves out {', '.join(_LEFT_OUT[:-1])} and {_LEFT_OUT[-1]} of pyepics"
                )
            raise ModuleNotFoundError(message, name=fullname)
        return ModuleSpec(fullname, self, is_package=found.submodule_search_locations is not None)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = import_module(_OURS + spec.name[len(_THEIRS) :])
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        # The import system has put the alias's spec there; the module keeps its own.
        spec: Any = module.__spec__
        if spec is not None and spec.loader is self:
            module.__spec__ = spec.loader_state


def _load_hint_of_epicscorelibs() -> None:
    """Load the module that ophyd and others import to tell pyepics which libca to load.

    It warns if `epics.ca` is there before it, since pyepics has loaded its libca then. Here
    `epics.ca` is there from the start, and its libca does not depend on the hint.
    """
    if f"{_THEIRS}.ca" in sys.modules:
        return
    before = os.environ.get(_HINT)
    with suppress(ImportError):  # built against another EPICS base
        import_module("epicscorelibs.path.pyepics")
    if before is None:
        os.environ.pop(_HINT, None)


def install() -> None:
    """Make ``import epics`` and ``import epics.X`` give this package and its submodules.

    Call it before anything imports ``epics``. May be called again.

    Raises:
        ImportError: another ``epics`` has been imported already.
    """
    package = import_module(_OURS)
    other = sys.modules.get(_THEIRS)
    if other is not None and other is not package and getattr(other, "__file__", None) is not None:
        folder = str(Path(str(other.__file__)).resolve().parent.parent)
        if folder != ALIAS_FOLDER:
            message = f"epics is imported already, from {other.__file__}"
            raise ImportError(message)
    _load_hint_of_epicscorelibs()
    if not any(isinstance(finder, _Alias) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Alias())
    sys.modules[_THEIRS] = package
    for name, module in list(sys.modules.items()):
        # What `import epics` of pyepics loads is known by its full name without another import.
        if name.startswith(_OURS + ".") and "._" not in name:
            sys.modules[_THEIRS + name[len(_OURS) :]] = module
    if ALIAS_FOLDER not in sys.path:
        sys.path.append(ALIAS_FOLDER)
