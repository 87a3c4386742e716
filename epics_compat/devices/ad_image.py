"""areaDetector: the plugin that has the image as an array."""

from __future__ import annotations

from epics_compat.devices.ad_base import AD_Plugin, with_readback

__all__ = ["AD_ImagePlugin"]


class AD_ImagePlugin(AD_Plugin):
    """The image plugin.

    Args:
        prefix: start of the names, such as ``13SIM1:image1:``.
    """

    attrs = (
        "ArrayData",
        *with_readback(
            "UniqueId", "NDimensions", "ArraySize0", "ArraySize1", "ArraySize2", "ColorMode"
        ),
    )
