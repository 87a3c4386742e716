"""The code in docs/server.md works."""

import re
from pathlib import Path

import pytest

import cachannel.server

BLOCKS = re.findall(
    r"```python\n(.*?)```",
    (Path(__file__).parents[2] / "docs" / "server.md").read_text(),
    re.DOTALL,
)


@pytest.mark.parametrize(
    ("block", "group", "names"),
    [
        (0, "Simple", ["count", "gain", "profile"]),
        (1, "Motor", ["position", "readback", "voltage", "beat"]),
        (2, "Stage", ["x:position", "vertical:position", "z-position"]),
        (3, "Sensor", ["level"]),
        (4, "Guarded", ["lock", "setpoint"]),
    ],
)
def test_classes_have_the_pvs_that_the_page_says(block, group, names):
    """The last class of a block makes PVs of these names."""
    namespace = {name: getattr(cachannel.server, name) for name in cachannel.server.__all__}
    namespace["__name__"] = "docs"
    exec(compile(BLOCKS[block], f"docs/server.md, block {block}", "exec"), namespace)
    assert list(namespace[group]("p:").pvdb) == [f"p:{name}" for name in names]


def test_every_block_is_tested():
    """As many blocks as there are cases."""
    assert len(BLOCKS) == 5
