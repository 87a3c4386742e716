"""The `cachannel` command and the modules of `cachannel.commandline`, each in its own process."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

import cachannel
from cachannel.sync.client import write
from support.scripts import Outcome, run_python


@pytest.fixture
def command(ioc: Any) -> Callable[..., Outcome]:
    """Run ``python -m cachannel`` with arguments."""
    environment = ioc.env | {"CACHANNEL_REPEATER": "NO"}
    return lambda *arguments: run_python(["-m", "cachannel", *arguments], environment)


@pytest.fixture
def module(ioc: Any) -> Callable[..., Outcome]:
    """Run a module of ``cachannel.commandline`` with arguments."""
    environment = ioc.env | {"CACHANNEL_REPEATER": "NO"}
    return lambda name, *arguments: run_python(
        ["-m", f"cachannel.commandline.{name}", *arguments], environment
    )


def test_get_prints_as_caget(command: Callable[..., Outcome]) -> None:
    write("catest", 12.3, notify=True)
    write("cambbo", "two", notify=True)
    done = command("get", "catest", "cambbo", "cawaveh").succeeded()
    assert done.lines[0] == f"{'catest':<30} 12.3"
    assert done.lines[1] == f"{'cambbo':<30} two"
    assert done.lines[2].startswith("cawaveh 10 ")
    assert command("get", "-t", "-f", "3", "catest").succeeded().stdout == "12.300\n"
    assert command("get", "-n", "-F,", "cambbo").succeeded().stdout == "cambbo,2\n"


def test_get_prints_time_and_alarm(command: Callable[..., Outcome]) -> None:
    write("cabo", "Busy", notify=True)
    write("caplain", 1.5, notify=True)
    first, second = command("get", "-a", "cabo", "caplain").succeeded().lines
    assert first.endswith(" Busy STATE MINOR")
    assert second.endswith(" 1.5  ")


def test_get_prints_all_that_a_type_brings(command: Callable[..., Outcome]) -> None:
    lines = command("get", "-d", "CTRL_DOUBLE", "catest").succeeded().lines
    assert lines[:4] == [
        "catest",
        "    Native data type: DBF_DOUBLE",
        "    Request type:     DBR_CTRL_DOUBLE",
        "    Element count:    1",
    ]
    assert "    Units:            mm" in lines
    lines = command("get", "-d", "31", "cambbo").succeeded().lines
    assert lines[-5:-3] == ["    Enums:            ( 4)", f"{'':22}[ 0] zero"]


def test_get_of_an_unknown_pv_prints_nothing_but_a_fault(command: Callable[..., Outcome]) -> None:
    done = command("get", "-w", "0.3", "catest", "cadoesnotexist")
    assert (done.code, done.stdout) == (1, "")
    assert done.stderr == "Channel connect timed out: some PV(s) not found.\n"


def test_get_prints_json(command: Callable[..., Outcome]) -> None:
    write("catest", 12.5, notify=True)
    found = json.loads(command("get", "--json", "catest").succeeded().stdout)
    assert found["value"] == 12.5
    assert found["ok"] is True
    assert found["timestamp"] > 1e9


def test_put_prints_old_and_new(command: Callable[..., Outcome]) -> None:
    write("cascratch1", 1, notify=True)
    done = command("put", "-c", "cascratch1", "2.5").succeeded()
    assert done.lines == [f"Old : {'cascratch1':<30} 1", f"New : {'cascratch1':<30} 2.5"]
    assert command("put", "-c", "-t", "cambbo", "three").succeeded().stdout == "three\n"
    done = command("put", "-c", "-a", "cawavel", "3", "1", "2", "3").succeeded()
    assert done.lines[1] == "New : cawavel 10 1 2 3 0 0 0 0 0 0 0"


def test_a_refused_put_is_a_fault(command: Callable[..., Outcome]) -> None:
    done = command("put", "caread", "1")
    assert done.code == 1
    assert done.stderr == "ERROR from put operation: Write access denied\n"


def test_monitor_prints_updates(command: Callable[..., Outcome]) -> None:
    # Ten updates a second: the last comes long after the time in which the other is looked for,
    # also when the process is held up and takes many updates at once.
    done = command("monitor", "-w", "0.05", "--maximum", "30", "cacalc", "cadoesnotexist")
    lines = done.succeeded().lines
    assert f"{'cadoesnotexist':<30} *** Not connected (PV not found)" in lines
    updates = [line for line in lines if line.startswith(f"{'cacalc':<30} 20")]
    assert len(updates) == 30


def test_info_tells_what_a_pv_is(command: Callable[..., Outcome], ioc: Any) -> None:
    lines = command("info", "caread").succeeded().lines
    # libca looks the name of the address up.
    assert lines[2] in [f"    Host:             {h}:{ioc.port}" for h in ("localhost", "127.0.0.1")]
    assert [*lines[:2], *lines[3:]] == [
        "caread",
        "    State:            connected",
        "    Access:           read, no write",
        "    Native data type: DBF_DOUBLE",
        "    Request type:     DBR_DOUBLE",
        "    Element count:    1",
    ]


def test_search_and_doctor_tell_where_a_pv_is(command: Callable[..., Outcome], ioc: Any) -> None:
    assert command("search", "catest").succeeded().stdout == f"catest 127.0.0.1:{ioc.port}\n"
    done = command("doctor", "--json", "-w", "2", "catest", "cadoesnotexist")
    good, bad = (json.loads(line) for line in done.lines)
    assert done.code == 1
    assert good["verdict"] == "all is well"
    assert good["answers"][0]["server"] == f"127.0.0.1:{ioc.port}"
    assert "no server answered" in bad["verdict"]


def test_wrong_options_are_status_2(command: Callable[..., Outcome]) -> None:
    assert command("get").code == 2
    assert command("get", "--bogus", "catest").code == 2
    assert command("put", "catest").code == 2
    assert command("put", "catest", "1", "--json").code == 2
    assert command("monitor", "--plot", "--table", "catest").code == 2
    assert command("ioc", "nosuch").code == 2
    assert command().code == 2
    done = command("gett", "catest")
    assert done.code == 2
    assert "Did you mean 'get'" in done.stderr


def test_help_is_there(command: Callable[..., Outcome]) -> None:
    shown = command("--help").succeeded().stdout
    for name in ("get", "put", "monitor", "info", "search", "doctor", "ioc", "shell", "demo"):
        assert name in shown


def test_the_modules_print_as_caproto(module: Callable[..., Outcome]) -> None:
    write("catest", 12.5, notify=True)
    write("cambbo", "two", notify=True)
    done = module("get", "catest", "cambbo").succeeded()
    assert done.lines == [f"{'catest':<40}  [12.5]", f"{'cambbo':<40}  [two]"]
    assert module("get", "-t", "catest").succeeded().stdout == "12.5\n"
    shown = module("get", "--format", "{pv_name}={response.data[0]}", "catest").succeeded()
    assert shown.stdout == "catest=12.5\n"
    done = module("put", "-c", "cascratch2", "[3.5]").succeeded()
    assert done.lines[1] == f"New : {'cascratch2':<40}  [3.5]"
    lines = module("monitor", "--maximum", "2", "cacalc").succeeded().lines
    assert len(lines) == 2


def test_the_modules_go_on_after_a_pv_that_fails(module: Callable[..., Outcome]) -> None:
    done = module("get", "-w", "2", "cadoesnotexist", "catest")
    assert done.code == 1
    assert done.lines[0].startswith("catest ")
    assert "cadoesnotexist" in done.stderr
    assert "Traceback" not in done.stderr


# What caproto 1.3.0's tools print, seen side by side on one soft IOC, apart from exit statuses.


def test_the_modules_take_caprotos_options(module: Callable[..., Outcome]) -> None:
    write("catest", -5.5, notify=True)
    write("cawaveh", [1, -2, 300], notify=True)
    write("cambbo", "two", notify=True)

    def printed(name: str, *arguments: str) -> list[str]:
        return module(name, "--no-repeater", *arguments).succeeded().lines

    assert printed("get", "-F,", "cawaveh", "catest") == ["cawaveh,[1,-2,300]", "catest,[-5.5]"]
    assert printed("get", "-n", "-t", "cambbo", "cawaveh") == ["2", "[1 -2 300]"]
    assert printed("get", "-0x", "cawaveh") == [f"{'cawaveh':<40}  [0x1 0x-2 0x12c]"]
    assert printed("get", "-lx", "-t", "catest") == ["0x-6"]
    assert printed("get", "-s", "-t", "catest") == ["-5.500000"]
    assert printed("get", "-#2", "-t", "cawaveh") == ["[1 -2]"]
    (wide,) = printed("get", "-F,", "-a", "cawaveh")
    assert re.fullmatch(r"cawaveh,\d{4}-\d\d-\d\d [\d:.]+,\[1,-2,300\],ECA_NORMAL", wide)
    assert printed("get", "--format", "x {pv_name} y", "-F,", "catest") == ["x catest y"]
    assert printed("put", "-t", "catest", "4") == ["-5.5", "4.0"]
    assert printed("put", "-t", "castring", "hi there")[1] == "b'hi there'"
    write("castring", "a string", notify=True)
    lines = printed("put", "-a", "--array-pad", "4", "cawaveh", "1 2")
    assert lines[1] == f"New : {'cawaveh':<40}  [1 2 0 0]"
    assert printed("put", "--format", "{which} {response.data}", "catest", "8")[1] == "New [8.]"
    _, new = printed("put", "-l", "catest", "3")
    assert re.fullmatch(r"catest [\d-]+ [\d:.]+ \[3\.\] ECA_NORMAL", new)
    (line,) = printed("monitor", "--maximum", "1", "-#2", "cawaveh")
    assert line.endswith(" [1 2]")


def test_the_modules_tell_of_refusals(module: Callable[..., Outcome]) -> None:
    for arguments in (["caread", "1"], ["-c", "caread", "1"]):
        done = module("put", *arguments)
        assert done.code == 1
        assert done.stderr == "caread: Write access denied\n"
    done = module("put", "-c", "cadisabled", "1")
    assert (done.code, done.stderr) == (1, "cadisabled: Channel write request failed\n")
    # A plain write has no answer, but the server's error message comes before the last reading.
    for name, value in (("cambbo", "no such state"), ("cadisabled", "1")):
        done = module("put", name, value)
        assert (done.code, done.stderr) == (1, f"{name}: Channel write request failed\n")
    done = module("get", "--format", "{bogus}", "catest")
    assert done.code == 2
    assert "the tokens are pv_name, response, timestamp" in done.stderr
    assert module("get", "-d", "bogus", "catest").code == 2
    assert module("monitor", "-m", "x", "catest").code == 2


def test_a_second_repeater_says_so_and_leaves(module: Callable[..., Outcome]) -> None:
    done = module("repeater")
    assert (done.code, done.stderr) == (0, "")
    assert "another repeater is running" in done.stdout
    assert module("repeater", "-q").stdout == ""


def test_root_names_are_there() -> None:
    import cachannel

    assert {name: getattr(cachannel, name) for name in cachannel._HOMES}
    assert cachannel.ChannelType.DOUBLE == 6
    assert issubclass(cachannel.CaprotoTimeoutError, TimeoutError)


@pytest.mark.parametrize("word", ["control", "DBR_CONTROL", "dbr_control", "34", "DBR_CTRL_DOUBLE"])
def test_a_group_of_types_may_be_written_as_a_type(
    module: Callable[..., Outcome], word: str
) -> None:
    shown = module("get", "-d", word, "--format", "{response.data_type.name}", "catest").succeeded()
    assert shown.stdout == "CTRL_DOUBLE\n"


def test_types_are_listed_as_caproto_lists_them(module: Callable[..., Outcome]) -> None:
    head, groups, rest, types = module("get", "--list-types").succeeded().stdout.split("\n\n")
    assert groups.split() == ["native", "status", "time", "graphic", "control"]
    assert types.startswith("0  STRING\n1  INT\n")
    assert "\n34 CTRL_DOUBLE\n" in types
    assert len(types.splitlines()) == len(cachannel.ChannelType)
    assert "\n" not in head + rest
