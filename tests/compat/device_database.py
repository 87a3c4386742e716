"""The PVs that `device_program` talks to: records and plugins that EPICS base does not have."""

from typing import Any

__all__ = ["database"]

_CAMERA = """
Acquire AcquirePeriod AcquirePeriod_RBV AcquireTime AcquireTime_RBV ArrayCallbacks
ArrayCallbacks_RBV ArrayCounter ArrayCounter_RBV ArrayRate_RBV ArraySizeX_RBV ArraySizeY_RBV
ArraySize_RBV BinX BinX_RBV BinY BinY_RBV ColorMode ColorMode_RBV DataType DataType_RBV
DetectorState_RBV Gain Gain_RBV ImageMode ImageMode_RBV MaxSizeX_RBV MaxSizeY_RBV MinX MinX_RBV
MinY MinY_RBV NumImages NumImagesCounter_RBV NumImages_RBV SizeX SizeX_RBV SizeY SizeY_RBV
TimeRemaining_RBV TriggerMode TriggerMode_RBV TriggerSoftware
"""
_FILE = """
AutoIncrement AutoSave Capture EnableCallbacks FileNumber FileWriteMode NumCapture ReadFile
WriteFile AutoIncrement_RBV AutoSave_RBV Capture_RBV EnableCallbacks_RBV FileWriteMode_RBV
NumCapture_RBV ReadFile_RBV WriteFile_RBV FilePathExists_RBV NumCaptured_RBV WriteStatus
ArraySize0_RBV
"""
_DXP = """
PreampGain MaxEnergy ADCPercentRule BaselineCutPercent BaselineThreshold BaselineFilterLength
BaselineCutEnable InputCountRate OutputCountRate GapTime PeakingTime EnergyThreshold MaxWidth
PresetMode TriggerPeakingTime TriggerGapTime TriggerThreshold
"""


class _Database(dict[str, Any]):
    def more(self, prefix: str, names: str, value: Any) -> None:
        """Add PVs of one value."""
        self.update({prefix + name: value for name in names.split()})

    def mca(self, name: str, spectrum: list[float]) -> None:
        """Add an mca record with four regions."""
        self.more(f"{name}.", "CALQ TTH PRTM PLTM DWEL ERTM ELTM IDTIM", 0.0)
        self |= {
            f"{name}.CALO": 0.5,
            f"{name}.CALS": 0.1,
            f"{name}.EGU": "keV",
            f"{name}.ACQG": 0,
            f"{name}.NUSE": len(spectrum),
            f"{name}.VAL": spectrum,
        }
        for roi in range(4):
            region = f"{name}.R{roi}"
            self |= {
                region: 100.0 + roi,
                f"{region}N": 50.0 + roi,
                f"{region}NM": "",
                f"{region}LO": -1,
                f"{region}HI": -1,
            }

    def file(self, prefix: str) -> None:
        """Add a plugin that writes files."""
        self.more(prefix, _FILE, 0)
        self.more(
            prefix,
            "FileName FilePath FileTemplate NDArrayPort NDArrayPort_RBV WriteMessage",
            ["", 64],
        )
        for name, text in (
            ("FileName_RBV", "base"),
            ("FilePath_RBV", "/data/"),
            ("FileTemplate_RBV", "%s%s_%3.3d.h5"),
            ("FullFileName_RBV", "/data/base_001.h5"),
        ):
            self[prefix + name] = [text, 64]
        self[f"{prefix}FileNumber_RBV"] = 4


def database() -> dict[str, Any]:
    """Give all PVs and their values, as `support/device_ioc.py` takes them."""
    db = _Database()
    db.more("sc.", "CNT CONT", 0)
    db.more("sc.", "TP T VAL", 1.5)
    db |= {"sc.NM1": "clock", "sc.NM2": "I0", "sc.S1": 10.0, "sc.S2": 20.0, "sc_calcEnable.VAL": 0}
    for i in (1, 2):
        db |= {f"sc_calc{i}.VAL": i * 1.5, f"sc_calc{i}.CALC": "A"}
    db.more(
        "st:",
        "ChannelAdvance Prescale EraseStart EraseAll StartAll StopAll Acquiring NuseAll "
        "CurrentChannel CountOnStart SoftwareChannelAdvance Channel1Source ReadAll DoReadAll",
        0,
    )
    db.more("st:", "PresetReal ElapsedReal Dwell", 0.0)
    db.more("st:", "Model Firmware", "m")
    for i in (1, 2):
        db.mca(f"st:mca{i}", [50.0 * i * k for k in range(1, 6)])
        db.mca(f"xm:mca{i}", [1.0 * k for k in range(1, 6)])
        db.more(f"xm:dxp{i}:", _DXP, 2.5)
    db.mca("mc", [1.0, 1, 1, 5, 6, 7, 1, 1, 1, 1])
    db.more(
        "srs:",
        "sens_num sens_unit offset_num offset_unit offset_sign offset_on off_u_put "
        "bias_put gain_mode filter_type invert_on init.PROC",
        0,
    )
    db |= {"tr.COPT": 0, "tr.PREC": 3}
    for row in "ABCDEFGHIJKLMNOP":
        db |= {f"tr.{row}": 1.0, f"tr.L{row}": 0.5}
        db |= {f"tr.{field}{row}": "" for field in ("INP", "CLC", "OUT", "CMT")}
        db |= {f"tr.{letter}{row}V": 1 for letter in "IOC"}
    db |= {"ss.RTYP": "sscan", "no.RTYP": "ao", "ss.SMSG": "old", "ss.NAME": "ss"}
    db.more("ss.", "VAL PDLY DDLY", 0.0)
    db.more("ss.", "CMND NPTS EXSC PAUS CPT PASM", 0)
    for i in range(1, 5):
        db.more(f"ss.P{i}", "SP EP SI CP WD", 0.0)
        db.more(f"ss.P{i}", "AR SM", 0)
        db |= {
            f"ss.P{i}PA": [0.0, 0.0, 0.0],
            f"ss.P{i}PV": "",
            f"ss.R{i}PV": "",
            f"ss.T{i}PV": "",
            f"ss.T{i}NV": 0,
            f"ss.T{i}CD": 0.0,
        }
    db |= {f"ss.D{i:02d}PV": "" for i in range(1, 71)}
    db.more("cam:", _CAMERA, 0)
    db |= {"cam:Gain_RBV": 3, "cam:MinX_RBV": 5}
    for prefix in ("f:", "pe:netCDF1:", "xm:netCDF1:", "xs:HDF1:"):
        db.file(prefix)
    db.more(
        "pe:cam1:",
        "PEAcquireOffset PENumOffsetFrames ImageMode TriggerMode Acquire NumImages "
        "ShutterControl ShutterMode",
        0,
    )
    db |= {"pe:cam1:AcquireTime": 1.0, "pe:cam1:Model_RBV": ["XRD", 40]}
    db.more(
        "xm:",
        "Acquiring EraseStart StopAll PresetMode NextPixel PixelsPerRun Apply AutoApply "
        "CollectMode SyncCount",
        0,
    )
    db |= {
        "xm:PresetReal": 0.0,
        "xm:Dwell": 0.0,
        "xm:PixelsPerBuffer_RBV": 4,
        "xm:BufferSize_RBV": 1024,
    }
    db |= {
        "am:Acquire": 0,
        "am:NumImages": 0,
        "am:AcquireTime": 1.0,
        "am:data": [1.0, 2, 3, 4, 5, 6, 7, 8],
    }
    for roi in range(1, 5):
        db[f"am:ROI:{roi}:Name"] = ""
        db.more(f"am:ROI:{roi}:", "Use MinX SizeX BgdWidth SizeX_RBV MinX_RBV", 0)
        db.more(f"am:ROI:{roi}:", "Total_RBV Net_RBV", 5.0)
    db.more(
        "xs:det1:",
        "NumImages NumImages_RBV Acquire Acquire_RBV ArrayCounter_RBV ERASE UPDATE "
        "TriggerMode DetectorState_RBV",
        0,
    )
    db |= {
        "xs:det1:AcquireTime": 1.0,
        "xs:det1:StatusMessage_RBV": ["ok", 40],
        "xs:MCA1:ArrayData": [1.0, 2, 3],
    }
    db |= {f"xs:C1SCA{i}:Value_RBV": 1.0 * i for i in range(1, 9)}
    db.more("xs:MCA1ROI:", "TSNumPoints TSControl", 0)
    db.more("xs:C1SCA:", "TSNumPoints TSControl", 0)
    return {**db}
