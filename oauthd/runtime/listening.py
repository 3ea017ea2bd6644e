"""Where connections come in: sockets bound as Twisted's endpoint strings say, with nobody behind them at first.

A bound socket is given to whoever serves by the `Door` at it; until then connections wait in its queue. One process
has a port for each endpoint. With workers the parent has, for TCP, a port for each of them, and never reads; a worker
adopts what it is handed (`adopt`). The files of an `ssl:` endpoint are read once, while we may: a worker gets what they
hold, so that a user who cannot read them can serve, and all workers have the same certificate.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import define, field
from OpenSSL.SSL import OP_NO_TICKET, SESS_CACHE_OFF, VERIFY_PEER
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IAddress, IProtocolNegotiationFactory
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import CertificateOptions
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from oauthd.config.listeners import endpoint_arguments, endpoint_string
from oauthd.runtime.hindrance import CannotStart
from oauthd.runtime.sockets import UnixPort, adopted, group, withhold
from oauthd.web.site import Site

QUEUE = 1024  # connections that may wait in a port's queue, unless the endpoint says otherwise
DEPTH = 8  # certificates between a client's and one that is trusted
SUITES = b"ECDHE+AESGCM"
"""What TLS 1.2 may use, as OpenSSL says it: the suites that BCP 195 recommends (RFC 9325 section 4.2) and no others, as
FAPI 2.0 wants it (Security Profile section 5.2.2). Those of TLS 1.3 are all good."""
FILES = ("privateKey", "certKey", "extraCertChain", "dhParameters")  # arguments of ssl: that name files


@implementer(IProtocolNegotiationFactory)
class Door(Factory):
    """Stands at a bound socket until there is a site behind it."""

    noisy = False
    site: Site | None = None

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:  # noqa: N802
        """Hand the connection to the site."""
        return self.site.buildProtocol(addr) if self.site is not None else None

    def acceptableProtocols(self) -> list[bytes]:  # noqa: N802
        """HTTP/1.1 alone. Twisted breaks a TLS handshake off when a client, as each browser, offers what we do not."""
        return [b"http/1.1"]


@define(eq=False)
class Listening:
    """One endpoint that is bound.

    :ivar text: the endpoint.
    :ivar ports: Twisted's; one, or as many as there are workers.
    :ivar files: what the files of an `ssl:` endpoint hold, by argument.
    :ivar asks: are clients asked for certificates?
    """

    text: str
    ports: list[Any]
    files: Mapping[str, str] = field(factory=dict, repr=False)
    asks: bool = False

    def open(self) -> None:
        """Begin to accept."""
        for port in self.ports:
            port.startReading()

    def withhold(self) -> None:
        """Let no new connection into the queue, as far as that is ours to say: a service manager's goes on."""
        for port in self.ports:
            if isinstance(port, UnixPort):
                port.withdraw()
            elif not self.text.startswith("systemd:"):
                withhold(port.socket)

    def accept_waiting(self) -> None:
        """Take the connections that wait: closing would reset them, requests and all."""
        for port in self.ports:
            for _ in range(QUEUE):
                before = port.sessionno
                port.doRead()
                if port.sessionno == before:
                    break

    async def close(self) -> None:
        """Close it; whoever still waits in the queue is reset unless others have the socket, too."""
        for port in self.ports:
            await port.stopListening()


@define(eq=False)
class _Binding:
    """Stands for the reactor towards Twisted's endpoints, which know their arguments, and binds in our way.

    Each method gives all ports that were made.
    """

    reactor: Any
    workers: int
    asks: bool

    def listenTCP(self, port: int, factory: Any, backlog: int = QUEUE, interface: str = "") -> list[Any]:  # noqa: N802
        if self.workers == 1:
            return [self.reactor.listenTCP(port, factory, backlog, interface)]
        ports = []
        for one in group(port, interface, backlog, self.workers):
            with one:
                ports.append(adopted(self.reactor, one.fileno(), factory))
        return ports

    def listenSSL(  # noqa: N802
        self, port: int, factory: Any, contextFactory: Any, backlog: int = QUEUE, interface: str = ""  # noqa: N803
    ) -> list[Any]:
        prepare(contextFactory, self.asks)
        if self.workers == 1:
            return [self.reactor.listenSSL(port, factory, contextFactory, backlog, interface)]
        return self.listenTCP(port, factory, backlog, interface)  # each worker speaks TLS itself

    def listenUNIX(  # noqa: N802
        self, address: str, factory: Any, backlog: int = QUEUE, mode: int = 0o666, wantPID: bool = False  # noqa: N803
    ) -> list[Any]:
        port = UnixPort(os.fsencode(address), factory, backlog, mode, self.reactor, wantPID)
        port.startListening()
        return [port]

    def adoptStreamPort(self, descriptor: int, family: int, factory: Any) -> list[Any]:  # noqa: N802
        return [adopted(self.reactor, descriptor, factory)]


def prepare(options: CertificateOptions, asks: bool) -> None:
    """Make what Twisted made of an endpoint's text what ours are.

    :param asks: ask clients for certificates.
    """
    options.getContext().set_cipher_list(SUITES)
    if asks:
        ask(options)


def ask(options: CertificateOptions) -> None:
    """Ask clients for a certificate, and take any or none.

    Who shows one has proved to hold its key; OpenSSL sees to that whatever is said here. Whether anybody has vouched
    for it is found out for those who must know (RFC 8705 sections 2.2 and 4). No authorities are named to the client,
    or it would not offer what it has made itself. No session is resumed, so each connection has a proof of its own.
    """
    context = options.getContext()
    context.set_verify(VERIFY_PEER, lambda *_: True)
    context.set_verify_depth(DEPTH)
    context.set_session_cache_mode(SESS_CACHE_OFF)
    context.set_options(OP_NO_TICKET)


def bind(reactor: Any, text: str, door: Door, workers: int = 1, asks: bool = False) -> Listening:
    """Listen, at once, as each of our kinds of endpoint can, and accept nothing yet.

    :param asks: ask clients for certificates; of an `ssl:` endpoint.
    :raises CannotStart: with the endpoint and the reason.
    """
    outcome: list[Any] = []
    kind, arguments = endpoint_arguments(text)
    if kind != "systemd":
        arguments.setdefault("backlog", str(QUEUE))
    try:
        binding = _Binding(reactor, workers, asks)
        serverFromString(binding, endpoint_string(kind, arguments)).listen(door).addBoth(outcome.append)
        files = {name: Path(arguments[name]).read_text() for name in FILES if name in arguments}
    except LookupError:  # a systemd: endpoint without activation
        raise CannotStart(f"cannot listen on {text}: the service manager has passed no such socket") from None
    except Exception as error:  # the files of an ssl: endpoint
        raise CannotStart(f"cannot listen on {text}: {error}") from None
    (ports,) = outcome
    if isinstance(ports, Failure):
        reason = getattr(ports.value, "socketError", None) or ports.value
        raise CannotStart(f"cannot listen on {text}: {reason}")
    for port in ports:
        port.stopReading()  # connections wait in the queue until we are ready
    return Listening(text, ports, files, asks)


@define(eq=False)
class _Adopting:
    """Stands for the reactor towards an `ssl:` endpoint, for a socket that is there."""

    reactor: Any
    descriptor: int
    asks: bool

    def listenSSL(self, port: int, factory: Any, contextFactory: Any, **others: Any) -> Any:  # noqa: N802, N803
        prepare(contextFactory, self.asks)
        return adopted(self.reactor, self.descriptor, TLSMemoryBIOFactory(contextFactory, False, factory))


def adopt(
    reactor: Any, text: str, descriptor: int, files: Mapping[str, str], door: Door, asks: bool = False
) -> Listening:
    """Accept at a socket that another process has bound for an endpoint, and closes in the end."""
    kind, arguments = endpoint_arguments(text)
    if kind != "ssl":
        return Listening(text, [adopted(reactor, descriptor, door)])
    arguments |= {name: _in_memory(content) for name, content in files.items()}
    outcome: list[Any] = []
    serverFromString(_Adopting(reactor, descriptor, asks), endpoint_string(kind, arguments)).listen(door).addBoth(
        outcome.append
    )
    if isinstance(outcome[0], Failure):
        outcome[0].raiseException()
    return Listening(text, outcome, asks=asks)


def _in_memory(content: str) -> str:
    """The path of a file without a name that lives as long as this process: OpenSSL may read it later."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("oauthd")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.pwrite(descriptor, content.encode(), 0)
    return f"/dev/fd/{descriptor}"
