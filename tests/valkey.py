"""A real Valkey for tests: one server per trial process, started at first use, empty again before each test.

Plain blocking functions, for ``setUp``. The server listens on a unix socket in a temporary folder, writes nothing to
the disk and ends with the process, however that ends.

    def setUp(self) -> None:
        self.socket = fresh_database()
"""

import atexit
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import hiredis

from oauthd.runtime.process import die_with_parent, find_binary

_PATIENCE = 20.0  # seconds for a start or a reply, on a machine that has other things to do
_running: list[str] = []


def start_valkey() -> str:
    """Start the server of this process, unless it runs, and tell the path of its socket."""
    if not _running:
        binary = find_binary()
        folder = Path(tempfile.mkdtemp(prefix="oauthd-tests-"))
        path = str(folder / "valkey.sock")
        output = (folder / "valkey.log").open("wb")
        server = subprocess.Popen(
            [binary, "--port", "0", "--unixsocket", path, "--dir", str(folder), "--save", ""],
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent(),  # noqa: PLW1509 (see there)
        )
        output.close()
        atexit.register(_end, server, folder)
        deadline = time.monotonic() + _PATIENCE
        while not _answers(path):
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"no Valkey for tests: {(folder / 'valkey.log').read_text()}")
            time.sleep(0.01)
        _running.append(path)
    return _running[0]


def fresh_database() -> str:
    """Empty the server of this process (all databases, all scripts) and tell the path of its socket."""
    path = start_valkey()
    for command in (("FLUSHALL", "SYNC"), ("SCRIPT", "FLUSH")):
        reply = call(path, *command)
        if reply != b"OK":
            raise RuntimeError(f"{command} is answered with {reply!r}")
    return path


def call(path: str, *words: str | bytes) -> object:
    """Send one command to the server at a unix socket; the reply as hiredis reads it, an error as ReplyError."""
    encoded = [word.encode() if isinstance(word, str) else word for word in words]
    reader = hiredis.Reader()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_PATIENCE)
        connection.connect(path)
        connection.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded))
        while (reply := reader.gets()) is False:
            if not (data := connection.recv(65536)):
                raise ConnectionResetError("the server closed the connection")
            reader.feed(data)
    return reply


def _answers(path: str) -> bool:
    try:
        return call(path, "PING") == b"PONG"
    except OSError:
        return False


def _end(server: "subprocess.Popen[bytes]", folder: Path) -> None:
    server.kill()  # there is nothing to keep
    server.wait()
    shutil.rmtree(folder, ignore_errors=True)
