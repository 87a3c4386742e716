"""The map of the repository in CONTRIBUTING.md names every part, and no part that is gone."""

import ast
import re
from pathlib import Path

import cachannel

ROOT = Path(__file__).resolve().parents[2]
MAP = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## Rules")[0]
NAMED = set(re.findall(r"`([\w./]+)`", MAP))


def parts() -> set[str]:
    """The modules and folders at the top of the package, and the folders of the repository."""
    package = ROOT / "cachannel"
    modules = {path.name for path in package.glob("*.py")} - {"__init__.py"}
    folders = {path.parent.name for path in package.glob("*/__init__.py")}
    others = {"benchmarks", "docs", "dropin", "epics_compat", "recipes", "tests", "typing_tests"}
    return {f"cachannel/{name}" for name in modules | folders} | others | {"build_ffi.py"}


def test_the_map_names_every_part() -> None:
    assert parts() <= NAMED


def test_every_path_on_the_map_exists() -> None:
    paths = {name for name in NAMED if "/" in name and not name.startswith(("src/", "cdef/"))}
    assert len(paths) > 30
    assert {name for name in paths if not (ROOT / name).exists()} == set()


def imported(path: Path) -> set[str]:
    """The parts that a module imports, in functions too, but not for type checkers only."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            package, _, rest = name.partition(".")
            if package == "cachannel" and rest:
                found.add(rest.partition(".")[0])
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text(encoding="utf-8")))
    return found


def test_a_part_imports_only_parts_that_stand_above_it() -> None:
    order = [name.removeprefix("cachannel/").removesuffix(".py")
             for name in re.findall(r"`(cachannel/\w+(?:\.py)?)`", MAP)]  # fmt: skip
    place = {name: index for index, name in reversed(list(enumerate(order)))}
    wrong = []
    for path in sorted((ROOT / "cachannel").rglob("*.py")):
        part = path.relative_to(ROOT / "cachannel").parts[0].removesuffix(".py")
        if part in place:
            wrong += [
                f"{path.relative_to(ROOT)} imports {name}"
                for name in imported(path)
                if place.get(name, -1) > place[part]
            ]
    assert wrong == []


def test_the_layout_in_the_docstring_names_modules_that_exist() -> None:
    layout = (cachannel.__doc__ or "").partition("Names are loaded")[0]
    names = set(re.findall(r"(?<!`)`(\w+)`(?!`)", layout)) - {"epics_compat"}
    folders = {path.parent.name for path in (ROOT / "cachannel").glob("*/__init__.py")}
    modules = {path.stem for path in (ROOT / "cachannel").glob("*.py")}
    assert names <= folders | modules
    # Import names of other projects and entry points are left to CONTRIBUTING.md.
    assert folders - names == {"_dropin", "ioc_examples"}
