"""`Motor`: the motor record as a `Device`."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from epics_compat import _io, ca
from epics_compat.device import NO_PVS, Device

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Motor", "MotorException", "MotorLimitException"]

_ALIASES = """
acceleration=ACCL back_accel=BACC back_speed=BVEL backlash=BDST base_speed=VBAS card=CARD
deriv_gain=DCOF description=DESC device_type=DTYP dial_difference=RDIF dial_drive=DVAL
dial_high_limit=DHLM dial_low_limit=DLLM dial_readback=DRBV dial_speed=RVEL direction=DIR
done_moving=DMOV drive=VAL encoder_step=ERES freeze_offset=FOFF hi_alarm=HIGH hi_severity=HHSV
high_limit=HLM high_limit_set=HLS high_op_range=HOPR high_severity=HSV hihi_alarm=HIHI
home_forward=HOMF home_reverse=HOMR hw_limit=HLSV in_progress=MIP integral_gain=ICOF jog_accel=JAR
jog_forward=JOGF jog_reverse=JOGR jog_speed=JVEL last_SPMG=LSPG last_dial_drive=LRVL
last_dial_val=LDVL last_drive=LVAL last_rel_val=LRLV lo_severity=LLSV lolo_alarm=LOLO
low_alarm=LOW low_limit=LLM low_limit_set=LLS low_op_range=LOPR low_severity=LSV max_speed=VMAX
missed=MISS motor_status=MSTA move_fraction=FRAC moving=MOVN offset=OFF output=OUT output_mode=OMSL
precision=PREC prop_gain=PCOF raw_drive=RVAL raw_encoder_pos=REP raw_high_limit=RHLS
raw_low_limit=RLLS raw_motor_pos=RMP raw_readback=RRBV readback=RBV readback_res=RRES
record_type=RTYP relative_value=RLV resolution=MRES retry_count=RCNT retry_deadband=RDBD
retry_max=RTRY s_back_speed=SBAK s_base_speed=SBAS s_max_speed=SMAX s_revolutions=SREV s_speed=S
set=SET settle_time=DLY slew_speed=VELO soft_limit=LVIO status=STAT stop_command=STOP stop_go=SPMG
t_direction=TDIR tweak_forward=TWF tweak_reverse=TWR tweak_val=TWV u_revolutions=UREV units=EGU
use_encoder=UEIP use_home=ATHM use_rdbl=URIP use_torque=CNEN version=VERS
"""
_AT_START = (
    "VAL", "DESC", "RTYP", "RBV", "PREC", "TWV", "FOFF", "VELO", "STAT", "SET", "LLM", "HLM",
    "SPMG", "LVIO", "HLS", "LLS",
)  # fmt: skip
_PATIENCE = 2.0
"""Seconds that calls wait for fields which are not connected."""
_INFO = ("DESC", "VAL", "RBV", "PREC", "VELO", "STAT", "SET", "TWV", "LLM", "HLM", "SPMG")


class MotorException(Exception):
    """A motor cannot be used so."""

    def __init__(self, msg: str, *args: Any) -> None:
        super().__init__(msg, *args)
        self.msg = msg

    def __str__(self) -> str:
        return str(self.msg)


class MotorLimitException(Exception):
    """A motor is at a limit, or would pass it."""

    def __init__(self, msg: str, *args: Any) -> None:
        super().__init__(msg, *args)
        self.msg = msg

    def __str__(self) -> str:
        return str(self.msg)


def _codes(*, step: bool, dial: bool, raw: bool) -> tuple[str, str]:
    """Name the drive and readback fields of a coordinate system."""
    if step or raw:
        return "RVAL", "RRBV"
    return ("DVAL", "DRBV") if dial else ("VAL", "RBV")


class Motor(Device):
    """A motor record.

    Args:
        name: name of the record.
        timeout: seconds that calls wait for a connection.

    Raises:
        MotorException: there is no such motor record.

    Fields are attributes, by their names or the longer ones of `_alias`.
    """

    _alias: dict[str, str] = dict(  # noqa: RUF012
        pair.split("=") for pair in _ALIASES.split()
    )
    _init_list = _AT_START
    _nonpvs = ("_prefix", "_pvs", "_delim", "_init", "_init_list", "_alias", "_callbacks")

    def __init__(self, name: str | None = None, timeout: float = 3.0) -> None:
        if name is None:
            message = "must supply motor name"
            raise MotorException(message)
        name = name.removesuffix(".VAL").removesuffix(".")
        self.__dict__["_callbacks"] = {}
        super().__init__(name, delim=".", attrs=self._init_list, timeout=timeout)
        self.add_pv(f"{name}_able.VAL", "disabled")
        deadline = time.monotonic() + timeout
        kind = None
        if super().PV("RTYP").wait_for_connection(timeout):
            kind = super().PV("RTYP").get(timeout=max(deadline - time.monotonic(), 0.5))
        if kind != "motor":
            message = f"{name} is not an Epics Motor"
            raise MotorException(message)
        for attr in self._init_list:
            super().PV(attr).wait_for_connection(max(deadline - time.monotonic(), 0.01))

    def __repr__(self) -> str:
        known = self._pvs["DESC"]
        if not known.connected:
            return f"<epics.Motor: {self._prefix}: not connected>"
        return f"<epics.Motor: {self._prefix}: '{known.get()}'>"

    __str__ = __repr__

    @property
    def _name(self) -> str:
        return self._prefix.removesuffix(".")

    def _attribute(self, attr: str) -> str:
        return self._alias.get(attr, attr)

    def PV(self, attr: str, connect: bool = True, timeout: float | None = None, **kw: Any) -> Any:
        """Give the PV of a field; see `Device.PV`."""
        return super().PV(self._attribute(attr), connect=connect, timeout=timeout, **kw)

    def get_pv(self, attr: str) -> Any:
        """Give the PV of a field."""
        return self.PV(attr)

    def __getattr__(self, attr: str) -> Any:
        try:
            return super().__getattr__(self._attribute(attr))
        except AttributeError:
            if attr.startswith(NO_PVS) or "_init" not in self.__dict__:
                raise
        message = f"EpicsMotor has no attribute {attr}"
        raise MotorException(message)

    def __setattr__(self, attr: str, val: Any) -> None:
        try:
            super().__setattr__(self._attribute(attr), val)
        except AttributeError:
            message = f"EpicsMotor has no attribute {attr}"
            raise MotorException(message) from None

    # Limits ---------------------------------------------------------------------------------

    def _known(self, *fields: str) -> list[Any]:
        """Give the values of fields.

        Raises:
            MotorException: one of them is not connected, or does not answer.
        """
        pvs = [self.PV(field, connect=False) for field in fields]
        # A motor that is away is not waited for as long as a new one.
        deadline = time.monotonic() + min(self.__dict__["_timeout"], _PATIENCE)
        values = []
        for known in pvs:
            if not known.wait_for_connection(max(deadline - time.monotonic(), 0.01)):
                message = f"{known.pvname} is not connected"
                raise MotorException(message)
            value = known.get()
            if value is None:
                message = f"{known.pvname} does not answer"
                raise MotorException(message)
            values.append(value)
        return values

    def check_limits(self) -> None:
        """Look for violated limits.

        Raises:
            MotorLimitException: the motor is at a limit.
            MotorException: the limits are not known, because the motor is not connected.
        """
        fields = {
            "LVIO": "Soft limit violation",
            "HLS": "High hard limit violation",
            "LLS": "Low  hard limit violation",
        }
        for value, text in zip(self._known(*fields), fields.values(), strict=True):
            if value:
                raise MotorLimitException(text)

    def within_limits(self, val: float, dial: bool = False) -> bool:
        """Whether a position is within the soft limits, those themselves included.

        A motor whose dial limits are both 0 has no soft limits, as in the motor record.

        Raises:
            MotorException: the limits are not known, because the motor is not connected.
        """
        low, high = self._known(*(("DLLM", "DHLM") if dial else ("LLM", "HLM")))
        if low <= val <= high:
            return True
        return val == val and self._is_unlimited()

    def _is_unlimited(self) -> bool:
        try:
            return self._known("DLLM", "DHLM") == [0, 0]
        except MotorException:  # what is not a whole motor record may not have them
            return False

    # Moving ---------------------------------------------------------------------------------

    def move(
        self,
        val: Any = None,
        relative: bool = False,
        wait: bool = False,
        timeout: float = 300.0,
        dial: bool = False,
        step: bool = False,
        raw: bool = False,
        ignore_limits: bool = False,
        confirm_move: bool = False,
    ) -> int:
        """Move.

        Args:
            val: the position, in user units.
            relative: from the present drive value.
            wait: until the move is done.
            timeout: seconds of that wait.
            dial: the position is in dial units.
            step: the position is in steps.
            raw: the position is in steps.
            ignore_limits: do not look at the limits first.
            confirm_move: wait until the motor says that it moves, 0.25 s at most.

        Returns:
            -13 if `val` is not a number. -12: outside the limits, not moved. -11: not connected, or
            lost meanwhile. -8, -7: the wait took too long, and the motor moves still, or not.
            -5: the put was refused, as it is if the motor is disabled; a warning in the log tells
            why. -4, -3: waited, and a soft, or hard limit is violated. 0: waited and done, or not
            waited and not moving yet. 1: moving. 4, 3: not waited, and a soft, or hard limit is
            violated.
        """
        step = step or raw
        try:
            val = float(val)
        except (TypeError, ValueError):
            return -13
        drive, _ = _codes(step=step, dial=dial, raw=raw)
        target = self.PV(drive)
        if not target.connected:
            return -11
        try:
            if relative:
                val += self._known(drive)[0]
            if not (ignore_limits or step) and not self.within_limits(val, dial=dial):
                return -12
        except MotorException:
            return -11
        try:
            result = target.put(val, wait=wait, timeout=timeout)
        except ca.CASeverityException as exc:
            _io.logger.warning("move of %s: %s", self._name, exc.msg)
            return -5
        if result is None or not target.connected:
            return -11
        if wait and result == -1:
            return -7 if self.get("DMOV") else -8
        return self._waited() if wait else self._started(confirm_move)

    def _waited(self) -> int:
        if self.PV("LVIO").get(use_monitor=False):
            return -4
        if self.PV("HLS").get(use_monitor=False) or self.PV("LLS").get(use_monitor=False):
            return -3
        return 0

    def _started(self, confirm: bool) -> int:
        if self.PV("LVIO").get(use_monitor=False):
            return 4
        if self.PV("HLS").get(use_monitor=False) or self.PV("LLS").get(use_monitor=False):
            return 3
        moving = self.PV("MOVN")
        end = time.monotonic() + 0.25
        while not (moves := moving.get(use_monitor=False)):
            if not confirm or time.monotonic() > end:
                break
            ca.pend_event(0.005)
        return 1 if moves else 0

    def get_position(
        self, dial: bool = False, readback: bool = False, step: bool = False, raw: bool = False
    ) -> Any:
        """Give the drive value, or with `readback` where the motor is."""
        drive, actual = _codes(step=step, dial=dial, raw=raw)
        return self.get(actual if readback else drive)

    def set_position(
        self, position: float, dial: bool = False, step: bool = False, raw: bool = False
    ) -> None:
        """Let the present position be called so, without moving.

        If the motor is disabled or not connected, nothing changes; a warning tells it.

        Raises:
            TypeError, ValueError: `position` is not a number.
        """
        position = float(position)
        drive, _ = _codes(step=step, dial=dial, raw=raw)
        try:
            if self.put("SET", 1, wait=True) is None:
                return
            try:
                self.put(drive, position, wait=True)
            finally:
                self.put("SET", 0)
        except ca.CASeverityException as exc:
            _io.logger.warning("set_position of %s: %s", self._name, exc.msg)

    def tweak(self, direction: str = "foreward", wait: bool = False, timeout: float = 300.0) -> int:
        """Move by the tweak value, backward for a direction that begins with rev or back.

        Returns:
            0, or -1 at a limit, or if the motor is not connected.
        """
        back = direction.startswith(("rev", "back"))
        self.put("TWR" if back else "TWF", 1, wait=wait, timeout=timeout)
        try:
            self.check_limits()
        except (MotorException, MotorLimitException):
            return -1
        return 0

    def stop(self) -> None:
        """Stop the motor."""
        self.put("STOP", 1)

    def StopNow(self) -> None:
        """Stop the motor."""
        self.stop()

    # Callbacks ------------------------------------------------------------------------------

    def set_callback(
        self,
        attr: str = "VAL",
        callback: Callable[..., Any] | None = None,
        kws: dict[str, Any] | None = None,
    ) -> None:
        """Have a function called at the changes of a field, with ``motor_field=attr``.

        Those that were set for the field before are called as well; `clear_callback` removes the
        last one.
        """
        known = self.PV(attr)
        extra = {**(kws or {}), "motor_field": attr}
        self._callbacks[attr] = known.add_callback(callback=callback, **extra)

    def clear_callback(self, attr: str = "drive") -> None:
        """Remove what `set_callback` set last for a field."""
        index = self._callbacks.pop(attr, None)
        if index is not None:
            self.PV(attr).remove_callback(index=index)

    # Telling --------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Read the fields that are known from the start."""
        for attr in self._init_list:
            self.get(attr)

    def make_step_list(
        self, minstep: float = 0.0, maxstep: float | None = None, decades: int = 10
    ) -> list[float]:
        """List tweak steps 1, 2, 5, 10, ... from the smallest that makes sense.

        Args:
            minstep: smallest step; at least ``10 ** -PREC``.
            maxstep: largest step; None: 0.6 of the range of the motor, if it has limits.
            decades: how many powers of ten.
        """
        if maxstep is None:
            low, high = self._known("LLM", "HLM")
            unlimited = low == high and self._is_unlimited()
            maxstep = math.inf if unlimited else 0.6 * abs(high - low)
        precision = self.get("PREC") or 0
        smallest = max(minstep, 10.0**-precision)
        steps = [
            float(f"{unit}e{power}") if power < 0 else unit * 10**power
            for power in range(-precision, decades - precision)
            for unit in (1, 2, 5)
        ]
        return [step for step in steps if smallest <= step * (1 + 1e-9) and step <= maxstep]

    def get_info(self) -> dict[str, str]:
        """Give the most important fields as text."""
        return {attr: self.get(attr, as_string=True) for attr in _INFO}

    def show_info(self) -> None:
        """Print `get_info`."""
        ca.write(repr(self))
        ca.write("-" * 38)
        for name, value in self.get_info().items():
            ca.write(f"{name:16s} = {value}")
        ca.write("-" * 38)

    def show_all(self) -> None:
        """Print all fields that have a longer name."""
        for attr in self._alias.values():
            self.PV(attr, connect=False)
        deadline = time.monotonic() + 1.0
        ca.write(f"# Motor {self._name}")
        ca.write("#  field               value                 PV name")
        for name, attr in sorted(self._alias.items()):
            known = self.PV(attr, connect=False)
            if known.wait_for_connection(max(deadline - time.monotonic(), 0.001)):
                shown = str(known.get(as_string=True))
            else:
                shown = "Not Connected??"
            ca.write(f" {name:20s} {shown:20s}  {known.pvname}")
