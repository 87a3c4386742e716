"""Where a server listens, and where its beacons go."""

import socket

import pytest
from server_wire import free_port

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


def test_a_port_that_is_taken():
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
        finally:
            second.close()
    finally:
        first.close()


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
