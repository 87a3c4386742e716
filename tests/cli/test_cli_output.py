"""What a person sees on a terminal, what programs get as JSON and in files, and bad input."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cachannel.cli.formats import readable
from cachannel.cli.main import main
from cachannel.cli.readings import CHAR, Reading
from cachannel.cli.terminal import has_unicode, prepare
from cachannel.cli.work import Session
from cachannel.sync.client import read, write
from support.ioc import SoftIoc
from support.scripts import Outcome, run_python
from support.terminal import Terminal

GREEN = "grün 25 °C"
LATIN = "gr\\xfcn"  # written by the IOC as one byte, which is not valid UTF-8
RECORDS = (
    """
record(waveform, "o:text") { field(FTVL, "CHAR") field(NELM, "80") }
record(waveform, "o:bytes") { field(FTVL, "UCHAR") field(NELM, "6") field(PINI, "YES")
                              field(INP, [72, 105, 9, 253]) }
record(waveform, "o:zeros") { field(FTVL, "CHAR") field(NELM, "3") }
record(waveform, "o:long") { field(FTVL, "LONG") field(NELM, "100") }
record(ao, "o:number") { field(VAL, "12.5") field(PINI, "YES") field(EGU, "µm")
                         field(DESC, "a motor") }
record(ao, "o:never") { field(VAL, "1") }
record(ao, "o:off") { field(VAL, "4") field(DISP, "1") field(PINI, "YES") }
record(calc, "o:nan") { field(CALC, "0/0") field(PINI, "YES") }
record(calc, "o:inf") { field(CALC, "1/0") field(PINI, "YES") }
record(mbbo, "o:mode") { field(ZRST, "Idle") field(ONST, "Running") field(TWST, "Stopped")
                         field(ZRVL, "0") field(ONVL, "1") field(TWVL, "2") field(PINI, "YES") }
"""
    + f"""
record(mbbo, "o:latin") {{ field(ZRST, "{LATIN}") field(ONST, "rot") field(ONVL, "1")
                          field(VAL, "1") field(PINI, "YES") }}
record(stringout, "o:latins") {{ field(VAL, "{LATIN}") field(PINI, "YES") }}
record(stringout, "o:string") {{ field(PINI, "YES") }}
"""
)


@pytest.fixture(scope="module")
def records(ports, loopback_only) -> Iterator[SoftIoc]:
    with SoftIoc([RECORDS], port=ports.other, repeater_port=ports.repeater) as running:
        yield running


@pytest.fixture
def environment(records) -> dict[str, str]:
    return records.env | {"CACHANNEL_REPEATER": "NO"}


@pytest.fixture
def screen(environment) -> Callable[..., Outcome]:
    """Run ``cachannel`` on a terminal to its end."""

    def run(*arguments: str, **more: str) -> Outcome:
        with Terminal(["-m", "cachannel", *arguments], environment | more, columns=200) as running:
            return running.wait()

    return run


@pytest.fixture
def command(environment) -> Callable[..., Outcome]:
    """Run ``cachannel`` with pipes."""
    return lambda *arguments: run_python(["-m", "cachannel", *arguments], environment)


def column(name: str, text: str) -> str:
    return f"{name:<30} {text}"


# On a terminal ---------------------------------------------------------------------------------


def test_a_missing_pv_hides_no_other_on_a_terminal_and_is_named(screen, command) -> None:
    names = ["o:number", "o:absent", "o:string", "o:gone"]
    done = screen("get", "-w", "1", *names)
    assert done.code == 1
    assert [line for line in done.lines if line.startswith("o:")] == [
        column("o:number", "12.5"),
        column("o:absent", "*** Not connected (PV not found)"),
        column("o:string", ""),
        column("o:gone", "*** Not connected (PV not found)"),
    ]
    assert "Channel connect timed out: 'o:absent', 'o:gone' not found." in done.lines
    assert "'cachannel doctor o:absent' explains why." in done.lines
    # Elsewhere base's tools print nothing, and name nothing.
    piped = command("get", "-w", "1", *names)
    assert (piped.stdout, piped.code) == ("", 1)
    assert piped.stderr == "Channel connect timed out: some PV(s) not found.\n"


def test_info_shows_the_pvs_that_are_there(screen) -> None:
    done = screen("info", "-w", "1", "o:absent", "o:number")
    assert done.code == 1
    assert re.search(r"o:absent\n    State: +never connected\no:number\n", done.stdout)
    assert "Native data type: DBF_DOUBLE" in done.stdout


def test_progress_counts_the_connected_pvs(environment) -> None:
    names = ["o:absent", "o:number", "o:string"]
    with Terminal(["-m", "cachannel", "get", "-w", "3", *names], environment) as running:
        # The absent PV stands first; the other two are connected nevertheless.
        running.expect("connecting: 2 of 3 PVs")
        running.wait()


def test_text_in_an_array_of_char_is_text_on_a_terminal_only(screen, command) -> None:
    command("put", "-c", "-S", "o:text", GREEN).succeeded()
    assert column("o:text", GREEN) in screen("get", "o:text").lines
    assert re.search(rf"o:text +[\d-]+ [\d:.]+ {GREEN} ", screen("get", "-a", "o:text").stdout)
    assert f"    Value:            {GREEN}" in screen("get", "-d", "control", "o:text").lines
    shown = screen("monitor", "--maximum", "1", "o:text")
    assert GREEN in shown.stdout
    # Numbers by option, for what is not text, and in a pipe.
    assert "o:text 80 103 114 -61 -68" in screen("get", "-n", "o:text").stdout
    assert "o:bytes 6 72 105 9 -3 0 0" in screen("get", "o:bytes").lines
    assert "o:zeros 3 0 0 0" in screen("get", "o:zeros").lines
    assert command("get", "o:text").stdout.startswith("o:text 80 103 114 -61 -68 110 32")
    # The modifier $ asks for text, even for an empty one.
    assert column("o:number.DESC$", "a motor") in screen("get", "o:number.DESC$").lines
    assert column("o:never.DESC$", "") in screen("get", "o:never.DESC$").lines


@pytest.mark.parametrize(
    ("elements", "holds"),
    [
        ([72, 105], True),
        ([72, 105, 0, 0], True),
        ([9, 72, 10, 13], True),
        ([-61, -68], True),
        ([], False),
        ([0, 0], False),
        ([72, 0, 105], False),
        ([72, 27], False),
        ([72, -3], False),
        ([1, 2, 3], False),
    ],
)
def test_which_arrays_of_char_hold_text(elements, holds) -> None:
    reading = Reading("o:text", CHAR, dbr_type=CHAR, elements=elements, capacity=80)
    assert reading.holds_text is holds
    assert not Reading("o:one", CHAR, dbr_type=CHAR, elements=[72], capacity=1).holds_text
    named = Reading("o:text.DESC$", CHAR, dbr_type=CHAR, elements=elements, capacity=80)
    assert named.holds_text


def test_readable_text_is_the_same_text_when_it_is_written_again() -> None:
    from cachannel.cli.put import unescape

    for text in ("grün", "C:\\data", "a \"b\" 'c'", "tab\there\n", "\x1b[31m", "\u202e", "µ\u0085"):
        data = text.encode()
        assert unescape(readable(data)) == data
        assert readable(data).isprintable()
    assert readable(b"gr\xfcn") == "grün"
    assert readable(b"\x85\xfc") == "\\x85ü"


def test_a_terminal_without_utf8_gets_escapes_as_from_base(screen, monkeypatch) -> None:
    assert column("o:latins", "grün") in screen("get", "o:latins").lines
    assert column("o:latins", LATIN) in screen("get", "o:latins", LC_ALL="C").lines
    assert column("o:latins", LATIN) in screen("get", "o:latins", PYTHONIOENCODING="latin-1").lines
    prepare()
    assert has_unicode()


def test_long_arrays_are_shortened_on_a_terminal_with_a_hint(screen, command) -> None:
    numbers = [str(number) for number in range(100)]
    command("put", "-c", "-a", "o:long", "100", *numbers).succeeded()
    whole = "o:long 100 " + " ".join(numbers)
    short = "o:long 100 " + " ".join(numbers[:20]) + " ... (80 more)"
    hint = "Long arrays are shortened on a terminal; --all prints all elements."
    assert screen("get", "o:long").lines == [short, hint]
    assert screen("get", "--all", "o:long").lines == [whole]
    assert screen("get", "-#", "100", "o:long").lines == [whole]
    assert command("get", "o:long").lines == [whole]
    assert hint in screen("monitor", "--maximum", "1", "o:long").lines
    done = screen("put", "-a", "o:long", "100", *numbers)
    assert done.lines == [f"Old : {short}", f"New : {short}", hint]
    shown = screen("get", "-F,", "o:long").lines[0]
    assert shown == "o:long,100," + ",".join(numbers[:20]) + ",... (80 more)"


def test_a_wrong_state_lists_the_states_and_the_nearest(screen, command) -> None:
    expected = [
        "Enum string value 'runing' invalid.",
        "The states of 'o:mode' are: 0 'Idle', 1 'Running', 2 'Stopped'.",
        "Did you mean 'Running'?",
    ]
    assert screen("put", "o:mode", "runing").lines == expected
    assert command("put", "o:mode", "runing").stderr == expected[0] + "\n"
    assert screen("put", "o:mode", "9").lines[:2] == [
        "Warning: enum index value '9' may be too large.",
        expected[1],
    ]
    assert expected[1] in screen("put", "-n", "o:mode", "Idle").lines


def test_a_refused_value_is_explained(screen) -> None:
    done = screen("put", "-c", "o:number", "abc")
    assert "'abc' is not a number, and 'o:number' is of type DBF_DOUBLE." in done.lines
    done = screen("put", "o:text", "hello")
    assert "'o:text' is an array of CHAR; put -S writes text to it." in done.lines
    assert done.code == 1


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["get", "--jsno", "o:number"], "Did you mean '--json'?"),
        (["gte", "o:number"], "Did you mean 'get' or 'caget'?"),
        (["ioc", "simpel"], "Did you mean 'simple'?"),
        (["get", "-d", "ctrl_duble", "o:number"], "Did you mean 'CTRL_DOUBLE'"),
        (["completion", "bahs"], "is not one of 'bash', 'zsh', 'fish'"),
    ],
)
def test_a_misspelt_word_is_answered_with_the_nearest(screen, arguments, hint) -> None:
    assert hint in screen(*arguments).stdout


def test_a_state_in_latin1_is_found_by_the_name_that_is_shown(screen, command) -> None:
    assert command("put", "-c", "o:latin", "grün").succeeded().lines == [
        f"Old : {column('o:latin', 'rot')}",
        f"New : {column('o:latin', LATIN)}",
    ]
    assert column("o:latin", "grün") in screen("get", "o:latin").lines
    assert "                      [ 0] grün" in screen("get", "-d", "control", "o:latin").lines


# For programs ----------------------------------------------------------------------------------


def objects(done: Outcome) -> list[dict[str, Any]]:
    """Read JSON lines, in which NaN and Infinity are not allowed."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    return [json.loads(line, parse_constant=refuse) for line in done.lines]


def test_every_failed_put_ends_with_an_object_that_says_so(command) -> None:
    def failed(*arguments: str) -> dict[str, Any]:
        done = command("put", "--json", *arguments)
        assert done.code == 1
        last = objects(done)[-1]
        assert (last["which"], last["ok"], last["value"]) == ("put", False, None)
        return last

    assert failed("-w", "0.5", "o:absent", "1")["error"] == "not found"
    assert failed("o:off", "1")["error"] == "Channel write request failed"
    assert failed("-c", "o:number", "abc")["error"] == "Channel write request failed"
    wrong = failed("o:mode", "Runing")
    assert wrong["error"] == "Enum string value 'Runing' invalid."
    assert wrong["enum_strings"] == ["Idle", "Running", "Stopped"]
    assert failed("", "1")["error"] == "Invalid string"
    done = command("put", "--json", "-c", "o:string", "x").succeeded()
    assert [(one["which"], one["ok"]) for one in objects(done)] == [("old", True), ("new", True)]


def test_the_time_of_a_record_that_was_never_processed_is_null(command, tmp_path) -> None:
    never, done = objects(command("get", "--json", "o:never", "o:number").succeeded())
    assert (never["timestamp"], never["value"]) == (None, 1.0)
    assert done["timestamp"] > 1.7e9
    table = tmp_path / "a.csv"
    monitor = ["monitor", "--json", "--maximum", "1", "--save", str(table), "o:never"]
    (update,) = objects(command(*monitor).succeeded())
    assert update["timestamp"] is None
    assert table.read_text().splitlines()[1] == "o:never,,NO_ALARM,UDF,1.0"


def test_json_has_no_nan_and_no_infinity(command, environment) -> None:
    for arguments in (
        ["get", "--json", "o:nan", "o:inf"],
        ["get", "--json", "-d", "control", "o:nan", "o:number"],
        ["monitor", "--json", "--maximum", "2", "o:nan", "o:inf"],
    ):
        found = objects(command(*arguments).succeeded())
        assert found[0]["value"] is None
    limits = objects(command("get", "--json", "-d", "control", "o:number"))[0]
    assert limits["upper_alarm_limit"] is None
    more = environment | {"EPICS_CA_CONN_TMO": "inf"}
    for name in ("doctor", "search"):
        done = run_python(["-m", "cachannel", name, "--json", "-w", "1", "o:number"], more)
        assert objects(done)[0]["name"] == "o:number"


def test_json_keeps_the_order_of_the_names(command) -> None:
    found = objects(command("get", "--json", "-w", "1", "o:absent", "o:number", "o:gone"))
    assert [(one["name"], one["ok"]) for one in found] == [
        ("o:absent", False), ("o:number", True), ("o:gone", False),
    ]  # fmt: skip
    (absent,) = objects(command("info", "--json", "-w", "0.5", "o:absent"))
    assert (absent["host"], absent["native_type"]) == (None, None)


@pytest.mark.parametrize(
    "text", [GREEN, "a, \"b\"; 'c'", "two\nlines\tand a tab", "C:\\data", "€漢字"]
)
def test_text_that_was_written_is_read_back(command, tmp_path, text) -> None:
    written = readable(text.encode())
    command("put", "-c", "o:string", written).succeeded()
    command("put", "-c", "-S", "o:text", written).succeeded()
    assert read("o:string", data_type=0).data == [text.encode()]
    shown = objects(command("get", "--json", "-S", "o:string", "o:text").succeeded())
    assert [one["value"] for one in shown] == [text, text]
    table, lines = tmp_path / "a.csv", tmp_path / "a.jsonl"
    for path in (table, lines):
        monitor = ["monitor", "--maximum", "2", "-S", "--save", str(path), "o:string", "o:text"]
        command(*monitor).succeeded()
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    assert [row[4:] for row in rows] == [[text], [text]]
    saved = [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()]
    assert [one["value"] for one in saved] == [text, text]


def test_text_that_is_not_utf8_is_read_as_latin1_everywhere(command, tmp_path) -> None:
    write("o:latin", 0, notify=True)
    names = ["o:latins", "o:latin"]
    found = objects(command("get", "--json", *names).succeeded())
    assert [one["value"] for one in found] == ["grün", "grün"]
    full = objects(command("get", "--json", "-d", "control", "o:latin").succeeded())[0]
    assert full["enum_strings"] == ["grün", "rot"]
    table = tmp_path / "a.csv"
    command("monitor", "--maximum", "2", "--save", str(table), *names).succeeded()
    assert sorted(table.read_text(encoding="utf-8").splitlines()[1:])[0].endswith(",grün")
    assert "\ufffd" not in table.read_text(encoding="utf-8")


def test_no_character_is_cut_in_the_middle(command) -> None:
    command("put", "-c", "o:string", "ä" * 30).succeeded()
    (found,) = objects(command("get", "--json", "o:string").succeeded())
    assert found["value"] == "ä" * 19


def test_arguments_that_are_not_utf8_are_bytes_for_channel_access(environment) -> None:
    def run(*arguments: str | bytes) -> list[dict[str, Any]]:
        command = [sys.executable, "-m", "cachannel", *arguments]
        done = subprocess.run(
            command, env=os.environ | environment, capture_output=True, check=False
        )
        return [json.loads(line) for line in done.stdout.decode("utf-8").splitlines()]

    assert run("get", "--json", "-w", "0.3", b"gr\xfcn")[0]["name"] == "grün"
    assert run("put", "--json", "-c", "o:string", b"gr\xfcn")[1]["value"] == "grün"
    assert read("o:string", data_type=0).data == [b"gr\xfcn"]


def test_search_shows_all_servers_of_a_name(make_ioc, records, environment, ports) -> None:
    from support.ports import free_port

    port = free_port()
    make_ioc('record(ao, "o:number") {}', port=port)
    addresses = [f"127.0.0.1:{ports.other}", f"127.0.0.1:{port}"]
    both = environment | {"EPICS_CA_ADDR_LIST": " ".join(addresses)}
    done = run_python(["-m", "cachannel", "search", "-w", "5", "o:number"], both)
    assert done.code == 0
    assert sorted(done.lines) == sorted(f"o:number {address}" for address in addresses)
    used = done.lines[0].partition(" ")[2]
    assert done.stderr == f"o:number: 2 servers answer; this client uses {used}\n"
    done = run_python(["-m", "cachannel", "search", "--json", "-w", "5", "o:number"], both)
    (found,) = objects(done)
    assert found["address"] == found["servers"][0]
    assert sorted(found["servers"]) == sorted(addresses)
    wrong = both | {"EPICS_CA_CONN_TMO": "x"}
    done = run_python(["-m", "cachannel", "search", "-w", "5", "o:number"], wrong)
    assert sorted(done.lines) == sorted(f"o:number {address}" for address in addresses)
    assert "EPICS_CA_CONN_TMO='x' is not a number; 30.0 is used" in done.stderr


# Bad input -------------------------------------------------------------------------------------

BAD_NAMES = ["", " ", "x" * 500, "o:number.NOPE", "o:number{", "grün", "-", "o:number$"]
BAD_OPTIONS = [
    ["-w", "x"], ["-w", "nan"], ["-w", "-1"], ["-p", "x"], ["-p", "99999999999999999999"],
    ["--nope"], ["-F", ""], ["-F", "ü"], ["-e", "99999999999999999999"], ["-0", "q"], ["-0", ""],
    ["-#", "x"], ["-#", "-99999999999999999999"], ["-#", "99999999999999999999"], ["-d", "zap"],
    ["-d", "99"], ["-d", ""], ["-d", "37"], ["-d", "38"], ["-l", "z"],
]  # fmt: skip
BAD_VALUES = [
    "", "abc", "1e999", "nan", "-inf", "0x" + "f" * 400, "9" * 400, "\\", "\\x", "\\777", "\\0",
    "x" * 100_000,
]  # fmt: skip
BAD_LINES = [
    ["put", "o:number"],
    ["put", "-a", "o:long", "3"],
    ["put", "-a", "o:long", "1", *["7"] * 5000],
    ["info", "-s", "-1", "o:number"],
    ["info", "-s", "99999999999999999999", "o:number"],
    ["info", "-s", "x", "o:number"],
    ["monitor", "--save", "/nonexistent/x", "o:number"],
    ["monitor", "--save", "/", "o:number"],
    ["monitor", "--save", "/dev/full", "--maximum", "1", "o:number"],
    ["monitor", "--duration", "nan", "o:number"],
    ["monitor", "--maximum", "0", "o:number"],
    ["monitor", "-m", "z", "-t", "z", "--maximum", "1", "o:number"],
    ["monitor", "--table", "--plot", "o:number"],
    ["ioc", "no.such.module"],
    ["ioc", ".."],
    ["ioc", "/etc/passwd"],
    ["ioc"],
    ["completion", "x"],
    ["repeater", "x"],
    ["demo", "x"],
    ["shell", "x"],
    ["nope"],
    ["-x"],
]
READING = ("get", "info", "search", "monitor")


def bad_lines() -> Iterator[list[str]]:
    yield from BAD_LINES
    for name in BAD_NAMES:
        for command in READING:
            ends = ["--duration", "0.2"] if command == "monitor" else ["-w", "0.2"]
            yield [command, *ends, name]
            yield [command, "--json", *ends, name]
        yield ["put", "--json", "-w", "0.2", name, "1"]
    for option in BAD_OPTIONS:
        yield ["get", *option, "o:number", "o:long", "o:mode", "o:text"]
        yield ["monitor", "--maximum", "1", "--duration", "0.3", *option, "o:long"]
        yield ["put", *option, "o:number", "1"]
    for value in BAD_VALUES:
        for name in ("o:number", "o:mode", "o:string", "o:text", "o:long"):
            for option in ([], ["-n"], ["-S"], ["-a"]):
                yield ["put", *option, name, value, *(["1"] if option == ["-a"] else [])]


def test_no_bad_input_ends_in_an_exception(records, capsys) -> None:
    for arguments in bad_lines():
        # An exception of `main` would be a traceback for the user.
        code = main(arguments)
        printed = capsys.readouterr()
        assert code in (0, 1, 2), arguments
        assert "Traceback" not in printed.out + printed.err, arguments
        assert code == 0 or printed.err or "--json" in arguments, (arguments, code, printed)


@pytest.mark.parametrize("command", ["put", "get", "info"])
def test_a_channel_may_connect_just_after_the_command_gave_up(
    records, capsys, monkeypatch, command
) -> None:
    gives_up = Session.connect

    def connect(session: Session) -> bool:
        complete = gives_up(session)
        records.start()
        session.settings.wait = 30.0
        session.wait()
        assert not session.lost
        return complete

    monkeypatch.setattr(Session, "connect", connect)
    records.stop()
    assert main([command, "--json", "-w", "0.3", "o:number", *["12.5"] * (command == "put")]) == 1
    printed = capsys.readouterr()
    assert printed.err == "Channel connect timed out: 'o:number' not found.\n"
    found = json.loads(printed.out)
    assert command != "put" or found["error"] == "not found"


@pytest.mark.parametrize("command", ["get", "search", "ioc"])
def test_a_setting_that_cannot_be_read_is_told(environment, command) -> None:
    wrong = environment | {"EPICS_CA_SERVER_PORT": "x", "EPICS_CLI_TIMEOUT": "0.3"}
    done = run_python(["-m", "cachannel", command, "simple"], wrong)
    assert done.code == 1
    assert "EPICS_CA_SERVER_PORT" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_ioc_ends_in_order_with_a_signal(environment, ports, number) -> None:
    from support.ports import free_port, server_environment

    process = subprocess.Popen(
        [sys.executable, "-m", "cachannel", "ioc", "simple", "--list-pvs"],
        env=os.environ | environment | server_environment(free_port(), ports.repeater),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    with process:
        assert process.stdout is not None
        while "startup complete" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(number)
        rest = process.stdout.read()
        assert process.wait(60) == 0
    assert "Server exiting" in rest
    assert "Traceback" not in rest
