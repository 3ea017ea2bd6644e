"""Servers that a test may stop, starve and lie with: a Valkey of its own, one that recites, and a lossy line."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hiredis
from twisted.internet import reactor as installed
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from oauthd.runtime.process import die_with_parent, find_binary
from tests.valkey import call

reactor: Any = installed
_PATIENCE = 20.0


class OwnValkey:
    """A Valkey for one test; `close` ends it, whatever state it is in."""

    def __init__(self, password: str = "") -> None:
        self.password = password
        self.folder = Path(tempfile.mkdtemp(prefix="oauthd-own-"))
        self.path = str(self.folder / "valkey.sock")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *settings: str, wait: bool = True) -> None:
        """Start it with settings such as `--requirepass x`; wait until it says anything, an error too."""
        command = [find_binary(), "--port", "0", "--unixsocket", self.path, "--dir", str(self.folder), "--save", ""]
        if self.password:
            command += ["--requirepass", self.password]
        with (self.folder / "valkey.log").open("ab") as output:
            self._process = subprocess.Popen(
                [*command, *settings],
                stdout=output,
                stderr=output,
                preexec_fn=die_with_parent(),  # noqa: PLW1509 (see there)
            )
        deadline = time.monotonic() + _PATIENCE
        while wait and not self._speaks():
            if time.monotonic() > deadline:
                raise RuntimeError((self.folder / "valkey.log").read_text())
            time.sleep(0.01)

    def _speaks(self) -> bool:
        try:
            call(self.path, "PING")
        except OSError:
            return False
        return True

    def say(self, *words: str | bytes) -> object:
        """One command to it, past everything that is tested; the reply."""
        talk = Talk(self.path, self.password)
        try:
            return talk.say(*words)
        finally:
            talk.close()

    def signal(self, number: signal.Signals) -> None:
        """SIGSTOP, SIGCONT."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            if os.path.exists(self.path):
                os.unlink(self.path)

    def close(self) -> None:
        """End it and take its files away."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class Talk:
    """A plain blocking connection to a server."""

    def __init__(self, path: str, password: str = "") -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(_PATIENCE)
        self._socket.connect(path)
        self._reader = hiredis.Reader()
        if password:
            self.say("AUTH", password)

    def say(self, *words: str | bytes) -> object:
        """One command and its reply, an error too."""
        self._socket.sendall(hiredis.pack_command(words))  # type: ignore[arg-type]
        return self.read()

    def read(self) -> object:
        """The next reply, or message."""
        while (reply := self._reader.gets()) is False:
            if not (data := self._socket.recv(65536)):
                raise ConnectionResetError("the server closed the connection")
            self._reader.feed(data)
        return reply

    def close(self) -> None:
        """End it."""
        self._socket.close()


class Line(Factory):
    """A unix socket that passes everything on to a server, until it is told to lose a reply.

    :ivar plan: what becomes of the next replies: True, passed on; False, the connection is cut instead.
    :ivar dumb: pass commands on and keep every reply back.
    :ivar lines: the connections that stand.
    """

    def __init__(self, server: str) -> None:
        self.server = server
        self.plan: list[bool] = []
        self.dumb = False
        self.lines: list[_Near] = []
        self.folder = tempfile.mkdtemp(prefix="oauthd-line-")
        self.path = f"{self.folder}/line.sock"
        self._port = reactor.listenUNIX(self.path, self)

    def buildProtocol(self, addr: Any) -> Protocol:
        """One more connection."""
        return _Near(self)

    async def close(self) -> None:
        """Stop listening and cut what stands."""
        await self._port.stopListening()
        for line in list(self.lines):
            line.cut()
        shutil.rmtree(self.folder, ignore_errors=True)


class _Near(Protocol):
    """The end of a line at the client."""

    transport: Any

    def __init__(self, line: Line) -> None:
        self.line = line
        self.far: _Far | None = None
        self._early = b""

    def connectionMade(self) -> None:
        self.line.lines.append(self)
        factory = Factory.forProtocol(_Far)
        UNIXClientEndpoint(reactor, self.line.server).connect(factory).addCallbacks(
            self._connected, lambda _: self.cut()
        )

    def _connected(self, far: _Far) -> None:
        self.far, far.near = far, self
        far.transport.write(self._early)

    def dataReceived(self, data: bytes) -> None:
        if self.far is None:
            self._early += data
        else:
            self.far.transport.write(data)

    def replied(self, data: bytes) -> None:
        """The server has answered."""
        if self.line.plan and not self.line.plan.pop(0):
            self.cut()
        elif not self.line.dumb:
            self.transport.write(data)

    def cut(self) -> None:
        """End both ends."""
        self.transport.abortConnection()
        if self.far is not None:
            self.far.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self in self.line.lines:
            self.line.lines.remove(self)
        if self.far is not None:
            self.far.transport.abortConnection()


class _Far(Protocol):
    """The end of a line at the server."""

    transport: Any
    near: _Near | None = None

    def dataReceived(self, data: bytes) -> None:
        if self.near is not None:
            self.near.replied(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.near is not None:
            self.near.transport.abortConnection()


class Reciter(Factory):
    """A server that greets like a primary and says to everything else what the test wants.

    :ivar heard: every command, the greeting's too.
    """

    def __init__(self, answer: Callable[[list[bytes]], bytes | None]) -> None:
        self.answer = answer
        self.heard: list[list[bytes]] = []
        self.folder = tempfile.mkdtemp(prefix="oauthd-reciter-")
        self.path = f"{self.folder}/reciter.sock"
        self._port = reactor.listenUNIX(self.path, self)

    def buildProtocol(self, addr: Any) -> Protocol:
        """One more connection."""
        return _Recital(self)

    async def close(self) -> None:
        """Stop listening; a second call does nothing."""
        if self._port.connected:
            await self._port.stopListening()
        shutil.rmtree(self.folder, ignore_errors=True)


_GREETING = {
    b"ROLE": b"*1\r\n$6\r\nmaster\r\n",
    b"PING": b"+PONG\r\n",
    b"INFO": b"$8\r\nrun_id:1\r\n",
}


class _Recital(Protocol):
    transport: Any

    def __init__(self, reciter: Reciter) -> None:
        self._reciter = reciter
        self._reader = hiredis.Reader()

    def dataReceived(self, data: bytes) -> None:
        self._reader.feed(data)
        while (command := self._reader.gets()) is not False:
            self._reciter.heard.append(command)
            answer = self._reciter.answer(command)
            if answer is None:
                answer = _GREETING.get(command[0], b"")
            self.transport.write(answer)
