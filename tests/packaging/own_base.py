"""A build against an EPICS base of the user's own: ``make test-own-base``.

The base is made of the package `epicscorelibs` of an older version, whose libca lacks a function
that the newer one has: its headers and libraries are laid out as EPICS base installs them. The
package is built against it, with ``EPICS_BASE`` and ``pip install``, in a new environment. Then

* the environment has no `epicscorelibs`, and the extension looks for libca in the base only,
* the demo and a script with monitors work and end with status 0,
* they do so with a newer `epicscorelibs` beside it, with one libca in the process,
* with a libca that has become older, and without the base, the import fails with a sentence that
  names the base.

Needs a package index. Ends with status 1 at the first expectation that does not hold.
"""

import contextlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent))

from support.ioc import clean_environment  # noqa: E402
from support.ports import client_environment, free_port, server_environment  # noqa: E402

OLD = "epicscorelibs==7.0.7.99.1.2"
NEW = "epicscorelibs==7.0.10.99.0.*"
RUNS = 3
LEFT_OUT = (".*", "build", "dist", "_build", "*.egg-info", "*.so", "__pycache__")

# Monitors of the three layers, the answers of which the script waits for, and an ordinary end.
MONITORS = """
import threading
from pathlib import Path
from CaChannel import CaChannel, ca
import epics_compat
from cachannel.threading.client import Context

seen = {"CaChannel": [], "epics_compat": [], "threading": []}
enough = threading.Event()

def note(api, value):
    seen[api].append(value)
    if all(len(values) >= 3 for values in seen.values()):
        enough.set()

channel = CaChannel("demo:temperature")
channel.searchw()
channel.add_masked_array_event(ca.DBR_TIME_DOUBLE, None, None,
                               lambda event, _: note("CaChannel", event["pv_value"]))
channel.flush_io()
pv = epics_compat.PV("demo:temperature",
                     callback=lambda value=None, **_: note("epics_compat", value))
(other,) = Context().get_pvs("demo:temperature")
other.wait_for_connection(timeout=10)
subscription = other.subscribe(data_type="time")

def changed(_, response):
    note("threading", response.data[0])

subscription.add_callback(changed)
for number in range(100):
    channel.putw(20.0 + number % 5)
    if enough.wait(0.1):
        break
assert enough.is_set(), seen
loaded = {Path(line.split()[-1]).name for line in open("/proc/self/maps") if ".so" in line}
print(sorted(name for name in loaded if name.startswith(("libca.", "libCom."))))
"""


def say(text: str) -> None:
    """Print one line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def run(*words: object, status: int = 0, **environment: str) -> str:
    """Run a program; return what it printed. The end with another status is an error."""
    done = subprocess.run(
        [str(word) for word in words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        cwd=tempfile.gettempdir(),
        env=clean_environment() | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"} | environment,
        timeout=300,
        check=False,
    )
    if done.returncode != status:
        sys.exit(f"{' '.join(map(str, words))[:200]}\nended with {done.returncode}:\n{done.stdout}")
    return done.stdout


@contextlib.contextmanager
def served(python: Path) -> Iterator[dict[str, str]]:
    """Run the IOC of the demo; the value is the environment of its clients."""
    port, repeater = free_port(), free_port()
    process = subprocess.Popen(
        [str(python), "-c", "from cachannel.demo_ioc import serve_for_parent as f; f()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=clean_environment() | server_environment(port, repeater),
        cwd=tempfile.gettempdir(),
    )
    try:
        process.stdout.readline()
        yield client_environment([port], repeater) | {"CACHANNEL_REPEATER": "NO"}
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


def lay_out(wheel: Path, base: Path, arch: str) -> None:
    """Make a tree like that of an EPICS base out of a wheel of epicscorelibs."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            top, _, rest = name.partition("/")
            folder, _, file = rest.partition("/")
            if top != "epicscorelibs" or not file or name.endswith("/"):
                continue
            if folder == "include":
                target = base / "include" / file
            elif folder == "lib" and ".so" in file:
                target = base / "lib" / arch / file
            else:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(name))
    (base / "lib" / "pkgconfig").mkdir()


def main() -> None:
    """Build, and look at what was built."""
    with tempfile.TemporaryDirectory(prefix="own-base-") as scratch:
        work = Path(scratch)
        base, venv, arch = work / "base", work / "venv", f"linux-{platform.machine()}"
        python = venv / "bin" / "python"
        run(
            sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
            "--only-binary=:all:", "--python-version=3.11", "--dest", work, OLD,
        )  # fmt: skip
        (wheel,) = work.glob("*.whl")
        lay_out(wheel, base, arch)
        header = (base / "include" / "cadef.h").read_text()
        assert "ca_host_minor_protocol" not in header, f"{OLD} is too new for this test"

        # A copy: pip leaves what it builds in the folder.
        shutil.copytree(ROOT, work / "source", ignore=shutil.ignore_patterns(*LEFT_OUT))
        run(sys.executable, "-m", "venv", venv)
        run(python, "-m", "pip", "install", "--quiet", work / "source", EPICS_BASE=str(base))
        say(f"built against {OLD}")

        listed = run(python, "-m", "pip", "list", "--format=freeze")
        assert "epicscorelibs" not in listed, listed
        (extension,) = venv.glob("lib/python*/site-packages/cachannel/_native/_cachannel.*")
        dynamic = run("readelf", "--dynamic", extension)
        folders = re.findall(r"R(?:UN)?PATH\).*\[(.*)\]", dynamic)
        assert folders == [str(base / "lib" / arch)], folders
        assert ".symtab" not in run("readelf", "--sections", extension), "not stripped"

        def work_well(beside: str) -> None:
            run(python, "-m", "cachannel", "demo")
            with served(python) as environment:
                for _ in range(RUNS):
                    loaded = run(python, "-c", MONITORS, **environment)
                    assert loaded == "['libCom.so.7.0.7.99.1', 'libca.so.7.0.7.99.1']\n", loaded
            say(f"demo and monitors work {beside}, and end with status 0")

        work_well("without epicscorelibs")
        run(python, "-m", "pip", "install", "--quiet", "--no-deps", NEW)
        work_well("beside a newer epicscorelibs")

        library = base / "lib" / arch / "libca.so.7.0.7.99.1"
        data = library.read_bytes()
        library.write_bytes(data.replace(b"\0ca_version\0", b"\0xa_version\0"))
        last = run(python, "-c", "import cachannel.ca", status=1).splitlines()[-1]
        start = f"ImportError: cachannel was built against the EPICS base {base} and cannot use"
        assert last.startswith(start) and "no function ca_version: it is older" in last, last
        library.write_bytes(data)
        say("with a libca that lacks a function the import says so")

        shutil.move(base, work / "elsewhere")
        said = run(python, "-c", "import cachannel.ca", status=1)
        last = said.splitlines()[-1]
        assert last.startswith("ImportError: cachannel was built against the EPICS base "), said
        assert str(base) in last, said
        say("without the base the import names it")
        run(
            python, "-c", "import cachannel.ca",
            LD_LIBRARY_PATH=str(work / "elsewhere" / "lib" / arch),
        )  # fmt: skip
        say("a base that has moved is found by LD_LIBRARY_PATH")


if __name__ == "__main__":
    os.environ.pop("PYTHONPATH", None)
    main()
