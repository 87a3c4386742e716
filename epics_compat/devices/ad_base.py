"""areaDetector: the camera, and what its plugins have in common."""

from __future__ import annotations

from typing import Any

from epics_compat.device import Device

__all__ = ["AD_Camera", "with_readback"]


def with_readback(*names: str) -> tuple[str, ...]:
    """List names, each followed by that of its readback."""
    return tuple(name for base in names for name in (base, f"{base}_RBV"))


class AD_Plugin(Device):
    """A part of an areaDetector.

    Args:
        prefix: start of the names.
    """

    attrs: tuple[str, ...] = ()
    _nonpvs = ("_prefix", "_pvs", "_delim", "attrs")

    def __init__(self, prefix: str) -> None:
        super().__init__(prefix, delim="", attrs=self.attrs, mutable=False)

    def ensure_value(self, attr: str, value: Any, wait: bool = False) -> None:
        """Put a value unless the readback says the same."""
        if self.get(f"{attr}_RBV", as_string=True) != str(value):
            self.put(attr, value, wait=wait)


class AD_Camera(AD_Plugin):
    """The camera of an areaDetector.

    Args:
        prefix: start of the names, such as ``13SIM1:cam1:``.
    """

    attrs = (
        "Acquire",
        *with_readback("AcquirePeriod", "AcquireTime", "ArrayCallbacks", "ArrayCounter"),
        "ArrayRate_RBV",
        "ArraySizeX_RBV",
        "ArraySizeY_RBV",
        "ArraySize_RBV",
        *with_readback("BinX", "BinY", "ColorMode", "DataType"),
        "DetectorState_RBV",
        *with_readback("Gain", "ImageMode"),
        "MaxSizeX_RBV",
        "MaxSizeY_RBV",
        *with_readback("MinX", "MinY"),
        "NumImages",
        "NumImagesCounter_RBV",
        "NumImages_RBV",
        *with_readback("SizeX", "SizeY"),
        "TimeRemaining_RBV",
        *with_readback("TriggerMode"),
        "TriggerSoftware",
    )
