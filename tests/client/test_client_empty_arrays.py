"""An array that becomes empty, or never had elements, is an event for monitors of every API."""

from typing import Any

import pytest

import epics_compat
from cachannel import CaChannel, ca
from cachannel.engine import ANY, Channel, Context, connect_many
from cachannel.threading.client import Context as ThreadingContext
from cachannel.values.decode import elements
from support.waiting import wait_until

FILLED: dict[str, tuple[Any, list[Any]]] = {
    "DOUBLE": ([1.5, 2.5], [1.5, 2.5]),
    "FLOAT": ([1.5], [1.5]),
    "LONG": ([-3, 70000, 1], [-3, 70000, 1]),
    "SHORT": ([-3, 7], [-3, 7]),
    "CHAR": ([1, 2, 3], [1, 2, 3]),
    "ENUM": ([1, 2], [1, 2]),
    "STRING": (["one", "two"], [b"one", b"two"]),
}
RECORD = 'record(waveform, "empty:{0}") {{ field(FTVL, "{0}") field(NELM, "10") }}\n'


@pytest.fixture
def arrays(make_ioc: Any) -> Any:
    """An IOC with a waveform of each type, none of which was ever written."""
    return make_ioc("".join(RECORD.format(kind) for kind in FILLED))


@pytest.mark.parametrize("kind", list(FILLED))
def test_a_native_monitor_of_the_clients_sees_an_empty_array(
    lasting: Any, arrays: Any, kind: str
) -> None:
    written, read = FILLED[kind]
    name = f"empty:{kind}"
    pv = lasting.pv(name)
    seen: list[list[Any]] = []
    types: set[str] = set()

    def changed(subscription: Any, response: Any) -> None:
        types.add(response.data_type.name)
        assert response.metadata is None
        seen.append(list(response.data))

    async def subscribe() -> None:
        pv.subscribe().add_callback(changed)

    if lasting.name == "asyncio":
        lasting.do(subscribe())
    else:
        pv.subscribe().add_callback(changed)
    wait_until(lambda: seen == [[]], what="the event of an array that was never written")
    for number, (data, right) in enumerate([(written, read), ([], []), (written, read)], 2):
        lasting.write(name, data)
        wait_until(lambda: len(seen) >= number, what="the event")  # noqa: B023 - runs at once
        assert seen[-1] == right
    assert types == {"INT" if kind == "SHORT" else kind}


def test_native_monitors_of_the_other_apis_see_an_empty_array(arrays: Any) -> None:
    heard: dict[str, list[list[float]]] = {}

    def note(key: str, value: Any) -> None:
        items = value if hasattr(value, "__len__") else [value]
        heard.setdefault(key, []).append([float(item) for item in items])

    name = "empty:DOUBLE"
    writer = CaChannel(name)
    writer.searchw()
    writer.add_masked_array_event(
        ca.DBR_DOUBLE, 0, None, lambda event, _: note("CaChannel", event["pv_value"])
    )
    pv = epics_compat.PV(
        name, form="native", callback=lambda value=None, **_: note("epics_compat.PV", value)
    )
    assert pv.wait_for_connection(60)
    chid = epics_compat.ca.create_channel(name, connect=True)
    event = epics_compat.ca.create_subscription(
        chid, callback=lambda value=None, **_: note("epics_compat.ca", value)
    )
    with Context() as context:
        channel = Channel(context, name.encode(), lambda *_: None)
        assert connect_many([channel], 60)
        status, subscription = channel.subscribe(
            ANY, 0, 1, lambda *event: note("cachannel.engine", elements(*event, False))
        )
        assert status == 1
        channel.flush()
        writer.flush_io()
        apis = ("CaChannel", "epics_compat.PV", "epics_compat.ca", "cachannel.engine")
        for number, value in enumerate([None, [1.0, 2.0], [], [5.0]], 1):
            if value is not None:
                writer.putw(value)
            wait_until(
                lambda: all(len(heard.get(api, ())) >= number for api in apis),  # noqa: B023
                what="the event in every API",
            )
        assert subscription is not None
    for api in apis:
        assert heard[api] == [[], [1.0, 2.0], [], [5.0]], api
    epics_compat.ca.clear_subscription(event[2])
    pv.disconnect()


def test_a_restarted_server_with_an_empty_array_is_seen(make_ioc: Any) -> None:
    record = 'record(waveform, "empty:again") {{ field(FTVL, "LONG") field(NELM, "3") {} }}'
    server = make_ioc(record.format('field(INP, [1, 2]) field(PINI, "YES")'))
    seen: list[list[int]] = []

    def changed(subscription: Any, response: Any) -> None:
        seen.append(list(response.data))

    with ThreadingContext(timeout=60) as context:
        (pv,) = context.get_pvs("empty:again")
        pv.subscribe().add_callback(changed)
        wait_until(lambda: seen == [[1, 2]], what="the first event")
        server.restart([record.format("")], crash=True)
        wait_until(lambda: len(seen) > 1, 60, what="the event of the server that is back")
    assert seen[1] == []
