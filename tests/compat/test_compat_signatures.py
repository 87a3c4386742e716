"""The public functions of pyepics 3.5.10, with their parameters, are all here.

``pyepics_signatures.txt`` lists them: names, order and defaults are what programs rely on.
"""

import importlib
import inspect
from pathlib import Path
from typing import Any

import pytest

LINES = (Path(__file__).parent / "pyepics_signatures.txt").read_text(encoding="utf-8").splitlines()

# Better than the original: these take what is given here in place of nothing but keywords.
MORE = {"epics.pv.PV", "epics.device.Device.PV"}


def find(name: str) -> Any:
    """Give what a dotted name of ``epics`` is in `epics_compat`."""
    first, *rest = name.replace("epics", "epics_compat", 1).split(".")
    found: Any = importlib.import_module(first)
    for part in rest:
        if not hasattr(found, part):
            importlib.import_module(f"{found.__name__}.{part}")
        found = getattr(found, part)
    return found


def parameters(function: Any) -> list[str]:
    """List the parameters as the file does."""
    result = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL:
            result.append(f"*{parameter.name}")
        elif parameter.kind is parameter.VAR_KEYWORD:
            result.append("**")
        elif parameter.default is parameter.empty:
            result.append(parameter.name)
        else:
            result.append(f"{parameter.name}={parameter.default!r}")
    return result


@pytest.mark.parametrize("line", LINES, ids=[line.split("(")[0] for line in LINES])
def test_signature(line: str) -> None:
    name, _, rest = line.partition("(")
    # What the name of the keywords is does not matter to anybody.
    wanted = ["**" if part.startswith("**") else part for part in rest[:-1].split(", ") if part]
    given = parameters(find(name))
    missing = [part for part in wanted if part not in given]
    assert not missing, given
    fixed = [part for part in wanted if not part.startswith("*")]
    if name in MORE:
        given = [part for part in given if part in wanted]
    assert given[: len(fixed)] == fixed
