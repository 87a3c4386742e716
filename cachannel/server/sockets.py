"""The sockets of a server, and where its beacons go."""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from cachannel.protocol.broadcast import BeaconTimer, beacon
from cachannel.protocol.errors import CaprotoNetworkError
from cachannel.protocol.settings import ServerSettings

__all__ = [
    "BACKLOG",
    "BeaconSender",
    "ServerSockets",
    "get_local_address",
    "get_netifaces_addresses",
    "open_sockets",
    "prepare_client",
    "random_ports",
]

_log = logging.getLogger("cachannel.bcast")
_PORT_TRIES = 100
BACKLOG = 1024
"""Clients that may wait to be accepted."""


class ServerSockets(NamedTuple):
    """Bound, non-blocking sockets.

    Attributes:
        port: the TCP port, the same on all interfaces.
        tcp: listening sockets, one per interface.
        udp: sockets for searches.
        interfaces: the addresses that the TCP sockets listen on.
    """

    port: int
    tcp: list[socket.socket]
    udp: list[socket.socket]
    interfaces: list[str]

    def close(self) -> None:
        """Close all of them."""
        for sock in (*self.tcp, *self.udp):
            sock.close()


def random_ports(num: int, *, try_first: int | None = None) -> Iterator[int]:
    """Yield `num` random port numbers from 49152 to 65535, `try_first` before them if given."""
    if try_first is not None:
        yield try_first
    import random  # slow to import, and hardly ever needed

    for _ in range(num):
        yield random.randint(49152, 65535)


def get_local_address() -> str:
    """Return the address other hosts reach this one by, 127.0.0.1 without a network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            # Connecting a datagram socket sends nothing; it only picks the interface.
            sock.connect(("10.255.255.255", 1))
            return str(sock.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def get_netifaces_addresses() -> list[tuple[str, str]]:
    """Return (address, broadcast address) of the IPv4 interfaces that can broadcast.

    Linux only; elsewhere the list is empty and 255.255.255.255 serves instead.
    """
    if not sys.platform.startswith("linux"):
        return []
    import fcntl

    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            try:
                flags = struct.unpack_from(
                    "H",
                    fcntl.ioctl(sock, 0x8913, request),
                    16,  # SIOCGIFFLAGS
                )[0]
                if not (flags & 1 and flags & 2):  # up, and able to broadcast
                    continue
                address = fcntl.ioctl(sock, 0x8915, request)[20:24]  # SIOCGIFADDR
                broadcast = fcntl.ioctl(sock, 0x8919, request)[20:24]  # SIOCGIFBRDADDR
            except OSError:
                continue
            found.append((socket.inet_ntoa(address), socket.inet_ntoa(broadcast)))
    return found


def _is_multicast(address: str) -> bool:
    return 224 <= socket.inet_aton(address)[0] <= 239


def _resolved(interfaces: Sequence[str]) -> list[str]:
    """Return the addresses of interfaces given by address or name, each once.

    A list may come from several places (a site's settings, those of a container), so an entry that
    adds nothing is a warning, as in base's server.

    Raises:
        CaprotoNetworkError: none of them is an address or a name of a host.
    """
    found: list[str] = []
    unknown: list[str] = []
    for interface in interfaces:
        host = interface.partition(":")[0]  # a port is ignored, as in base
        try:
            address = socket.gethostbyname(host)
        except OSError as exc:
            unknown.append(f"{interface!r} ({exc})")
            continue
        if address in found:
            _log.warning("interface %s is listed twice (as %s)", address, interface)
        else:
            found.append(address)
    if not found:
        # To listen everywhere instead would undo what the list restricts.
        raise CaprotoNetworkError(f"no interface to listen on: unknown host {', '.join(unknown)}")
    for entry in unknown:
        _log.warning("the server does not listen on unknown host %s", entry)
    others = [address for address in found if address != "0.0.0.0" and not _is_multicast(address)]
    if "0.0.0.0" in found and others:
        _log.warning("interface 0.0.0.0 includes %s", ", ".join(others))
        found = [address for address in found if address not in others]
    return found


def _listen(host: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":
            # A restarted server gets its port back; on Windows this would allow stealing one.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setblocking(False)
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def _listen_on_all(hosts: Sequence[str], first: int) -> tuple[int, list[socket.socket]]:
    for port in random_ports(_PORT_TRIES, try_first=first):
        sockets: list[socket.socket] = []
        try:
            for host in hosts:
                # With port 0 the system chooses for the first interface.
                sockets.append(_listen(host, port))
                port = sockets[0].getsockname()[1]
        except OSError as exc:
            for sock in sockets:
                sock.close()
            if exc.errno in (errno.EADDRINUSE, errno.EACCES):
                continue
            raise CaprotoNetworkError(
                f"cannot listen on {', '.join(hosts)} port {port}: {exc}"
            ) from exc
        return port, sockets
    raise CaprotoNetworkError(f"no free TCP port on {', '.join(hosts)}")


def _search_socket(host: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "SO_REUSEPORT"):
            # Several servers of a host share the port: each gets the broadcasts.
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        with contextlib.suppress(OSError):
            # A client that connects to 10,000 PVs sends its searches in one burst.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        sock.setblocking(False)
        sock.bind((host, port))
    except BaseException:
        sock.close()
        raise
    return sock


def open_sockets(settings: ServerSettings, interfaces: Sequence[str] | None) -> ServerSockets:
    """Open the sockets of a server.

    Args:
        settings: the ports.
        interfaces: addresses or names to listen on, multicast groups to join; None for the
            settings'.

    Raises:
        CaprotoNetworkError: an address that is not of this host, or no port to be had.
    """
    given = _resolved(list(interfaces) if interfaces else list(settings.interfaces))
    hosts = [host for host in given if not _is_multicast(host)] or ["0.0.0.0"]
    groups = [host for host in given if _is_multicast(host)]
    broadcasts = dict(get_netifaces_addresses())
    port, tcp = _listen_on_all(hosts, settings.port)
    if settings.port and port != settings.port:
        _log.warning(
            "TCP port %d is taken on %s; the server listens on port %d",
            settings.port,
            ", ".join(hosts),
            port,
        )
    udp: list[socket.socket] = []
    search_port = settings.port or port
    try:
        for host in hosts:
            udp.append(_search_socket(host, search_port))
            # A socket bound to an address does not hear broadcasts.
            if host in broadcasts and sys.platform != "win32":
                with contextlib.suppress(OSError):
                    udp.append(_search_socket(broadcasts[host], search_port))
        for group in groups:
            sock = _search_socket(group if sys.platform != "win32" else "", search_port)
            udp.append(sock)
            via = "0.0.0.0" if "0.0.0.0" in hosts else hosts[0]
            membership = socket.inet_aton(group) + socket.inet_aton(via)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
    except OSError as exc:
        for sock in (*tcp, *udp):
            sock.close()
        raise CaprotoNetworkError(
            f"cannot listen for searches on port {search_port}: {exc}"
        ) from exc
    return ServerSockets(port, tcp, udp, hosts)


def prepare_client(sock: Any) -> None:
    """Set the options of a client's socket, as base's server does.

    TCP_NODELAY: an answer must not wait until the client has acknowledged the one before it, which
    takes a round trip, or 40 ms of a client that has nothing to send. asyncio sets it for sockets
    whose protocol number is IPPROTO_TCP only, and an accepted socket has 0 where its listener has.

    SO_KEEPALIVE: a client whose host has gone is noticed some day.
    """
    with contextlib.suppress(OSError):  # the client has gone already, which the next read tells
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


class BeaconSender:
    """Sends beacons. Addresses that cannot be reached are logged once, and once when they can.

    Args:
        settings: where to, and how often.
        sockets: the server's.
    """

    def __init__(self, settings: ServerSettings, sockets: ServerSockets) -> None:
        self._timer = BeaconTimer(settings.beacon_period)
        self._port = sockets.port
        self._unreachable: set[tuple[str, int]] = set()
        self._socket = sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, settings.multicast_ttl)
        self.addresses = self._addresses(settings, sockets.interfaces)

    @staticmethod
    def _addresses(settings: ServerSettings, interfaces: list[str]) -> list[tuple[str, int]]:
        found = list(settings.beacon_addresses)
        if settings.auto_beacons:
            port = settings.beacon_port
            broadcasts = get_netifaces_addresses()
            if "0.0.0.0" in interfaces:
                found += [(address, port) for _, address in broadcasts]
                if not broadcasts:
                    found.append(("255.255.255.255", port))
            else:
                known = dict(broadcasts)
                # What cannot broadcast (the loopback interface) is told directly.
                found += [(known.get(host, host), port) for host in interfaces]
        return list(dict.fromkeys(found))

    def send(self) -> float:
        """Send one beacon to every address; return the seconds until the next."""
        message = beacon(self._port, self._timer.sequence)
        for address in self.addresses:
            try:
                self._socket.sendto(message, address)
            except BlockingIOError:
                pass
            except OSError as exc:
                if address not in self._unreachable:
                    self._unreachable.add(address)
                    _log.warning("beacons to %s:%d fail: %s", *address, exc)
            else:
                if address in self._unreachable:
                    self._unreachable.discard(address)
                    _log.warning("beacons to %s:%d work again", *address)
        return self._timer.next_interval()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
