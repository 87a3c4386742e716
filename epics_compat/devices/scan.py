"""The sscan record."""

from __future__ import annotations

from typing import Any

from epics_compat.device import Device

__all__ = ["Scan", "ScanException"]

NUM_POSITIONERS = 4
NUM_TRIGGERS = 4
NUM_DETECTORS = 70
_POSITIONER = ("PV", "SP", "EP", "SI", "CP", "WD", "PA", "AR", "SM")
_TRIGGER = ("PV", "NV")
_MODES = {"linear": 0, "table": 1, "fly": 2}


class ScanException(Exception):
    """A scan record cannot be used so."""

    def __init__(self, msg: str, *args: Any) -> None:
        super().__init__(msg, *args)
        self.msg = msg

    def __str__(self) -> str:
        return str(self.msg)


class Scan(Device):
    """An sscan record.

    Args:
        name: name of the record.
        kw: see `Device`.

    Raises:
        ScanException: there is no such sscan record.
    """

    attrs = (
        "VAL", "SMSG", "CMND", "NPTS", "EXSC", "NAME", "PDLY", "PAUS", "CPT", "DDLY",
        *(f"P{i}{field}" for i in range(1, NUM_POSITIONERS + 1) for field in _POSITIONER),
        *(f"T{i}{field}" for i in range(1, NUM_TRIGGERS + 1) for field in _TRIGGER),
        *(f"D{i:02d}PV" for i in range(1, NUM_DETECTORS + 1)),
    )  # fmt: skip
    pos_attrs = _POSITIONER
    trig_attrs = _TRIGGER
    _alias = {  # noqa: RUF012
        "device": "P1PV", "start": "P1SP", "end": "P1EP", "step": "P1SI", "table": "P1PA",
        "absrel": "P1AR", "mode": "P1SM", "npts": "NPTS", "execute": "EXSC", "trigger": "T1PV",
        "pause": "PAUS", "current_point": "CPT",
    }  # fmt: skip
    _nonpvs = ("_prefix", "_pvs", "_delim", "attrs", "_alias")

    def __init__(self, name: str, **kw: Any) -> None:
        name = name.removesuffix(".")
        super().__init__(name, delim=".", attrs=self.attrs, aliases=self._alias, **kw)
        if self.PV("RTYP").get(timeout=5.0) != "sscan":
            message = f"{name} is not an Epics Scan"
            raise ScanException(message)
        self.put("SMSG", "")

    def run(self, wait: bool = False, timeout: float = 86400) -> Any:
        """Execute the scan; with `wait` until it is over, `timeout` seconds at most."""
        return self.put("EXSC", 1, wait=wait, timeout=timeout)

    def reset(self) -> None:
        """Clear all positioners, triggers and detectors."""
        for number in range(1, NUM_TRIGGERS + 1):
            self.clear_trigger(number)
        for number in range(1, NUM_POSITIONERS + 1):
            self.clear_positioner(number)
        for number in range(1, NUM_DETECTORS + 1):
            self.clear_detector(number)
        self.put("CMND", 3)

    def clear_detector(self, idet: int = 1) -> None:
        """Clear a detector."""
        self.put(f"D{idet:02d}PV", "")

    def clear_trigger(self, itrig: int = 1) -> None:
        """Clear a trigger."""
        self.put(f"T{itrig}PV", "")

    def clear_positioner(self, ipos: int = 1) -> None:
        """Clear a positioner."""
        self.put(f"P{ipos}PV", "")

    def _free(self, names: list[str], what: str) -> int:
        """Find the first name without a PV.

        Returns:
            Its number, from 1.

        Raises:
            ScanException: all are taken.
        """
        for number, name in enumerate(names, 1):
            if not self.PV(name).get(use_monitor=False):
                return number
        message = f"{self._prefix} has no {what} left"
        raise ScanException(message)

    def add_detector(self, detector: str) -> int:
        """Add a detector by the name of its PV. Returns its number."""
        number = self._free([f"D{i:02d}PV" for i in range(1, NUM_DETECTORS + 1)], "detector")
        self.put(f"D{number:02d}PV", detector, wait=True)
        return number

    def add_trigger(self, trigger: str, value: float = 1.0) -> int:
        """Add a trigger by the name of its PV, and what is put to it. Returns its number."""
        number = self._free([f"T{i}PV" for i in range(1, NUM_TRIGGERS + 1)], "trigger")
        self.put(f"T{number}PV", trigger, wait=True)
        self.put(f"T{number}CD", value)
        return number

    def add_positioner(
        self,
        drive: str,
        readback: str | None = None,
        start: Any = None,
        stop: Any = None,
        step: Any = None,
        center: Any = None,
        width: Any = None,
        mode: str = "linear",
        absolute: bool = True,
        array: Any = None,
    ) -> int:
        """Add a positioner; see `set_positioner`. Returns its number.

        The readback of a drive that ends in ``.VAL`` is its ``.RBV`` unless one is given.
        """
        if readback is None and drive.endswith(".VAL"):
            readback = f"{drive[: -len('VAL')]}RBV"
        number = self._free([f"P{i}PV" for i in range(1, NUM_POSITIONERS + 1)], "positioner")
        self.set_positioner(
            number, drive=drive, readback=readback, start=start, stop=stop, step=step,
            center=center, width=width, mode=mode, absolute=absolute, array=array,
        )  # fmt: skip
        return number

    def set_positioner(
        self,
        ipos: int,
        drive: str | None = None,
        readback: str | None = None,
        start: Any = None,
        stop: Any = None,
        step: Any = None,
        center: Any = None,
        width: Any = None,
        mode: str | None = None,
        absolute: bool | None = None,
        array: Any = None,
    ) -> None:
        """Set what is given of a positioner.

        Args:
            ipos: its number, from 1.
            drive: PV that is moved.
            readback: PV that tells where it is.
            start: first position.
            stop: last position.
            step: distance of positions.
            center: middle of the range.
            width: width of the range.
            mode: ``'linear'``, ``'table'`` or ``'fly'``.
            absolute: positions are not relative to where it is.
            array: positions of a table.
        """
        if drive is not None:
            self.put(f"P{ipos}PV", drive, wait=True)
        if readback is not None:
            self.put(f"R{ipos}PV", readback)
        if mode is not None:
            self.put(f"P{ipos}SM", _MODES.get(mode.lower(), 0))
        if absolute is not None:
            self.put(f"P{ipos}AR", 0 if absolute else 1)
        for field, value in (
            ("SP", start), ("EP", stop), ("SI", step), ("CP", center), ("WD", width),
            ("PA", array),
        ):  # fmt: skip
            if value is not None:
                self.put(f"P{ipos}{field}", value, wait=True)

    def after_scan(self, mode: Any) -> None:
        """Set what the positioners do after the scan (PASM)."""
        self.put("PASM", mode)

    def positioner_delay(self, pdelay: float) -> None:
        """Set the seconds to wait after moving."""
        self.put("PDLY", pdelay)

    def detector_delay(self, pdelay: float) -> None:
        """Set the seconds to wait before reading detectors."""
        self.put("DDLY", pdelay)
