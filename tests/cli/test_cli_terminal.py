"""The `cachannel` command in a terminal, and how it ends."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from cachannel.sync.client import write
from support.scripts import Outcome, run_python, run_text
from support.terminal import Terminal

INTERRUPTED = -signal.SIGINT
BRAILLE = re.compile("[\u2801-\u28ff]")


@pytest.fixture
def environment(ioc: Any) -> dict[str, str]:
    return ioc.env | {"CACHANNEL_REPEATER": "NO"}


@pytest.fixture
def terminal(environment: dict[str, str]) -> Callable[..., Terminal]:
    """Run ``cachannel`` with arguments in a terminal."""

    def start(*arguments: str, **options: Any) -> Terminal:
        more = options.pop("more", {})
        return Terminal(["-m", "cachannel", *arguments], environment | more, **options)

    return start


@pytest.fixture
def command(environment: dict[str, str]) -> Callable[..., Outcome]:
    """Run ``cachannel`` with arguments and pipes."""
    return lambda *arguments: run_python(["-m", "cachannel", *arguments], environment)


# Ctrl-C and closed pipes -----------------------------------------------------------------------


def test_an_interrupt_ends_monitor_as_a_signal_does(terminal) -> None:
    with terminal("monitor", "cacalc") as running:
        running.expect(r"cacalc +20.*\n.*cacalc +20")
        running.type("\x03")
        done = running.wait()
    assert done.code == INTERRUPTED
    assert "Traceback" not in done.stdout
    assert "Aborted" not in done.stdout


def test_an_interrupt_ends_a_search(terminal) -> None:
    with terminal("get", "-w", "30", "cadoesnotexist", "cadoesnotexist2") as running:
        running.expect("connecting: 0 of 2 PVs")
        running.type("\x03")
        done = running.wait()
    assert done.code == INTERRUPTED
    assert "Traceback" not in done.stdout


def test_a_reader_that_leaves_ends_the_command_in_silence(environment) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "cachannel", "monitor", "cacalc"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | environment,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait(60) == 128 + signal.SIGPIPE


def test_closed_and_full_outputs_are_faults_without_a_traceback(environment) -> None:
    script = f"{sys.executable} -m cachannel get catest"
    done = subprocess.run(["sh", "-c", f"{script} >&-"], env=os.environ | environment,
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    done = subprocess.run(["sh", "-c", f"{script} > /dev/full"], env=os.environ | environment,
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 1
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


# On a terminal ---------------------------------------------------------------------------------


def test_alarms_have_colours_on_a_terminal_only(terminal, command) -> None:
    write("cabo", "Busy", notify=True)
    with terminal("get", "cabo") as running:
        running.wait()
        assert "\x1b[33mcabo" in running.output
    with terminal("get", "cabo", more={"NO_COLOR": "1"}) as running:
        running.wait()
        assert "\x1b[" not in running.output
    assert "\x1b" not in command("get", "cabo").stdout


def test_a_table_changes_in_place(terminal) -> None:
    names = ["cacalc", "cabo", "cawavel", "cadoesnotexist"]
    with terminal("monitor", "--table", "-w", "0.3", *names) as running:
        running.expect(r"cadoesnotexist +\*\*\* Not connected")
        assert "\x1b[?1049h" in running.output
        first = re.findall(r"cacalc +[\d:.]+ +(\d+)", plain_frames(running)[-1])
        mark = len(running.output)
        running.expect(r"cacalc +[\d:.]+ +(?!" + first[0] + r" )\d+", start=mark)
        mark = len(running.output)
        running.resize(8, 60)
        running.expect(r"cabo +[\d:.]+ +Busy +STATE MINOR", start=mark)
        narrow = plain_frames(running)[-1]
        assert max(len(line) for line in narrow.split("\n")) <= 60
        running.type("\x03")
        done = running.wait()
    assert done.code == INTERRUPTED
    # The screen is as it was, with the last state below the command.
    after = running.output.partition("\x1b[?1049l")[2]
    assert "cacalc" in after
    assert "\x1b[?25h" in running.output


def test_sigterm_leaves_the_terminal_as_it_was(terminal) -> None:
    with terminal("monitor", "--table", "cacalc") as running:
        running.expect(r"cacalc +[\d:.]+ +\d")
        os.kill(running.pid, signal.SIGTERM)
        done = running.wait()
    assert done.code == -signal.SIGTERM
    assert "\x1b[?1049l" in running.output
    assert "\x1b[?25h" in running.output


def test_a_tiny_window_is_no_fault(terminal) -> None:
    for option in ("--table", "--plot"):
        with terminal("monitor", option, "cacalc", "cabo", rows=2, columns=7) as running:
            running.expect(r"\S")
            mark = len(running.output)
            running.resize(1, 1)
            running.expect(r"\S", start=mark)
            running.type("\x03")
            done = running.wait()
        assert done.code == INTERRUPTED
        assert "Traceback" not in done.stdout


def plain_frames(running: Terminal) -> list[str]:
    """The frames that were drawn on the alternate screen."""
    from support.terminal import plain

    return [plain(frame) for frame in running.output.split("\x1b[H") if "PV" in frame]


def test_more_rows_than_the_window_has_are_counted(terminal) -> None:
    names = ["cacalc", "cabo", "catest", "cambbo", "calong", "castring", "caplain", "caread"]
    with terminal("monitor", "--table", *names, rows=6) as running:
        running.expect("and 4 more")
        running.type("\x03")
        assert running.wait().code == INTERRUPTED


def test_a_strip_chart_is_drawn_and_follows_the_window(terminal) -> None:
    with terminal("monitor", "--plot", "--span", "2", "cacalc", rows=15, columns=70) as running:
        running.expect("[\u2801-\u28ff]{3}")
        mark = len(running.output)
        running.resize(10, 40)
        running.expect(r"-2 s {20,}now\n", start=mark)
        frames = [f for f in running.output[mark:].split("\x1b[H") if "now" in f]
        from support.terminal import plain

        assert max(len(line) for line in plain(frames[-1]).split("\n")) <= 40
        running.type("\x03")
        done = running.wait()
    assert done.code == INTERRUPTED
    assert BRAILLE.search(running.output.partition("\x1b[?1049l")[2])


def test_table_and_plot_need_a_terminal(command) -> None:
    for option in ("--table", "--plot"):
        done = command("monitor", option, "cacalc")
        assert done.code == 2
        assert f"{option} needs a terminal" in done.stderr


def test_the_shell_completes_names_that_were_used(terminal, tmp_path) -> None:
    more = {"PYTHON_HISTORY": str(tmp_path / "history"), "TERM": "dumb"}
    with terminal("shell", "--plain", more=more) as running:
        running.expect(">>> ")
        running.type('read("caplain").data\n')
        running.expect(r"array\(\[.*\]\)")
        mark = len(running.output)
        running.type('write("capla\t')
        running.expect('write\\("caplain"', start=mark)
        running.type(", 2.5, notify=True).status.success\n")
        # What is typed before the prompt is there would not end it.
        running.expect(r"\n1\n[^\n]*>>> ", start=mark)
        running.type("\x04")
        assert running.wait().code == 0
    write("caplain", 1.5, notify=True)


def test_ipython_gets_the_rest_of_a_name() -> None:
    from cachannel.cli.shell import endings

    class NoContext:
        pvs: dict[tuple[str, int], object] = {("dev:far:c", 0): None}  # noqa: RUF012

    names, seen = {"ctx": NoContext()}, {"dev:near:a": None, "dev:near:b": None}
    # IPython parts words at colons.
    assert endings(names, seen, 'read("dev:near:', "") == ["a", "b"]
    assert endings(names, seen, "read('dev:ne", "ne") == ["near:a", "near:b"]
    assert endings(names, seen, 'write("dev:far:c", dev', "dev") == []
    assert endings(names, seen, 'x = ["dev:far:', "") == ["c"]


# Exit status and files -------------------------------------------------------------------------


def test_failures_of_channel_access_are_status_1(command) -> None:
    done = command("get", "canoaccess", "caplain")
    assert done.code == 1
    assert done.lines[0] == f"{'canoaccess':<30} *** no read access"
    assert done.lines[1].startswith("caplain ")
    done = command("put", "cadisabled", "5")
    assert done.code == 1
    assert done.lines[1] == f"New : {'cadisabled':<30} 4"
    assert done.stderr == "ERROR from put operation: Channel write request failed\n"
    done = command("put", "-c", "-w", "2", "caslowest", "5")
    assert done.code == 1
    assert done.stderr == "Write callback operation timed out\n"
    done = command("get", "--json", "-w", "0.3", "caplain", "cadoesnotexist")
    assert done.code == 1
    last = json.loads(done.lines[-1])
    assert last == {"name": "cadoesnotexist", "ok": False, "value": None, "error": "not found"}


def test_a_lost_pv_is_told_and_followed_again(make_ioc, environment, ports) -> None:
    other = make_ioc('record(ao, "calost") { field(VAL, "3") field(PINI, "YES") }')
    env = environment | {"EPICS_CA_SERVER_PORT": str(ports.other)}
    with Terminal(["-m", "cachannel", "monitor", "-tn", "calost"], env) as running:
        running.expect(r"calost +3")
        other.restart(['record(ao, "calost") { field(VAL, "4") field(PINI, "YES") }'])
        running.expect(r"calost +[\d-]+ [\d:.]+ \*\*\* disconnected\n")
        running.expect(r"calost +4")
        running.type("\x03")
        assert running.wait().code == INTERRUPTED


def test_updates_are_saved(command, tmp_path) -> None:
    write("catest", 0.1, notify=True)
    table, lines = tmp_path / "a.csv", tmp_path / "a.jsonl"
    for _ in range(2):
        command("monitor", "--maximum", "1", "--save", str(table), "catest").succeeded()
    head, first, second = table.read_text().splitlines()
    assert head == "name,timestamp,severity,status,value"
    assert first == second
    name, stamp, severity, status, value = first.split(",")
    assert (name, severity, status, value) == ("catest", "NO_ALARM", "NO_ALARM", "0.1")
    assert re.fullmatch(r"\d{10}\.\d{9}", stamp)
    command("monitor", "--maximum", "1", "--save", str(lines), "cawavel").succeeded()
    saved = json.loads(lines.read_text())
    assert (saved["name"], saved["type"]) == ("cawavel", "LONG")
    # The record was never processed.
    assert saved["timestamp"] is None


def test_json_has_limits_units_and_states(command) -> None:
    done = command("get", "--json", "-d", "control", "catest", "cambbo").succeeded()
    number, choice = (json.loads(line) for line in done.lines)
    assert (number["units"], number["upper_alarm_limit"], number["precision"]) == ("mm", 180.0, 4)
    assert choice["enum_strings"] == ["zero", "one", "two", "three"]
    done = command("info", "--json", "caread").succeeded()
    assert json.loads(done.stdout)["access"] == "read, no write"
    done = command("put", "--json", "-c", "cascratch3", "7").succeeded()
    assert [json.loads(line)["which"] for line in done.lines] == ["old", "new"]
    done = command("monitor", "--json", "--maximum", "1", "catest").succeeded()
    assert json.loads(done.stdout)["name"] == "catest"


# Without the extra -----------------------------------------------------------------------------


def test_without_click_a_sentence_says_what_to_install(environment) -> None:
    def run(*arguments: str) -> Outcome:
        return run_text(
            f"""
            import sys
            sys.modules["click"] = None
            from cachannel.__main__ import main
            sys.exit(main({list(arguments)!r}))
            """,
            environment,
        )

    done = run("get", "catest")
    assert done.code == 2
    expected = "cachannel get needs the extra 'cli': pip install 'cachannel-cffi[cli]'\n"
    assert done.stderr == expected
    assert "repeater" in run("--help").succeeded().stdout


def test_without_rich_all_but_table_and_plot_works(environment) -> None:
    def run(*arguments: str) -> Outcome:
        return run_text(
            f"""
            import sys
            sys.modules["rich"] = None
            from cachannel.__main__ import main
            sys.exit(main({list(arguments)!r}))
            """,
            environment,
        )

    write("calong", 3, notify=True)
    assert run("get", "-t", "calong").succeeded().stdout == "3\n"
    done = run("monitor", "--table", "calong")
    assert done.code == 2
    assert "--table needs rich: pip install 'cachannel-cffi[cli]'" in done.stderr


def test_a_shell_can_complete(environment) -> None:
    def complete(words: str, position: int) -> list[str]:
        more = {"_CACHANNEL_COMPLETE": "bash_complete", "COMP_WORDS": words,
                "COMP_CWORD": str(position)}  # fmt: skip
        done = run_python(["-m", "cachannel"], environment | more)
        return [line.partition(",")[2] for line in done.stdout.splitlines()]

    assert complete("cachannel mo", 1) == ["monitor"]
    assert complete("cachannel monitor --pl", 2) == ["--plot"]
    done = run_python(["-m", "cachannel", "completion", "bash"], environment).succeeded()
    assert "_CACHANNEL_COMPLETE" in done.stdout
