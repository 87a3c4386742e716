"""Every public name has an entry in the reference."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"

PUBLIC = (
    "cachannel.asyncio.client",
    "cachannel.ca",
    "cachannel.channel",
    "cachannel.client.common",
    "cachannel.client.responses",
    "cachannel.context",
    "cachannel.engine",
    "cachannel.epicsMotor",
    "cachannel.epicsPV",
    "cachannel.errors",
    "cachannel.logs",
    "cachannel.many",
    "cachannel.protocol.channel_types",
    "cachannel.protocol.constants",
    "cachannel.protocol.dbr",
    "cachannel.protocol.dbr_types",
    "cachannel.protocol.enums",
    "cachannel.protocol.errors",
    "cachannel.protocol.filters",
    "cachannel.protocol.messages",
    "cachannel.protocol.settings",
    "cachannel.protocol.status_codes",
    "cachannel.protocol.text",
    "cachannel.protocol.timestamp",
    "cachannel.repeater",
    "cachannel.server",
    "cachannel.server.records",
    "cachannel.sync.client",
    "cachannel.sync.repeater",
    "cachannel.threading.batch",
    "cachannel.threading.client",
    "cachannel.util",
    "epics_compat",
    "epics_compat.alarm",
    "epics_compat.autosave",
    "epics_compat.ca",
    "epics_compat.dbr",
    "epics_compat.device",
    "epics_compat.devices",
    "epics_compat.motor",
    "epics_compat.multiproc",
    "epics_compat.pv",
    "epics_compat.utils",
)
"""The modules that programs import from."""

# Names in the star import of these modules because the originals have them there: modules of the
# standard library, and what another page has.
BROUGHT_ALONG = {
    "cachannel.epicsMotor": {"epicsPV", "time"},
    "cachannel.epicsPV": {"CaChannel", "ca"},
    "cachannel.util": {
        "CaChannel", "ca", "collections", "datetime", "itertools", "numbers", "sys", "threading",
    },
    "cachannel.server": {"menus", "records", "server"},
}  # fmt: skip


def entries() -> tuple[dict[str, set[str] | None], set[str]]:
    """Return the modules that are documented (None: all their names), and single names."""
    modules: dict[str, set[str] | None] = {}
    names: set[str] = set()
    for page in REFERENCE.glob("*.md"):
        text = page.read_text(encoding="utf-8")
        names.update(re.findall(r"^\.\. auto(?:class|function|exception|data):: (\S+)", text, re.M))
        for found in re.finditer(r"^\.\. automodule:: (\S+)\n((?:   .*\n)*)", text, re.M):
            members = re.search(r":members:(.*)", found[2])
            excluded = re.search(r":exclude-members:(.*)", found[2])
            assert excluded is None or members is not None, found[1]
            listed = None
            if members is None or ":no-members:" in found[2]:
                listed = set()
            elif members[1].strip():
                listed = {name.strip() for name in members[1].split(",")}
            modules[found[1]] = listed
    return modules, names


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_is_in_the_reference(module: str) -> None:
    """A name has an entry of its own, or its module documents all its names."""
    modules, single = entries()
    loaded = import_module(module)
    public = set(getattr(loaded, "__all__", ())) - BROUGHT_ALONG.get(module, set())
    if module in modules and modules[module] is None:
        return
    listed = modules.get(module) or set()
    missing = set()
    for name in public - listed:
        home = getattr(getattr(loaded, name), "__module__", module)
        here = f"{module}.{name}", f"{home}.{name}"
        if not any(full in single for full in here) and modules.get(home, set()) is not None:
            missing.add(name)
    assert not missing, f"{module}: {sorted(missing)}"


def test_the_top_of_epics_compat_is_in_the_reference() -> None:
    """Its functions and classes are those that `import epics` gives."""
    import epics_compat

    modules, single = entries()
    missing = []
    for name in dir(epics_compat):
        value = getattr(epics_compat, name)
        home = getattr(value, "__module__", None)
        if name.startswith("_") or not callable(value) or not str(home).startswith("epics_compat"):
            continue
        if modules.get(str(home), set()) is not None and not any(
            full.endswith(f".{name}") for full in single
        ):
            missing.append(f"{home}.{name}")
    assert not missing


def test_entries_name_things_that_exist() -> None:
    """A name that was renamed or removed does not stay in the reference."""
    modules, single = entries()
    for module, listed in modules.items():
        loaded = import_module(module)
        assert all(hasattr(loaded, name) for name in listed or ()), module
    for full in single:
        module, _, name = full.rpartition(".")
        assert hasattr(import_module(module), name), full
