"""Numbers in EPICS_CA_* variables that libca does not take."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cachannel.protocol.settings import ClientSettings
from support.ioc import SoftIoc
from support.scripts import Outcome, run_python, run_text

NUMBERS = [
    ("EPICS_CA_CONN_TMO", "12"),
    ("EPICS_CA_CONN_TMO", "0x10"),
    ("EPICS_CA_CONN_TMO", "abc"),
    ("EPICS_CA_CONN_TMO", "30s"),
    ("EPICS_CA_CONN_TMO", "10,5"),
    ("EPICS_CA_MAX_SEARCH_PERIOD", "10"),
    ("EPICS_CA_MAX_SEARCH_PERIOD", "100s"),
    ("EPICS_CA_MAX_SEARCH_PERIOD", "100"),
    ("EPICS_CA_MAX_ARRAY_BYTES", "16M"),
    ("EPICS_CA_MAX_ARRAY_BYTES", "no"),
    ("EPICS_CA_MAX_ARRAY_BYTES", "20000"),
    ("EPICS_CA_REPEATER_PORT", "99999"),
    ("EPICS_CA_REPEATER_PORT", "5000"),
    ("EPICS_CA_SERVER_PORT", "x"),
    ("EPICS_CA_SERVER_PORT", "70000"),
]

LISTEN = """
    import logging
    logging.basicConfig()
    from CaChannel import CaChannel
    channel = CaChannel("settings:nothing")
    channel.search()
    # errlog has a thread of its own, which libca waits for when a context ends.
    from cachannel._ca import core
    core.attach_shared().pend(0.1)
"""

READS = {
    "CaChannel": """
        from CaChannel import CaChannel
        channel = CaChannel("catest")
        channel.setTimeout(60)
        channel.searchw()
        print(channel.getw())
        """,
    "epics_compat": """
        import epics_compat
        print(epics_compat.caget("catest", connection_timeout=60, timeout=60))
        """,
    "sync": """
        from cachannel.sync.client import read
        print(read("catest", timeout=60).data[0])
        """,
    "threading": """
        from cachannel.threading.client import Context
        with Context() as context:
            (pv,) = context.get_pvs("catest")
            print(pv.read(timeout=60).data[0])
        """,
    "asyncio": """
        import asyncio
        from cachannel.asyncio.client import Context
        async def main():
            async with Context() as context:
                (pv,) = await context.get_pvs("catest")
                print((await pv.read(timeout=60)).data[0])
        asyncio.run(main())
        """,
}


@pytest.fixture
def environment(ioc: SoftIoc) -> dict[str, str]:
    """Settings that work, in which each test spoils one."""
    return ioc.env | {"CACHANNEL_REPEATER": "NO"}


@pytest.mark.parametrize(("name", "text"), NUMBERS)
def test_the_faults_are_those_that_libca_tells(
    name: str, text: str, environment: dict[str, str]
) -> None:
    """Where libca warns of a number, so do the settings of a client, with the number it takes."""
    outcome = run_text(LISTEN, environment | {name: text})
    told = [line for line in outcome.stderr.splitlines() if name in line]
    values, _, faults = ClientSettings.from_environment({name: text})
    assert bool(told) == (name in faults), outcome
    # "Setting "EPICS_CA_SERVER_PORT" = 5064", "was rounded up to 16384", ...
    taken = [line for line in told if "etting" in line or "efaulting" in line or "rounded" in line]
    for line in taken:
        assert float(line.replace(" seconds", "").split()[-1]) == values[name]
    assert all(line.startswith("WARNING:cachannel.") for line in told)


@pytest.mark.parametrize("api", READS)
@pytest.mark.parametrize("text", ["abc", "30,0", ""])
def test_clients_go_on_with_the_default(
    api: str, text: str, environment: dict[str, str], ioc: SoftIoc
) -> None:
    """Each client reads all the same, and standard error names the variable."""
    expected = run_text(READS[api], environment).succeeded().stdout
    outcome = run_text(READS[api], environment | {"EPICS_CA_CONN_TMO": text})
    assert (outcome.code, outcome.stdout) == (0, expected), outcome
    assert "EPICS_CA_CONN_TMO" in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_a_context_that_was_not_made_has_nothing_to_end(
    run_script: Callable[..., Outcome],
) -> None:
    """The constructor's exception comes alone, without one of the finalizer."""
    outcome = run_script("""
        import asyncio, gc
        from cachannel.asyncio.client import Context as Asynchronous
        from cachannel.threading.client import Context
        for make in (lambda: Context(42), lambda: asyncio.run(begin())):
            async def begin():
                Asynchronous(42)
            try:
                make()
            except AttributeError:
                pass
            gc.collect()
        print("done")
        """)
    assert outcome.succeeded().stdout == "done\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("EPICS_CA_CONN_TMO", "abc"),
        ("EPICS_CA_MAX_ARRAY_BYTES", "16M"),
        ("EPICS_CA_MAX_SEARCH_PERIOD", "x"),
        ("EPICS_CA_REPEATER_PORT", "99999"),
        ("EPICS_CA_ADDR_LIST", "127.0.0.1 127.0.0.1:x"),
    ],
)
def test_doctor_tells_of_settings_that_are_not_used(
    name: str, text: str, environment: dict[str, str]
) -> None:
    """The variable is a fault in the report, and the examination goes on."""
    arguments = ["-m", "cachannel", "doctor", "-w", "20", "catest"]
    outcome = run_python(arguments, environment | {name: text})
    assert outcome.code == 0, outcome
    assert outcome.lines[-1].split() == ["verdict", "all", "is", "well"]
    (fault,) = [line for line in outcome.lines if line.startswith("fault ")]
    assert name in fault
    assert "Traceback" not in outcome.stderr
