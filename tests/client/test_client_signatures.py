"""The signatures that programs rely on, and the types that checkers see."""

import inspect
from typing import TYPE_CHECKING, Any, assert_type

import pytest

from cachannel.asyncio import client as asyncio_client
from cachannel.client.common import GLOBAL_DEFAULT_TIMEOUT, PV_DEFAULT_TIMEOUT
from cachannel.client.responses import ReadNotifyResponse, ReadResponse
from cachannel.sync import client as sync_client
from cachannel.sync.repeater import RepeaterAlreadyRunning
from cachannel.threading import client as threading_client

CONTEXT = "broadcaster=None, *, timeout=2.0, host_name=None, client_name=None, max_workers=1"
READ = "*, wait=True, callback=None, timeout=PV, data_type=None, data_count=None, notify=True"
WRITE = (
    "data, *, wait=True, callback=None, timeout=PV, notify=None, data_type=None, data_count=None"
)
SUBSCRIBE = "data_type=None, data_count=None, low=0.0, high=0.0, to=0.0, mask=None"
SYNC = {
    "read": "pv_name, *, data_type=None, data_count=None, timeout=2.0, priority=0, notify=True, "
    "force_int_enums=False, repeater=True",
    "write": "pv_name, data, *, notify=False, data_type=None, metadata=None, timeout=2.0, "
    "priority=0, repeater=True",
    "read_write_read": "pv_name, data, *, notify=False, read_data_type=None, "
    "write_data_type=None, metadata=None, timeout=2.0, priority=0, force_int_enums=False, "
    "repeater=True",
    "subscribe": f"pv_name, priority=0, {SUBSCRIBE}",
    "block": "*subscriptions, duration=None, timeout=2.0, force_int_enums=False, repeater=True",
    "interrupt": "",
}


def shown(function: Any) -> str:
    """A signature without types and without self."""
    signature = inspect.signature(function)
    parameters = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for name, parameter in signature.parameters.items()
        if name != "self"
    ]
    text = str(inspect.Signature(parameters))[1:-1]
    # That it is 2 s where the environment does not say otherwise: test_client_sync.py.
    text = text.replace(f"timeout={GLOBAL_DEFAULT_TIMEOUT}", "timeout=2.0")
    return text.replace(repr(PV_DEFAULT_TIMEOUT), "PV")


@pytest.mark.parametrize("module", [threading_client, asyncio_client])
def test_the_signatures_of_contexts_and_pvs(module: Any) -> None:
    assert shown(module.Context) == CONTEXT
    assert shown(module.PV.read) == READ
    assert shown(module.PV.write) == WRITE
    assert shown(module.PV.subscribe) == SUBSCRIBE


@pytest.mark.parametrize("name", SYNC)
def test_the_signatures_of_the_sync_client(name: str) -> None:
    assert shown(getattr(sync_client, name)) == SYNC[name]


def test_a_taken_repeater_port_is_a_runtime_error() -> None:
    assert issubclass(RepeaterAlreadyRunning, RuntimeError)


if TYPE_CHECKING:

    async def what_reads_give(pv: asyncio_client.PV, flag: bool) -> None:
        """Looked at by the type checker only."""
        assert_type(await pv.read(data_type="time"), ReadNotifyResponse)
        assert_type(await pv.read(notify=False), ReadResponse)
        assert_type(await pv.read(wait=flag), ReadNotifyResponse | ReadResponse | None)
