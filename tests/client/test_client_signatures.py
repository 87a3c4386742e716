"""The signatures that programs rely on, and the types that checkers see."""

import inspect
from typing import TYPE_CHECKING, Any, assert_type

import pytest

from cachannel import repeater
from cachannel.asyncio import client as asyncio_client
from cachannel.client.common import GLOBAL_DEFAULT_TIMEOUT, PV_DEFAULT_TIMEOUT
from cachannel.client.responses import ReadNotifyResponse, ReadResponse
from cachannel.protocol.errors import CaprotoRuntimeError
from cachannel.sync import client as sync_client, repeater as sync_repeater
from cachannel.sync.repeater import RepeaterAlreadyRunning, check_for_running_repeater
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


def methods(cls: type) -> dict[str, Any]:
    """The public functions of a class, inherited ones too."""
    found = inspect.getmembers(cls, inspect.isfunction)
    return {name: function for name, function in found if not name.startswith("_")}


# What one client has and the other has not, or not with the same arguments.
DIFFERENT = {
    "Context": {"disconnect", "monitor", "search"},
    "SharedBroadcaster": {"disconnect", "search", "search_now"},
}


@pytest.mark.parametrize(
    "name", ["PV", "Context", "Subscription", "SharedBroadcaster", "VirtualCircuitManager"]
)
def test_the_two_clients_with_contexts_have_the_same_methods_and_describe_all_arguments(
    name: str,
) -> None:
    ours = [methods(getattr(module, name)) for module in (threading_client, asyncio_client)]
    different = DIFFERENT.get(name, set())
    first, second = (
        {key: shown(function) for key, function in found.items() if key not in different}
        for found in ours
    )
    assert first == second
    for found in ours:
        for key, function in found.items():
            text = inspect.getdoc(function) or ""
            assert text, key
            if "Args:" in text:
                parameters = [p for p in inspect.signature(function).parameters if p != "self"]
                assert [p for p in parameters if f"{p}: " not in text] == []


@pytest.mark.parametrize("name", SYNC)
def test_the_signatures_of_the_sync_client(name: str) -> None:
    assert shown(getattr(sync_client, name)) == SYNC[name]


def test_a_taken_repeater_port_is_a_runtime_error() -> None:
    assert issubclass(RepeaterAlreadyRunning, RuntimeError)
    with check_for_running_repeater(("127.0.0.1", 0)) as bound:
        address = bound.getsockname()
        with pytest.raises(RepeaterAlreadyRunning, match=str(address[1])):
            check_for_running_repeater(address)


def test_the_signatures_of_circuits_and_sync_subscriptions() -> None:
    assert shown(sync_client.Subscription.remove_callback) == "cb_id"
    assert shown(sync_client.Subscription.block) == (
        "duration=None, timeout=1, force_int_enums=False, repeater=True"
    )
    for module in (threading_client, asyncio_client):
        assert shown(module.VirtualCircuitManager.send) == "*commands, extra=None"


def test_a_running_repeater_is_an_error_under_both_import_paths() -> None:
    assert issubclass(sync_repeater.RepeaterAlreadyRunning, repeater.RepeaterAlreadyRunning)
    assert issubclass(sync_repeater.RepeaterAlreadyRunning, CaprotoRuntimeError)


if TYPE_CHECKING:

    async def what_reads_give(pv: asyncio_client.PV, flag: bool) -> None:
        """Looked at by the type checker only."""
        assert_type(await pv.read(data_type="time"), ReadNotifyResponse)
        assert_type(await pv.read(notify=False), ReadResponse)
        assert_type(await pv.read(wait=flag), ReadNotifyResponse | ReadResponse | None)
