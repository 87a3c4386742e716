"""A CA repeater: hands the beacons of servers on to every client of this host.

Servers announce themselves with beacons sent to one UDP port per host (5065, or
``EPICS_CA_REPEATER_PORT``).  Only one process can own that port, so each client registers with
its owner, the repeater, which passes the beacons on.  Without a repeater a client learns late
that a server came back.

- `spawn_repeater` makes sure that one runs, detached from this process; a context calls it before
  its first channel.
- `run` and ``python -m cachannel.repeater`` run one in the foreground.

The detached process runs this file by itself, without the package and without site-packages, so
that it starts in milliseconds; therefore nothing but the standard library is imported here, and
that where it is used.

Source: CAproto, "Repeater"; base's ``repeater.cpp`` where the text is silent.
"""

from __future__ import annotations

import os
import re
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import socket as Socket  # noqa: N812

__all__ = [
    "DEFAULT_PORT",
    "RepeaterAlreadyRunning",
    "RepeaterProcess",
    "check_for_running_repeater",
    "main",
    "repeater_port",
    "run",
    "spawn_repeater",
]

DEFAULT_PORT = 5065
# libca refuses port numbers that the system may hand out to privileged services
# (IPPORT_USERRESERVED) and takes its default then; a repeater elsewhere would have no clients.
_FIRST_PORT = 5001

_HEADER_SIZE = 16
_BEACON = 13
_CONFIRM = 17
_REGISTER = 24
_MAX_DATAGRAM = 65536
_OFF = frozenset({"no", "n", "0", "false", "off"})

_Address = tuple[str, int]


class RepeaterAlreadyRunning(RuntimeError):  # noqa: N818 - the name is caproto's
    """The repeater port of this host is taken."""


def repeater_port() -> int:
    """Return the port of ``EPICS_CA_REPEATER_PORT``, 5065 when unset or unusable.

    What libca does not accept (no number, below 5001, above 65535) is reported to the logger
    ``cachannel.repeater`` and replaced by the default, as libca does.
    """
    text = os.environ.get("EPICS_CA_REPEATER_PORT", "").strip()
    if not text:
        return DEFAULT_PORT
    # As libca's scanf: what follows the digits is ignored.
    digits = re.match(r"\+?[0-9]+", text)
    port = int(digits[0]) if digits else -1
    if _FIRST_PORT <= port <= 65535:
        return port
    _log(
        "warning",
        "EPICS_CA_REPEATER_PORT is %r, not a number from %d to 65535; using %d",
        text,
        _FIRST_PORT,
        DEFAULT_PORT,
    )
    return DEFAULT_PORT


def check_for_running_repeater(addr: _Address) -> Socket:
    """Bind a UDP socket to the address of a repeater.

    Args:
        addr: Host and port to bind, for example ``("0.0.0.0", 5065)``.

    Returns:
        The bound socket; it belongs to the caller.

    Raises:
        RepeaterAlreadyRunning: The port is taken, so a repeater runs already.
        OSError: The address cannot be bound for another reason.
    """
    import socket

    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.bind(addr)
    except OSError as error:
        sock.close()
        if _says_taken(error):
            raise RepeaterAlreadyRunning(f"UDP port {addr[1]} is taken: {error}") from error
        raise
    return sock


def _says_taken(error: OSError) -> bool:
    import errno

    # Windows says "access denied" for a port that somebody bound exclusively.
    return error.errno in (errno.EADDRINUSE, getattr(errno, "WSAEACCES", errno.EADDRINUSE))


def _is_taken(port: int) -> bool:
    """Whether a repeater runs, told without `socket`.

    On most hosts one does, and a client then needs that module for nothing else: its import
    would be half of the time that the first channel takes (3 ms).
    """
    try:
        import _socket
    except ImportError:  # pragma: no cover - a Python that has it elsewhere
        return False
    probe = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
    try:
        probe.bind(("0.0.0.0", port))
    except OSError as error:
        return _says_taken(error)
    finally:
        probe.close()
    return False


class _Clients:
    """The registered clients, each with a socket connected to it.

    Connected sockets, since only these learn that nobody listens at the other end any more (the
    ICMP answer becomes an error of the next send).
    """

    def __init__(self) -> None:
        self._sockets: dict[_Address, Socket] = {}

    def register(self, address: _Address) -> None:
        """Add a client, confirm, and drop those that are gone.

        A client registers once a second until it is confirmed, so a known one is confirmed again.
        """
        import socket

        if not _is_local(address[0]):
            return
        if address not in self._sockets:
            self.drop_closed()
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                sock.setblocking(False)
                sock.connect(address)
            except OSError:
                sock.close()
                return
            self._sockets[address] = sock
        confirmation = bytearray(_HEADER_SIZE)
        confirmation[1] = _CONFIRM
        confirmation[12:] = socket.inet_aton(address[0])
        self.send(address, confirmation)

    def send(self, address: _Address, datagram: bytes | bytearray) -> None:
        """Send to one client; a client that cannot be reached is dropped."""
        try:
            self._sockets[address].send(datagram)
        except BlockingIOError:
            pass  # Its buffer is full; beacons come again.
        except OSError:
            self._sockets.pop(address).close()

    def fan_out(self, datagram: bytes | bytearray, sender: _Address) -> None:
        """Send to all clients but the one that the datagram came from."""
        for address in list(self._sockets):
            if address != sender:
                self.send(address, datagram)

    def drop_closed(self) -> None:
        """Forget the clients whose port can be bound again."""
        import socket

        for address in list(self._sockets):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                try:
                    probe.bind(("", address[1]))
                except OSError:
                    continue
            self._sockets.pop(address).close()

    def close(self) -> None:
        """Close all sockets."""
        for sock in self._sockets.values():
            sock.close()
        self._sockets.clear()


def _is_local(host: str) -> bool:
    """Whether an address belongs to this host: only then a socket can be bound to it."""
    import socket

    if host.startswith("127."):
        return True
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
    return True


def _serve(sock: Socket) -> None:
    """Register clients and pass messages on, for ever."""
    import socket

    clients = _Clients()
    try:
        while True:
            try:
                data, sender = sock.recvfrom(_MAX_DATAGRAM)
            except ConnectionError:
                continue  # Windows reports a client that went away here.
            datagram = bytearray(data)
            if not datagram:
                clients.register(sender)
                continue
            if len(datagram) >= _HEADER_SIZE:
                command = int.from_bytes(datagram[:2], "big")
                if command == _REGISTER:
                    clients.register(sender)
                    del datagram[:_HEADER_SIZE]
                elif command == _BEACON and not any(datagram[12:16]):
                    # A server that listens at all interfaces does not know which address its
                    # clients see; the sender's is the one that works.
                    datagram[12:16] = socket.inet_aton(sender[0])
            if datagram:
                clients.fan_out(datagram, sender)
    finally:
        clients.close()


def run(host: str = "0.0.0.0") -> None:
    """Run a repeater in this thread until it is interrupted.

    Returns at once when the port is taken, as one repeater per host is enough; a line of the
    logger ``cachannel.repeater`` says so.

    Args:
        host: Address to listen at; beacons come as broadcasts, so the default is all interfaces.

    Raises:
        OSError: The address cannot be bound, other than because it is taken.
    """
    port = repeater_port()
    try:
        sock = check_for_running_repeater((host, port))
    except RepeaterAlreadyRunning as error:
        _log("info", "another repeater is running, leaving (%s)", error)
        return
    _log("info", "repeating at UDP port %d", port)
    with sock:
        try:
            _serve(sock)
        except KeyboardInterrupt:
            _log("info", "interrupted")


class RepeaterProcess:
    """A repeater that `spawn_repeater` started.

    It outlives this process on purpose: other clients of the host use it too.

    Attributes:
        pid: Its process number.
        port: Its UDP port.
    """

    def __init__(self, pid: int, port: int) -> None:
        self.pid = pid
        self.port = port

    def __repr__(self) -> str:
        return f"<RepeaterProcess pid={self.pid} port={self.port}>"

    def terminate(self) -> None:
        """End the repeater and wait until it is gone; nothing happens when it is."""
        import signal

        try:
            os.kill(self.pid, signal.SIGTERM)
            if sys.platform != "win32":
                os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass


def spawn_repeater(enabled: bool | None = None) -> RepeaterProcess | None:
    """Make sure that this host has a repeater; start a detached one if there is none.

    On POSIX systems this process binds the port and the new process inherits the bound socket.
    The port is therefore taken when this function returns, nothing has to be waited for, and
    libca starts no repeater of its own.  On Windows the new process binds the port, and this
    function waits for that for at most a second.

    The new process has its own session, its working directory is ``/``, and it holds none of
    this process's files or pipes.  It is not a child to wait for: it ends with a signal only.

    Args:
        enabled: ``False`` starts nothing; ``None`` (default) starts one unless the environment
            variable ``CACHANNEL_REPEATER`` is ``NO``.

    Returns:
        The process, or None when a repeater runs already, when this is switched off, or when it
        failed. Failures never raise; they go to the logger ``cachannel.repeater``.
    """
    if enabled is None:
        enabled = os.environ.get("CACHANNEL_REPEATER", "").strip().lower() not in _OFF
    if not enabled:
        return None
    try:
        port = repeater_port()
        if _is_taken(port):
            return None
        sock = check_for_running_repeater(("0.0.0.0", port))
    except RepeaterAlreadyRunning:
        return None
    except OSError as error:
        _log("warning", "no repeater started: %s", error)
        return None
    with sock:
        try:
            # In a frozen application the executable is the application, not Python.
            if not sys.executable or getattr(sys, "frozen", False):
                raise OSError("there is no Python executable to run it with")
            if not os.path.isfile(__file__):
                raise OSError(f"{__file__} is not a file")
            if sys.platform == "win32":
                sock.close()
                return RepeaterProcess(_spawn_windows(port), port)
            return RepeaterProcess(_spawn_posix(sock.fileno()), port)
        except OSError as error:
            _log("warning", "no repeater started: %s", error)
            return None


def _spawn_posix(fd: int) -> int:
    """Start the repeater with the bound socket as its standard input; return its process number.

    ``posix_spawn`` costs a tenth of a millisecond however large this process is, and needs no
    import; the child does the rest of the detaching by itself in `main`.
    """
    if sys.platform == "win32":
        raise NotImplementedError
    return os.posix_spawn(
        sys.executable,
        [sys.executable, "-I", "-S", os.path.abspath(__file__), "--fd", "0"],
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_DUP2, fd, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsigmask=[],
    )


def _spawn_windows(port: int) -> int:
    """Start the repeater and wait until the port is taken; return its process number."""
    import subprocess
    import time

    process = subprocess.Popen(
        [sys.executable, "-I", "-S", os.path.abspath(__file__)],
        cwd=os.path.abspath(os.sep),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        close_fds=True,
        creationflags=getattr(subprocess, "DETACHED_PROCESS", 0)
        | getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )
    # The object would complain when it is deleted while the process runs, as intended here.
    process.returncode = 0
    deadline = time.monotonic() + 1.0
    while time.monotonic() < deadline:
        try:
            check_for_running_repeater(("0.0.0.0", port)).close()
        except RepeaterAlreadyRunning:
            break
        time.sleep(0.02)
    return process.pid


def _detach(fd: int) -> None:
    """Leave the session and folder of the parent, and close what else it passed on."""
    os.chdir("/")
    if sys.platform != "win32":
        if os.getsid(0) != os.getpid():
            os.setsid()
        for name in os.listdir("/dev/fd"):
            other = int(name)
            if other > 2 and other != fd:
                try:  # noqa: SIM105 - contextlib is one more import in every repeater
                    os.close(other)
                except OSError:
                    pass  # The descriptor with which the folder was read.


def _log(level: str, message: str, *arguments: object) -> None:
    # Imported only when there is something to say: the import costs more than starting a repeater.
    import logging

    getattr(logging.getLogger("cachannel.repeater"), level)(message, *arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run a repeater in the foreground; SIGINT and SIGTERM end it.

    Args:
        arguments: Command line arguments. ``--fd N`` serves the bound UDP socket ``N`` that the
            parent process passed on, detached from the parent.

    Returns:
        The exit status, 0 also if another repeater runs, 2 for wrong arguments.
    """
    import signal

    arguments = sys.argv[1:] if arguments is None else arguments

    def leave(number: int, frame: object) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    if not arguments:
        run()
        return 0
    if len(arguments) == 2 and arguments[0] == "--fd" and arguments[1].isdecimal():
        import socket

        fd = int(arguments[1])
        _detach(fd)
        with socket.socket(fileno=fd) as sock:
            _serve(sock)
    sys.stderr.write("usage: python -m cachannel.repeater [--fd N]\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
