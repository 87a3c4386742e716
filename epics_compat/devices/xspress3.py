"""The Xspress3 electronics."""

from __future__ import annotations

from typing import Any

from epics_compat.devices._files import FileSettings
from epics_compat.devices.ad_mca import ADMCA
from epics_compat.devices.mca import MCA, restore_rois, roi_lines

__all__ = ["ADFileMixin", "Xspress3", "Xspress3BaseMixin", "Xspress310"]

ADFileMixin = FileSettings
_DETECTOR = (
    "NumImages", "NumImages_RBV", "Acquire", "Acquire_RBV", "ArrayCounter_RBV", "ERASE", "UPDATE",
    "AcquireTime", "TriggerMode", "StatusMessage_RBV", "DetectorState_RBV",
)  # fmt: skip
_FILE = ("FilePath", "FileTemplate", "FileName", "FileNumber", "Capture", "NumCapture")
_SCAS = range(1, 9)


class Xspress3BaseMixin(FileSettings):
    """What all versions of the electronics have in common."""

    mcas: list[Any]

    def useExternalTrigger(self) -> None:
        """Let an external signal begin each frame."""
        self.setTriggerMode(3)

    def useInternalTrigger(self) -> None:
        """Let the electronics begin each frame."""
        self.setTriggerMode(1)

    def setTriggerMode(self, mode: int) -> None:
        """Set the trigger mode."""
        self.put("TriggerMode", mode)

    def start(self, capture: bool = True) -> None:
        """Erase, and begin; with `capture` into a file."""
        self.put("ERASE", 1, wait=True)
        if capture:
            self.FileCaptureOn()
        self.put("Acquire", 1)

    def stop(self) -> None:
        """Stop."""
        self.put("Acquire", 0)
        self.FileCaptureOff()

    def get_rois(self) -> list[Any]:
        """Give the regions of each channel."""
        return [mca.get_rois() for mca in self.mcas]

    def roi_calib_info(self) -> list[str]:
        """Describe regions and calibrations, a text for each line."""
        return roi_lines(self.mcas)

    def restore_rois(self, roifile: str) -> None:
        """Set the regions of all channels from a file that `roi_calib_info` made."""
        restore_rois(roifile, self.mcas)


class Xspress3(Xspress3BaseMixin):
    """Xspress3 electronics with the areaDetector driver of version 3.

    Args:
        prefix: start of the names.
        nmca: number of channels.
        filesaver: the plugin that writes files.
        fileroot: where files go.
    """

    det_attrs = _DETECTOR
    pathattrs = _FILE
    _nonpvs = ("_prefix", "_pvs", "_delim", "filesaver", "fileroot", "nmca", "mcas", "rois")

    def __init__(
        self,
        prefix: str,
        nmca: int = 4,
        filesaver: str = "HDF1:",
        fileroot: str = "/home/xspress3/cars5/Data",
    ) -> None:
        if not prefix.endswith(":"):
            prefix += ":"
        self.__dict__.update(filesaver=filesaver, fileroot=fileroot, nmca=nmca)
        super().__init__(prefix, delim="", attrs=[f"{filesaver}{name}" for name in _FILE])
        for name in _DETECTOR:
            self.add_pv(f"{prefix}det1:{name}", attr=name)
        self.mcas = []
        for mca in range(1, nmca + 1):
            for sca in _SCAS:
                self.add_pv(f"{prefix}C{mca}SCA{sca}:Value_RBV", attr=f"C{mca}SCA{sca}")
            for field in ("TSNumPoints", "TSControl"):
                self.add_pv(f"{prefix}MCA{mca}ROI:{field}", attr=f"MCA{mca}{field}")
                self.add_pv(f"{prefix}C{mca}SCA:{field}", attr=f"SCA{mca}{field}")
            self.mcas.append(
                ADMCA(
                    f"{prefix}det1:", data_pv=f"{prefix}MCA{mca}:ArrayData",
                    roi_prefix=f"{prefix}MCA{mca}ROI",
                )
            )  # fmt: skip

    def TimeSeriesCaptureOn(self, npts: int | None = None) -> None:
        """Begin to capture the regions as time series, of `npts` points."""
        for mca in range(1, self.nmca + 1):
            for kind in ("MCA", "SCA"):
                if npts is not None:
                    self.put(f"{kind}{mca}TSNumPoints", npts)
                self.put(f"{kind}{mca}TSControl", 0)

    def TimeSeriesCaptureOff(self) -> None:
        """End capturing time series."""
        for mca in range(1, self.nmca + 1):
            for kind in ("MCA", "SCA"):
                self.put(f"{kind}{mca}TSControl", 2)


class Xspress310(Xspress3BaseMixin):
    """Xspress3 electronics with the older driver.

    Args:
        prefix: start of the names.
        nmca: number of channels.
        filesaver: the plugin that writes files.
        fileroot: where files go.
    """

    attrs = _DETECTOR
    pathattrs = _FILE
    _nonpvs = ("_prefix", "_pvs", "_delim", "filesaver", "fileroot", "nmca", "mcas", "rois")

    def __init__(
        self,
        prefix: str,
        nmca: int = 4,
        filesaver: str = "HDF5:",
        fileroot: str = "/home/xspress3/cars5/Data",
    ) -> None:
        if not prefix.endswith(":"):
            prefix += ":"
        self.__dict__.update(filesaver=filesaver, fileroot=fileroot, nmca=nmca)
        files = [f"{filesaver}{name}" for name in _FILE]
        super().__init__(prefix, delim="", attrs=[*_DETECTOR, *files])
        self.mcas = [MCA(prefix, mca=number + 1) for number in range(nmca)]

    def select_rois_to_save(self, roilist: list[str]) -> None:
        """Put the named regions first, as the electronics save the first ones only."""
        wanted = [name.strip().lower() for name in roilist]
        for mca in self.mcas:
            known = {r.NM.strip().lower(): (r.NM, r.LO, r.HI) for r in mca.get_rois()}
            mca.set_rois([known[name] for name in wanted if name in known])
