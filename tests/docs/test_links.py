"""Files that texts outside of the documentation site name or link exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXTS = [ROOT / "CONTRIBUTING.md", *sorted((ROOT / "recipes").rglob("*.md"))]
CODE = re.compile(r"^```(python|py|pycon|sh|ini)\n(.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_lead_to_files(text: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", text.read_text()):
        assert (text.parent / link).exists(), link


def test_the_readme_names_files_that_exist_and_links_none() -> None:
    """A package index shows the page where no file is beside it."""
    text = (ROOT / "README.md").read_text()
    assert not re.findall(r"\]\((?!https?:)", text)
    named = re.findall(r"`((?:docs|benchmarks|recipes)/[\w/.-]+|[A-Z]+\.md|LICENSE)`", text)
    assert len(named) > 4
    # What `make docs` makes is not there yet.
    for name in set(named) - {"docs/_build/html/index.html"}:
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda path: path.stem)
def test_lines_of_code_fit_their_boxes(page: Path) -> None:
    """The style sheet of the site makes room for 100 characters; output is wrapped."""
    for kind, block in CODE.findall(page.read_text()):
        for line in block.splitlines():
            is_output = kind == "pycon" and not line.startswith((">>> ", "... "))
            assert is_output or len(line) <= 100, line
