"""Messages of libca go to a logger, which prints warnings if the program set up no logging."""

from collections.abc import Callable

from support.scripts import Outcome

READ = """
import logging, sys
{logging}
from CaChannel import CaChannel
chan = CaChannel("catest")
chan.searchw()
print(chan.getw() == chan.getw())
"""

LOGGING = "logging.basicConfig(stream=sys.stdout, format='%(name)s: %(message)s')"

BAD_SETTINGS = {
    "EPICS_CA_CONN_TMO": "soon",
    "EPICS_CA_MAX_ARRAY_BYTES": "many",
    "EPICS_CA_ADDR_LIST": "no.such.host.invalid 127.0.0.1",
}


def test_settings_that_libca_cannot_use_are_logged(run_script: Callable[..., Outcome]) -> None:
    outcome = run_script(READ.format(logging=LOGGING), **BAD_SETTINGS)
    assert (outcome.code, outcome.stderr) == (0, "")
    for words in ("EPICS_CA_CONN_TMO", "EPICS_CA_MAX_ARRAY_BYTES", "no.such.host.invalid"):
        assert any(line.startswith("cachannel.libca: ") and words in line for line in outcome.lines)


def test_they_are_printed_once_without_logging(run_script: Callable[..., Outcome]) -> None:
    outcome = run_script(READ.format(logging=""), **BAD_SETTINGS)
    assert (outcome.code, outcome.stdout) == (0, "True\n")
    lines = outcome.stderr.splitlines()
    assert all(line.startswith("cachannel: ") for line in lines), outcome
    assert len(set(lines)) == len(lines)
    for words in ("EPICS_CA_CONN_TMO", "EPICS_CA_MAX_ARRAY_BYTES", "no.such.host.invalid"):
        assert any(words in line for line in lines), outcome


def test_a_program_may_ask_for_no_messages(run_script: Callable[..., Outcome]) -> None:
    silent = 'logging.getLogger("cachannel").addHandler(logging.NullHandler())'
    outcome = run_script(READ.format(logging=silent), **BAD_SETTINGS)
    assert (outcome.code, outcome.stdout, outcome.stderr) == (0, "True\n", "")


FORK = """
import os, sys
from CaChannel import CaChannel, CaChannelException, ca
from CaChannel.util import caget

def read():
    chan = CaChannel("catest")
    chan.searchw()
    return chan.getw()

mine = CaChannel("catest")
mine.searchw()
caget("catest")
for uses_ca in (False, True):
    child = os.fork()
    if not child:
        if uses_ca:
            try:
                mine.getw()
            except CaChannelException as error:
                print("old object:", error.status.name, flush=True)
            print("child:", read() == caget("catest"), flush=True)
            ca.destroy_context()
        sys.exit(7)
    print("status:", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    print("parent:", mine.getw() == caget("catest"), flush=True)
"""


def test_a_forked_child_uses_ca_and_exits_as_it_wants(run_script: Callable[..., Outcome]) -> None:
    outcome = run_script(FORK)
    assert (outcome.code, outcome.stderr) == (0, "")
    assert outcome.lines == [
        "status: 7",
        "parent: True",
        "old object: BADCHID",
        "child: True",
        "status: 7",
        "parent: True",
    ]
