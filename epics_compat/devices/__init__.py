"""Devices: records and groups of records with their fields and usual operations."""

from epics_compat.devices.ad_base import AD_Camera
from epics_compat.devices.ad_fileplugin import AD_FilePlugin
from epics_compat.devices.ad_image import AD_ImagePlugin
from epics_compat.devices.ad_overlay import AD_OverlayPlugin
from epics_compat.devices.ad_perkinelmer import AD_PerkinElmer
from epics_compat.devices.ai import ai
from epics_compat.devices.ao import ao
from epics_compat.devices.bi import bi
from epics_compat.devices.bo import bo
from epics_compat.devices.mca import DXP, MCA, ROI, MultiXMAP
from epics_compat.devices.scaler import Scaler
from epics_compat.devices.scan import Scan
from epics_compat.devices.srs570 import SRS570
from epics_compat.devices.struck import Struck
from epics_compat.devices.transform import Transform

Mca = MCA

__all__ = [
    "DXP",
    "MCA",
    "ROI",
    "SRS570",
    "AD_Camera",
    "AD_FilePlugin",
    "AD_ImagePlugin",
    "AD_OverlayPlugin",
    "AD_PerkinElmer",
    "Mca",
    "MultiXMAP",
    "Scaler",
    "Scan",
    "Struck",
    "Transform",
    "ai",
    "ao",
    "bi",
    "bo",
]
