"""The package root: what `dir` shows, and what a wrong name is answered with."""

import subprocess
import sys

import pytest

import cachannel
import cachannel.server


@pytest.mark.parametrize("module", [cachannel, cachannel.server], ids=lambda m: m.__name__)
def test_dir_shows_public_names_only(module) -> None:
    names = dir(module)
    private = [n for n in names if n.startswith("_") and not n.endswith("__")]
    assert not private
    assert not {"Any", "TYPE_CHECKING", "annotations", "import_module", "importlib", "sys"} & {
        *names
    }
    assert "__version__" in dir(cachannel)
    assert {"CaChannel", "Context", "ca", "server", "ChannelData"} <= {*dir(cachannel)}
    assert {*cachannel.server.__all__} <= {*dir(cachannel.server)}


@pytest.mark.parametrize(
    ("statement", "suggestion"),
    [
        ("cachannel.CaChanel", "CaChannel"),
        ("cachannel.ChanelData", "ChannelData"),
        ("cachannel.Contxt", "Context"),
        ("cachannel.server.PVGrup", "PVGroup"),
    ],
)
def test_a_wrong_name_is_answered_with_one_that_is_like_it(statement, suggestion) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import cachannel.server\n{statement}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    module, _, name = statement.rpartition(".")
    assert done.stderr.splitlines()[-1] == (
        f"AttributeError: module {module!r} has no attribute {name!r}. "
        f"Did you mean: {suggestion!r}?"
    )


def test_the_error_carries_name_and_object() -> None:
    with pytest.raises(AttributeError) as caught:
        cachannel.CaChanel  # noqa: B018
    assert (caught.value.name, caught.value.obj) == ("CaChanel", cachannel)


def test_names_with_an_underscore_are_not_suggested() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'HOMES'"):
        cachannel.HOMES  # noqa: B018
