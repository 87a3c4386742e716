"""Free network ports of 127.0.0.1 and the EPICS environment that stays on it."""

import contextlib
import errno
import random
import socket
from collections.abc import Iterator
from pathlib import Path

LOOPBACK = "127.0.0.1"
BLOCK = 100
# Not the module's generator, which tests of hypothesis set to the same state again and again.
RANDOM = random.SystemRandom()


def never_given_by_the_kernel() -> range:
    """The ports that no socket gets which asks for any port, by bind to 0 or by connect.

    A port from among the others may be gone before the server of a test binds it, or while an IOC
    is down that shall come back to it.
    """
    low, high = 32768, 60999  # as Linux has it if nobody says otherwise
    with contextlib.suppress(OSError):
        low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    found = max(range(10000, low), range(high + 1, 65536), key=len)
    return found if len(found) >= BLOCK else range(10000, 65536)


def _ports() -> Iterator[int]:
    """Ports that no other run of the tests uses, each of them once."""
    ports = never_given_by_the_kernel()
    while True:
        first = RANDOM.choice(ports[: len(ports) // BLOCK * BLOCK : BLOCK])
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            # A name without a file, which others see for as long as this process lives.
            claim.bind(f"\0cachannel-tests-ports-{first}")
        except OSError as exc:
            claim.close()
            if exc.errno == errno.EADDRINUSE:
                continue
            # A system without such names: other runs keep away by chance only.
        else:
            claim.detach()
        yield from range(first, first + BLOCK)


_PORTS = _ports()


def free_port() -> int:
    """Find a port that is free for UDP and TCP, on loopback and on all interfaces.

    libca and the repeater bind to all interfaces, an IOC of the tests binds to loopback only, and
    a Channel Access server wants the same number for both protocols.
    """
    while True:
        port = next(_PORTS)
        with (
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
            contextlib.suppress(OSError),
        ):
            tcp.bind(("", port))
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
        # The command waits a second otherwise, which is little on a busy machine.
        "EPICS_CLI_TIMEOUT": "20",
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
