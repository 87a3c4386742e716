"""The code of docs/first-steps.md and docs/recipes.md works, on the PVs of the demo."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cachannel
from cachannel import CaChannel, ca, util
from cachannel.util import caget
from support.ioc import SoftIoc
from support.waiting import wait_until

DOCS = Path(__file__).parents[2] / "docs"

DATABASE = """
record(ao, "demo:temperature") { field(EGU, "C") field(PREC, "2") field(DRVH, "40") }
record(ao, "demo:setpoint") {}
record(bo, "demo:door") { field(ZNAM, "Done") field(ONAM, "Busy") field(VAL, "1") }
"""


def blocks(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)


@pytest.fixture
def namespace(make_ioc: Callable[..., SoftIoc]) -> Iterator[dict[str, Any]]:
    """What the text around the code takes for granted."""
    make_ioc(DATABASE)
    chan = CaChannel("demo:temperature")
    chan.setTimeout(30)
    chan.searchw()
    chan.putw(20.5)
    names = ["demo:temperature", "demo:setpoint"]
    yield {
        "__name__": "docs", "chan": chan, "ca": ca, "caget": caget, "names": names,
        "latest": np.zeros(len(names)),
    }  # fmt: skip
    cachannel.USE_NUMPY = False
    chan.clear_channel()
    for name in names:
        util._channels_.pop(name, chan).clear_channel()
    util._channels_.pop("demo:door", None)


def wait_for(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Wait until the callbacks have printed this; it may come in pieces."""
    printed: list[str] = []

    def has_come() -> bool:
        printed.append(capsys.readouterr().out)
        return text in "".join(printed)

    wait_until(has_come, 30, what=text)


def run(block: str, namespace: dict[str, Any]) -> None:
    exec(compile(block, "docs", "exec"), namespace)


def test_first_steps(namespace: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    connect, many, lists, monitor = blocks("first-steps.md")
    run(connect, namespace)
    assert float(capsys.readouterr().out) == 20.5
    run(many, namespace)
    assert namespace["values"] == [22.0, 0.0]
    run(lists, namespace)
    assert namespace["values"] == [22.0, 0.0]
    run(monitor, namespace)
    wait_for("demo:temperature 22.0", capsys)
    namespace["chan"].clear_channel()


def test_recipes(namespace: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    enum, control, numpy, put, put_callback, connection, sink, logging = blocks("recipes.md")
    for block in (enum, control, numpy, put):
        run(block, namespace)
    assert namespace["info"]["pv_units"] == "C"
    assert cachannel.USE_NUMPY is True
    assert caget("demo:setpoint") == 5
    run(put_callback, namespace)
    wait_for("ECA.NORMAL", capsys)
    run(connection, namespace)
    wait_for("demo:temperature CA_OP.CONN_UP", capsys)
    # The loop of the page has no end.
    run(sink.rstrip() + "\n        if all(latest): break\n", namespace)
    assert list(namespace["latest"]) == [5.0, 5.0]
    assert "basicConfig" in logging
    namespace["chan"].clear_channel()
