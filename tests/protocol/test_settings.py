"""EPICS settings and address lists."""

import pytest

from cachannel.protocol.errors import CaprotoEnvironmentSetupError
from cachannel.protocol.settings import (
    DEFAULTS,
    ClientSettings,
    ServerSettings,
    get_beacon_address_list,
    get_client_address_list,
    get_environment_variables,
    get_server_address_list,
    parse_address_list,
)


def test_defaults():
    """Without variables, everything has its documented default."""
    found = get_environment_variables({})
    assert found == DEFAULTS
    assert found["EPICS_CA_SERVER_PORT"] == 5064
    assert found["EPICS_CAS_BEACON_PERIOD"] == 15.0
    assert ServerSettings.from_environment({}) == ServerSettings()


def test_fallbacks():
    """A server variable that is absent takes the client's."""
    found = get_environment_variables(
        {
            "EPICS_CA_SERVER_PORT": "6000",
            "EPICS_CA_REPEATER_PORT": "6001",
            "EPICS_CA_BEACON_PERIOD": "3.5",
        }
    )
    assert found["EPICS_CAS_SERVER_PORT"] == 6000
    assert found["EPICS_CAS_BEACON_PORT"] == 6001
    assert found["EPICS_CAS_BEACON_PERIOD"] == 3.5
    found = get_environment_variables(
        {"EPICS_CA_SERVER_PORT": "6000", "EPICS_CAS_SERVER_PORT": "7000"}
    )
    assert found["EPICS_CAS_SERVER_PORT"] == 7000


@pytest.mark.parametrize(
    "variable",
    [("EPICS_CA_SERVER_PORT", "x"), ("EPICS_CAS_BEACON_PERIOD", "often"),
     ("EPICS_CAS_SERVER_PORT", "70000")],
)  # fmt: skip
def test_what_does_not_parse(variable):
    """A bad number is a ValueError that names the variable."""
    with pytest.raises(CaprotoEnvironmentSetupError, match=variable[0]) as caught:
        get_environment_variables(dict([variable]))
    assert isinstance(caught.value, ValueError)


def test_the_environment_is_kept():
    """Other variables are part of the result."""
    assert get_environment_variables({"HOME": "/x"})["HOME"] == "/x"


def test_address_lists():
    """Hosts with and without ports, and the automatic entries."""
    assert parse_address_list(" a b:7  c ", 5) == [("a", 5), ("b", 7), ("c", 5)]
    with pytest.raises(CaprotoEnvironmentSetupError):
        parse_address_list("a:b", 5)
    assert get_client_address_list({"EPICS_CA_ADDR_LIST": "h:1"}) == [
        ("h", 1),
        ("255.255.255.255", 5064),
    ]
    assert get_client_address_list(
        {"EPICS_CA_ADDR_LIST": "h", "EPICS_CA_AUTO_ADDR_LIST": "no"}
    ) == [("h", 5064)]
    assert get_beacon_address_list(
        {"EPICS_CAS_BEACON_ADDR_LIST": "b", "EPICS_CAS_AUTO_BEACON_ADDR_LIST": "NO"}
    ) == [("b", 5065)]
    assert get_server_address_list({"EPICS_CAS_INTF_ADDR_LIST": "127.0.0.1:9 10.0.0.1"}) == [
        "127.0.0.1",
        "10.0.0.1",
    ]
    assert get_server_address_list({}) == ["0.0.0.0"]


def test_array_limit():
    """A limit counts only when sizes are not automatic, and is never below 16 kB."""
    assert (
        ServerSettings.from_environment({"EPICS_CA_MAX_ARRAY_BYTES": "9"}).max_array_bytes is None
    )
    limited = {"EPICS_CA_AUTO_ARRAY_BYTES": "NO"}
    assert ServerSettings.from_environment(limited).max_array_bytes == 16384
    limited["EPICS_CA_MAX_ARRAY_BYTES"] = "1000000"
    assert ServerSettings.from_environment(limited).max_array_bytes == 1_000_000


def test_ignored_hosts():
    """EPICS_CAS_IGNORE_ADDR_LIST is a set of hosts."""
    settings = ServerSettings.from_environment({"EPICS_CAS_IGNORE_ADDR_LIST": "10.0.0.1 10.0.0.2"})
    assert settings.ignored == {"10.0.0.1", "10.0.0.2"}


def test_clients_have_defaults() -> None:
    """Without variables a client searches the broadcast address, with nothing to complain about."""
    found = ClientSettings.from_environment({})
    assert found.values == {n: v for n, v in DEFAULTS.items() if n.startswith("EPICS_CA_")}
    assert (found.addresses, found.faults) == ([("255.255.255.255", 5064)], {})


@pytest.mark.parametrize(
    ("name", "text", "value", "is_told"),
    [
        ("EPICS_CA_CONN_TMO", "12.5", 12.5, False),
        ("EPICS_CA_CONN_TMO", " 12 ", 12.0, False),
        ("EPICS_CA_CONN_TMO", "0x10", 16.0, False),
        ("EPICS_CA_CONN_TMO", "abc", 30.0, True),
        ("EPICS_CA_CONN_TMO", "30s", 30.0, True),
        ("EPICS_CA_CONN_TMO", "10,5", 30.0, True),
        ("EPICS_CA_CONN_TMO", "1_0", 30.0, True),
        ("EPICS_CA_CONN_TMO", "1e999", 30.0, True),
        ("EPICS_CA_CONN_TMO", "-3", -3.0, True),
        ("EPICS_CA_MAX_SEARCH_PERIOD", "10", 60.0, True),
        ("EPICS_CA_MAX_SEARCH_PERIOD", "x", 300.0, True),
        ("EPICS_CA_MAX_ARRAY_BYTES", "16M", 16384, True),
        ("EPICS_CA_MAX_ARRAY_BYTES", "-5", 16384, True),
        ("EPICS_CA_MAX_ARRAY_BYTES", "20000", 20000, False),
        ("EPICS_CA_SERVER_PORT", "99999", 5064, True),
        ("EPICS_CA_SERVER_PORT", "5000", 5064, True),
        ("EPICS_CA_SERVER_PORT", "5001", 5001, False),
        ("EPICS_CA_REPEATER_PORT", "6000x", 6000, True),
        ("EPICS_CA_REPEATER_PORT", "x", 5065, True),
        ("EPICS_CA_MCAST_TTL", "x", 1, True),
    ],
)
def test_numbers_of_clients(name: str, text: str, value: float, is_told: bool) -> None:
    """A client takes the number that libca takes, and one sentence names what it does not."""
    values, _, faults = ClientSettings.from_environment({name: text})
    assert values[name] == value
    assert list(faults) == ([name] if is_told else [])
    if is_told:
        assert name in faults[name]
        assert repr(text) in faults[name]


def test_unusable_addresses_of_clients() -> None:
    """An entry without a port number is left out, the others are searched."""
    found = ClientSettings.from_environment(
        {
            "EPICS_CA_ADDR_LIST": "a b:x c:7",
            "EPICS_CA_AUTO_ADDR_LIST": "NO",
            "EPICS_CA_SERVER_PORT": "70000",
        }
    )
    assert found.addresses == [("a", 5064), ("c", 7)]
    assert "'b:x'" in found.faults["EPICS_CA_ADDR_LIST"]
    assert "EPICS_CA_SERVER_PORT" in found.faults
