"""The table of names for the package root."""

import importlib

import pytest

from cachannel._root_names import ROOT_NAMES


@pytest.mark.parametrize("name", ROOT_NAMES)
def test_name_is_where_the_table_says(name):
    """Every name exists in its module and is public there."""
    module = importlib.import_module(ROOT_NAMES[name])
    assert hasattr(module, name)
    assert name in module.__all__
