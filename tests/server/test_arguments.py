"""The command line of IOCs, log lines and filters, and what importing the server needs."""

import io
import logging
import subprocess
import sys

import pytest

from cachannel.logs import (
    AddressFilter,
    LogFormatter,
    PVFilter,
    RoleFilter,
    config_caproto_logging,
    get_handler,
)
from cachannel.server import ioc_arg_parser, run, template_arg_parser


@pytest.fixture(autouse=True)
def keep_logging():
    """Leave the package's loggers as they were."""
    names = ["cachannel", "cachannel.ctx", "cachannel.circ"]
    before = {name: logging.getLogger(name).level for name in names}
    handlers = list(logging.getLogger("cachannel").handlers)
    yield
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)
    logging.getLogger("cachannel").handlers[:] = handlers


def parse(*argv, **kwargs):
    return ioc_arg_parser(desc="d", default_prefix="p:", argv=list(argv), **kwargs)


def test_defaults(monkeypatch):
    """Options for the group and options for run, ready to be passed on."""
    monkeypatch.delenv("EPICS_CAS_INTF_ADDR_LIST", raising=False)
    assert parse() == (
        {"prefix": "p:", "macros": {}},
        {
            "module_name": "cachannel.asyncio.server",
            "log_pv_names": False,
            "interfaces": ["0.0.0.0"],
        },
    )


def test_options():
    """Every option reaches its place."""
    ioc_options, run_options = parse(
        "--prefix", "x:", "--list-pvs", "--async-lib", "trio", "--interfaces", "127.0.0.1",
        "127.0.0.2", "--a", "1", macros={"a": None, "b": "2"},
    )  # fmt: skip
    assert ioc_options == {"prefix": "x:", "macros": {"a": "1", "b": "2"}}
    assert run_options == {
        "module_name": "cachannel.trio.server",
        "log_pv_names": True,
        "interfaces": ["127.0.0.1", "127.0.0.2"],
    }
    assert parse(supported_async_libs=["curio"])[1]["module_name"] == "cachannel.curio.server"


@pytest.mark.parametrize(
    "argv", [["--nonsense"], ["-q", "-v"], ["--async-lib", "x"], ["--interfaces"]]
)
def test_bad_options(argv, capsys):
    """Bad options end with status 2."""
    with pytest.raises(SystemExit) as caught:
        parse(*argv)
    assert caught.value.code == 2
    with pytest.raises(SystemExit):
        parse(macros={"required": None})
    capsys.readouterr()


@pytest.mark.parametrize(
    ("argv", "levels"),
    [([], (20, 30)), (["-q"], (30, 30)), (["-v"], (10, 20)), (["-vv"], (10, 10))],
)
def test_verbosity(argv, levels):
    """-q, -v and -vv set what the context and the circuits show."""
    parse(*argv)
    found = tuple(
        logging.getLogger(f"cachannel.{name}").getEffectiveLevel() for name in ("ctx", "circ")
    )
    assert found == levels


def test_template():
    """An IOC adds arguments of its own."""
    parser, split_args = template_arg_parser(desc="d", default_prefix="p:", argv=["--flag"])
    parser.add_argument("--flag", action="store_true")
    arguments = parser.parse_args()
    assert arguments.flag
    assert split_args(arguments)[0] == {"prefix": "p:", "macros": {}}


def test_run_takes_module_names():
    """The module is imported by name; an unknown one is an ImportError."""
    with pytest.raises(ImportError):
        run({}, module_name="no.such.module")


def record(level=logging.INFO, **extra):
    found = logging.LogRecord("cachannel.ctx", level, "/x/server.py", 93, "a\nb", (), None)
    found.__dict__.update(extra)
    return found


def test_format():
    """``[I HH:MM:SS.mmm module: line] text``, further lines indented by four."""
    line = LogFormatter().format(record())
    assert line.startswith("[I ")
    assert line.endswith("server:   93] a\n    b")
    assert "\033[" in LogFormatter(color=True).format(record())


def test_filters():
    """PV, address and role select records; bad ones and those without always pass."""
    pv = PVFilter("a*", "b")
    assert pv.filter(record(pv="abc"))
    assert not pv.filter(record(pv="cab"))
    assert pv.filter(record(logging.WARNING, pv="cab"))
    assert pv.filter(record())
    assert not PVFilter("a", exclusive=True).filter(record())
    address = AddressFilter("10.0.0.1", "10.0.0.2:5064", ("10.0.0.3", 1))
    for peer, passes in ((("10.0.0.1", 7), True), (("10.0.0.2", 5064), True),
                         (("10.0.0.2", 1), False), (("10.0.0.3", 1), True)):  # fmt: skip
        assert address.filter(record(their_address=peer)) is passes
    assert RoleFilter("SERVER").filter(record(role="SERVER"))
    assert not RoleFilter("client").filter(record(role="SERVER"))


def test_handler():
    """config_caproto_logging replaces its own handler and never colours a file."""
    stream = io.StringIO()
    handler = config_caproto_logging(file=stream, level="INFO")
    assert get_handler() is handler
    again = config_caproto_logging(file=stream, level="INFO")
    assert logging.getLogger("cachannel").handlers.count(handler) == 0
    logging.getLogger("cachannel.ctx").warning("hello")
    assert stream.getvalue().count("hello") == 1
    assert "\033" not in stream.getvalue()
    assert get_handler() is again


def test_import_needs_no_library():
    """cachannel.server imports where there is neither libca nor an extension module."""
    code = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in ('epicscorelibs', 'cffi', '_cffi_backend', 'numpy') or (
            name.startswith('cachannel._native')):
            raise ImportError(name)
sys.meta_path.insert(0, Blocked())
import cachannel.server, cachannel.asyncio.server, cachannel.ioc_examples.simple
import cachannel.protocol.filters
group = cachannel.ioc_examples.simple.SimpleIOC('p:')
print(len(group.pvdb), 'ctypes' in sys.modules and 'epicscorelibs' in sys.modules)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.stdout.strip(), result.stderr) == ("3 False", "")
