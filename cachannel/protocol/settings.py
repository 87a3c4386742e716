"""EPICS_CA*, EPICS_CAS* and CAPROTO_* settings, read from an environment, never written to it."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from .errors import CaprotoEnvironmentSetupError

__all__ = [
    "DEFAULTS",
    "ClientSettings",
    "ServerSettings",
    "get_address_list",
    "get_beacon_address_list",
    "get_client_address_list",
    "get_environment_variables",
    "get_server_address_list",
    "parse_address_list",
]

DEFAULTS: Final[dict[str, Any]] = {
    # Clients
    "EPICS_CA_ADDR_LIST": "",
    "EPICS_CA_AUTO_ADDR_LIST": "YES",
    "EPICS_CA_CONN_TMO": 30.0,
    "EPICS_CA_BEACON_PERIOD": 15.0,
    "EPICS_CA_REPEATER_PORT": 5065,
    "EPICS_CA_SERVER_PORT": 5064,
    "EPICS_CA_MAX_ARRAY_BYTES": 16384,
    "EPICS_CA_AUTO_ARRAY_BYTES": "YES",
    "EPICS_CA_MAX_SEARCH_PERIOD": 300.0,
    "EPICS_CA_MCAST_TTL": 1,
    "EPICS_TS_MIN_WEST": 360,
    # Servers
    "EPICS_CAS_SERVER_PORT": 5064,
    "EPICS_CAS_AUTO_BEACON_ADDR_LIST": "YES",
    "EPICS_CAS_BEACON_ADDR_LIST": "",
    "EPICS_CAS_BEACON_PERIOD": 15.0,
    "EPICS_CAS_BEACON_PORT": 5065,
    "EPICS_CAS_INTF_ADDR_LIST": "",
    "EPICS_CAS_IGNORE_ADDR_LIST": "",
    # Limits per circuit
    "CAPROTO_MAX_SUBSCRIPTION_BACKLOG": 1000,
    "CAPROTO_MAX_TOTAL_SUBSCRIPTION_BACKLOG": 10000,
    "CAPROTO_MAX_COMMAND_BACKLOG": 10000,
}
"""What is known, with the default of each; its type is the type of the setting."""

# A setting that is absent takes the value of another one, if that is there (rsrv, caservertask.c).
_FALLBACKS: Final = {
    "EPICS_CAS_SERVER_PORT": "EPICS_CA_SERVER_PORT",
    "EPICS_CAS_BEACON_PORT": "EPICS_CA_REPEATER_PORT",
    "EPICS_CAS_BEACON_PERIOD": "EPICS_CA_BEACON_PERIOD",
}


def get_environment_variables(environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the environment with the settings of `DEFAULTS` typed and filled in.

    Args:
        environ: what to read; ``os.environ`` if absent.

    Raises:
        CaprotoEnvironmentSetupError: a number that does not parse (it is a ``ValueError``).
    """
    environ = os.environ if environ is None else environ
    result: dict[str, Any] = {**DEFAULTS, **environ}
    for name, default in DEFAULTS.items():
        source = name
        if name in _FALLBACKS and not environ.get(name):
            source = _FALLBACKS[name]
        text = environ.get(source)
        # An empty variable counts as absent, as in base's envGetConfigParam.
        if not text:
            result[name] = default
            continue
        kind = type(default)
        try:
            result[name] = kind(text)
        except ValueError:
            raise CaprotoEnvironmentSetupError(
                f"{source}={text!r} does not parse as {kind.__name__}"
            ) from None
    for name in ("EPICS_CA_SERVER_PORT", "EPICS_CAS_SERVER_PORT", "EPICS_CA_REPEATER_PORT"):
        if not 0 <= result[name] <= 65535:
            raise CaprotoEnvironmentSetupError(f"{name}={result[name]} is no port number")
    return result


def parse_address_list(text: str, default_port: int) -> list[tuple[str, int]]:
    """Return (host, port) pairs of a list such as ``'10.0.0.1 gateway:5066'``.

    Raises:
        CaprotoEnvironmentSetupError: a port that is no number.
    """
    found = []
    for entry in text.replace(",", " ").split():
        host, colon, port = entry.partition(":")
        try:
            found.append((host, int(port) if colon else default_port))
        except ValueError:
            raise CaprotoEnvironmentSetupError(f"no port number in address {entry!r}") from None
    return found


def _is_yes(value: str) -> bool:
    # As in base: everything but a "no" in any case means yes.
    return value.strip().upper() != "NO"


def get_server_address_list(environ: Mapping[str, str] | None = None) -> list[str]:
    """Return the interfaces a server listens on: EPICS_CAS_INTF_ADDR_LIST or ``['0.0.0.0']``."""
    text = get_environment_variables(environ)["EPICS_CAS_INTF_ADDR_LIST"]
    return [host for host, _ in parse_address_list(text, 0)] or ["0.0.0.0"]


def get_beacon_address_list(environ: Mapping[str, str] | None = None) -> list[tuple[str, int]]:
    """Return where a server sends beacons, (host, port) pairs."""
    env = get_environment_variables(environ)
    port = env["EPICS_CAS_BEACON_PORT"]
    found = parse_address_list(env["EPICS_CAS_BEACON_ADDR_LIST"], port)
    if _is_yes(env["EPICS_CAS_AUTO_BEACON_ADDR_LIST"]):
        found.append(("255.255.255.255", port))
    return found


def get_client_address_list(environ: Mapping[str, str] | None = None) -> list[tuple[str, int]]:
    """Return where a client sends searches, (host, port) pairs."""
    env = get_environment_variables(environ)
    port = env["EPICS_CA_SERVER_PORT"]
    found = parse_address_list(env["EPICS_CA_ADDR_LIST"], port)
    if _is_yes(env["EPICS_CA_AUTO_ADDR_LIST"]):
        found.append(("255.255.255.255", port))
    return found


def get_address_list(environ: Mapping[str, str] | None = None) -> list[str]:
    """Return the hosts of `get_client_address_list`."""
    return [host for host, _ in get_client_address_list(environ)]


# Ports up to IPPORT_USERRESERVED belong to the system; libca takes its default instead.
_FIRST_PORT: Final = 5001
_LEAST_ARRAY_BYTES: Final = 16384
_LEAST_SEARCH_PERIOD: Final = 60.0
_MOST_LONG: Final = 2**63 - 1

# As scanf's %ld: what follows the digits is ignored.
_INTEGER: Final = re.compile(r"\s*([+-]?[0-9]+)")


def _real(text: str) -> float | None:
    """Read a number as epicsParseDouble does; None if the text is anything else."""
    text = text.strip()
    if "_" in text:
        return None
    try:
        number = float.fromhex(text) if "x" in text.lower() else float(text)
    except (ValueError, OverflowError):
        return None
    # A number that is too large does not parse; "inf" does.
    return None if math.isinf(number) and "n" not in text.lower() else number


def _integer(text: str) -> int | None:
    """Read a number as scanf's %ld does; None if the text does not begin with one."""
    found = _INTEGER.match(text)
    return max(min(int(found[1]), _MOST_LONG), -_MOST_LONG) if found else None


def _client_number(name: str, text: str) -> tuple[float | int, str]:
    """Read a number of a client as libca does.

    Returns:
        The number that libca uses, and why that is not what the text says; empty if it is.
    """
    default = DEFAULTS[name]
    if isinstance(default, float):
        real = _real(text)
        if real is None:
            return default, "is not a number"
        if name == "EPICS_CA_MAX_SEARCH_PERIOD" and not real >= _LEAST_SEARCH_PERIOD:
            return _LEAST_SEARCH_PERIOD, "is too short"
        return real, "" if 0.0 < real < math.inf else "is not a useful number of seconds"
    number = _integer(text)
    if name == "EPICS_CA_MAX_ARRAY_BYTES":
        if number is None or number < 1:
            return default, "is not a positive integer"
        if number < _LEAST_ARRAY_BYTES:
            return _LEAST_ARRAY_BYTES, "is too small"
    elif number is None:
        return default, "is not an integer"
    elif name.endswith("_PORT") and not _FIRST_PORT <= number <= 65535:
        return default, f"is not a port from {_FIRST_PORT} to 65535"
    elif name == "EPICS_CA_MCAST_TTL" and not 1 <= number <= 255:
        return default, "is not a number from 1 to 255"
    ignored = text.strip().lstrip("+-").lstrip("0123456789")
    return number, f"ends with {ignored!r}, which is ignored" if ignored else ""


class ClientSettings(NamedTuple):
    """What a client takes from its environment, read as libca reads it: nothing raises.

    Attributes:
        values: EPICS_CA_* variables by name, typed as in `DEFAULTS`, with the numbers that libca
            uses; an unusable number gives way to libca's default.
        addresses: (host, port) pairs that searches go to.
        faults: one sentence for each variable that libca does not use as it is written, by name.
    """

    values: dict[str, Any]
    addresses: list[tuple[str, int]]
    faults: dict[str, str]

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> ClientSettings:
        """Read the settings.

        Args:
            environ: what to read; ``os.environ`` if absent.
        """
        environ = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        faults: dict[str, str] = {}
        for name, default in DEFAULTS.items():
            if not name.startswith("EPICS_CA_"):
                continue
            text = environ.get(name)
            values[name] = text or default
            if text and not isinstance(default, str):
                values[name], reason = _client_number(name, text)
                if reason:
                    faults[name] = f"{name}={text!r} {reason}; {values[name]} is used"
        port = values["EPICS_CA_SERVER_PORT"]
        addresses = []
        for entry in values["EPICS_CA_ADDR_LIST"].replace(",", " ").split():
            try:
                addresses += parse_address_list(entry, port)
            except CaprotoEnvironmentSetupError as exc:
                faults["EPICS_CA_ADDR_LIST"] = f"EPICS_CA_ADDR_LIST: {exc}; it is not searched"
        if _is_yes(values["EPICS_CA_AUTO_ADDR_LIST"]):
            addresses.append(("255.255.255.255", port))
        return cls(values, addresses, faults)


class ServerSettings(NamedTuple):
    """What a server takes from its environment.

    Attributes:
        port: UDP port for searches and first choice for TCP.
        beacon_port: UDP port that beacons go to.
        beacon_period: longest interval between beacons, seconds.
        interfaces: addresses to listen on, as configured (multicast groups included).
        beacon_addresses: (host, port) pairs from the environment.
        auto_beacons: also send beacons to the broadcast addresses.
        ignored: hosts whose searches are not answered.
        max_array_bytes: limit of one message's payload, None for no limit.
        subscription_backlog: events kept per subscription.
        total_backlog: events kept per circuit.
        command_backlog: puts and reads with hooks that may run at once per circuit.
        multicast_ttl: time to live of multicast datagrams.
    """

    port: int = 5064
    beacon_port: int = 5065
    beacon_period: float = 15.0
    interfaces: tuple[str, ...] = ("0.0.0.0",)
    beacon_addresses: tuple[tuple[str, int], ...] = ()
    auto_beacons: bool = True
    ignored: frozenset[str] = frozenset()
    max_array_bytes: int | None = None
    subscription_backlog: int = 1000
    total_backlog: int = 10000
    command_backlog: int = 10000
    multicast_ttl: int = 1

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> ServerSettings:
        """Read the settings.

        Raises:
            CaprotoEnvironmentSetupError: a variable that does not parse.
        """
        env = get_environment_variables(environ)
        beacon_port = env["EPICS_CAS_BEACON_PORT"]
        limited = not _is_yes(env["EPICS_CA_AUTO_ARRAY_BYTES"])
        ignored = parse_address_list(env["EPICS_CAS_IGNORE_ADDR_LIST"], 0)
        return cls(
            port=env["EPICS_CAS_SERVER_PORT"],
            beacon_port=beacon_port,
            beacon_period=env["EPICS_CAS_BEACON_PERIOD"],
            interfaces=tuple(get_server_address_list(environ)),
            beacon_addresses=tuple(
                parse_address_list(env["EPICS_CAS_BEACON_ADDR_LIST"], beacon_port)
            ),
            auto_beacons=_is_yes(env["EPICS_CAS_AUTO_BEACON_ADDR_LIST"]),
            ignored=frozenset(host for host, _ in ignored),
            # Base never lets the limit fall below what old clients take (16 kB).
            max_array_bytes=max(env["EPICS_CA_MAX_ARRAY_BYTES"], 16384) if limited else None,
            subscription_backlog=max(env["CAPROTO_MAX_SUBSCRIPTION_BACKLOG"], 1),
            total_backlog=max(env["CAPROTO_MAX_TOTAL_SUBSCRIPTION_BACKLOG"], 1),
            command_backlog=max(env["CAPROTO_MAX_COMMAND_BACKLOG"], 1),
            multicast_ttl=env["EPICS_CA_MCAST_TTL"],
        )
