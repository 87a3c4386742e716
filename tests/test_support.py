"""The test harness itself: an IOC that starts, obeys, crashes and comes back."""

import socket
from collections.abc import Callable

import pytest

from support.ioc import SoftIoc
from support.ports import BLOCK, free_port, never_given_by_the_kernel
from support.scripts import run_text
from support.terminal import Terminal
from support.waiting import wait_until


def test_ioc_restarts_on_the_same_port(make_ioc: Callable[..., SoftIoc]) -> None:
    ioc = make_ioc('record(ai, "support:first") {}')
    first = ioc.pid
    ioc.command("dbl")
    assert "support:first" in ioc.output
    ioc.restart(['record(ai, "support:second") {}'], crash=True)
    assert ioc.pid != first
    ioc.command("dbl")
    assert "support:second" in ioc.output
    assert "support:first" not in ioc.output
    socket.create_connection(("127.0.0.1", ioc.port), timeout=60).close()


def test_stopped_ioc_answers_nobody(make_ioc: Callable[..., SoftIoc]) -> None:
    ioc = make_ioc('record(ai, "support:first") {}')
    ioc.stop()
    ioc.stop()
    assert not ioc.is_running
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", ioc.port), timeout=60)


def test_ioc_that_cannot_start_shows_what_it_printed() -> None:
    with pytest.raises(AssertionError, match="nonsense"):
        SoftIoc(['record(nonsense, "x") {}']).start()


def test_motor_record_moves(make_ioc: Callable[..., SoftIoc]) -> None:
    ioc = make_ioc('record(motor, "support:m") { field(VELO, "100") }', motor=True)
    ioc.command("dbpf support:m.VAL 1")
    ioc.command("dbgf support:m.DVAL")
    assert ioc.output.rstrip().endswith("iocsh: done")

    def has_arrived() -> bool:
        ioc.command("dbgf support:m.RRBV")
        return "100" in ioc.output.splitlines()[-2]

    wait_until(has_arrived)


def test_free_ports_are_handed_out_once() -> None:
    given = [free_port() for _ in range(2 * BLOCK)]
    assert len(set(given)) == len(given)
    assert set(given) <= set(never_given_by_the_kernel())


def test_no_other_process_gets_a_port_of_this_run() -> None:
    mine = free_port()
    first = mine - (mine - never_given_by_the_kernel().start) % BLOCK
    run_text(
        f"""
        from support.ports import BLOCK, RANDOM, free_port

        wanted, chance = iter([{first}]), RANDOM.choice
        RANDOM.choice = lambda firsts: next(wanted, None) or chance(firsts)
        assert free_port() not in range({first}, {first} + BLOCK)
        assert next(wanted, None) is None
        """,
        {},
    ).succeeded()


def test_script_reports_output_and_status() -> None:
    outcome = run_text("import sys; print(1); sys.exit('failed')", {})
    assert (outcome.lines, outcome.stderr, outcome.code) == (["1"], "failed\n", 1)


def test_without_a_pseudo_terminal_a_test_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise OSError("out of pty devices")

    monkeypatch.setattr("pty.openpty", refuse)
    with pytest.raises(pytest.skip.Exception, match=r"needs a pseudo terminal, .* out of pty"):
        Terminal(["-c", ""], {})


def test_wait_until_gives_up() -> None:
    with pytest.raises(AssertionError, match=r"a miracle did not happen within 0\.01 s"):
        wait_until(lambda: False, 0.01, what="a miracle")
