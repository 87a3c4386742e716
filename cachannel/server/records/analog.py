"""The analog records, ai and ao."""

from __future__ import annotations

from typing import Any, ClassVar

from cachannel.protocol.channel_types import ChannelType
from cachannel.server import menus
from cachannel.server.numeric import ChannelNumeric

from .base import CHAR, DOUBLE, ENUM, INT, LONG, STRING, FieldDeclaration, RecordFieldGroup, field
from .registry import register_record

__all__ = ["AiFields", "AoFields"]


# In the order of `ChannelNumeric._limit_severities`.
_SEVERITIES = ("hihi_severity", "lolo_severity", "high_severity", "low_severity")


async def put_limit_severity(fields: Any, instance: Any, value: str) -> None:
    """Let a new severity of a limit count from now on."""
    if isinstance(fields.parent, ChannelNumeric):
        numbers = list(fields.parent._limit_severities)
        numbers[_SEVERITIES.index(instance.pvspec.attr)] = menus.menuAlarmSevr[value].value
        await fields.parent._write_severities(tuple(numbers))


@register_record
class AiFields(RecordFieldGroup):
    """Fields of an analog input."""

    _record_type = "ai"
    _dtype: ClassVar[ChannelType | None] = ChannelType.DOUBLE
    _declared_: ClassVar[tuple[FieldDeclaration, ...]] = (
        field("device_type", "DTYP", ENUM, "Device Type", menu=menus.dtyp_ai),
        field("high_alarm_limit", "HIGH", DOUBLE, "High Alarm Limit", link="upper_warning_limit"),
        field(
            "high_severity",
            "HSV",
            ENUM,
            "High Severity",
            value=1,
            menu=menus.menuAlarmSevr,
            put=put_limit_severity,
        ),
        field("hihi_alarm_limit", "HIHI", DOUBLE, "Hihi Alarm Limit", link="upper_alarm_limit"),
        field(
            "hihi_severity",
            "HHSV",
            ENUM,
            "Hihi Severity",
            value=2,
            menu=menus.menuAlarmSevr,
            put=put_limit_severity,
        ),
        field("lolo_alarm_limit", "LOLO", DOUBLE, "Lolo Alarm Limit", link="lower_alarm_limit"),
        field(
            "lolo_severity",
            "LLSV",
            ENUM,
            "Lolo Severity",
            value=2,
            menu=menus.menuAlarmSevr,
            put=put_limit_severity,
        ),
        field("low_alarm_limit", "LOW", DOUBLE, "Low Alarm Limit", link="lower_warning_limit"),
        field(
            "low_severity",
            "LSV",
            ENUM,
            "Low Severity",
            value=1,
            menu=menus.menuAlarmSevr,
            put=put_limit_severity,
        ),
        field(
            "high_operating_range", "HOPR", DOUBLE, "High Operating Range", link="upper_disp_limit"
        ),
        field(
            "low_operating_range", "LOPR", DOUBLE, "Low Operating Range", link="lower_disp_limit"
        ),
        field("current_raw_value", "RVAL", LONG, "Current Raw Value"),
        field("initialized", "INIT", INT, "Initialized?", read_only=True),
        field("last_val_monitored", "MLST", DOUBLE, "Last Val Monitored", read_only=True),
        field("last_value_alarmed", "LALM", DOUBLE, "Last Value Alarmed", read_only=True),
        field("last_value_archived", "ALST", DOUBLE, "Last Value Archived", read_only=True),
        field("lastbreak_point", "LBRK", INT, "LastBreak Point", read_only=True),
        field("previous_raw_value", "ORAW", LONG, "Previous Raw Value", read_only=True),
        field("raw_offset", "ROFF", LONG, "Raw Offset"),
        field("simulation_mode", "SIMM", ENUM, "Simulation Mode", menu=menus.menuSimm),
        field("simulation_value", "SVAL", DOUBLE, "Simulation Value"),
        field("alarm_deadband", "HYST", DOUBLE, "Alarm Deadband"),
        field("adjustment_offset", "AOFF", DOUBLE, "Adjustment Offset"),
        field("adjustment_slope", "ASLO", DOUBLE, "Adjustment Slope", value=1.0),
        field("engineer_units_full", "EGUF", DOUBLE, "Engineer Units Full"),
        field("engineer_units_low", "EGUL", DOUBLE, "Engineer Units Low"),
        field("linearization", "LINR", ENUM, "Linearization", menu=menus.menuConvert),
        field("raw_to_egu_offset", "EOFF", DOUBLE, "Raw to EGU Offset"),
        field("raw_to_egu_slope", "ESLO", DOUBLE, "Raw to EGU Slope", value=1.0),
        field("smoothing", "SMOO", DOUBLE, "Smoothing"),
        field("archive_deadband", "ADEL", DOUBLE, "Archive Deadband", link="log_atol"),
        field("display_precision", "PREC", INT, "Display Precision", link="precision"),
        field("engineering_units", "EGU", STRING, "Engineering Units", size=16, link="units"),
        field("monitor_deadband", "MDEL", DOUBLE, "Monitor Deadband", link="value_atol"),
        field("input_specification", "INP", STRING, "Input Specification", size=81),
        field("simulation_input_link", "SIOL", STRING, "Simulation Input Link", size=81),
        field("simulation_mode_link", "SIML", STRING, "Simulation Mode Link", size=81),
        field(
            "simulation_mode_severity",
            "SIMS",
            ENUM,
            "Simulation Mode Severity",
            menu=menus.menuAlarmSevr,
        ),
        field("alarm_filter_time_constant", "AFTC", DOUBLE, "Alarm Filter Time Constant"),
        field("alarm_filter_value", "AFVL", DOUBLE, "Alarm Filter Value", read_only=True),
        field(
            "prev_simulation_mode",
            "OLDSIMM",
            ENUM,
            "Prev. Simulation Mode",
            menu=menus.menuSimm,
            read_only=True,
        ),
        field("sim_mode_async_delay", "SDLY", DOUBLE, "Sim. Mode Async Delay", value=-1.0),
        field("sim_mode_scan", "SSCN", ENUM, "Sim. Mode Scan", menu=menus.menuScan),
    )


@register_record
class AoFields(RecordFieldGroup):
    """Fields of an analog output."""

    _record_type = "ao"
    _dtype: ClassVar[ChannelType | None] = ChannelType.DOUBLE
    _declared_: ClassVar[tuple[FieldDeclaration, ...]] = (
        field("device_type", "DTYP", ENUM, "Device Type", menu=menus.dtyp_ao),
        field("high_alarm_limit", "HIGH", DOUBLE, "High Alarm Limit", link="upper_warning_limit"),
        field(
            "high_severity",
            "HSV",
            ENUM,
            "High Severity",
            value=1,
            menu=menus.menuAlarmSevr,
            put=put_limit_severity,
        ),
        field("hihi_alarm_limit", "HIHI", DOUBLE, "Hihi Alarm Limit", link="upper_alarm_limit"),
        field(
            "hihi_severity",
            "HHSV",
            ENUM,
            "Hihi Severity",
            value=2,
            menu=menus.menuAlarmSevr,
            put=put_limit_severity,
        ),
        field("lolo_alarm_limit", "LOLO", DOUBLE, "Lolo Alarm Limit", link="lower_alarm_limit"),
        field(
            "lolo_severity",
            "LLSV",
            ENUM,
            "Lolo Severity",
            value=2,
            menu=menus.menuAlarmSevr,
            put=put_limit_severity,
        ),
        field("low_alarm_limit", "LOW", DOUBLE, "Low Alarm Limit", link="lower_warning_limit"),
        field(
            "low_severity",
            "LSV",
            ENUM,
            "Low Severity",
            value=1,
            menu=menus.menuAlarmSevr,
            put=put_limit_severity,
        ),
        field(
            "high_operating_range", "HOPR", DOUBLE, "High Operating Range", link="upper_disp_limit"
        ),
        field(
            "low_operating_range", "LOPR", DOUBLE, "Low Operating Range", link="lower_disp_limit"
        ),
        field("archive_deadband", "ADEL", DOUBLE, "Archive Deadband", link="log_atol"),
        field("last_value_archived", "ALST", DOUBLE, "Last Value Archived", read_only=True),
        field("adjustment_offset", "AOFF", DOUBLE, "Adjustment Offset"),
        field("adjustment_slope", "ASLO", DOUBLE, "Adjustment Slope"),
        field("desired_output_loc", "DOL", STRING, "Desired Output Loc", size=81),
        field("drive_high_limit", "DRVH", DOUBLE, "Drive High Limit", link="upper_ctrl_limit"),
        field("drive_low_limit", "DRVL", DOUBLE, "Drive Low Limit", link="lower_ctrl_limit"),
        field("engineering_units", "EGU", STRING, "Engineering Units", size=16, link="units"),
        field("eng_units_full", "EGUF", DOUBLE, "Eng Units Full"),
        field("eng_units_low", "EGUL", DOUBLE, "Eng Units Low"),
        field("egu_to_raw_offset", "EOFF", DOUBLE, "EGU to Raw Offset"),
        field("egu_to_raw_slope", "ESLO", DOUBLE, "EGU to Raw Slope", value=1.0),
        field("alarm_deadband", "HYST", DOUBLE, "Alarm Deadband"),
        field("initialized", "INIT", INT, "Initialized?", read_only=True),
        field("invalid_output_action", "IVOA", ENUM, "INVALID output action", menu=menus.menuIvoa),
        field("invalid_output_value", "IVOV", DOUBLE, "INVALID output value"),
        field("last_value_alarmed", "LALM", DOUBLE, "Last Value Alarmed", read_only=True),
        field("lastbreak_point", "LBRK", INT, "LastBreak Point", read_only=True),
        field("linearization", "LINR", ENUM, "Linearization", menu=menus.menuConvert),
        field("monitor_deadband", "MDEL", DOUBLE, "Monitor Deadband", link="value_atol"),
        field("last_val_monitored", "MLST", DOUBLE, "Last Val Monitored", read_only=True),
        field("out_full_incremental", "OIF", ENUM, "Out Full/Incremental", menu=menus.aoOIF),
        field(
            "prev_simulation_mode",
            "OLDSIMM",
            ENUM,
            "Prev. Simulation Mode",
            menu=menus.menuSimm,
            read_only=True,
        ),
        field("was_oval_modified", "OMOD", CHAR, "Was OVAL modified?", read_only=True),
        field("output_mode_select", "OMSL", ENUM, "Output Mode Select", menu=menus.menuOmsl),
        field("previous_raw_value", "ORAW", LONG, "Previous Raw Value", read_only=True),
        field("prev_readback_value", "ORBV", LONG, "Prev Readback Value", read_only=True),
        field("output_rate_of_change", "OROC", DOUBLE, "Output Rate of Change"),
        field("output_specification", "OUT", STRING, "Output Specification", size=81),
        field("output_value", "OVAL", DOUBLE, "Output Value"),
        field("display_precision", "PREC", INT, "Display Precision", link="precision"),
        field("previous_value", "PVAL", DOUBLE, "Previous value", read_only=True),
        field("readback_value", "RBV", LONG, "Readback Value", read_only=True),
        field("raw_offset", "ROFF", LONG, "Raw Offset"),
        field("current_raw_value", "RVAL", LONG, "Current Raw Value"),
        field("sim_mode_async_delay", "SDLY", DOUBLE, "Sim. Mode Async Delay", value=-1.0),
        field("simulation_mode_link", "SIML", STRING, "Simulation Mode Link", size=81),
        field("simulation_mode", "SIMM", ENUM, "Simulation Mode", menu=menus.menuYesNo),
        field(
            "simulation_mode_severity",
            "SIMS",
            ENUM,
            "Simulation Mode Severity",
            menu=menus.menuAlarmSevr,
        ),
        field("simulation_output_link", "SIOL", STRING, "Simulation Output Link", size=81),
        field("sim_mode_scan", "SSCN", ENUM, "Sim. Mode Scan", menu=menus.menuScan),
    )
