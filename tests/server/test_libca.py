"""Clients of EPICS' own libca against our server, through ctypes in a process of their own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from server_wire import Process, environment

HERE = Path(__file__).parent


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def results(request):
    """What libca_client.py found out about libca_ioc.py."""
    command = [str(HERE / "libca_ioc.py"), "--async-lib", request.param]
    with Process(command, ready="READY") as process:
        result = subprocess.run(
            [sys.executable, str(HERE / "libca_client.py")],
            env={**environment(process.port), "EPICS_CA_MAX_ARRAY_BYTES": "10000000"},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert result.returncode == 0, result.stderr + process.output()
        yield json.loads(result.stdout)


def test_connect(results):
    """Two thousand channels connect in one go, with the right types and rights."""
    assert results["connected"] == 2000
    assert results["types"] == {"d": [6, 1, 3], "t": [4, 100, 3], "e": [3, 1, 3], "ro": [5, 1, 1],
                                "array": [6, 200000, 3]}  # fmt: skip


def test_gets(results):
    """Values arrive, also of large arrays, and padded when more is asked for."""
    assert results["get"] == 1.5
    assert results["array"] == [199999.0, 200000]
    assert results["padded"] == [1.0, 2.0, 0.0, 0.0]


def test_puts(results):
    """Completion says success, failure and missing access; a put is seen by the next get."""
    assert results["put"] == [1, 7.5]
    assert results["put failed"] == 160
    assert results["put read only"] == 376
    assert results["bulk"] == [20000, 19999.0]
    assert results["slow put"] == 1


def test_monitors(results):
    """Every event of a burst arrives, in order; the mask is respected."""
    assert results["events"] == list(range(500))
    assert results["property events"] == 1


def test_no_complaints(results):
    """libca has nothing to say about our messages."""
    assert results["exceptions"] == []
