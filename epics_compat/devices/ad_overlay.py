"""areaDetector: the plugin that draws on the image."""

from __future__ import annotations

from epics_compat.devices.ad_base import AD_Plugin, with_readback

__all__ = ["AD_OverlayPlugin"]


class AD_OverlayPlugin(AD_Plugin):
    """One overlay.

    Args:
        prefix: start of the names, such as ``13SIM1:Over1:1:``.
    """

    attrs = (
        *with_readback(
            "Name", "Use", "PositionX", "PositionY", "SizeX", "SizeY", "Shape", "DrawMode", "Red",
            "Green", "Blue",
        ),
        "PositionXLink",
        "PositionYLink",
        "SizeXLink",
        "SizeYLink",
    )  # fmt: skip
