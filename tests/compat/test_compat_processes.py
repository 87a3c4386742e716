"""Processes, by every way to start them, with PVs open in the parent."""

from collections.abc import Callable
from pathlib import Path

import pytest

from support.ioc import SoftIoc
from support.scripts import Outcome, run_python

PROGRAM = """
import multiprocessing, sys
import epics_compat as epics

def work(name, queue):
    queue.put((epics.caput(name, 7, wait=True), epics.caget(name, use_monitor=False)))

def monitored(name, queue):
    import threading
    seen, enough = [], threading.Event()
    def changed(value, **kws):
        seen.append(value)
        if len(seen) >= 2:
            enough.set()
    pv = epics.PV(name, callback=changed)
    pv.wait_for_connection(60)
    pv.put(1, wait=True)
    pv.put(2, wait=True)
    queue.put((enough.wait(60), epics.ca.initial_context == epics.ca.current_context()))

def value(name):
    return epics.caget(name, use_monitor=False)

if __name__ == "__main__":
    method, kind = sys.argv[1:]
    multiprocessing.set_start_method(method)
    events = []
    pv = epics.PV("calong", callback=lambda **kws: events.append(kws["value"]))
    assert pv.wait_for_connection(60) and pv.put(3, wait=True) == 1
    if kind == "CAPool":
        with epics.CAPool(2) as pool:
            print(pool.map(value, ["calong"] * 4))
        with epics.CAPool(processes=1, context=multiprocessing.get_context(method)) as pool:
            print(pool.apply(value, ("calong",)))
    elif kind == "Pool":
        with multiprocessing.Pool(2) as pool:
            print(pool.map(value, ["calong"] * 4))
        print(3)
    else:
        make = epics.CAProcess if kind == "CAProcess" else multiprocessing.Process
        for target in (work, monitored):
            queue = multiprocessing.Queue()
            process = make(target=target, args=("calong", queue))
            process.start()
            print(queue.get(timeout=40))
            process.join(40)
            assert process.exitcode == 0
    # The parent goes on: gets, puts, and its monitor.
    assert pv.put(9, wait=True) == 1 and pv.get(use_monitor=False) == 9
    import time
    deadline = time.monotonic() + 60
    while 9 not in events:
        assert time.monotonic() < deadline, events
        time.sleep(0.005)
    print("parent", pv.connected)
"""


@pytest.mark.parametrize("kind", ["Process", "CAProcess", "Pool", "CAPool"])
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes(ioc: SoftIoc, tmp_path: Path, method: str, kind: str) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    outcome = run_python([str(program), method, kind], ioc.env | {"CACHANNEL_REPEATER": "NO"}, 120)
    pools = ["[3, 3, 3, 3]", "3", "parent True"]
    processes = ["(1, 7)", "(True, True)", "parent True"]
    assert outcome.succeeded().lines == (pools if "Pool" in kind else processes)


def test_a_fork_while_a_callback_runs(run_script: Callable[..., Outcome]) -> None:
    outcome = run_script(
        """
        import os, threading
        import epics_compat as epics
        inside, release = threading.Event(), threading.Event()
        def hold(**kws):
            inside.set()
            release.wait(60)
        pv = epics.PV("calong", callback=hold)
        assert inside.wait(60)
        child = os.fork()
        if child == 0:
            ok = epics.caget("calong", use_monitor=False) is not None
            other = epics.PV("cabo")
            ok = ok and other.wait_for_connection(60) and other.get() is not None
            pv.disconnect()
            os._exit(0 if ok else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        release.set()
        """
    )
    assert outcome.succeeded().stdout == "0\n"
