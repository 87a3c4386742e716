"""From a `PV` to the objects of the threading client, as caproto's shim has them."""

from collections.abc import Callable

import pytest

import epics_compat as epics
from cachannel.threading.client import Context
from epics_compat import ca
from support.scripts import Outcome

pytestmark = pytest.mark.usefixtures("ioc")


def test_the_pv_below() -> None:
    epics.caput("calong", 5, wait=True)
    pv = epics.get_pv("calong", connect=True)
    below = pv._caproto_pv
    assert below is pv._caproto_pv
    assert below.name == "calong"
    assert below.connected
    assert isinstance(below.context, Context)
    assert below.context is epics.PV("cabo")._caproto_pv.context
    assert below.read().data[0] == 5
    below.write([6], wait=True)
    assert pv.get(use_monitor=False) == 6
    assert below.context.pvs
    assert not epics.PV("no:such:pv")._caproto_pv.connected


def test_a_context_of_the_user() -> None:
    with Context() as context:
        pv = epics.PV("catest", context=context)
        assert pv.wait_for_connection(60)
        assert pv._caproto_pv.context is context
        assert pv._caproto_pv.connected
        assert pv.context == ca.current_context()
        assert pv.get() is not None
        pv.disconnect()


def test_a_context_of_ca() -> None:
    here = ca.current_context()
    assert epics.PV("catest", context=here).context == here
    with pytest.raises(RuntimeError, match="no context 12345"):
        epics.PV("catest", context=12345)


def test_the_demonstration_of_the_shim(run_script: Callable[..., Outcome]) -> None:
    run_script(
        """
        import threading
        import epics_compat as epics
        pv = epics.get_pv("calong")
        assert epics.caput("calong", 2) == 1
        assert epics.caget("calong", use_monitor=False) == 2
        assert pv.put(1) == 1 and pv.get(use_monitor=False) == 1
        values, enough = [], threading.Event()
        def f(value, **kwargs):
            values.append(value)
            if len(values) > 2:
                enough.set()
        x = epics.PV("cacalc")
        assert type(x.add_callback(f)) is int
        assert enough.wait(60)
        x.clear_callbacks()
        assert pv._caproto_pv.connected and pv._caproto_pv.context.pvs
        # The interpreter ends while both clients are connected.
        """
    ).succeeded()


def test_a_forked_child_has_a_context_of_its_own(run_script: Callable[..., Outcome]) -> None:
    outcome = run_script(
        """
        import os
        import epics_compat as epics
        pv = epics.get_pv("calong", connect=True)
        pv.put(3, wait=True)
        parents = pv._caproto_pv.context
        child = os.fork()
        if child == 0:
            below = epics.get_pv("calong", connect=True)._caproto_pv
            ok = below.context is not parents and below.read().data[0] == 3
            os._exit(0 if ok else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), pv._caproto_pv.read().data[0])
        """
    )
    assert outcome.succeeded().stdout == "0 3\n"
