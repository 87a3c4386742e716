"""The functions at the top of the package, and importing it."""

import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

import epics_compat as epics
from epics_compat import ca
from support.ioc import SoftIoc
from support.scripts import Outcome, run_python
from support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("ioc")


def connected(*names: str) -> None:
    """Connect those of them that exist: the short times of a test are for the others."""
    for name in names:
        if "such" not in name:
            assert epics.PV(name).wait_for_connection(60)


def test_caget_and_caput() -> None:
    assert epics.caput("catest", 2.5, wait=True) == 1
    wait_until(lambda: epics.caget("catest") == 2.5)
    assert epics.caget("catest", as_string=True) == "2.5000"
    assert epics.caget("catest", use_monitor=False) == 2.5
    epics.caput("cawave", [1, 2, 3], wait=True)
    assert epics.caget("cawave", count=2, use_monitor=False).tolist() == [1, 2]


def test_not_connected(capsys: pytest.CaptureFixture[str]) -> None:
    assert epics.caget("no:such", connection_timeout=0.05) is None
    assert epics.caput("no:such", 1, connection_timeout=0.05) is None
    assert epics.cainfo("no:such", connection_timeout=0.05) is None
    assert epics.camonitor("no:such", connection_timeout=0.05) is None
    assert capsys.readouterr().out == "cannot connect to no:such\n" * 4
    assert epics._PVmonitors_ == {}


def test_cainfo(capsys: pytest.CaptureFixture[str]) -> None:
    text = epics.cainfo("calong", print_out=False)
    assert text is not None
    assert capsys.readouterr().out == ""
    assert epics.cainfo("calong") is None
    assert capsys.readouterr().out == text + "\n"
    assert text.startswith("== calong  (time_long) ==")


def test_camonitor() -> None:
    lines: list[str] = []
    epics.camonitor("cascratch1", writer=lines.append)
    epics.camonitor("cascratch1", writer=lines.append)
    assert list(epics._PVmonitors_["cascratch1"].callbacks) == [-999]
    epics.caput("cascratch1", 31, wait=True)
    wait_until(lambda: lines and lines[-1].endswith(" 31"))
    name, day, clock, value = lines[-1].split()
    assert (name, value) == ("cascratch1", "31")
    assert (len(day), len(clock)) == (10, 14)
    epics.camonitor_clear("cascratch1")
    epics.camonitor_clear("never:monitored")
    assert epics._PVmonitors_ == {}
    assert epics.get_pv("cascratch1").callbacks == {}


def test_camonitor_prints_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    epics.camonitor("cascratch2")
    epics.caput("cascratch2", 32, wait=True)
    out: list[str] = []
    wait_until(lambda: out.append(capsys.readouterr().out) or " 32\n" in "".join(out))


def test_caget_many() -> None:
    epics.caput("catest", 4.0, wait=True)
    epics.caput("cambbo", 2, wait=True)
    epics.caput("cawavel", [1, 2, 3], wait=True)
    epics.caput("calongtext", "text", wait=True)
    names = ["catest", "no:such", "cambbo", "castring", "cawavel", "calongtext"]
    connected(*names)
    before = len(epics.pv._PVcache_)
    values = epics.caget_many(iter(names), connection_timeout=0.2)
    assert values[:3] == [4.0, None, 2]
    assert values[4].tolist() == [1, 2, 3]
    assert len(epics.pv._PVcache_) == before
    assert epics.caget_many(["cawavel"], count=2, as_string=True) == ["<array count=2, type=5>"]
    assert epics.caget_many(["cawavel"], count=1, as_string=True) == ["1"]
    assert epics.caget_many(names, as_string=True, conn_timeout=0.1)[::2] == [
        "4.0", "two", "<array count=10, type=5>",
    ]  # fmt: skip
    assert epics.caget_many(names, as_string=True, conn_timeout=0.1)[5] == "text"
    array = epics.caget_many(["cawavel"], as_numpy=False)[0]
    assert list(array) == [1, 2, 3]
    assert not hasattr(array, "dtype")
    assert epics.caget_many(["cawavel"], count=2)[0].tolist() == [1, 2]
    assert epics.caget_many([]) == []


@pytest.mark.parametrize("wait", [False, True, None, "each", "all"])
def test_caput_many(wait: object) -> None:
    names = ["catest", "no:such", "cambbo", "castring", "cawavel", "calong"]
    values = [1.25, 1, "three", "text", [9, 8], 7.9]
    connected(*names)
    done = epics.caput_many(names, values, wait=wait, connection_timeout=0.3)
    assert done == [1, -1, 1, 1, 1, 1]
    assert epics.caget_many(names, connection_timeout=0.1)[:4] == [1.25, None, 3, "text"]
    assert epics.caget_many(["calong"]) == [7]
    with pytest.raises(ValueError, match="values"):
        epics.caput_many(["catest"], [])


def test_caput_many_wraps_as_put_does() -> None:
    assert epics.caput_many(["calong"], [2**32 + 5], wait="all") == [1]
    assert epics.caget_many(["calong"]) == [5]


def test_names() -> None:
    assert (epics.NO_ALARM, epics.MINOR_ALARM, epics.MAJOR_ALARM, epics.INVALID_ALARM) == (
        0, 1, 2, 3,
    )  # fmt: skip
    assert epics.PV is epics.pv.PV
    assert epics.get_pv is epics.pv.get_pv
    assert epics.poll is ca.poll
    assert epics.Device is epics.device.Device
    assert epics.Motor is epics.motor.Motor
    assert epics.Alarm is epics.alarm.Alarm
    assert epics.CAProcess is epics.multiproc.CAProcess
    assert epics.CAPool is epics.multiproc.CAPool
    assert tuple(map(int, epics.__version__.split("+")[0].split("."))) >= (3, 4, 2)
    assert not hasattr(epics, "connect")


def test_importing_starts_nothing(run_script: Callable[..., Outcome]) -> None:
    run_script(
        """
        import os, threading, warnings, numpy
        before = dict(os.environ), list(warnings.filters)
        import epics_compat as epics
        assert epics.ca.libca is None and epics.ca.initial_context is None
        assert (dict(os.environ), list(warnings.filters)) == before
        assert threading.active_count() == 1
        for name in "ca dbr pv alarm device motor multiproc utils".split():
            assert getattr(epics, name).__name__ == "epics_compat." + name
        from epics_compat import *
        assert caget("catest") is not None
        assert epics.ca.libca and epics.ca.initial_context == epics.ca.current_context()
        assert os.environ["EPICS_CA_MAX_ARRAY_BYTES"]
        """
    ).succeeded()


def test_first_use_by_many_threads_at_once(run_script: Callable[..., Outcome]) -> None:
    outcome = run_script(
        """
        import threading
        import epics_compat as epics
        start, values = threading.Barrier(8), []
        def work():
            start.wait()
            values.append(epics.caget("catest"))
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        print(len(values), None in values)
        """
    )
    assert outcome.succeeded().stdout == "8 False\n"


def test_pvs_are_usable_from_any_thread() -> None:
    import threading

    pv = epics.get_pv("catest", connect=True)
    results: list[object] = []

    def work() -> None:
        results.append(pv.put(5.0, wait=True))
        results.append(pv.get(use_monitor=False))
        results.append(ca.get(pv.chid))
        ca.use_initial_context()
        results.append(ca.get(pv.chid))
        made.append(epics.PV("calong"))

    made: list[epics.PV] = []
    for make in (threading.Thread, ca.CAThread):
        thread = make(target=work)
        thread.start()
        thread.join()
    assert results == [1, 5.0, 5.0, 5.0] * 2
    assert all(pv.wait_for_connection(60) for pv in made)


@pytest.mark.parametrize("script", ["import epics", "import epics.devices as d\nimport epics"])
def test_install(run_script: Callable[..., Outcome], script: str) -> None:
    run_script(
        "import epics_compat\nepics_compat.install()\nepics_compat.install()\n"
        + textwrap.dedent(script)
        + textwrap.dedent(
            """
            import sys, epics
            assert sys.modules["epics.pv"] is epics.pv and sys.modules["epics.ca"] is epics.ca
            assert "epics._core" not in sys.modules
            import epics.ca, epics.pv, epics.autosave.save_restore
            from epics.devices import Scaler
            import epics.device
            from epics import PV, ca, device
            assert epics is epics_compat and epics.ca is epics_compat.ca
            assert sys.modules["epics.pv"] is sys.modules["epics_compat.pv"]
            assert epics.device.__spec__.name == "epics_compat.device"
            assert Scaler.__module__ == "epics_compat.devices.scaler"
            try:
                import epics.wx
            except ModuleNotFoundError as exc:
                assert exc.name == "epics.wx"
                assert str(exc) == (
                    "No module named 'epics.wx': 'epics' is epics_compat here, which leaves out "
                    "wx, qt and compat of pyepics"
                )
            try:
                from epics.devices import nothing
            except ImportError as exc:
                assert "nothing" in str(exc)
            try:
                import epics.devices.nothing
            except ModuleNotFoundError as exc:
                assert str(exc) == (
                    "No module named 'epics.devices.nothing': 'epics' is epics_compat here"
                )
            assert epics.caget("castring") is not None
            """
        )
    ).succeeded()


def test_install_comes_too_late(run_script: Callable[..., Outcome]) -> None:
    outcome = run_script(
        """
        import sys, types
        other = sys.modules["epics"] = types.ModuleType("epics")
        other.__file__ = "/elsewhere/epics/__init__.py"
        import epics_compat
        try:
            epics_compat.install()
        except ImportError as exc:
            print(exc)
        """
    )
    assert outcome.succeeded().stdout == (
        "epics is imported already, from /elsewhere/epics/__init__.py\n"
    )


def test_running_a_program_that_is_not_there() -> None:
    outcome = run_python(["-m", "epics_compat", "no_such_program.py"], {})
    assert outcome.code == 2
    assert outcome.stderr == "python -m epics_compat: there is no file 'no_such_program.py'\n"


def test_running_a_program(tmp_path: Path, ioc: SoftIoc) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import sys, multiprocessing, helper\nimport epics\n"
        "def work(name):\n    import epics\n    return epics.__name__, epics.caget(name)\n"
        "if __name__ == '__main__':\n"
        "    print(epics.__name__, sys.argv[1:], helper.name)\n"
        "    for method in ('fork', 'spawn', 'forkserver'):\n"
        "        context = multiprocessing.get_context(method)\n"
        "        with context.Pool(2) as pool:\n"
        "            print(method, pool.map(work, ['calong']))\n"
        "    from epics import CAPool\n"
        "    with CAPool(2) as pool:\n"
        "        print(pool.map(work, ['calong']))\n"
    )
    (tmp_path / "helper.py").write_text("from epics import ca\nname = ca.__name__\n")
    epics.caput("calong", 8, wait=True)
    environment = ioc.env | {"CACHANNEL_REPEATER": "NO"}
    outcome = run_python(["-m", "epics_compat", str(program), "a", "b"], environment)
    assert outcome.succeeded().lines == [
        "epics_compat ['a', 'b'] epics_compat.ca",
        *(f"{m} [('epics_compat', 8)]" for m in ("fork", "spawn", "forkserver")),
        "[('epics_compat', 8)]",
    ]
    text = run_python(["-m", "epics_compat", "-c", "import epics; print(epics.caget('calong'))"],
                      environment)  # fmt: skip
    assert text.succeeded().stdout == "8\n"
    assert run_python(["-m", "epics_compat"], environment).code == 2
    assert sys.modules.get("epics") is None


def test_fork_with_live_pvs(run_script: Callable[..., Outcome]) -> None:
    outcome = run_script(
        """
        import os, threading
        import epics_compat as epics
        pv = epics.get_pv("calong", connect=True)
        pv.put(3, wait=True)
        child = os.fork()
        if child == 0:
            ok = epics.caget("calong") == 3 and pv.get() == 3 and pv.put(4, wait=True) == 1
            os._exit(0 if ok else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        print(pv.get(use_monitor=False))
        process = epics.CAProcess(target=epics.caput, args=("calong", 5))
        process.start(); process.join()
        print(process.exitcode, pv.get(use_monitor=False))
        """
    )
    assert outcome.succeeded().lines == ["0", "4", "0 5"]


def test_exit_with_live_monitors_and_callbacks(run_script: Callable[..., Outcome]) -> None:
    run_script(
        """
        import time
        import epics_compat as epics
        events = []
        pvs = [epics.PV("cacalc", callback=lambda **kw: (events.append(1), time.sleep(0.001)))
               for _ in range(20)]
        deadline = time.monotonic() + 60
        while len(events) < 40 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(events) >= 40
        """
    ).succeeded()


def test_only_public_names_of_the_engine_are_used() -> None:
    folder = Path(epics.__file__).parent
    for file in folder.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        assert "cachannel._" not in text, file
        assert "import epics\n" not in text, file
