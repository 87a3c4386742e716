"""Settings of Sphinx."""

import re
from pathlib import Path

project = "cachannel"
author = "the cachannel developers"
copyright = "2026, the cachannel developers"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
]
source_suffix = {".md": "markdown"}
html_theme = "furo"
html_title = "cachannel"
html_static_path = ["_static"]
html_css_files = ["site.css"]
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
myst_heading_anchors = 3  # links to headings of other pages
myst_enable_extensions = ["colon_fence"]
napoleon_google_docstring = True
napoleon_custom_sections = ["Source"]
napoleon_use_ivar = True  # attributes of classes have no entries of their own beside autodoc's
copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True
exclude_patterns = ["_build"]

nitpicky = True
# Several modules have a `Context`, a `PV` and a `DisconnectedError`; a link goes to one of them.
suppress_warnings = ["ref.python"]
# Types of the standard library and of NumPy: their inventories would have to be downloaded.
_FOREIGN = [
    "argparse", "asyncio", "collections", "ctypes", "datetime", "enum", "importlib",
    "ipaddress", "itertools", "logging", "multiprocessing", "np", "npt", "numpy", "os",
    "pathlib", "random", "re", "socket", "struct", "threading", "types", "typing", "weakref",
]  # fmt: skip
nitpick_ignore_regex = [
    ("py:.*", rf"({'|'.join(_FOREIGN)})\..*"),
    # Internal classes in annotations and base classes; the text says what a reader needs of them.
    ("py:.*", r"(cachannel|epics_compat)\.(.*\.)?_.*"),
    ("py:.*", r"cachannel\.(client|threading|asyncio|server|values)\..*"),
]
# Names of type variables and of type aliases, which annotations show as they are written.
nitpick_ignore = [
    ("py:class", name) for name in Path(__file__).with_name("aliases.txt").read_text().split()
]

# A name is documented where it is defined, if that module has a page, and not again where it is
# imported.
_DOCUMENTED = {
    name
    for page in Path(__file__).parent.glob("reference/*.md")
    for name in re.findall(r"automodule:: (\S+)", page.read_text(encoding="utf-8"))
}


def _skip(app, what, name, obj, skip, options):  # type: ignore[no-untyped-def]
    """Leave out what another page has."""
    home = getattr(obj, "__module__", None)
    here = app.env.current_document.autodoc_module or app.env.temp_data.get("autodoc:module")
    if what == "module" and home in _DOCUMENTED and here and home != here:
        return True
    return skip


_SECTION = re.compile(r"(Args|Returns|Raises|Source|Attributes|Yields):$")
_kept: dict[str, list[str]] = {}


def _keep(app, what, name, obj, options, lines):  # type: ignore[no-untyped-def]
    """Keep the text of attributes that has no sections."""
    if what in ("attribute", "property", "data") and not any(map(_SECTION.match, lines)):
        _kept[name] = list(lines)


def _restore(app, what, name, obj, options, lines):  # type: ignore[no-untyped-def]
    """Undo what napoleon makes of it: it takes what stands before a colon for a type."""
    if name in _kept:
        lines[:] = _kept.pop(name)


def setup(app):  # type: ignore[no-untyped-def]
    """Install the hooks, two of them around napoleon's."""
    app.connect("autodoc-skip-member", _skip)
    app.connect("autodoc-process-docstring", _keep, priority=400)
    app.connect("autodoc-process-docstring", _restore, priority=600)
