"""The same PVs as `rsrv.db` has, on our server; run by test_against_rsrv.py."""

import sys

from cachannel.protocol.channel_types import ChannelType
from cachannel.server import PVGroup, pvproperty, run


class Twin(PVGroup):
    """One property per record."""

    ao = pvproperty(
        value=12.345, units="mm", precision=2, upper_disp_limit=100.0, lower_disp_limit=-100.0,
        upper_ctrl_limit=90.0, lower_ctrl_limit=-90.0, upper_alarm_limit=80.0,
        lower_alarm_limit=-80.0, upper_warning_limit=70.0, lower_warning_limit=-70.0,
    )  # fmt: skip
    high = pvproperty(
        value=75.0, alarm_group="high", precision=1, upper_disp_limit=0.0,
        upper_alarm_limit=80.0, lower_alarm_limit=-80.0, upper_warning_limit=70.0,
        lower_warning_limit=-70.0,
    )  # fmt: skip
    rec = pvproperty(
        value=3.0, alarm_group="rec", record="ao", doc="a record", units="V", precision=1,
    )  # fmt: skip
    one = pvproperty(
        value=12.0, record="ai", units="A", precision=1, upper_disp_limit=100.0,
        lower_disp_limit=-100.0, upper_alarm_limit=80.0,
    )  # fmt: skip
    limits = pvproperty(
        value=12.0, record="ao", precision=1, upper_alarm_limit=80.0, lower_alarm_limit=-80.0,
        upper_warning_limit=70.0, lower_warning_limit=-70.0,
    )  # fmt: skip
    lo = pvproperty(
        value=-70000, alarm_group="lo", units="counts1", upper_disp_limit=100000,
        lower_disp_limit=-100000, upper_ctrl_limit=100000, lower_ctrl_limit=-100000,
    )  # fmt: skip
    so = pvproperty(value="42.5 text", dtype=ChannelType.STRING, alarm_group="so")
    number = pvproperty(value="17", dtype=ChannelType.STRING, alarm_group="number")
    mbbo = pvproperty(
        value="two", dtype=ChannelType.ENUM, enum_strings=("zero", "one", "two"),
        alarm_group="mbbo",
    )  # fmt: skip
    wfd = pvproperty(value=[1.5, -2.5, 3.0], max_length=5, alarm_group="wfd")
    wfl = pvproperty(value=[1, -2, 70000], max_length=5, alarm_group="wfl")
    wfc = pvproperty(value=b"\1\2\xff", max_length=5, alarm_group="wfc")
    wfs = pvproperty(value=["a", "bb"], dtype=ChannelType.STRING, max_length=3, alarm_group="wfs")


async def start(async_lib):
    """Process once, as PINI does."""
    await group.high.write(75.0)
    print("READY", flush=True)  # noqa: T201 - the test waits for it


group = Twin("")
run(group.pvdb, module_name=sys.argv[1], startup_hook=start)
