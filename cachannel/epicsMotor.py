"""Class `epicsMotor`: move and watch a record of the EPICS motor record type.

The coordinates of a motor: *user* (VAL), *dial* (DVAL) and *steps* (RVAL), with
``user = dial + offset`` and ``dial = steps * resolution``.
"""

from __future__ import annotations

import time
from typing import Any, overload

import cachannel.epicsPV as epicsPV

__all__ = ["epicsMotor", "epicsMotorException", "epicsPV", "time"]

_FIELDS = (
    "val", "dval", "rval", "rlv", "rbv", "drbv", "rrbv", "dmov", "stop", "velo", "vbas", "accl",
    "desc", "mres", "hlm", "llm", "dhlm", "dllm", "bdst", "set", "lvio", "lls", "hls", "off",
)  # fmt: skip

# In the order in which they are looked at.
_VIOLATIONS = {
    "lvio": "Soft limit violation",
    "lls": "Low hard limit violation",
    "hls": "High hard limit violation",
}


class epicsMotorException(Exception):
    """The motor is at a limit, or was asked to go beyond one.

    Attributes:
        message: Which limit.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return self.message


class epicsMotor:
    """A motor record, with its fields as properties.

    Each property reads its field from the server and writes it without waiting:

    ================  =====  ==========================================
    property          field  meaning
    ================  =====  ==========================================
    slew_speed        VELO   speed, units per second
    base_speed        VBAS   speed to start from, units per second
    acceleration      ACCL   time to reach the speed, seconds
    description       DESC   text, at most 40 characters
    resolution        MRES   units per step
    high_limit        HLM    upper soft limit, user units
    low_limit         LLM    lower soft limit, user units
    dial_high_limit   DHLM   upper soft limit, dial units
    dial_low_limit    DLLM   lower soft limit, dial units
    backlash          BDST   distance, units
    offset            OFF    user minus dial position, units
    done_moving       DMOV   1 at rest, 0 moving; cannot be assigned
    ================  =====  ==========================================

    Args:
        name: Name of the record, without a field.

    Raises:
        CaChannelException: ECA_TIMEOUT when not all fields connected in time.

    Attributes:
        pvs: The channels, by lower case field name (`epicsPV.epicsPV` objects).
    """

    class PVProperty:
        """A field of the motor record as an attribute of `epicsMotor`.

        Attributes:
            name: Lower case name of the field.
            readonly: Whether assignments are ignored.
        """

        def __init__(self, name: str, readonly: bool = False) -> None:
            self.name = name
            self.readonly = readonly

        @overload
        def __get__(self, motor: None, owner: type) -> epicsMotor.PVProperty: ...

        @overload
        def __get__(self, motor: epicsMotor, owner: type) -> Any: ...

        def __get__(self, motor: epicsMotor | None, owner: type) -> Any:
            if motor is None:
                return self
            return motor.pvs[self.name].getw()

        def __set__(self, motor: epicsMotor, value: Any) -> None:
            if not self.readonly:
                motor.pvs[self.name].putw(value)

    slew_speed = PVProperty("velo")
    base_speed = PVProperty("vbas")
    acceleration = PVProperty("accl")
    description = PVProperty("desc")
    resolution = PVProperty("mres")
    high_limit = PVProperty("hlm")
    low_limit = PVProperty("llm")
    dial_high_limit = PVProperty("dhlm")
    dial_low_limit = PVProperty("dllm")
    backlash = PVProperty("bdst")
    offset = PVProperty("off")
    done_moving = PVProperty("dmov", readonly=True)

    def __init__(self, name: str) -> None:
        self.pvs: dict[str, epicsPV.epicsPV] = {
            field: epicsPV.epicsPV(f"{name}.{field.upper()}", wait=False) for field in _FIELDS
        }
        self.pvs["val"].pend_io()
        self.pvs["dmov"].setMonitor()

    def move(
        self,
        value: float,
        relative: Any = False,
        dial: Any = False,
        step: Any = False,
        ignore_limits: Any = False,
    ) -> None:
        """Start a move; `wait` waits for its end.

        Args:
            value: Position, or distance if ``relative``.
            relative: Move from the present target instead of to a position.
            dial: ``value`` is in dial units. Wins over ``step``.
            step: ``value`` is in steps.
            ignore_limits: Do not look at the limits after starting.

        Raises:
            epicsMotorException: The record reports a limit, see `check_limits`.
            CaChannelException: A field cannot be read or written.
        """
        if dial or step:
            target = self.pvs["dval" if dial else "rval"]
            target.putw(target.getw() + value if relative else value)
        else:
            self.pvs["rlv" if relative else "val"].putw(value)
        if not ignore_limits:
            self.check_limits()

    def check_limits(self) -> None:
        """Raise if the record reports a limit.

        Raises:
            epicsMotorException: 'Soft limit violation' (LVIO), 'Low hard limit violation' (LLS)
                or 'High hard limit violation' (HLS), the first that applies.
        """
        for field, message in _VIOLATIONS.items():
            if self.pvs[field].getw():
                raise epicsMotorException(message)

    def stop(self) -> None:
        """Stop the motor at once."""
        self.pvs["stop"].putw(1)

    def get_position(self, dial: Any = False, readback: Any = False, step: Any = False) -> Any:
        """Read the target position or the actual one.

        Args:
            dial: In dial units. Wins over ``step``.
            readback: The actual position instead of the target.
            step: In steps.

        Returns:
            The position, an int for steps (where the record has RVAL as LONG), else a float.
        """
        return self.pvs[self._field(dial, step, readback)].getw()

    def set_position(self, position: float, dial: Any = False, step: Any = False) -> None:
        """Declare where the motor is; nothing moves.

        Args:
            position: The new name of the present position.
            dial: In dial units. Wins over ``step``.
            step: In steps.
        """
        self.pvs["set"].putw(1)
        self.pvs[self._field(dial, step, False)].putw(position)
        self.pvs["set"].putw(0)

    @staticmethod
    def _field(dial: Any, step: Any, readback: Any) -> str:
        if dial:
            return "drbv" if readback else "dval"
        if step:
            return "rrbv" if readback else "rval"
        return "rbv" if readback else "val"

    def wait(
        self,
        start: Any = False,
        stop: Any = False,
        poll: float = 0.01,
        ignore_limits: Any = False,
    ) -> None:
        """Wait, without limit, until the motor has started or stopped.

        Args:
            start: Wait until it moves. A move that is over before the first look is not seen.
            stop: Wait until it stands. The default when neither is asked for; with both, first
                for the start, then for the stop.
            poll: Seconds between two looks.
            ignore_limits: Do not look at the limits at the end.

        Raises:
            epicsMotorException: The record reports a limit, see `check_limits`.
            CaChannelException: DMOV cannot be read.
        """
        if start:
            while self._is_done() == 1:
                time.sleep(poll)
        if stop or not start:
            while self._is_done() == 0:
                time.sleep(poll)
        if not ignore_limits:
            self.check_limits()

    def _is_done(self) -> Any:
        # From the server, which has seen all that this client wrote before, and not from the
        # monitor, whose event of a move just started may still be on its way; inside a callback
        # the event would not even be delivered.
        dmov = self.pvs["dmov"]
        return dmov._get_wait(timeout=dmov.getTimeout(), operation="wait")["pv_value"]
