"""areaDetector: the Perkin Elmer detector."""

from __future__ import annotations

import time
from typing import Any

from epics_compat import ca
from epics_compat.devices._files import FileSettings

__all__ = ["AD_PerkinElmer"]

_FILE = (
    "FilePath", "FileTemplate", "FileWriteMode", "FileName", "FileNumber", "FullFileName_RBV",
    "Capture", "Capture_RBV", "NumCapture", "WriteFile_RBV", "AutoSave", "EnableCallbacks",
    "ArraySize0_RBV", "FileTemplate_RBV", "FileName_RBV", "AutoIncrement",
)  # fmt: skip


class AD_PerkinElmer(FileSettings):
    """A Perkin Elmer detector.

    Args:
        prefix: start of the names; the camera is ``<prefix>cam1:``.
        filesaver: the plugin that writes files.
    """

    attrs = (
        "PEAcquireOffset", "PENumOffsetFrames", "ImageMode", "TriggerMode", "Acquire",
        "AcquireTime", "Model_RBV", "NumImages", "ShutterControl", "ShutterMode",
    )  # fmt: skip
    camattrs = attrs
    pathattrs = _FILE
    _nonpvs = ("_prefix", "_pvs", "_delim", "attrs", "filesaver", "_prefix_full")

    def __init__(self, prefix: str, filesaver: str = "netCDF1:") -> None:
        super().__init__(f"{prefix}cam1:", delim="", attrs=self.attrs, mutable=False)
        for name in (*_FILE, "FilePath_RBV", "FileNumber_RBV"):
            self.add_pv(f"{prefix}{filesaver}{name}", attr=f"File_{name}")

    def filePut(self, attr: str, value: Any, **kw: Any) -> Any:
        """Write a field of the file saver."""
        return self.put(f"File_{attr}", value, **kw)

    def fileGet(self, attr: str, **kw: Any) -> Any:
        """Read a field of the file saver."""
        return self.get(f"File_{attr}", **kw)

    def AcquireOffset(self, timeout: float = 10, open_shutter: bool = True) -> None:
        """Take an offset image with the shutter closed; `timeout` seconds at most."""
        self.put("ShutterMode", 0)
        self.put("ShutterControl", 0, wait=True)
        self.put("PEAcquireOffset", 1, wait=True, timeout=timeout)
        if open_shutter:
            self.put("ShutterControl", 1, wait=True)

    def SetExposureTime(self, t: float, open_shutter: bool = True) -> None:
        """Set the exposure in seconds, and take an offset image for it."""
        self.put("AcquireTime", t)
        self.AcquireOffset(open_shutter=open_shutter)

    def SetMultiFrames(self, n: int, trigger: str = "external") -> None:
        """Let `n` frames be taken, by an external or the internal trigger."""
        self.put("ImageMode", 1)
        self.put("NumImages", n)
        self.put("TriggerMode", 1 if trigger.startswith("ext") else 0)
        self.filePut("EnableCallbacks", 1)
        self.setFileNumCapture(n)

    def StartStreaming(self) -> None:
        """Begin to write what comes, and to acquire."""
        self.filePut("AutoSave", 1)
        self.setFileWriteMode(2)
        self.FileCaptureOn()
        self.put("Acquire", 1)

    def FinishStreaming(self, timeout: float = 5.0) -> None:
        """Wait until the file is written; after `timeout` seconds end the capture."""
        deadline = time.monotonic() + timeout
        while self.fileGet("Capture_RBV"):
            if time.monotonic() > deadline:
                self.FileCaptureOff()
                return
            ca.pend_event(0.02)
