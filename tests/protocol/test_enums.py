"""The two families of enumerations: numbers, names, texts."""

import pickle
import subprocess
import sys

import pytest

from cachannel.protocol import channel_types as ct, enums, status_codes
from cachannel.protocol.enums import CA_K, DBE, DBF, DBR, ECA, AlarmCondition, ChannelState

FAMILY = [
    enums.CA_K,
    enums.CA_OP,
    enums.CA_PRIORITY,
    enums.DBE,
    enums.DBF,
    enums.DBR,
    enums.ECA,
    enums.AlarmCondition,
    enums.AlarmSeverity,
    enums.ChannelState,
]


@pytest.mark.parametrize("cls", FAMILY)
def test_text_and_number(cls):
    """str() names class and member, every way of formatting gives the number."""
    for member in cls:
        number = int(member)
        assert str(member) == f"{cls.__name__}.{member.name}"
        assert repr(member) == f"<{cls.__name__}.{member.name}: {number}>"
        assert f"{member}" == format(member) == "%d" % member == str(number)  # noqa: UP031
        assert f"{member:5d}" == f"{number:5d}"
        assert pickle.loads(pickle.dumps(member)) is member


def test_names_of_both_backends():
    """Where the old backends disagree, both names are the same member."""
    assert ECA.CHIDNOTFOUND is ECA.CHIDNOTFND
    assert AlarmCondition.Lolo is AlarmCondition.LoLo
    assert AlarmCondition.Scam is AlarmCondition.Scan
    assert DBE.LOG is DBE.ARCHIVE
    assert DBF.INVALID is DBF.NOTCONN
    assert DBF.NOTCONN.name == "NOTCONN"
    assert DBR.LAST_BUFFER_TYPE is DBR.CLASS_NAME
    assert DBR.LAST_BUFFER_TYPE.name == "CLASS_NAME"
    for group in ("", "STS_", "TIME_", "GR_", "CTRL_"):
        member = DBR[f"{group}INT"]
        assert member is DBR[f"{group}SHORT"]
        assert member.name == f"{group}SHORT"
    assert enums.CA_PRIORITY.OPI is enums.CA_PRIORITY.DEFAULT is enums.CA_PRIORITY.MIN


def test_masks_combine_to_plain_ints():
    """A combination of event mask bits is an int, not a member."""
    mask = DBE.VALUE | DBE.ALARM
    assert type(mask) is int
    assert mask == 5


def test_dbr_predicates():
    """Base types go by the number modulo seven, groups by range; INVALID is nothing."""
    bases = ["STRING", "SHORT", "FLOAT", "ENUM", "CHAR", "LONG", "DOUBLE"]
    for index, name in enumerate(bases):
        assert [int(t) for t in DBR if getattr(t, f"is{name}")()] == list(range(index, 39, 7))
    for index, name in enumerate(["Plain", "STS", "TIME", "GR", "CTRL"]):
        expected = list(range(7 * index, 7 * index + 7))
        assert [int(t) for t in DBR if getattr(t, f"is{name}")()] == expected


def test_field_type_conversions():
    """A field type gives the request type of each group, NOTCONN gives INVALID."""
    for t in DBF:
        for shift, convert in ((7, t.toSTS), (14, t.toTIME), (21, t.toGR), (28, t.toCTRL)):
            expected = DBR.INVALID if t < 0 else DBR(t + shift)
            assert convert() is expected


def test_tables_and_functions_never_guess():
    """Table lookups give members for known numbers and the number itself for others."""
    assert [int(t) for t in enums.DBR_BY_NUMBER] == list(range(39))
    assert [int(t) for t in enums.DBF_BY_NUMBER] == list(range(7))
    assert enums.eca(1) is ECA.NORMAL
    assert enums.alarm_severity(2) is enums.AlarmSeverity.Major
    assert enums.alarm_condition(17) is AlarmCondition.UDF
    assert enums.CHANNEL_STATES[2] is ChannelState.CONN
    for function in (enums.eca, enums.alarm_severity, enums.alarm_condition):
        for number in (-1, 4711):
            assert function(number) == number
            assert type(function(number)) is int


def test_status_texts():
    """Each status has libca 7's text; the severity is in the code's lowest bits."""
    assert ECA.NORMAL.message() == "Normal successful completion"
    assert ECA.BADTYPE.message() == "The data type specified is invalid"
    assert ECA.UNRESPTMO.message() == "Virtual circuit unresponsive"
    assert ECA.NORMAL.severity() is CA_K.SUCCESS
    assert ECA.INTERNAL.severity() is CA_K.FATAL
    assert enums.eca_message(0) == ECA.NORMAL.message()
    for unknown in (-8, 61 << 3, 10**9):
        assert "known only by server" in enums.eca_message(unknown)


def test_status_texts_are_those_of_libca():
    """Every text equals what ca_message() of the library that is built against says."""
    code = (
        "import ctypes, json\n"
        "from epicscorelibs.path import get_lib\n"
        "ca = ctypes.CDLL(get_lib('ca'))\n"
        "ca.ca_message.restype = ctypes.c_char_p\n"
        "ca.ca_message.argtypes = [ctypes.c_long]\n"
        "print(json.dumps([ca.ca_message(8 * n).decode() for n in range(64)]))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert eval(result.stdout) == [enums.eca_message(8 * n) for n in range(64)]


def test_type_texts():
    """Texts of types convert both ways; what does not exist is told as such."""
    for t in enums.DBR_BY_NUMBER:
        assert enums.dbr_text_to_type(enums.dbr_text(t)) is t
    for t in DBF:
        assert enums.dbf_text_to_type(enums.dbf_text(t)) is t
    assert enums.dbf_text(-1) == "TYPENOTCONN"
    assert enums.dbf_text(7) == "DBF_invalid"
    assert enums.dbr_text(1) == "DBR_SHORT"
    assert enums.dbr_text(-1) == enums.dbr_text(39) == "DBR_invalid"
    assert enums.dbf_text_to_type("DBF_INT") is DBF.NOTCONN
    assert enums.dbr_text_to_type("nothing") is DBR.INVALID


def test_second_family_has_the_same_numbers():
    """ChannelType, AlarmStatus and the others number as the first family does."""
    for t in ct.ChannelType:
        name = t.name.replace("INT", "SHORT") if t.name.endswith("INT") else t.name
        assert DBR[name] == t
    assert [int(s) for s in ct.AlarmStatus] == list(range(22))
    assert [s.name for s in ct.AlarmSeverity] == [
        "NO_ALARM",
        "MINOR_ALARM",
        "MAJOR_ALARM",
        "INVALID_ALARM",
    ]
    assert int(ct.AccessRights.READ | ct.AccessRights.WRITE) == 3
    assert int(ct.SubscriptionType.DBE_VALUE | ct.SubscriptionType.DBE_PROPERTY) == 9
    assert {s.value.code for s in status_codes.CAStatus} == set(range(61))


def test_status_tuples():
    """A CAStatus member carries name, numbers, severity, success and text."""
    normal = status_codes.CAStatus.ECA_NORMAL.value
    assert normal == (
        "ECA_NORMAL",
        0,
        1,
        status_codes.CASeverity.SUCCESS,
        1,
        False,
        "Normal successful completion",
    )
    assert status_codes.ca_status(376) is status_codes.CAStatus.ECA_NOWTACCESS.value
    assert status_codes.CAStatus.ECA_16KARRAYCLIENT.value.name == "ECA_16KARRAYCLIENT"
    assert status_codes.ca_status(485).code == 60
    assert str(status_codes.CASeverity.ERROR) == "ERROR"


def test_type_sets():
    """native_type and field_types agree with the type sets."""
    for t in ct.ChannelType:
        if t < 35:
            assert ct.native_type(t) == t % 7
            assert ct.field_types["native"][t] == t % 7
            assert ct.field_types["time"][t] == t % 7 + 14
    assert ct.field_types["graphic"][ct.ChannelType.DOUBLE] is ct.ChannelType.GR_DOUBLE
    assert ct.field_types["graphic"][ct.ChannelType.STRING] is ct.ChannelType.STS_STRING
    assert ct.field_types["control"][ct.ChannelType.STRING] is ct.ChannelType.TIME_STRING
    with pytest.raises(ValueError, match="39"):
        ct.native_type(39)


def test_import_is_light():
    """The protocol package loads neither NumPy nor ctypes, no library, no second set of enums."""
    code = (
        "import sys, cachannel.protocol.enums, cachannel.protocol.dbr\n"
        "import cachannel.protocol.channel_types\n"
        "heavy = {'numpy', 'ctypes', 'cffi', '_cffi_backend', 'epicscorelibs', 'asyncio'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.stdout.strip(), result.stderr) == ("[]", "")
