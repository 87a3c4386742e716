"""The SRS570 current amplifier."""

from __future__ import annotations

from epics_compat import ca
from epics_compat.device import Device

__all__ = ["SRS570", "VALID_STEPS", "VALID_UNITS"]

VALID_STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500]
VALID_UNITS = ["pA/V", "nA/V", "uA/V", "mA/V"]
_OFFSET_UNITS = ["pA", "nA", "uA", "mA"]


class SRS570(Device):
    """An SRS570 current amplifier; it is initialized when this is made.

    Args:
        prefix: start of the names.
    """

    attrs = (
        "sens_num", "sens_unit", "offset_num", "offset_unit", "offset_sign", "offset_on",
        "off_u_put", "bias_put", "gain_mode", "filter_type", "invert_on", "init.PROC",
    )  # fmt: skip
    _nonpvs = ("_prefix", "_pvs", "_delim", "attrs")

    def __init__(self, prefix: str) -> None:
        super().__init__(prefix, delim="", attrs=self.attrs, mutable=False)
        self.initialize()

    def initialize(
        self, bias: int = 0, gain_mode: int = 0, filter_type: int = 0, invert: bool = False
    ) -> None:
        """Set bias, gain mode, filter and inversion."""
        self.put("bias_put", bias)
        self.put("gain_mode", gain_mode)
        self.put("filter_type", filter_type)
        self.put("invert_on", int(invert))

    def set_sensitivity(
        self, value: int, units: str, offset: float | None = None, scale_offset: bool = True
    ) -> None:
        """Set the sensitivity.

        Args:
            value: one of `VALID_STEPS`.
            units: one of `VALID_UNITS`.
            offset: input offset; None: with `scale_offset` a tenth of the sensitivity.
            scale_offset: let the offset follow the sensitivity.
        """
        if value not in VALID_STEPS or units not in VALID_UNITS:
            ca.write("invalid input")
            return
        step, unit = VALID_STEPS.index(value), VALID_UNITS.index(units)
        self.put("sens_num", step)
        self.put("sens_unit", unit)
        if offset is not None:
            self.set_offset(offset)
        elif scale_offset:
            # A tenth is three steps down (1, 2, 5, 10), across the units if need be.
            position = max(step + unit * len(VALID_STEPS) - 3, 0)
            self.put("offset_unit", position // len(VALID_STEPS))
            self.put("offset_num", position % len(VALID_STEPS))

    def set_offset(self, value: float) -> None:
        """Set the offset current, in uA."""
        self.put("off_u_put", value)

    def _move(self, by: int) -> None:
        steps = len(VALID_STEPS)
        # Read from the amplifier: the monitor may not know yet what was put just now.
        step, unit = (self.PV(n).get(use_monitor=False) for n in ("sens_num", "sens_unit"))
        position = int(step) + steps * int(unit) + by
        position = max(0, min(position, steps * len(VALID_UNITS) - 1))
        unit, step = divmod(position, steps)
        self.set_sensitivity(VALID_STEPS[step], VALID_UNITS[unit])

    def increase_sensitivity(self) -> None:
        """Go one step more sensitive: to fewer amperes per volt."""
        self._move(-1)

    def decrease_sensitivity(self) -> None:
        """Go one step less sensitive: to more amperes per volt."""
        self._move(1)
