"""Free network ports of 127.0.0.1 and the EPICS environment that stays on it."""

import contextlib
import socket

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """Find a port that is free for UDP and TCP, on loopback and on all interfaces.

    libca and the repeater bind to all interfaces, an IOC of the tests binds to loopback only, and
    a Channel Access server wants the same number for both protocols.
    """
    while True:
        with contextlib.ExitStack() as stack:
            tcp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            tcp.bind((LOOPBACK, 0))
            port: int = tcp.getsockname()[1]
            udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            with contextlib.suppress(OSError):
                udp.bind(("", port))
                return port


def client_environment(server_ports: list[int], repeater_port: int) -> dict[str, str]:
    """Settings with which a client finds the servers at these ports of loopback, and no other."""
    return {
        "EPICS_CA_ADDR_LIST": " ".join(
            [LOOPBACK, *(f"{LOOPBACK}:{port}" for port in server_ports[1:])]
        ),
        "EPICS_CA_AUTO_ADDR_LIST": "NO",
        "EPICS_CA_NAME_SERVERS": "",
        "EPICS_CA_SERVER_PORT": str(server_ports[0]),
        "EPICS_CA_REPEATER_PORT": str(repeater_port),
        "EPICS_CA_MAX_ARRAY_BYTES": "16000000",
        "EPICS_CA_AUTO_ARRAY_BYTES": "YES",
        "EPICS_CA_CONN_TMO": "30",
        "EPICS_CA_MAX_SEARCH_PERIOD": "60",
    }


def server_environment(port: int, repeater_port: int) -> dict[str, str]:
    """Settings that keep a Channel Access server, and its beacons, on loopback."""
    return {
        "EPICS_CAS_INTF_ADDR_LIST": LOOPBACK,
        "EPICS_CAS_SERVER_PORT": str(port),
        "EPICS_CAS_AUTO_BEACON_ADDR_LIST": "NO",
        "EPICS_CAS_BEACON_ADDR_LIST": LOOPBACK,
        "EPICS_CAS_BEACON_PORT": str(repeater_port),
        "EPICS_CAS_BEACON_PERIOD": "15",
        "EPICS_CAS_IGNORE_ADDR_LIST": "",
    }
