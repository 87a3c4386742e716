"""The Struck multichannel scaler."""

from __future__ import annotations

from typing import Any

import numpy

from epics_compat.device import Device
from epics_compat.devices.mca import MCA
from epics_compat.devices.scaler import Scaler

__all__ = ["Struck"]


class Struck(Device):
    """A Struck multichannel scaler.

    Args:
        prefix: start of the names.
        scaler: name of a scaler record that counts the same signals.
        nchan: number of channels.
        clockrate: of the first channel, in MHz.
    """

    attrs = (
        "ChannelAdvance",
        "Prescale",
        "EraseStart",
        "EraseAll",
        "StartAll",
        "StopAll",
        "PresetReal",
        "ElapsedReal",
        "Dwell",
        "Acquiring",
        "NuseAll",
        "CurrentChannel",
        "CountOnStart",
        "SoftwareChannelAdvance",
        "Channel1Source",
        "ReadAll",
        "DoReadAll",
        "Model",
        "Firmware",
    )
    _nonpvs = ("_prefix", "_pvs", "_delim", "attrs", "_nchan", "clockrate", "scaler", "mcas")

    def __init__(
        self, prefix: str, scaler: str | None = None, nchan: int = 8, clockrate: float = 50.0
    ) -> None:
        if not prefix.endswith(":"):
            prefix += ":"
        self.__dict__["_nchan"] = nchan
        self.__dict__["clockrate"] = clockrate
        super().__init__(prefix, delim="", attrs=self.attrs)
        self.mcas = [MCA(prefix, mca=number + 1, nrois=2) for number in range(nchan)]
        self.scaler = None if scaler is None else Scaler(scaler, nchan=nchan)

    def ExternalMode(
        self,
        countonstart: Any = 0,
        initialadvance: Any = None,
        realtime: float = 0,
        prescale: int = 1,
    ) -> None:
        """Let an external signal advance the channels.

        Args:
            countonstart: count from the start on.
            initialadvance: advance once at the start, in software.
            realtime: preset time in seconds; 0: none.
            prescale: external signals per channel.
        """
        self.put("ChannelAdvance", 1)
        if self.scaler is not None:
            self.scaler.OneShotMode()
        self.put("CountOnStart", int(bool(countonstart)))
        if initialadvance:
            self.put("SoftwareChannelAdvance", 1)
        self.put("PresetReal", realtime)
        self.put("Prescale", prescale)

    def InternalMode(self, prescale: int | None = None) -> None:
        """Let the clock advance the channels."""
        self.put("ChannelAdvance", 0)
        if prescale is not None:
            self.put("Prescale", prescale)

    def setPresetReal(self, val: float) -> None:
        """Set the preset time, in seconds."""
        self.put("PresetReal", val)

    def setDwell(self, val: float) -> None:
        """Set the time per channel, in seconds."""
        self.put("Dwell", val)

    def AutoCountMode(self) -> None:
        """Let the scaler count again and again."""
        if self.scaler is not None:
            self.scaler.AutoCountMode()

    def start(self) -> None:
        """Erase, and begin."""
        if self.scaler is not None:
            self.scaler.OneShotMode()
        self.put("EraseStart", 1)

    def stop(self) -> None:
        """Stop."""
        self.put("StopAll", 1)

    def erase(self) -> None:
        """Erase."""
        self.put("EraseAll", 1)

    def mcaNread(self, nmca: int = 1) -> Any:
        """Give how many values a channel has."""
        return self.mcas[nmca - 1].get("NUSE")

    def readmca(self, nmca: int = 1, count: int | None = None) -> Any:
        """Read the values of a channel."""
        return self.mcas[nmca - 1].get("VAL", count=count)

    def read_all_mcas(self) -> list[Any]:
        """Read the values of all channels."""
        return [self.readmca(nmca=number + 1) for number in range(self._nchan)]

    def saveMCAdata(
        self,
        fname: str = "Struck.dat",
        mcas: Any = None,
        ignore_prefix: str | None = None,
        npts: int | None = None,
    ) -> tuple[int, int]:
        """Write the values as a table; the first column is divided by the clock rate.

        Args:
            fname: the file.
            mcas: numbers of the channels; None: all.
            ignore_prefix: leave out channels whose names begin so.
            npts: at most so many values.

        Returns:
            How many columns and rows were written.
        """
        numbers = range(1, self._nchan + 1) if mcas is None else mcas
        names: list[str] = []
        columns: list[Any] = []
        for number in numbers:
            name = f"MCA{number}"
            if self.scaler is not None:
                name = str(self.scaler.get(f"NM{number}") or name)
            if ignore_prefix and name.startswith(ignore_prefix):
                continue
            values = numpy.asarray(self.readmca(nmca=number), dtype=float)
            columns.append(values / self.clockrate if number == 1 else values)
            names.append(name.replace(" ", "_"))
        length = min((len(column) for column in columns), default=0)
        rows = length if npts is None else min(npts, length)
        with open(fname, "w", encoding="utf-8") as file:
            file.write(f"# Struck MCA data: {self._prefix}\n# {' '.join(names)}\n")
            for row in range(rows):
                file.write(" ".join(f"{column[row]:.10g}" for column in columns) + "\n")
        return len(columns), rows
