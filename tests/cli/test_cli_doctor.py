"""`cachannel doctor` names the cause of what goes wrong."""

import json
import socket
import struct
import threading
from pathlib import Path
from typing import Any

import pytest

from cachannel.cli.doctor import parse
from support.ports import client_environment, free_port
from support.scripts import Outcome, run_python

HEADER = struct.Struct(">HHHHII")


@pytest.fixture
def environment(ioc: Any) -> dict[str, str]:
    return ioc.env | {"CACHANNEL_REPEATER": "NO"}


def doctor(environment: dict[str, str], *arguments: str) -> Outcome:
    return run_python(["-m", "cachannel", "doctor", *arguments], environment)


def test_all_that_is_in_force_is_shown(environment, ioc) -> None:
    lines = doctor(environment, "-w", "5", "catest").succeeded().lines
    text = "\n".join(lines)
    assert lines[0].startswith("cachannel ")
    word, file, *version = lines[1].split()
    assert (word, version[0][1:]) == ("libca", "EPICS")
    assert Path(file).is_file()
    assert Path(file).name.startswith("libca.")
    assert "    EPICS_CA_ADDR_LIST          127.0.0.1               (environment)" in lines
    assert "    EPICS_CA_BEACON_PERIOD      15.0                    (default)" in lines
    assert f"searched at     127.0.0.1:{ioc.port}" in lines
    assert "repeater        running" in lines
    assert f"    answered by       127.0.0.1:{ioc.port} after " in text
    assert "    protocol          4.13" in lines
    assert "    round trip ms     " in text
    assert lines[-1] == "    verdict           all is well"


def test_two_servers_of_one_name_are_told(make_ioc, environment, ioc, ports) -> None:
    make_ioc('record(ao, "catest") {}')
    both = environment | {"EPICS_CA_ADDR_LIST": f"127.0.0.1:{ports.main} 127.0.0.1:{ports.other}"}
    done = doctor(both, "--json", "-w", "5", "catest")
    assert done.code == 1
    found = json.loads(done.stdout)
    assert "several servers have this name" in found["verdict"]
    servers = {answer["server"] for answer in found["answers"]}
    assert servers == {f"127.0.0.1:{ports.main}", f"127.0.0.1:{ports.other}"}


def test_no_address_and_no_answer_are_two_things(environment) -> None:
    done = doctor(environment | {"EPICS_CA_ADDR_LIST": ""}, "-w", "0.2", "catest")
    assert done.code == 1
    assert "searched at     nowhere" in done.lines
    assert "there is no address to search at: set EPICS_CA_ADDR_LIST" in done.stdout
    done = doctor(environment, "-w", "0.2", "cadoesnotexist")
    assert done.code == 1
    assert "no server answered" in done.lines[-1]


def test_a_server_that_takes_no_connection_is_told(ports) -> None:
    port = free_port()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", port))

        def answer() -> None:
            while True:
                data, sender = server.recvfrom(4096)
                if not data:
                    return
                offset = 0
                while offset + 16 <= len(data):
                    number, size, _, _, cid, _ = HEADER.unpack_from(data, offset)
                    offset += 16 + size
                    if number == 6:
                        reply = HEADER.pack(6, 8, port, 0, 0xFFFFFFFF, cid)
                        server.sendto(reply + b"\0\x0d" + bytes(6), sender)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            environment = client_environment([port], ports.repeater)
            environment["CACHANNEL_REPEATER"] = "NO"
            done = doctor(environment, "-w", "0.5", "canowhere")
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
                last.sendto(b"", ("127.0.0.1", port))
            thread.join()
    assert done.code == 1
    assert "answers the search, but no TCP connection to it can be made" in done.lines[-1]


def test_what_may_not_be_read_is_told(environment) -> None:
    done = doctor(environment, "-w", "5", "canoaccess")
    assert done.code == 1
    assert "access security lets nobody here read it" in done.lines[-1]


def test_broken_datagrams_are_no_answers() -> None:
    good = HEADER.pack(6, 8, 5064, 0, 0xFFFFFFFF, 3) + b"\0\x0d" + bytes(6)
    assert parse(good, "10.0.0.1") == [(3, ("10.0.0.1", 5064), 13)]
    addressed = HEADER.pack(6, 0, 5070, 0, 0x0A000002, 1)
    assert parse(good + addressed, "10.0.0.1")[1] == (1, ("10.0.0.2", 5070), 0)
    assert parse(good[:10], "10.0.0.1") == []
    assert parse(HEADER.pack(6, 60000, 1, 0, 0, 7), "10.0.0.1") == [(7, ("0.0.0.0", 1), 0)]
