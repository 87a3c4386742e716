"""Text in the APIs of CaChannel and pyepics: what was written is read, in every kind of PV."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import epics_compat as epics
from cachannel import ca
from cachannel.channel import CaChannel
from cachannel.many import get_many
from cachannel.util import caget, caput
from epics_compat.autosave import restore_pvs, save_pvs
from support.calls import Events
from support.ioc import SoftIoc
from support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("text_ioc")

TEXTS = ["5 \u00b5m, 20 \u00b0C, \u65e5\u672c", "caf\u00e9", "\U0001f600", "plain", ""]
ENCODED = "case:text", "case:long", "case:lso.VAL$"

DATABASE = b"""
record(waveform, "case:long") { field(FTVL, "CHAR") field(NELM, "100") }
record(waveform, "case:short") { field(FTVL, "CHAR") field(NELM, "6") }
record(waveform, "case:strings") { field(FTVL, "STRING") field(NELM, "3") }
record(lso, "case:lso") { field(SIZV, "100") }
record(stringout, "case:text") {}
record(ao, "case:number") { field(EGU, "\xb0C") field(PREC, "1") }
record(mbbo, "case:state") {
    field(ZRST, "zu") field(ZRVL, "0") field(ONST, "ge\xf6ffnet") field(ONVL, "1")
    field(TWST, "\xc3\xb6ffnend") field(TWVL, "2")
}
"""


@pytest.fixture(scope="module")
def text_ioc(
    ports: Any, loopback_only: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SoftIoc]:
    """A soft IOC whose database has bytes that are not valid UTF-8."""
    database = tmp_path_factory.mktemp("text") / "text.db"
    database.write_bytes(DATABASE)
    with SoftIoc([database], port=ports.other, repeater_port=ports.repeater) as ioc:
        yield ioc
    epics.pv.clear_pvcache()


def connected(name: str) -> CaChannel:
    channel = CaChannel(name)
    channel.setTimeout(60)
    channel.searchw()
    return channel


@pytest.mark.parametrize("name", ENCODED)
@pytest.mark.parametrize("text", TEXTS)
def test_epics_compat_reads_what_it_wrote(name: str, text: str) -> None:
    pv = epics.get_pv(name, connect=True, timeout=60)
    events = Events()
    pv.add_callback(lambda char_value=None, **kws: events(char_value), index="text")
    try:
        pv.put(text, wait=True)
        assert pv.get(as_string=True) == text
        assert pv.get(as_string=True, use_monitor=False) == text
        assert pv.char_value == text
        assert epics.caget(name, as_string=True) == text
        assert epics.caget_many([name], as_string=True) == [text]
        assert epics.ca.get(pv.chid, as_string=True) == text
        pv.put(text.encode(), wait=True)
        assert pv.get(as_string=True, use_monitor=False) == text
        pv.put("other", wait=True)
        pv.put(text, wait=True)
        assert events.until(lambda shown: shown == text) == text
    finally:
        pv.remove_callback("text")


@pytest.mark.parametrize("name", ENCODED)
@pytest.mark.parametrize("text", TEXTS[:-1])
def test_cachannel_reads_what_it_wrote(name: str, text: str) -> None:
    channel = connected(name)
    channel._put_wait(text)
    assert channel.getw(ca.DBR_STRING) == text
    assert caget(name, as_string=True) == text
    assert get_many([channel], as_string=True) == [text]
    caput(name, text.encode(), wait=True)
    assert caget(name, as_string=True) == text


@pytest.mark.parametrize("name", ENCODED)
def test_bytes_that_are_not_utf8_are_latin1(name: str) -> None:
    channel = connected(name)
    channel._put_wait(b"caf\xe9")
    assert channel.getw(ca.DBR_STRING) == "caf\u00e9"
    assert caget(name, as_string=True) == "caf\u00e9"
    assert epics.caget(name, as_string=True, use_monitor=False) == "caf\u00e9"


def test_units_and_states_of_any_database() -> None:
    number, state = epics.PV("case:number"), epics.PV("case:state")
    assert number.wait_for_connection(60)
    assert state.wait_for_connection(60)
    assert number.units == "\u00b0C"
    assert state.enum_strs == ("zu", "ge\u00f6ffnet", "\u00f6ffnend")
    assert connected("case:number").getw(ca.DBR_CTRL_DOUBLE)["pv_units"] == "\u00b0C"
    states = connected("case:state").getw(ca.DBR_CTRL_ENUM)["pv_statestrings"]
    assert states == ("zu", "ge\u00f6ffnet", "\u00f6ffnend")


@pytest.mark.parametrize(
    "given",
    [
        "ge\u00f6ffnet", np.str_("ge\u00f6ffnet"), b"ge\xf6ffnet", np.bytes_(b"ge\xf6ffnet"),
        ["ge\u00f6ffnet"], np.array(["ge\u00f6ffnet"]), np.array("ge\u00f6ffnet"),
        np.array(["ge\u00f6ffnet"], dtype=object), np.array([b"ge\xf6ffnet"]),
    ],
)  # fmt: skip
def test_state_by_name_in_epics_compat(given: Any) -> None:
    pv = epics.get_pv("case:state", connect=True, timeout=60)
    pv.put(0, wait=True)
    pv.put(given, wait=True)
    assert pv.get(use_monitor=False) == 1
    assert pv.get(as_string=True, use_monitor=False) == "ge\u00f6ffnet"
    assert epics.caput_many(["case:state"], [0], wait="all") == [1]
    assert epics.caput_many(["case:state"], [given], wait="all") == [1]
    assert epics.caget("case:state", use_monitor=False) == 1


@pytest.mark.parametrize(
    "given",
    [
        "\u00f6ffnend", np.str_("\u00f6ffnend"), np.bytes_("\u00f6ffnend".encode()),
        ["\u00f6ffnend"], np.array(["\u00f6ffnend"]), np.array("\u00f6ffnend"),
    ],
)  # fmt: skip
def test_state_by_name_in_cachannel(given: Any) -> None:
    channel = connected("case:state")
    channel._put_wait(0)
    channel._put_wait(given)
    assert channel.getw() == 2
    caput("case:state", 0, wait=True)
    caput(["case:state"], [given], wait=True)
    assert caget("case:state") == 2


@pytest.mark.parametrize(
    "given",
    [["a", "\u00b5m"], ("a", b"\xb5m"), np.array(["a", "\u00b5m"]), np.array([b"a", b"\xb5m"]),
     np.array(["a", "\u00b5m"], dtype=object)],
)  # fmt: skip
def test_arrays_of_text(given: Any) -> None:
    pv = epics.get_pv("case:strings", connect=True, timeout=60)
    channel = connected("case:strings")
    for put in (lambda: pv.put(given, wait=True), lambda: channel._put_wait(given)):
        channel._put_wait(["", "", ""])
        put()
        assert channel.getw(count=2) == ["a", "\u00b5m"]
        assert pv.get(use_monitor=False).tolist()[:2] == ["a", "\u00b5m"]


@pytest.mark.parametrize("given", ["text", np.str_("text"), np.bytes_(b"text"), ["text"],
                                   np.array(["text"]), np.array("text")])  # fmt: skip
@pytest.mark.parametrize("name", ENCODED)
def test_numpy_text_in_every_kind_of_text_pv(name: str, given: Any) -> None:
    pv = epics.get_pv(name, connect=True, timeout=60)
    channel = connected(name)
    for put in (lambda: pv.put(given, wait=True), lambda: channel._put_wait(given)):
        channel._put_wait("other")
        put()
        assert pv.get(as_string=True, use_monitor=False) == "text"


def test_text_that_is_too_long_is_not_cut_inside_a_character() -> None:
    pv = epics.get_pv("case:short", connect=True, timeout=60)
    pv.put("abcde\u00b5", wait=True)
    assert pv.get(as_string=True, use_monitor=False) == "abcde"
    connected("case:short")._put_wait("12345\u00b5")
    assert pv.get(as_string=True, use_monitor=False) == "12345"


@pytest.mark.parametrize("text", [TEXTS[0], TEXTS[2]])
def test_autosave_brings_the_text_back(tmp_path: Path, text: str) -> None:
    request, saved = tmp_path / "case.req", tmp_path / "case.sav"
    request.write_text("\n".join(ENCODED) + "\n", encoding="utf-8")
    for name in ENCODED:
        epics.caput(name, text, wait=True, connection_timeout=60)
    save_pvs(str(request), str(saved))
    for name in ENCODED:
        epics.caput(name, "x", wait=True)
    assert restore_pvs(str(saved))
    for name in ENCODED:
        wait_until(
            lambda name=name: epics.caget(name, as_string=True, use_monitor=False) == text,
            what=f"the text of {name}",
        )


@pytest.mark.parametrize(
    ("encoding", "text", "data"),
    [
        ("latin-1", "5 \u00b5m", b"5 \xb5m"),
        ("cp1252", "5 \u20ac", b"5 \x80"),
        ("ascii", "5 \u00b5m", b"5 \xc2\xb5m"),
        ("no-such-encoding", "plain", b"plain"),
    ],
)
def test_the_encoding_of_the_environment(
    text_ioc: SoftIoc, encoding: str, text: str, data: bytes
) -> None:
    """PYEPICS_ENCODING is used both ways; a text that it cannot hold is written as UTF-8."""
    program = f"""
import epics_compat as epics
for name in {ENCODED!r}:
    pv = epics.get_pv(name, connect=True, timeout=60)
    try:
        pv.put({text!r}, wait=True)
    except LookupError:
        pv.put({data!r}, wait=True)
    assert pv.get(as_string=True, use_monitor=False) == {text!r}, name
    if name != "case:text":
        assert bytes(pv.get(use_monitor=False)).rstrip(b"\\0") == {data!r}, name
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYEPICS_ENCODING": encoding},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
