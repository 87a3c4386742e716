"""Where a server listens, and where its beacons go."""

import socket
from pathlib import Path

import pytest
from server_wire import Process, free_port, search

from cachannel.protocol.settings import ServerSettings
from cachannel.server.sockets import (
    BeaconSender,
    ServerSockets,
    get_local_address,
    get_netifaces_addresses,
    open_sockets,
    random_ports,
)


def beacon_addresses(interfaces, **settings):
    """Return where a server on these interfaces sends its beacons."""
    sender = BeaconSender(
        ServerSettings()._replace(**settings), ServerSockets(5064, [], [], interfaces)
    )
    sender.close()
    return sender.addresses


def test_beacons_go_to_the_broadcast_addresses_of_the_interfaces():
    """All of them where a server listens everywhere; 255.255.255.255 only where there is none."""
    broadcasts = [address for _, address in get_netifaces_addresses()] or ["255.255.255.255"]
    found = beacon_addresses(["0.0.0.0"], auto_beacons=True, beacon_port=5065)
    assert found == list(dict.fromkeys((address, 5065) for address in broadcasts))


def test_beacons_of_chosen_interfaces():
    """Only theirs; what cannot broadcast is told directly, and a list of one's own comes first."""
    found = beacon_addresses(
        ["127.0.0.1"], auto_beacons=True, beacon_port=5065, beacon_addresses=(("10.1.2.3", 7),)
    )
    assert found == [("10.1.2.3", 7), ("127.0.0.1", 5065)]
    assert beacon_addresses(["127.0.0.1"], auto_beacons=False) == []


def test_ports():
    """The first is the one that is asked for; the others are of the dynamic range."""
    first, *others = random_ports(20, try_first=5064)
    assert first == 5064
    assert len(others) == 20
    assert all(49152 <= port <= 65535 for port in others)


def test_a_port_that_is_taken(caplog):
    """The next free one is taken, the same on all interfaces; searches stay where they were."""
    settings = ServerSettings()._replace(port=free_port())
    first = open_sockets(settings, ["127.0.0.1"])
    try:
        second = open_sockets(settings, ["127.0.0.1", "127.0.0.2"])
        try:
            assert first.port == settings.port
            assert second.port != settings.port
            assert {sock.getsockname()[1] for sock in second.tcp} == {second.port}
            assert {sock.getsockname()[1] for sock in second.udp} == {settings.port}
            (line,) = [record.getMessage() for record in caplog.records]
            assert f"TCP port {settings.port} is taken" in line
            assert line.endswith(f"listens on port {second.port}")
        finally:
            second.close()
    finally:
        first.close()


@pytest.mark.parametrize(
    ("interfaces", "expected", "warning"),
    [
        (["127.0.0.1", "127.0.0.1"], ["127.0.0.1"], "interface 127.0.0.1 is listed twice"),
        (["localhost", "127.0.0.1"], ["127.0.0.1"], "interface 127.0.0.1 is listed twice"),
        (["127.0.0.1:7777", "127.0.0.2"], ["127.0.0.1", "127.0.0.2"], None),
        (["127.0.0.1", "127.0.0.2", "127.1"], ["127.0.0.1", "127.0.0.2"], "(as 127.1)"),
        (["nowhere.invalid", "127.0.0.1"], ["127.0.0.1"], "unknown host 'nowhere.invalid'"),
        (["127.0.0.1", "0.0.0.0"], ["0.0.0.0"], "interface 0.0.0.0 includes 127.0.0.1"),
        (["239.255.17.5", "239.255.17.5"], ["0.0.0.0"], "interface 239.255.17.5 is listed twice"),
    ],
)
def test_interfaces_by_name_and_twice(interfaces, expected, warning, caplog):
    """Each interface is listened on once, and what adds nothing is one line of warning."""
    sockets = open_sockets(ServerSettings()._replace(port=free_port()), interfaces)
    try:
        assert sockets.interfaces == expected
        assert [sock.getsockname()[0] for sock in sockets.tcp] == expected
        assert len({sock.getsockname()[1] for sock in sockets.tcp}) == 1
    finally:
        sockets.close()
    found = [record.getMessage() for record in caplog.records]
    assert len(found) == (warning is not None)
    assert warning is None or warning in found[0]


def test_only_unknown_interfaces():
    """The server does not listen everywhere instead."""
    with pytest.raises(OSError, match=r"nowhere\.invalid"):
        open_sockets(ServerSettings(), ["nowhere.invalid"])


def test_an_address_that_is_not_ours():
    """It is named."""
    settings = ServerSettings()._replace(port=free_port())
    with pytest.raises(OSError, match=r"203\.0\.113\.7"):
        open_sockets(settings, ["203.0.113.7"])


def test_local_address():
    """Some address, without sending anything."""
    assert get_local_address().count(".") == 3


def test_beacons_that_cannot_be_sent(caplog):
    """An address that cannot be reached is one line in the log, and one when it can again."""
    target = ("127.255.255.255", free_port())
    settings = ServerSettings()._replace(auto_beacons=False, beacon_addresses=(target,))
    sender = BeaconSender(settings, ServerSockets(5064, [], [], ["127.0.0.1"]))
    try:
        # Without the right to broadcast the system refuses this address.
        sender._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 0)
        for _ in range(3):
            sender.send()
        sender._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for _ in range(3):
            sender.send()
    finally:
        sender.close()
    first, second = [record.getMessage() for record in caplog.records]
    assert first.startswith(f"beacons to 127.255.255.255:{target[1]} fail: ")
    assert second == f"beacons to 127.255.255.255:{target[1]} work again"


def test_the_servers_port_variable_comes_first():
    """EPICS_CAS_SERVER_PORT wins over EPICS_CA_SERVER_PORT, which counts where the first lacks."""
    command = [str(Path(__file__).with_name("ending_ioc.py")), "asyncio", "plain"]
    port, other = free_port(), free_port()
    for server_port, expected in ((str(port), port), ("", other)):
        env = {"EPICS_CAS_SERVER_PORT": server_port, "EPICS_CA_SERVER_PORT": str(other)}
        with Process(command, env=env, ready="startup complete") as process:
            assert f"Listening on 127.0.0.1:{expected}" in process.output()
            assert search(expected, "e:heater") == expected
