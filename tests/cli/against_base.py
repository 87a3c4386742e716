"""Run EPICS base's command line tools and ours side by side on one soft IOC.

``python tests/cli/against_base.py FOLDER [WORD...]``: FOLDER holds ``caget``, ``caput``,
``camonitor`` and ``cainfo`` of EPICS base 7; with words, only cases that contain one of them run.
Every difference of standard output, of standard error or of the exit status is printed; the exit
status is 1 when there was one. What was found is kept as plain text in `test_as_base.py`, so this
program is needed only when a new release of base shall be compared.
"""

import difflib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from support.ioc import SoftIoc, clean_environment  # noqa: E402

STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}")
COMMANDS = {"caget": "get", "caput": "put", "camonitor": "monitor", "cainfo": "info"}
SCALARS = (
    "double high hihi huge half nan inf minf undefined long biglong int64 string empty ctl utf bo "
    "bonames mbbo mbboout wone a_name_that_is_longer_than_thirty_columns neg bigprec disabled read"
).split()
ARRAYS = "wd wf wh wus wl wul wc wfull wcut wuc ws we wempty wcempty wsempty compress".split()
FIELDS = "double.DESC double.EGU double.SCAN double.HSV lsi lsi.VAL$ double.DESC$ ctl.VAL$".split()
FIELDS += ["string.UDF", "double.PREC", "wd.NORD", "double.RTYP", "bo.ZNAM"]
EVERY = [*SCALARS, *ARRAYS, *FIELDS]
TYPES = [str(number) for number in range(39)]
NAMES = "STRING DBR_INT short DBR_TIME_SHORT TIME_DOUBLE CTRL_ENUM STSACK_STRING CLASS_NAME".split()
NAMES += ["time_double", "DBF_DOUBLE", "BOGUS", "39", "99", "-1", "GR_STRING", "ctrl_string", ""]


def get_cases() -> list[list[str]]:
    flags = [
        [], ["-t"], ["-a"], ["-n"], ["-s"], ["-S"], ["-c"], ["-e3"], ["-f", "3"], ["-g10"],
        ["-lx"], ["-lo"], ["-lb"], ["-0x"], ["-0o"], ["-0b"], ["-F,"], ["-a", "-F|"], ["-t", "-F,"],
        ["-#2"], ["-#0"], ["-c", "-#2"], ["-a", "-#2"], ["-tS"], ["-aS"], ["-an"], ["-as"],
        ["-c", "-a"], ["-e0"], ["-f0"], ["-g0"], ["-F;;"], ["-#-1"], ["-#999"], ["-S", "-#3"],
        ["-cS"], ["-S", "-F,"], ["-s", "-f2"], ["-lx", "-0o"], ["-cn"], ["-S", "-0x"],
    ]  # fmt: skip
    cases = [["caget", *flag, *("P" + name for name in EVERY)] for flag in flags]
    for kind in TYPES + NAMES[:-1]:
        cases += [["caget", f"-d{kind}", f"P{name}"] for name in ("double", "mbbo", "wd")]
    for kind in ("0", "3", "4", "5", "6", "14", "17", "18", "20", "24", "28", "29", "31", "32",
                 "33", "34", "37", "38"):  # fmt: skip
        cases.append(["caget", f"-d{kind}", *("P" + name for name in EVERY)])
    cases += [
        ["caget", "-d", "CTRL_DOUBLE", "-F,", "Pwd", "Pdouble"],
        ["caget", "-d", "CTRL_DOUBLE", "-f2", "Pwd", "Pneg"],
        ["caget", "-d", "CTRL_DOUBLE", "-lx", "Pwd", "Pdouble"],
        ["caget", "-d", "CTRL_LONG", "-0x", "Plong"],
        ["caget", "-d", "CTRL_CHAR", "-S", "Pwc"],
        ["caget", "-d", "TIME_CHAR", "-S", "Pwc"],
        ["caget", "-d", "TIME_ENUM", "-n", "Pmbbo"],
        ["caget", "-d", "CTRL_ENUM", "-n", "Pmbbo"],
        ["caget", "-d", "CTRL_DOUBLE", "-#2", "Pwd"],
        ["caget", "-d", "CTRL_DOUBLE", "-c", "Pwd"],
        ["caget", "-d", "CTRL_DOUBLE", "-s", "Pwd"],
        ["caget", "-d", "6", "-t", "Pdouble"], ["caget", "-d", "6", "-a", "Pdouble"],
        ["caget", "-a", "-t", "Pdouble"], ["caget", "-t", "-a", "Pdouble"],
        ["caget", "-t", "-d6", "Pdouble"], ["caget", "-a", "-d6", "Pdouble"],
        ["caget", "-d"], ["caget"], ["caget", "-z", "Pdouble"], ["caget", "Pdouble", "-t"],
        ["caget", "-w"], ["caget", "-w", "x", "Pdouble"], ["caget", "-f", "x", "Pdouble"],
        ["caget", "-f99", "Pdouble"], ["caget", "-f-1", "Pdouble"], ["caget", "-0z", "Pdouble"],
        ["caget", "-lz", "Pdouble"], ["caget", "-p", "100", "Pdouble"], ["caget", "-p5", "Pdouble"],
        ["caget", "-p", "x", "Pdouble"], ["caget", "-#", "x", "Pwd"], ["caget", "-F", "", "Pwd"],
        ["caget", "-e", "200", "Pdouble"], ["caget", "--", "Pdouble"], ["caget", "-w0", "Pdouble"],
        ["caget", "-g30", "Pdouble"], ["caget", "-e30", "Pdouble"], ["caget", "-pz", "Pdouble"],
        ["caget", "-w", "0.3", "nothere"], ["caget", "-w", "0.3", "Pdouble", "nothere"],
        ["caget", "-w", "0.3", "nothere", "nothere2", "Pdouble"],
        ["caget", "-c", "-w", "0.3", "nothere"], ["caget", "-d6", "-w", "0.3", "nothere"],
        ["caget", "Pnoaccess"], ["caget", "-a", "Pnoaccess"], ["caget", "-c", "Pnoaccess"],
        ["caget", "-d6", "Pnoaccess"], ["caget", "Pdouble", "Pnoaccess", "Plong"],
        ["caget", "-d31", "Pnoaccess"], ["caget", "-t", "Pnoaccess"], ["caget", "-c", "-a", "Pnoaccess"],
        ["caget", "-w", "0.3", ""], ["caget", "Pdouble", "Pdouble"], ["caget", "-S", "Pwtext"],
        ["caget", "-w0.3", "Pdouble.NOPE"], ["caget", "-d0", "Pint64"], ["caget", "-F", ",", "-S", "Pwc"],
        ["caget", "-V"], ["caget", "-n", "-d3", "Pmbbo"], ["caget", "-t", "-c", "-S", "Pwc", "Plsi.VAL$"],
    ]  # fmt: skip
    return cases


def info_cases() -> list[list[str]]:
    return [
        ["cainfo", *("P" + name for name in EVERY)],
        ["cainfo", "Pnoaccess"], ["cainfo", "Pread"], ["cainfo", "-w", "0.3", "nothere"],
        ["cainfo", "-w", "0.3", "Pdouble", "nothere"], ["cainfo"], ["cainfo", "-z"],
        ["cainfo", "-p", "3", "Pdouble"], ["cainfo", "-w", "x", "Pdouble"], ["cainfo", "-n", "Pdouble"],
        ["cainfo", "-s0", "Pdouble"], ["cainfo", "-s1", "Pdouble"], ["cainfo", "-s9", "Pdouble"],
        ["cainfo", "-s", "x", "Pdouble"], ["cainfo", "-s2"], ["cainfo", "-s4", "Pdouble", "Plong"],
        ["cainfo", "-s", "3", "-w", "0.3", "nothere"], ["cainfo", "-V"],
    ]  # fmt: skip


def put_cases() -> list[list[str]]:
    return [
        ["caput", *case]
        for case in (
            ["Pdouble", "1.5"], ["-c", "Pdouble", "2.5"], ["-t", "Pdouble", "3.5"],
            ["-l", "Pdouble", "4.5"], ["-l", "Phigh", "0.5"], ["-lt", "Phigh", "5"],
            ["-tl", "Phigh", "6"], ["-F,", "Pdouble", "7"], ["-l", "-F,", "Pdouble", "8"],
            ["Pdouble", "-5"], ["--", "Pdouble", "-5"], ["Pdouble", "--", "-6.5"],
            ["Pdouble", "nonsense"], ["-c", "Pdouble", "nonsense"], ["Pdouble", "1", "2"],
            ["-c", "Pdouble", "1", "2"], ["Pdouble"], [], ["-z", "Pdouble", "1"],
            ["Pdouble", ""], ["-c", "Pdouble", "1e400"], ["-c", "Pdouble", "nan"],
            ["-c", "Pdouble", "0x10"], ["-c", "Pdouble", " 5 "], ["-c", "Plong", "5"],
            ["-c", "Plong", "0x10"], ["-c", "Plong", "5.7"], ["-c", "Plong", "010"],
            ["-c", "Plong", "99999999999"], ["-c", "Pint64", "12345678902"],
            ["-c", "Pstring", "two words"], ["-c", "Pstring", "two", "words"],
            ["-c", "Pstring", ""], ["-c", "Pstring", "tab\\there"], ["-c", "Pstring", "a\\x41\\\\b"],
            ["-c", "Pstring", "x" * 39], ["-c", "Pstring", "x" * 40], ["-c", "Pstring", "x" * 60],
            ["-c", "Pstring", "grün"], ["-S", "-c", "Pstring", "long"], ["-s", "-c", "Pstring", "5"],
            ["-n", "-c", "Pstring", "5"],
            ["-c", "Pmbbo", "zero"], ["-c", "Pmbbo", "5"], ["-c", "Pmbbo", "1"],
            ["-c", "Pmbbo", "one", "two"], ["-c", "Pmbbo", "one two"], ["-c", "Pmbbo", "three\"q"],
            ["-c", "Pmbbo", "bogus"], ["Pmbbo", "bogus"], ["-c", "Pmbbo", "17"], ["-c", "Pmbbo", "9"],
            ["-n", "-c", "Pmbbo", "3"], ["-n", "-c", "Pmbbo", "zero"], ["-n", "-c", "Pmbbo", "99"],
            ["-s", "-c", "Pmbbo", "zero"], ["-s", "-c", "Pmbbo", "3"], ["-s", "-c", "Pmbbo", "bogus"],
            ["-c", "Pmbbo", "0x1"], ["-c", "Pmbbo", "1x"], ["-c", "Pmbbo", "-1"],
            ["-c", "Pmbbo", ""], ["-c", "-n", "Pmbbo", "1.7"], ["-c", "Pbo", "Done"],
            ["-c", "Pbo", "1"], ["-c", "Pbo", "2"], ["-c", "Pbo", "busy"],
            ["-c", "Pbonames", "0"], ["-c", "Pbonames", "1"],
            ["-c", "Pdouble.SCAN", "1 second"], ["-c", "Pdouble.SCAN", "Passive"],
            ["-c", "Pdouble.SCAN", "3"], ["-c", "Pdouble.DESC", "a text"],
            ["-a", "-c", "Pwd", "3", "1", "2", "3"], ["-a", "-c", "Pwd", "1", "2", "3"],
            ["-a", "-c", "Pwd", "5", "1", "2"], ["-a", "-c", "Pwd", "2", "1", "2", "3"],
            ["-a", "-c", "Pwd", "x", "1", "2"], ["-a", "-c", "Pwd", "0"], ["-a", "-c", "Pwd", "1"],
            ["-a", "-c", "Pwd", "8", *"12345678"], ["-a", "Pwd", "8", *"12345678"],
            ["-c", "Pwd", "4"], ["-c", "Pwd", "4", "5"], ["-a", "-c", "Pwd", "2", "1", "x"],
            ["-a", "-c", "Pwl", "2", "7", "8"], ["-a", "-c", "Pws", "2", "a b", "c"],
            ["-a", "-c", "Pwc", "2", "65", "66"], ["-c", "Pwc", "abc"], ["-S", "-c", "Pwc", "abc"],
            ["-S", "-c", "Pwc", "a", "b"], ["-S", "-c", "Pwc", "a text too long for it"],
            ["-S", "-c", "Pwc", "a\\tb"], ["-S", "-c", "Pwc", ""], ["-S", "-c", "Pwtext", "y" * 600],
            ["-St", "-c", "Pwc", "abc"], ["-S", "-c", "-l", "Pwc", "abc"],
            ["-S", "-c", "Plsi.VAL$", "new " * 12], ["-S", "-c", "Pdouble.DESC$", "long text"],
            ["-a", "-c", "Pdouble", "1", "9"], ["-a", "-c", "Pdouble", "2", "9", "8"],
            ["-a", "-c", "Pwe", "2", "1", "2"], ["-c", "Pwe", "1"], ["-n", "-c", "Pwe", "2"],
            ["-a", "-n", "-c", "Pwe", "2", "2", "1"], ["-a", "-c", "Pmbbo", "1", "zero"],
            ["Pread", "1"], ["-c", "Pread", "1"], ["Pnoaccess", "1"], ["-t", "Pread", "1"],
            ["Pdisabled", "1"], ["-c", "Pdisabled", "1"], ["-w", "0.3", "nothere", "1"],
            ["-c", "-w0.2", "Pslow", "1"], ["-c", "-w2", "Pslow", "2"], ["-w", "x", "Pdouble", "1"],
            ["-p", "7", "Pdouble", "6"], ["-p", "700", "Pdouble", "6"], ["-#3", "Pwd", "3"],
            ["-#3", "Pdouble", "4"], ["-V"], ["-f3", "Pdouble", "1"], ["Pdouble", "1", "-c"],
            ["-w", "0.3", "", "1"], ["-c", "Pdouble.NOPE", "-w0.3", "1"], ["-a", "-s", "-c", "Pws", "1", "q"],
            ["-S", "-a", "-c", "Pwc", "2", "6", "7"], ["-c", "Pcompress", "1"],
            ["-c", "Plong.PROC", "1"], ["-c", "Pdouble.RTYP", "x"], ["-c", "Pdouble.HHSV", "MINOR"],
            ["-n", "-c", "Plong", "5"], ["-s", "-c", "Pdouble", "5.55"], ["-n", "-c", "Pdouble", "1e3"],
            ["-n", "-c", "Pdouble", "zz"], ["-F", "xy", "Pdouble", "9"], ["-F", "", "Pdouble", "9"],
        )
    ]  # fmt: skip


def monitor_cases() -> list[list[str]]:
    flags = [
        [], ["-n"], ["-s"], ["-S"], ["-e3"], ["-f3"], ["-g12"], ["-lx"], ["-lo"], ["-lb"], ["-0x"],
        ["-0o"], ["-0b"], ["-F,"], ["-#2"], ["-#0"], ["-S", "-#3"], ["-tn"], ["-ts"], ["-tc"],
        ["-tsc"], ["-tr"], ["-ti"], ["-tI"], ["-tsr"], ["-tcr"], ["-tsi"], ["-tsI"], ["-tnr"],
        ["-tz"], ["-mv"], ["-mvalp"], ["-mz"], ["-m", ""], ["-t", ""], ["-p5"], ["-tnS"],
    ]  # fmt: skip
    cases = [["camonitor", *flag, *("P" + name for name in EVERY)] for flag in flags]
    cases += [
        ["camonitor", "-w0.3", "nothere"], ["camonitor", "-w0.3", "nothere", "Pdouble"],
        ["camonitor", "-w0.3", "-F,", "nothere", "Pdouble"], ["camonitor", "Pnoaccess"],
        ["camonitor"], ["camonitor", "-z"], ["camonitor", "-V"], ["camonitor", "-w", "x", "Pdouble"],
        ["camonitor", "-w0.3", "-tn", "nothere"], ["camonitor", "-#", "x", "Pwd"],
        ["camonitor", "-w0.3", ""], ["camonitor", "Pdouble", "Pdouble"],
    ]  # fmt: skip
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
    databases = [database.replace("$(P)", prefix) for prefix in ("a:", "b:")]
    different = total = 0
    with SoftIoc(databases, acf=HERE.parent / "support" / "records.acf") as ioc:
        environment = clean_environment() | ioc.env | {"CACHANNEL_REPEATER": "NO"}
        environment["PYTHONPATH"] = str(HERE.parents[1])
        # The first request to a name fills caches of the IOC; nothing depends on it.
        start = time.monotonic()
        for case in get_cases() + info_cases() + put_cases() + monitor_cases():
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
