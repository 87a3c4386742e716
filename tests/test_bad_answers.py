"""What a server sends that it should not: nothing of it may crash, stop or bloat a client."""

import textwrap

import pytest

from support.ports import client_environment, free_port
from support.raw_server import ACCESS, CREATE, ERROR, HEADER, READ, message, raw_server
from support.scripts import run_text

STRING, CHAR, DOUBLE = 0, 4, 6
GOOD = 1

START = """
from CaChannel import CaChannel, CaChannelException
channel = CaChannel("bad")
channel.setTimeout(60)
channel.searchw()
"""


def run(port: int, text: str) -> list[str]:
    """Run a script that has this server alone; return what it prints before its "ok"."""
    environment = client_environment([port], free_port()) | {"CACHANNEL_REPEATER": "NO"}
    script = textwrap.dedent(START) + textwrap.dedent(text) + '\nprint("ok")'
    outcome = run_text(script, environment)
    assert (outcome.code, outcome.lines[-1:]) == (0, ["ok"]), outcome
    return outcome.lines[:-1]


@pytest.mark.parametrize(
    ("native", "count"),
    [
        # Of a size that 32 bits take for 24, of 256 MB, of more than the message has.
        (STRING, 0x06666667),
        (CHAR, 0x10000000),
        (CHAR, 60_000),
        (STRING, 60_000),
    ],
)
def test_an_answer_with_more_elements_than_the_pv_has(native: int, count: int) -> None:
    def answer(kind: int, elements: int, number: int) -> bytes:
        return message(READ, kind, count, GOOD, number, bytes(40))

    port = free_port()
    with raw_server(port, native, 1000, answer):
        lines = run(
            port,
            """
            from cachannel.many import connect_many, get_many
            from cachannel.threading.client import Context
            for read in channel.getw, lambda: get_many(connect_many(["bad"])):
                try:
                    print(len(read()))
                except CaChannelException as error:
                    print(error.status.name)
            channel.array_get()
            try:
                channel.pend_io(60)
            except CaChannelException as error:
                print(error.status.name, channel.getValue())
            """,
        )
    # A refused read lets pend_io time out at once, as it does with other refusals.
    assert lines == ["BADCOUNT", "BADCOUNT", "TIMEOUT None"]


def test_an_answer_of_another_type_is_no_larger_than_what_was_asked_for() -> None:
    def answer(kind: int, elements: int, number: int) -> bytes:
        return message(READ, STRING, elements, GOOD, number, bytes(40))

    port = free_port()
    with raw_server(port, CHAR, 20_000, answer):
        lines = run(
            port,
            """
            try:
                channel.getw()
            except CaChannelException as error:
                print(error.status.name)
            """,
        )
    assert lines == ["BADCOUNT"]


def test_an_answer_with_all_elements_where_fewer_were_asked_for() -> None:
    """Some servers answer so, and the data is there."""

    def answer(kind: int, elements: int, number: int) -> bytes:
        return message(READ, kind, 10, GOOD, number, bytes(range(10)))

    port = free_port()
    with raw_server(port, CHAR, 10, answer):
        lines = run(port, "print(channel.getw(count=3))")
    assert lines == ["[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]"]


def test_an_answer_without_elements() -> None:
    def answer(kind: int, elements: int, number: int) -> bytes:
        return message(READ, kind, 0, GOOD, number)

    port = free_port()
    with raw_server(port, DOUBLE, 10, answer):
        lines = run(
            port,
            """
            from cachannel import ca
            print(channel.getw(), channel.getValue())
            status, value = ca.get(channel._chid)
            ca.pend_io(60)
            print(value.get(), value.count)
            """,
        )
    assert lines == ["[] []", "[] 0"]


def one(kind: int, elements: int, number: int) -> bytes:
    """Answer a read of one number."""
    return message(READ, kind, 1, GOOD, number, bytes(8))


def test_a_flood_of_errors_is_neither_kept_nor_shown_in_full() -> None:
    flood, request = 100_000, HEADER.pack(CREATE, 0, 0, 0, 1, 13)

    def errors(cid: int) -> bytes:
        text = b"x" * 495 + b"\0"
        return message(ERROR, first=cid, second=192, payload=request + text) * flood

    port = free_port()
    # 50 MB on the way; libca takes them in before it takes the answer to the read.
    with raw_server(port, DOUBLE, 1, one, errors):
        lines = run(
            port,
            """
            import logging, resource
            shown = []
            class Handler(logging.Handler):
                def emit(self, record):
                    shown.append(record.getMessage())
            logging.getLogger("cachannel.libca").addHandler(Handler())
            logging.getLogger("cachannel.libca").propagate = False
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            channel.getw()
            channel._chid.context.settle(60)
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
            print(len(shown), any("some are dropped" in text for text in shown))
            """,
        )
    grown, (number, dropped) = int(lines[0]), lines[1].split()
    assert grown < 30_000  # kB
    assert 0 < int(number) < flood
    assert dropped == "True"


def test_a_flood_of_access_rights_leaves_the_last_of_them() -> None:
    def rights(cid: int) -> bytes:
        # Always to read, and every other pair to write.
        return b"".join(message(ACCESS, first=cid, second=number & 2 | 1) for number in range(5001))

    port = free_port()
    with raw_server(port, DOUBLE, 1, one, rights):
        lines = run(
            port,
            """
            from cachannel._native import ffi, lib
            from cachannel.context import Context
            context = Context(preemptive=False, queue_records=100)
            seen = []
            token = context.own(lambda record, *data: seen.append(record[7]))
            one = lib.cc_channel_create(context.id, b"bad", 0, token, 4)
            assert lib.cc_channel_wait(one, 60) == 1
            # The rights come before the answer to this, and nobody takes them yet.
            request = lib.cc_get(one, -1, -1, 0, 0)
            assert lib.cc_request_wait(request, 60) == 1
            number = context.deliver()
            print(number <= 101, len(seen) <= 101, seen[-1])
            """,
        )
    assert lines == ["True True 1"]
