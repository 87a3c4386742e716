"""`Motor`: no soft limits, disabled, away; on a motor record of an IOC that the tests may kill."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import epics_compat as epics
from epics_compat.motor import MotorException, MotorLimitException
from support.ioc import SoftIoc
from support.waiting import wait_until

DATABASE = 'record(motor, "m2") { field(DESC, "turntable") }'


@pytest.fixture
def motor_ioc(make_ioc: Callable[..., SoftIoc]) -> SoftIoc:
    return make_ioc(DATABASE, motor=True)


@pytest.fixture
def motor(motor_ioc: SoftIoc) -> Iterator[Any]:
    yield epics.Motor("m2", timeout=60)
    epics.ca.clear_cache()


def set_limits(motor: Any, low: float, high: float, offset: float = 0.0) -> None:
    values = {"OFF": offset, "DLLM": low, "DHLM": high, "LLM": low + offset, "HLM": high + offset}
    for field, value in values.items():
        motor.put(field, value, wait=True)
    wait_until(lambda: all(motor.get(field) == value for field, value in values.items()))


@pytest.mark.parametrize("offset", [0.0, 90.0])
def test_a_motor_without_soft_limits_moves_anywhere(motor: Any, offset: float) -> None:
    """Both dial limits are 0; the user limits are then both equal to OFF."""
    set_limits(motor, 0, 0, offset)
    assert motor.within_limits(30) is True
    assert motor.within_limits(-30, dial=True) is True
    assert not motor.within_limits(float("nan"))
    assert motor.move(30, wait=True, timeout=60) == 0
    assert motor.PV("VAL").get(use_monitor=False) == 30
    assert motor.move(-2, relative=True, wait=True, timeout=60) == 0
    assert motor.move(float("nan")) == -12
    assert motor.make_step_list(decades=4)[-1] == 5.0


@pytest.mark.parametrize(
    ("low", "high", "inside", "outside"), [(-10, 10, 5, 30), (0, 10, 0, -1), (10, -10, None, 0)]
)
def test_real_limits_are_kept(
    motor: Any, low: float, high: float, inside: float | None, outside: float
) -> None:
    """Also if one of them is 0, and if they are the wrong way round."""
    set_limits(motor, low, high)
    for dial in (False, True):
        assert not motor.within_limits(outside, dial=dial)
        assert motor.move(outside, dial=dial) == -12
        if inside is not None:
            assert motor.within_limits(inside, dial=dial)
    assert motor.make_step_list() == [step for step in motor.make_step_list() if step <= 12]


def test_a_disabled_motor(motor: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The record refuses: `move` has a code for it, `set_position` leaves the motor as it is."""
    assert motor.move(1, wait=True, timeout=60) == 0
    epics.caput("m2.DISP", 1, wait=True)
    assert motor.move(2, wait=True, timeout=60) == -5
    assert "m2" in caplog.text
    caplog.clear()
    assert motor.set_position(7) is None
    assert "set_position of m2" in caplog.text
    epics.caput("m2.DISP", 0, wait=True)
    assert motor.PV("VAL").get(use_monitor=False) == 1
    assert motor.PV("SET").get(use_monitor=False) == 0
    assert motor.move(2, wait=True, timeout=60) == 0


@pytest.mark.parametrize("position", [None, "text"])
def test_a_position_that_is_not_a_number(motor: Any, position: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        motor.set_position(position)
    assert motor.PV("SET").get(use_monitor=False) == 0


@pytest.mark.filterwarnings("ignore:PV 'm2")
def test_a_motor_that_is_away(motor_ioc: SoftIoc, motor: Any) -> None:
    """What needs its fields says so, soon; it does not answer as if all was well."""
    motor.check_limits()
    for attr in ("VAL", "LVIO"):
        motor.PV(attr).connection_timeout = 1.0
    motor.PV("SET").connection_timeout = 1.0
    motor_ioc.kill()
    wait_until(lambda: not any(pv.connected for pv in motor._pvs.values()))
    began = time.monotonic()
    with pytest.raises(MotorException, match="LVIO is not connected"):
        motor.check_limits()
    with pytest.raises(MotorException, match="not connected"):
        motor.within_limits(1)
    assert motor.move(1) == motor.move(1, wait=True) == motor.move(1, relative=True) == -11
    assert motor.move(1, ignore_limits=True) == -11
    assert motor.set_position(1) is None
    assert time.monotonic() - began < 30


def test_a_violated_limit(motor: Any) -> None:
    motor.put("LLS", 1, wait=True)
    wait_until(lambda: motor.get("LLS") == 1)
    with pytest.raises(MotorLimitException, match="Low  hard"):
        motor.check_limits()
    assert motor.tweak() == -1
