"""What a person should know reaches standard error, once, unless logging is set up."""

from __future__ import annotations

import textwrap
from collections.abc import Callable

import pytest

from support.ioc import SoftIoc
from support.ports import client_environment, free_port
from support.scripts import Outcome, run_text

REFUSING = 'record(ao, "quiet:x") { field(DISP, "1") }'

WRITERS = {
    "CaChannel": """
        from CaChannel import CaChannel
        channel = CaChannel("quiet:x")
        channel.setTimeout(60)
        channel.searchw()
        for _ in range(3):
            channel.putw(2.0)
        channel.getw()
        channel.pend_event(0.1)
        """,
    "threading": """
        from cachannel.threading.client import Context
        context = Context()
        pv, = context.get_pvs("quiet:x")
        pv.wait_for_connection(timeout=60)
        for _ in range(3):
            pv.write([2.0], notify=False, wait=False)
        pv.read(timeout=60)
        context.disconnect()
        """,
    "asyncio": """
        import asyncio
        async def main():
            from cachannel.asyncio.client import Context
            async with Context() as context:
                pv, = await context.get_pvs("quiet:x")
                await pv.wait_for_connection(timeout=60)
                for _ in range(3):
                    await pv.write([2.0], notify=False, wait=False)
                await pv.read(timeout=60)
        asyncio.run(main())
        """,
}

READERS = {
    "CaChannel": """
        from CaChannel import CaChannel
        channel = CaChannel("quiet:x")
        channel.setTimeout(60)
        channel.searchw()
        """,
    "threading": """
        from cachannel.threading.client import Context
        pv, = Context().get_pvs("quiet:x")
        pv.wait_for_connection(timeout=60)
        """,
    "asyncio": """
        import asyncio
        async def main():
            from cachannel.asyncio.client import Context
            pv, = await Context().get_pvs("quiet:x")
            await pv.wait_for_connection(timeout=60)
        asyncio.run(main())
        """,
}

# libca tells of the second server when its answer comes; standard error is read meanwhile.
UNTIL_TOLD = """
import io, sys, time
class Heard(io.StringIO):
    def write(self, text):
        told.append(text)
        return sys.__stderr__.write(text)
told = []
sys.stderr = Heard()
"""
WAIT_UNTIL_TOLD = """
deadline = time.monotonic() + 60
while not told and time.monotonic() < deadline:
    time.sleep(0.01)
"""


def quiet(text: str, environment: dict[str, str]) -> Outcome:
    """Run a script without a repeater."""
    return run_text(text, environment | {"CACHANNEL_REPEATER": "NO"})


@pytest.fixture(scope="module")
def refusing() -> Callable[[], SoftIoc]:
    """An IOC that refuses all writes of one record."""
    with SoftIoc([REFUSING]) as ioc:
        yield ioc


@pytest.mark.parametrize("api", WRITERS)
def test_a_refused_write_without_callback_is_told_once(api: str, refusing: SoftIoc) -> None:
    """One line names the PV and the server; the repetitions are not printed."""
    outcome = quiet(WRITERS[api], refusing.env)
    assert outcome.code == 0, outcome
    (line,) = outcome.stderr.splitlines()
    assert line.startswith("cachannel: write of 'quiet:x' on ")
    assert f":{refusing.port} failed: " in line


def test_a_handler_of_the_program_takes_over(refusing: SoftIoc) -> None:
    """With logging set up every warning goes there, and nothing is printed besides."""
    start = 'import logging; logging.basicConfig(format="LOG %(name)s %(message)s")\n'
    outcome = quiet(start + textwrap.dedent(WRITERS["CaChannel"]), refusing.env)
    lines = outcome.stderr.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("LOG cachannel.libca write of 'quiet:x' on ") for line in lines)


@pytest.mark.parametrize(
    "start",
    [
        'logging.getLogger("cachannel").addHandler(logging.NullHandler())',
        "logging.getLogger().addHandler(logging.NullHandler())",
        "logging.lastResort = None",
        'logging.getLogger("cachannel").setLevel("ERROR")',
    ],
)
def test_a_program_may_ask_for_silence(start: str, refusing: SoftIoc) -> None:
    """The ways that silence any library of Python silence this one."""
    outcome = quiet(
        f"import logging; {start}\n" + textwrap.dedent(WRITERS["CaChannel"]), refusing.env
    )
    assert (outcome.code, outcome.stderr) == (0, "")


def test_an_exception_in_a_callback_is_shown_once(refusing: SoftIoc) -> None:
    """The traceback is on standard error, and no second line about the same exception."""
    outcome = quiet(
        """
        from CaChannel import CaChannel, ca
        def changed(event, args):
            done.set()
            raise RuntimeError("in the callback")
        import threading
        done = threading.Event()
        channel = CaChannel("quiet:x")
        channel.setTimeout(60)
        channel.searchw()
        channel.add_masked_array_event(ca.DBR_DOUBLE, None, None, changed)
        channel.flush_io()
        assert done.wait(60)
        channel.clear_event()
        """,
        refusing.env,
    )
    assert outcome.code == 0, outcome
    assert outcome.stderr.count("RuntimeError: in the callback") == 1
    assert "cachannel:" not in outcome.stderr


@pytest.mark.parametrize("api", READERS)
def test_a_name_that_two_servers_have_is_told(api: str) -> None:
    """One line names the PV and both servers."""
    first, second = SoftIoc([REFUSING]), SoftIoc([REFUSING])
    text = UNTIL_TOLD + textwrap.dedent(READERS[api]) + WAIT_UNTIL_TOLD
    with first, second:
        environment = client_environment([first.port, second.port], free_port())
        outcome = quiet(text, environment)
    assert outcome.code == 0, outcome
    lines = [line for line in outcome.stderr.splitlines() if "quiet:x" in line]
    assert len(lines) == 1, outcome
    assert all(f":{ioc.port}" in lines[0] for ioc in (first, second))
