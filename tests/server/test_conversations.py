"""Whole conversations, message by message against the IOC of EPICS base.

Each is the bytes of a client on a circuit of its own. What both servers answer has to be the
same, header by header, and so has the end: whether the circuit is open or closed.

Not among them, as decisions of ours: a client before 4.4 is told what is wrong before the circuit
is closed; a put of more elements than there is room for, or than its payload has, is refused where
the IOC of EPICS base takes what fits or waits; and a put may carry a time stamp or an alarm.
"""

import socket
import struct
from pathlib import Path

import pytest
from server_wire import Client, Process

from cachannel.protocol.messages import Command, pack, unpack

HERE = Path(__file__).parent
VALUE = struct.pack(">d", 2.5)
MARK = 0x5EED
HELLO = pack(Command.VERSION, 5, 13)
SID = 0xABCD1234  # stands for the server id of the channel that the conversation created last
OTHER = SID + 1  # and of the one before


def create(name, cid=1, version=13):
    return pack(Command.CREATE_CHAN, 0, 0, cid, version, name.encode() + b"\0")


def read(kind, count, ioid=1, command=Command.READ_NOTIFY):
    return pack(command, kind, count, SID, ioid)


def write(kind, count, payload, ioid=1, command=Command.WRITE_NOTIFY):
    return pack(command, kind, count, SID, ioid, payload)


def monitor(kind, count, mask=1, subid=9):
    body = bytes(12) + mask.to_bytes(2, "big") + bytes(2)
    return pack(Command.EVENT_ADD, kind, count, SID, subid, body)


def cancel(kind, count, subid=9):
    return pack(Command.EVENT_CANCEL, kind, count, SID, subid)


def extended(message):
    """Return a message with the long header, which any message may have."""
    command, size, kind, count, p1, p2 = struct.unpack_from(">HHHHII", message)
    head = struct.pack(">HHHHII", command, 0xFFFF, kind, 0, p1, p2)
    return head + struct.pack(">II", size, count) + message[16:]


AO = [HELLO, create("ao")]
SAME = {
    "nothing but a version": [HELLO],
    "a priority out of range": [pack(Command.VERSION, 100, 13)],
    "names": [HELLO, pack(Command.CLIENT_NAME, payload=b"u\0"),
              pack(Command.HOST_NAME, payload=b"h\0"), create("ao")],
    "a user name after a channel": [*AO, pack(Command.CLIENT_NAME, payload=b"u\0")],
    "a host name after a channel": [*AO, pack(Command.HOST_NAME, payload=b"h\0")],
    "an unknown name": [HELLO, create("nothing", 77)],
    "a field": [HELLO, create("rec.EGU", 3)],
    "an unknown field": [HELLO, create("rec.NOPE", 3)],
    ".VAL": [HELLO, create("ao.VAL", 3)],
    "a long string": [HELLO, create("rec.DESC$", 3)],
    "a bad filter": [HELLO, create('ao.{"nope":{}}', 3)],
    "an array filter": [HELLO, create('wfd.{"arr":{"s":1,"e":1}}', 3), read(6, 0)],
    "the same cid twice": [HELLO, create("ao", 5), create("lo", 5)],
    "a name without an end": [HELLO, pack(Command.CREATE_CHAN, 0, 0, 1, 13, b"aoaoaoao")],
    "an empty name": [HELLO, create("")],
    "an echo": [HELLO, pack(Command.ECHO)],
    "an echo with content": [HELLO, pack(Command.ECHO, 1, 2, 3, 4, b"12345678")],
    "read sync": [HELLO, pack(Command.READ_SYNC, 0, 0, 7, 8)],
    "an unknown command": [*AO, pack(199)],
    "an unknown command without channel": [HELLO, pack(28)],
    "a payload that is no multiple of 8": [*AO, struct.pack(">HHHHII", 15, 3, 6, 1, 1, 1) + b"abc"],
    "clear": [*AO, pack(Command.CLEAR_CHANNEL, 0, 0, SID, 1)],
    "clear twice": [*AO, pack(Command.CLEAR_CHANNEL, 0, 0, SID, 1),
                    pack(Command.CLEAR_CHANNEL, 0, 0, SID, 1)],
    "clear with another cid": [*AO, pack(Command.CLEAR_CHANNEL, 4, 5, SID, 99)],
    "read": [*AO, read(6, 1, 0xFFFFFFFE)],
    "read nothing": [*AO, read(6, 0)],
    "read too many": [*AO, read(6, 3)],
    "read an unknown type": [*AO, read(39, 1)],
    "read PUT_ACKT": [*AO, read(35, 1)],
    "read CLASS_NAME": [HELLO, create("rec"), read(38, 1)],
    "read an unknown id": [*AO, pack(Command.READ_NOTIFY, 6, 1, 99999, 1)],
    "read of an array, all": [HELLO, create("wfd"), read(6, 0), read(6, 5), read(6, 2)],
    "the old read": [*AO, read(6, 1, 4, Command.READ)],
    "the old read of an unknown type": [*AO, read(39, 1, 4, Command.READ)],
    "read with a long header": [*AO, extended(read(6, 1))],
    "write": [*AO, write(6, 1, VALUE, 1, Command.WRITE), read(6, 1)],
    "write with completion": [*AO, write(6, 1, VALUE), read(6, 1)],
    "write as text": [*AO, write(0, 1, b"1.25\0"), read(6, 1)],
    "write with a long header": [*AO, extended(write(6, 1, VALUE)), read(6, 1)],
    "write to an unknown id": [*AO, pack(Command.WRITE, 6, 1, 99999, 1, VALUE)],
    "write with completion to an unknown id": [
        *AO, pack(Command.WRITE_NOTIFY, 6, 1, 99999, 1, VALUE)],
    "write of an unknown type": [*AO, write(39, 1, VALUE, 1, Command.WRITE)],
    "write with completion of an unknown type": [*AO, write(39, 1, VALUE)],
    "write STSACK_STRING": [*AO, write(37, 1, bytes(48), 1, Command.WRITE)],
    "write STSACK_STRING with completion": [*AO, write(37, 1, bytes(48))],
    "write CLASS_NAME with completion": [*AO, write(38, 1, bytes(40))],
    "write of text that is no number": [*AO, write(0, 1, b"nonsense", 1, Command.WRITE)],
    "write to a field that is read only": [HELLO, create("rec.NAME"),
                                           write(0, 1, b"x\0", 1, Command.WRITE)],
    "write with completion to a field that is read only": [HELLO, create("rec.NAME"),
                                                           write(0, 1, b"x\0")],
    "write of an array": [HELLO, create("wfd"), write(6, 2, VALUE + VALUE), read(6, 0)],
    "write of an empty array": [HELLO, create("wfd"), write(6, 0, b""), read(6, 0), read(6, 2),
                                write(6, 1, VALUE)],
    "write PUT_ACKT": [HELLO, create("rec"), write(35, 1, b"\0\1"), read(37, 1)],
    "write PUT_ACKS": [HELLO, create("rec"), write(36, 1, b"\0\1"), read(37, 1)],
    "monitor": [*AO, monitor(6, 1), cancel(6, 1)],
    "monitor of the current length": [HELLO, create("wfd"), monitor(6, 0), cancel(6, 0)],
    "monitor of more than there is": [HELLO, create("wfd"), monitor(6, 5), cancel(6, 5)],
    "monitor of alarms only": [*AO, monitor(6, 1, 4), write(6, 1, VALUE), cancel(6, 1)],
    "monitor with every bit": [*AO, monitor(6, 1, 0xFFFF), cancel(6, 1)],
    "monitor with bits that mean nothing": [*AO, monitor(6, 1, 0xF1), cancel(6, 1)],
    "monitor with no bit": [*AO, monitor(6, 1, 0)],
    "monitor of PUT_ACKT": [*AO, monitor(35, 1)],
    "monitor of an unknown type": [*AO, monitor(39, 1)],
    "monitor of an unknown id": [*AO, pack(Command.EVENT_ADD, 6, 1, 99999, 9, bytes(16))],
    "cancel of an unknown subscription": [*AO, cancel(6, 1, 8)],
    "cancel for an unknown channel": [*AO, pack(Command.EVENT_CANCEL, 6, 1, 99999, 9)],
    "cancel with another type": [*AO, monitor(6, 1), cancel(20, 7)],
    "events off": [*AO, pack(Command.EVENTS_OFF), pack(Command.EVENTS_ON)],
    "search": [HELLO, pack(Command.SEARCH, 10, 13, 7, 7, b"ao\0")],
    "search for what is not there": [HELLO, pack(Command.SEARCH, 10, 13, 7, 7, b"nope\0")],
    "search for what is not there, no reply": [HELLO, pack(Command.SEARCH, 5, 13, 7, 7, b"nope\0")],
    "two channels, the first is used": [
        HELLO, create("ao", 1), create("lo", 2), pack(Command.READ_NOTIFY, 6, 1, OTHER, 4)],
}  # fmt: skip


@pytest.fixture(scope="module")
def servers():
    """The IOC of EPICS base, and ours with the same PVs."""
    rsrv = Process(["-m", "epicscorelibs.ioc", "-d", str(HERE / "rsrv.db")], probe="wfs")
    ours = Process(
        [str(HERE / "rsrv_ioc.py"), "cachannel.asyncio.server"], probe="wfs", ready="READY"
    )
    with rsrv, ours:
        for server in (rsrv, ours):
            with Client(server.port) as client:
                for name, put in {
                    "wfd": (6, 3, struct.pack(">3d", 1.5, -2.5, 3.0)),
                    "ao": (6, 1, VALUE),
                    "rec": (6, 1, VALUE),
                }.items():
                    assert client.put(client.create(name)[0], *put).parameter1 == 1
        yield rsrv, ours


def hold(port, conversation):
    """Hold a conversation; return the messages, and whether the server closed the circuit.

    One message at a time, an echo behind each: the answers belong to it. The IOC of EPICS base
    sends completions and events from threads of their own, so these are waited for.
    """
    found, sids = [], [0, 0]
    with socket.create_connection(("127.0.0.1", port), timeout=60) as sock:
        # What a server says unasked comes before the first answer.
        for step in conversation:
            step = step.replace(OTHER.to_bytes(4, "big"), sids[-2].to_bytes(4, "big"))
            step = step.replace(SID.to_bytes(4, "big"), sids[-1].to_bytes(4, "big"))
            data = b""
            sock.sendall(step + pack(Command.ECHO, 0, 0, MARK, MARK))
            awaited = {Command.ECHO} | ({step[1]} & {Command.WRITE_NOTIFY, Command.EVENT_ADD})
            while True:
                messages = list(unpack(data))
                if awaited <= {m.command for m in messages}:
                    break
                try:
                    part = sock.recv(1 << 16)
                except ConnectionError:
                    part = b""
                if not part:
                    return found + shown(messages, sids), True
                data += part
            found += sorted(shown([m for m in messages if m.parameter1 != MARK], sids))
    return found, False


def shown(messages, sids):
    """Return what has to be equal: all but server ids, and the texts of errors."""
    result = []
    for message in messages:
        if message.command == Command.CREATE_CHAN:
            sids.append(message.parameter2)
            message = message._replace(parameter2=SID)
        elif message.command == Command.ERROR:
            # The header that it is about, as it came; but the server id in it.
            head = message.payload[:8] + bytes(4) + message.payload[12:16]
            message = message._replace(payload=head)
        elif (
            message.command == Command.EVENT_ADD and not message.payload
        ) or message.command == Command.CLEAR_CHANNEL:
            message = message._replace(parameter1=SID)
        elif message.command == Command.SEARCH:
            message = message._replace(data_type=0)  # the port
        elif message.data_type == 37:
            # Behind the NUL of a text the IOC of EPICS base sends whatever was there before.
            text = message.payload[8:].partition(b"\0")[0]
            message = message._replace(payload=message.payload[:8] + text)
        result.append(message)
    return result


@pytest.mark.parametrize("conversation", SAME.values(), ids=SAME)
def test_the_same_is_said(servers, conversation):
    """Both servers answer alike, and both circuits end alike."""
    rsrv, ours = servers
    expected = hold(rsrv.port, conversation)
    found = hold(ours.port, conversation)
    assert found == expected


def searching(name, number, reply=5):
    return pack(Command.SEARCH, reply, 13, number, number, name.encode() + b"\0")


SEARCHES = {
    "one": pack(Command.VERSION, 1, 13, 77) + searching("ao", 1),
    "several, some unknown": pack(Command.VERSION, 1, 13, 78)
    + searching("ao", 1) + searching("nope", 2) + searching("lo", 3) + searching("rec.EGU", 4),
    "a reply is asked for": pack(Command.VERSION, 1, 13, 79) + searching("nope", 1, 10)
    + searching("ao", 2, 10),
    "a version without sequence": pack(Command.VERSION, 0, 13) + searching("ao", 1),
    "an old version": pack(Command.VERSION, 0, 10) + searching("ao", 1),
    "damaged behind a search": pack(Command.VERSION, 1, 13, 80) + searching("ao", 1) + b"\0\6\0",
}  # fmt: skip


@pytest.mark.parametrize("datagram", SEARCHES.values(), ids=SEARCHES)
def test_searches_are_answered_alike(servers, datagram):
    """One datagram with the same messages; the ports are their own."""
    answers = []
    for server in servers:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(60)
            sock.sendto(datagram, ("127.0.0.1", server.port))
            messages = list(unpack(sock.recv(65536), complete=True))
        found = [m for m in messages if m.command == Command.SEARCH]
        assert {m.data_type for m in found} == {server.port}
        answers.append([m._replace(data_type=0) if m in found else m for m in messages])
    assert answers[1] == answers[0]
