"""`epicsMotor` against a motor record in a real IOC."""

import inspect
import time
from collections.abc import Callable, Iterator

import pytest

import cachannel.epicsMotor as module
import cachannel.epicsPV
from cachannel import ca
from cachannel.channel import CaChannel, CaChannelException
from cachannel.epicsMotor import epicsMotor, epicsMotorException

FIELDS = [
    "val", "dval", "rval", "rlv", "rbv", "drbv", "rrbv", "dmov", "stop", "velo", "vbas", "accl",
    "desc", "mres", "hlm", "llm", "dhlm", "dllm", "bdst", "set", "lvio", "lls", "hls", "off",
]  # fmt: skip


def put(motor: epicsMotor, **fields: object) -> None:
    for name, value in fields.items():
        motor.pvs[name].putWait(value)


@pytest.fixture
def motor(ioc: object) -> Iterator[epicsMotor]:
    """The motor ``m1`` at rest at 0, with its limits wide open."""
    one = epicsMotor("m1")
    put(one, hls=0, lls=0, lvio=0, hlm=100, llm=-100, velo=1000, mres=0.01, stop=1)
    one.pvs["off"].putWait(0)
    one.set_position(0)
    one.offset = 0
    one.set_position(0, dial=True)
    one.set_position(0, step=True)
    put(one, stop=1)
    one.wait(ignore_limits=True)
    assert [one.get_position(), one.get_position(dial=True), one.get_position(step=True)] == [0] * 3
    yield one
    put(one, hls=0, lls=0, velo=1000, stop=1)


def test_names_of_the_module() -> None:
    assert set(module.__all__) == {"epicsMotor", "epicsMotorException", "epicsPV", "time"}
    assert module.time is time
    assert module.epicsPV is cachannel.epicsPV


@pytest.mark.parametrize(
    ("function", "names", "defaults"),
    [
        (epicsMotor, ["name"], ()),
        (
            epicsMotor.move,
            ["self", "value", "relative", "dial", "step", "ignore_limits"],
            (False,) * 4,
        ),
        (epicsMotor.check_limits, ["self"], ()),
        (epicsMotor.stop, ["self"], ()),
        (epicsMotor.get_position, ["self", "dial", "readback", "step"], (False,) * 3),
        (epicsMotor.set_position, ["self", "position", "dial", "step"], (False,) * 2),
        (
            epicsMotor.wait,
            ["self", "start", "stop", "poll", "ignore_limits"],
            (False, False, 0.01, False),
        ),
        (epicsMotorException, ["message"], ("",)),
    ],
)
def test_signatures(function: Callable[..., object], names: list[str], defaults: tuple) -> None:
    parameters = inspect.signature(function).parameters
    assert list(parameters) == names
    given = [p.default for p in parameters.values() if p.default is not p.empty]
    assert tuple(given) == defaults


def test_channels_are_kept_by_field(motor: epicsMotor) -> None:
    assert list(motor.pvs) == FIELDS
    assert all(isinstance(pv, cachannel.epicsPV.epicsPV) for pv in motor.pvs.values())
    assert motor.pvs["val"].name() == "m1.VAL"
    states = {name: pv.callBack.monitorState for name, pv in motor.pvs.items()}
    assert states.pop("dmov") in (1, 2)
    assert set(states.values()) == {0}


def test_a_motor_that_does_not_exist_raises_a_timeout(
    ioc: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CaChannel, "ca_timeout", 0.2)
    with pytest.raises(CaChannelException) as error:
        epicsMotor("does:not:exist")
    assert error.value.status == ca.ECA_TIMEOUT


def test_properties_are_descriptors_of_the_class() -> None:
    properties = {
        name: (value.name, value.readonly)
        for name, value in vars(epicsMotor).items()
        if isinstance(value, epicsMotor.PVProperty)
    }
    assert properties == {
        "slew_speed": ("velo", False),
        "base_speed": ("vbas", False),
        "acceleration": ("accl", False),
        "description": ("desc", False),
        "resolution": ("mres", False),
        "high_limit": ("hlm", False),
        "low_limit": ("llm", False),
        "dial_high_limit": ("dhlm", False),
        "dial_low_limit": ("dllm", False),
        "backlash": ("bdst", False),
        "offset": ("off", False),
        "done_moving": ("dmov", True),
    }
    assert epicsMotor.slew_speed is vars(epicsMotor)["slew_speed"]


def test_properties_read_and_write_their_fields(motor: epicsMotor) -> None:
    motor.slew_speed = 20
    assert motor.slew_speed == motor.pvs["velo"].getw() == 20.0
    motor.description = "a stage"
    assert motor.description == "a stage"
    motor.high_limit, motor.low_limit = 90, -90.5
    assert (motor.high_limit, motor.low_limit) == (90.0, -90.5)


def test_assigning_to_done_moving_is_ignored(motor: epicsMotor) -> None:
    motor.done_moving = 0
    assert motor.pvs["dmov"].getw() == 1
    assert motor.pvs["dmov"]._get_wait()["pv_value"] == 1


def test_move_in_user_coordinates(motor: epicsMotor) -> None:
    assert motor.move(1.5) is None
    assert motor.wait() is None
    assert motor.get_position() == motor.get_position(readback=True) == 1.5
    motor.move(-0.5, relative=True)
    motor.wait()
    assert motor.get_position(readback=1) == 1.0


def test_move_in_dial_coordinates(motor: epicsMotor) -> None:
    motor.offset = 10
    motor.move(2, dial=True)
    motor.wait()
    motor.move(0.5, relative=1, dial=1)
    motor.wait()
    assert motor.get_position(dial=True) == motor.get_position(dial=True, readback=True) == 2.5
    assert motor.get_position() == 12.5


@pytest.mark.parametrize("value", [700, 700.0])
def test_move_in_steps(motor: epicsMotor, value: float) -> None:
    """RVAL is a LONG: a float drives the motor where it says, not to 0."""
    motor.move(value, step=True)
    motor.wait()
    assert motor.get_position(step=True) == 700
    assert motor.get_position(readback=True) == 7.0
    motor.move(5, step=True, relative=True)
    motor.wait()
    position = motor.get_position(step=1, readback=1)
    assert (position, type(position)) == (705, int)


def test_dial_wins_over_step(motor: epicsMotor) -> None:
    motor.move(3, dial=True, step=True)
    motor.wait()
    assert motor.get_position(dial=True, step=True) == 3.0
    assert motor.get_position(step=True) == 300


def test_move_beyond_a_soft_limit_raises(motor: epicsMotor) -> None:
    with pytest.raises(epicsMotorException) as error:
        motor.move(1000)
    assert (str(error.value), error.value.message) == ("Soft limit violation",) * 2
    assert motor.get_position(readback=True) == 0.0
    motor.move(1000, ignore_limits=True)
    with pytest.raises(epicsMotorException, match="Soft limit violation"):
        motor.wait()
    motor.wait(ignore_limits=True)


def test_limits_are_looked_at_in_order(motor: epicsMotor) -> None:
    put(motor, hls=1)
    with pytest.raises(epicsMotorException, match=r"^High hard limit violation$"):
        motor.check_limits()
    put(motor, lls=1)
    with pytest.raises(epicsMotorException, match=r"^Low hard limit violation$"):
        motor.check_limits()
    motor.move(1000, ignore_limits=1)
    with pytest.raises(epicsMotorException, match=r"^Soft limit violation$"):
        motor.check_limits()
    put(motor, hls=0, lls=0)
    motor.move(1)
    assert motor.check_limits() is None


def test_stop(motor: epicsMotor) -> None:
    motor.slew_speed = 1
    motor.move(50)
    motor.wait(start=True)
    assert motor.stop() is None
    motor.wait()
    assert motor.get_position(readback=True) < 50
    assert motor.get_position() == motor.get_position(readback=True)


def test_wait_sees_a_move_that_has_just_begun(motor: epicsMotor) -> None:
    """The default waits for the stop only, so it must not take the motor for still at rest."""
    motor.slew_speed = 50
    for target in (5, 0, 5, 0):
        motor.move(target)
        motor.wait(poll=0.001)
        assert motor.get_position(readback=True) == target


def test_wait_for_start_and_stop(motor: epicsMotor) -> None:
    motor.slew_speed = 1  # slow enough to be found moving also on a busy machine
    motor.move(2)
    motor.wait(start=True)
    assert motor.pvs["dmov"]._get_wait()["pv_value"] == 0
    motor.wait(start=1, stop=1)
    assert motor.pvs["dmov"]._get_wait()["pv_value"] == 1
    assert motor.get_position(readback=True) == 2.0


def test_set_position_moves_nothing(motor: epicsMotor) -> None:
    assert motor.set_position(10) is None
    assert (motor.get_position(), motor.get_position(readback=True)) == (10.0, 10.0)
    assert (motor.get_position(dial=True), motor.offset) == (0.0, 10.0)
    motor.set_position(3, dial=True)
    assert motor.get_position(dial=True, readback=True) == 3.0
    assert motor.get_position() == 13.0
    motor.set_position(400, step=True)
    assert motor.get_position(step=True, readback=True) == 400
    assert motor.pvs["set"].getw() == 0


def test_exception_without_message() -> None:
    error = epicsMotorException()
    assert (error.message, str(error)) == ("", "")
    assert repr(epicsMotorException("x")) == "epicsMotorException('x')"
    assert epicsMotorException.__mro__[1] is Exception
