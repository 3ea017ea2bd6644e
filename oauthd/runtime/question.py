"""One command and its one reply, over a unix socket: what is asked of a server that no connection is kept to.

So the embedded Valkey is asked whether it answers, and one that an earlier run left whose it is. Left to others: what
to make of a reply (`valkey`), and the connections that serve requests (``stores``).
"""

import hiredis
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure


class _Question(Protocol):
    """One command, its one reply."""

    def __init__(self, command: str) -> None:
        self._command = command
        self._reader = hiredis.Reader()
        self.reply: Deferred[object] = Deferred()

    def connectionMade(self) -> None:  # noqa: N802
        """Send the command, as a line: a form that the protocol has for commands without blanks in their words."""
        assert self.transport is not None  # noqa: S101 (for the type checker)
        self.transport.write(self._command.encode("ascii") + b"\r\n")

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        """Take the reply as soon as it is whole."""
        self._reader.feed(data)
        reply = self._reader.gets()
        if reply is not False and not self.reply.called:
            self.reply.callback(reply)

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802
        """Without a reply, this is the answer."""
        if not self.reply.called:
            self.reply.errback(reason)


async def ask(reactor: IReactorTime, path: str, command: str, seconds: float) -> object:
    """Send one command to the server at a unix socket.

    :param command: words of ASCII with blanks between.
    :param seconds: how long connecting, and then the reply, may take.
    :returns: the reply as hiredis reads it; an error reply is returned as `hiredis.ReplyError`.
    :raises ConnectError: nobody listens.
    :raises ConnectionClosed: the connection ended without a reply.
    :raises TimeoutError: no reply in time.
    """
    question = _Question(command)
    factory = Factory.forProtocol(lambda: question)
    factory.noisy = False
    try:
        endpoint = UNIXClientEndpoint(reactor, path, timeout=seconds)  # type: ignore[no-untyped-call]
        await endpoint.connect(factory)  # type: ignore[no-untyped-call]
    except ConnectingCancelledError as problem:
        raise CancelledError from problem
    try:
        return await question.reply.addTimeout(seconds, reactor)
    finally:
        if question.transport is not None:
            question.transport.loseConnection()
