"""Save files: texts that are hard to keep on a line, and files of other programs."""

from pathlib import Path

import pytest

import epics_compat as epics
from epics_compat.autosave import AutoSaver, restore_pvs, save_pvs
from support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("ioc")

TEXT_PVS = ["castring", "calongtext"]


def put(name: str, value: object) -> None:
    assert epics.caput(name, value, wait=True, connection_timeout=60) == 1


def reads(name: str, text: str) -> None:
    wait_until(lambda: epics.caget(name, as_string=True, use_monitor=False) == text, what=text)


@pytest.mark.parametrize(
    "text",
    ["", "two words", "  indented", "@array@ [1]", "<END>", "# no comment", "a\nb", "\u2028x"],
)
def test_a_text_comes_back(tmp_path: Path, text: str) -> None:
    request, saved = tmp_path / "case.req", tmp_path / "case.sav"
    request.write_text("\n".join([*TEXT_PVS, "calong"]))
    for name in TEXT_PVS:
        put(name, text)
    put("calong", 5)
    save_pvs(str(request), str(saved))
    for name in TEXT_PVS:
        put(name, "something else")
    put("calong", 6)
    assert restore_pvs(str(saved))
    for name in TEXT_PVS:
        reads(name, text)
    wait_until(lambda: epics.caget("calong", use_monitor=False) == 5)


def test_a_name_alone_is_an_empty_text(tmp_path: Path) -> None:
    """Editors and other programs take the space at the end of a line away."""
    saved = tmp_path / "case.sav"
    saved.write_text("# comment\n! 1 channel not connected\ncastring\r\ncalongtext\n\n<END>\n")
    for name in TEXT_PVS:
        put(name, "full")
    assert restore_pvs(str(saved))
    for name in TEXT_PVS:
        reads(name, "")


def test_an_empty_text_for_a_number_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = tmp_path / "case.sav"
    saved.write_text("calong\ncawave\ncastring behind it\n")
    put("castring", "full")
    put("cawave", [1, 2])
    assert not restore_pvs(str(saved))
    told = capsys.readouterr().out
    assert "Cannot restore calong" in told
    assert "Cannot restore cawave" in told
    reads("castring", "behind it")
    assert epics.caget("cawave", use_monitor=False).tolist() == [1, 2]


def test_files_in_latin1(tmp_path: Path) -> None:
    request, saved = tmp_path / "case.req", tmp_path / "case.sav"
    request.write_bytes(b"castring # \xb5m\n")
    assert [pv.pvname for pv in AutoSaver(str(request)).pvs] == ["castring"]
    saved.write_bytes(b"castring 5 \xb5m\n")
    assert restore_pvs(str(saved))
    reads("castring", "5 \u00b5m")


def test_a_state_of_a_device_leaves_out_what_was_not_read() -> None:
    device = epics.Device("ca", attrs=["test", "scratch1"])
    assert all(device.PV(attr, timeout=60).connected for attr in ("test", "scratch1"))
    device.put("scratch1", 4.0, wait=True)
    device.restore_state({"test": 3.0, "scratch1": None})
    wait_until(lambda: device.PV("test").get(use_monitor=False) == 3.0)
    assert device.PV("scratch1").get(use_monitor=False) == 4.0
