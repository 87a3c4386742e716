"""Run EPICS base's command line tools and ours side by side on one soft IOC.

``python tests/cli/against_base.py FOLDER [WORD...]``: FOLDER holds ``caget``, ``caput``,
``camonitor`` and ``cainfo`` of EPICS base 7; with words, only cases that contain one of them run.
Every difference of standard output, of standard error or of the exit status is printed; the exit
status is 1 when there was one. What was found is kept as text for `test_cli_as_base.py`, so this
program is needed only when a new release of base shall be compared.
"""

import difflib
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from support.ioc import SoftIoc, clean_environment  # noqa: E402

STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}")
FIELDS = [
    "double.DESC",
    "double.EGU",
    "double.SCAN",
    "double.HSV",
    "lsi",
    "lsi.VAL$",
    "double.DESC$",
    "ctl.VAL$",
    "string.UDF",
    "double.PREC",
    "wd.NORD",
    "double.RTYP",
    "bo.ZNAM",
]
COMMANDS = {"caget": "get", "caput": "put", "camonitor": "monitor", "cainfo": "info"}


def read_cases(names: list[str]) -> list[list[str]]:
    """Read `cases.txt`; ``@EVERY`` there stands for these names."""
    cases = []
    for line in (HERE / "cases.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            words = shlex.split(line)
            every = words[-1] == "@EVERY"
            cases.append([*words[:-1], *names] if every else words)
    return cases


def normal(text: str, prefix: str, *, stamps: bool) -> str:
    """Make outputs comparable, without what is different on purpose.

    Those are colours where there is no terminal, the frame around exceptions of libca, and the
    names of the tools.
    """
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    text = re.sub(rf"\b{prefix}(?=[a-z])", "P", text)
    text = re.sub(r"CA\.Client\.Exception(.|\n)*?\n\.{60,}\n", "", text)
    for tool, command in COMMANDS.items():
        text = text.replace(f"'{tool} -h'", f"'cachannel {command} -h'")
    if stamps:
        text = STAMP.sub("<stamp>", text)
    return text


def run(
    arguments: list[str], environment: dict[str, str], follow: float | None
) -> tuple[str, str, int]:
    """Run a command; with ``follow`` it is interrupted after so many seconds."""
    process = subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        out, err = process.communicate(timeout=follow or 20)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT if follow else signal.SIGKILL)
        out, err = process.communicate()
    decode = "utf-8", "surrogateescape"
    return out.decode(*decode), err.decode(*decode), process.returncode


def compare(case: list[str], folder: Path, environment: dict[str, str]) -> list[str]:
    """Run one case in both; return the lines of the differences."""
    tool, *arguments = case
    stamps = tool in ("caput",) or any(a.startswith("-t") and "c" in a for a in arguments)
    prefixes = ("a:", "b:") if tool == "caput" else ("a:", "a:")
    found = []
    for prefix, command in zip(
        prefixes, ([str(folder / tool)], [sys.executable, "-m", "cachannel", COMMANDS[tool]]),
        strict=True,
    ):  # fmt: skip
        shown = [re.sub(r"^P(?=[a-z])", prefix, argument) for argument in arguments]
        follow = 1.2 if tool == "camonitor" else None
        out, err, code = run([*command, *shown], environment, follow)
        if tool == "camonitor":  # the order of first updates is the network's
            out = "\n".join(sorted(out.split("\n")))
        texts = [normal(text, prefix, stamps=stamps) for text in (out, err)]
        found.append([*texts, f"exit status {code}\n"])
    differences = []
    for what, ours, base in zip(("stdout", "stderr", "code"), found[1], found[0], strict=True):
        if ours != base:
            differences += difflib.unified_diff(
                base.splitlines(),
                ours.splitlines(),
                f"base {what}",
                f"ours {what}",
                lineterm="",
                n=0,
            )
    return differences


def main() -> int:
    """Compare everything."""
    folder, words = Path(sys.argv[1]), sys.argv[2:]
    database = (HERE / "base.db").read_text(encoding="utf-8")
    records = re.findall(r'record\(\w+, "\$\(P\)(\w+)"', database)
    records = [name for name in records if not name.startswith(("noaccess", "slow", "wtext"))]
    # Base prints what was in its memory when text of this one is refused.
    records.remove("we")
    databases = [database.replace("$(P)", prefix) for prefix in ("a:", "b:")]
    different = total = 0
    with SoftIoc(databases, acf=HERE.parent / "support" / "records.acf") as ioc:
        environment = clean_environment() | ioc.env | {"CACHANNEL_REPEATER": "NO"}
        environment["PYTHONPATH"] = str(HERE.parents[1])
        start = time.monotonic()
        for case in read_cases([f"P{name}" for name in [*records, *FIELDS]]):
            shown = " ".join(repr(word) if not word or " " in word else word for word in case)
            if words and not any(word in shown for word in words):
                continue
            total += 1
            differences = compare(case, folder, environment)
            if differences:
                different += 1
                sys.stdout.write(f"=== {shown[:200]}\n" + "\n".join(differences) + "\n")
    sys.stdout.write(f"{total} cases, {different} differ, {time.monotonic() - start:.0f} s\n")
    return int(bool(different))


if __name__ == "__main__":
    os.environ.setdefault("LC_ALL", "C.UTF-8")
    sys.exit(main())
