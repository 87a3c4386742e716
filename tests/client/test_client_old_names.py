"""The modules of caproto that programs import although their names are private."""

import importlib
from typing import Any

import pytest

import cachannel
from cachannel.threading.client import Context
from cachannel.threading.pyepics_compat import (
    PV,
    AccessRightsException,
    caget,
    caget_many,
    caput,
    get_pv,
)

NAMES = {
    "_dbr": "ChannelType AlarmStatus TimeStamp SubscriptionType DBR_TYPES field_types native_type "
    "AccessRights ConnStatus DbrStringArray epics_timestamp_to_unix timestamp_to_epics",
    "_status": "CAStatus CASeverity CAStatusCode",
    "_utils": "CaprotoError CaprotoTimeoutError ValidationError get_environment_variables "
    "get_address_list CLIENT SERVER CONNECTED DISCONNECTED ChannelFilter parse_record_field",
    "_data": "ChannelData ChannelDouble ChannelEnum ChannelString ChannelAlarm SkipWrite Forbidden",
    "_log": "config_caproto_logging set_handler get_handler PVFilter AddressFilter RoleFilter",
}


@pytest.mark.parametrize("module", list(NAMES))
def test_a_private_module_has_the_objects_of_the_root(module: str) -> None:
    found = importlib.import_module(f"cachannel.{module}")
    for name in NAMES[module].split():
        assert name in found.__all__
        assert getattr(found, name) is getattr(cachannel, name)
    assert sorted(set(found.__all__)) == sorted(found.__all__)


def test_the_classes_of_types_have_their_names() -> None:
    from cachannel import _dbr

    assert _dbr.DBR_TIME_DOUBLE is cachannel.DBR_TYPES[cachannel.ChannelType.TIME_DOUBLE]
    assert issubclass(_dbr.DBR_CTRL_ENUM, _dbr.DbrTypeBase)
    with pytest.raises(AttributeError, match="DBR_NOPE"):
        _ = _dbr.DBR_NOPE


def test_pvs_like_those_of_pyepics(ioc: Any) -> None:
    caput("catest", 2.5, wait=True)
    assert caget("catest", use_monitor=False) == 2.5
    assert caget_many(["catest", "calong"])[0] == 2.5
    pv = get_pv("catest", connect=True, timeout=60)
    assert isinstance(pv, PV)
    assert pv is not get_pv("catest")
    assert pv.get() == 2.5
    assert isinstance(PV.default_context(), Context)
    assert PV._default_context is pv._caproto_pv.context
    with pytest.raises(AccessRightsException):
        get_pv("caread", connect=True, timeout=60).put(1)
    pv.disconnect()


# What ophyd's layer for caproto does at its set-up, and with a PV.
LAYER = """
import sys, threading
import cachannel
sys.modules["caproto"] = cachannel
from caproto.threading import pyepics_compat
from caproto.threading.pyepics_compat import PV as Base, caget, caput
import cachannel.threading.client

class PV(Base):
    def clear_auto_monitor(self):
        self.auto_monitor = False
        if self._auto_monitor_sub is not None:
            self._auto_monitor_sub.clear()
            self._auto_monitor_sub = None

broadcaster = PV._default_context.broadcaster
assert isinstance(broadcaster, cachannel.threading.client.SharedBroadcaster)
seen, told = threading.Event(), threading.Event()
pv = PV("catest", form="time", verbose=False, auto_monitor=None, count=None,
        connection_timeout=60, connection_callback=lambda **kw: told.set(),
        callback=lambda **kw: seen.set(), access_callback=None, context=None)
assert pv.wait_for_connection(timeout=60)
assert told.wait(60) and seen.wait(60)
done = threading.Event()
pv.put(4.5, wait=False, use_complete=True, callback=lambda **kw: done.set(), callback_data=None)
assert done.wait(60)
assert pv._args["status"] is not None
pv.get_ctrlvars(timeout=60)
assert pv.get(use_monitor=False) == 4.5
pv.clear_callbacks(); pv.access_callbacks.clear(); pv.connection_callbacks.clear()
pv.clear_auto_monitor()
print("done")
"""


def test_a_control_layer_that_is_made_for_caproto(run_script: Any) -> None:
    outcome = run_script(LAYER).succeeded()
    assert outcome.stdout == "done\n"
