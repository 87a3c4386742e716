"""An old script of CaChannel's to a type checker: the import names it has always used."""

from typing import Any, Literal, assert_type

import ca as old_ca
import CaChannel as package
import CaChannel._ca as compiled
import epicsMotor as motor_module
from CaChannel import CaChannel, CaChannelException, ca
from CaChannel.CaChannel import CaChannel as SameClass
from CaChannel.util import caget, cainfo, camonitor, caput
from epicsMotor import epicsMotor, epicsMotorException
from epicsPV import epicsPV


def changed(event: dict[str, Any], user_args: tuple[Any, ...]) -> None:
    """Take an event of a monitor."""
    print(event["pv_value"], *user_args)


def use_the_class() -> None:
    """Read, write and monitor one PV."""
    package.USE_NUMPY = True
    channel = CaChannel("catest")
    assert_type(channel, SameClass)
    try:
        channel.searchw()
    except CaChannelException as exc:
        assert_type(int(exc), int)
    assert_type(channel.element_count(), int)
    assert_type(channel.state(), ca.ChannelState)
    channel.add_masked_array_event(ca.DBR_TIME_DOUBLE, None, ca.DBE_VALUE, changed)
    old_ca.pend_event(0.1)
    old_ca.flush_io()
    assert_type(old_ca.DBR_CTRL_DOUBLE, int)
    assert_type(old_ca.message(old_ca.ECA_TIMEOUT), str)
    assert_type(old_ca.dbf_type_to_DBR_TIME(channel.field_type()), ca.DBR)
    assert_type(old_ca.HAS_NUMPY, int)


def use_the_functions() -> None:
    """Read, write and monitor by name."""
    print(caget("catest"), caget(["catest", "calong"]))
    caput("catest", 1.0, wait=True)
    camonitor("catest")
    cainfo("catest")


def use_the_companions() -> None:
    """A PV and a motor."""
    pv = epicsPV("catest")
    assert_type(pv.element_count(), int)
    try:
        motor = epicsMotor("motor")
        motor.move(1.0)
    except epicsMotorException as exc:
        print(exc)
    assert_type(motor_module.epicsPV.epicsPV("catest"), epicsPV)
    motor_module.time.sleep(0)


def use_the_compiled_part() -> None:
    """Programs take a few functions and enumerations from the extension module."""
    assert_type(compiled.AlarmSeverity.Major, Literal[compiled.AlarmSeverity.Major])
    assert_type(compiled.dbf_type_to_text(6), str)
