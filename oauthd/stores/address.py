"""How the primary is reached: a unix socket, TCP, TLS that checks whom it talks to, or wherever the sentinels say.

Refuses an address that is neither. What is said over the connection is left to `oauthd.stores.pool`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint, wrapClientTLS
from twisted.internet.interfaces import IProtocolFactory, IReactorTCP, IReactorUNIX, IStreamClientEndpoint
from twisted.python.failure import Failure
from zope.interface import implementer

from oauthd.stores.pool import Command, greeting
from oauthd.stores.sentinel import NoPrimary, Sentinels
from oauthd.tls import Named, options


@implementer(IStreamClientEndpoint)
class Noting:
    """An endpoint that tells why connecting failed; txredisapi keeps that to itself."""

    def __init__(self, endpoint: IStreamClientEndpoint, note: Callable[[str], None]) -> None:
        self._endpoint = endpoint
        self._note = note

    def __repr__(self) -> str:
        return "the store"  # Twisted logs it at every try

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:  # noqa: N803 - Twisted's name
        """Connect; see the interface."""
        return self._endpoint.connect(protocolFactory).addErrback(self._failed)

    def _failed(self, failure: Failure) -> Failure:
        problem = failure.value
        if not isinstance(problem, CancelledError):
            words = str(problem) if isinstance(problem, NoPrimary) else type(problem).__name__
            self._note(f"connecting failed: {words}")
        return failure


class Primary:
    """The one server that takes writes: how it is found, and what is said to it first.

    All connections of a process (the pool, the subscription, those that wait for replicas) are made from one of these,
    so that they go to the same server and share what the sentinels say:

        primary = Primary(reactor, **attrs.asdict(redis_address(url), recurse=False), timeout=1.0)
        pool = RedisConnection(reactor, primary=primary, size=8)
        waiting = RedisConnection(reactor, primary=primary, size=1, reply_timeout=2.0)

    A connection of another kind, as a subscription, connects to `endpoint(note)` anew each time, says `greeting` first
    and leaves where `oauthd.stores.pool.objection` finds something in the replies; while it stands, it is given up when
    `watch` calls.

    Either `host` and `port`, `path` (a unix socket) or `sentinels` and `service` are given.

    :param tls: TLS, with the server's certificate checked against its host.
    :param ca_file: path of the authorities (PEM) to check against; None: the system's.
    :param user: name of an ACL user; None: the default user.
    :param db: number of the database.
    :param sentinels: hosts and ports of the sentinels, who are let in by `sentinel_user` and `sentinel_password`.
    :param timeout: seconds for connecting.
    :raises ValueError: where none of them is given; for a `ca_file` that holds no certificates.
    :raises OSError: when `ca_file` cannot be read.
    :ivar greeting: the first commands of each connection.
    """

    def __init__(
        self,
        reactor: Any,
        *,
        host: str | None = None,
        port: int | None = None,
        path: str | None = None,
        tls: bool = False,
        user: str | None = None,
        password: str | None = None,
        db: int = 0,
        ca_file: str | None = None,
        sentinels: Sequence[tuple[str, int]] = (),
        service: str = "",
        sentinel_user: str | None = None,
        sentinel_password: str | None = None,
        timeout: float = 1.0,
    ) -> None:
        self.greeting: tuple[Command, ...] = greeting(user, password, db)
        self._sentinels: Sentinels | None = None
        if sentinels:
            if tls and ca_file is not None:
                options(ca_file)  # what is wrong with it is told now, not at the first connection

            def reach(host: str, port: int) -> IStreamClientEndpoint:
                return endpoint(reactor, host, port, None, tls, ca_file, timeout)

            self._sentinels = Sentinels(
                reactor, sentinels, service, reach, timeout, sentinel_user, sentinel_password
            )
            self._endpoint: IStreamClientEndpoint = self._sentinels
        else:
            self._endpoint = endpoint(reactor, host, port, path, tls, ca_file, timeout)

    @property
    def place(self) -> str:
        """Where the sentinels say it is; "" without sentinels."""
        place = self._sentinels.place if self._sentinels is not None else None
        return "" if place is None else f"{place[0]}:{place[1]}"

    def endpoint(self, note: Callable[[str], None]) -> IStreamClientEndpoint:
        """The server, to be connected to again and again; `note` is told why connecting failed."""
        return Noting(self._endpoint, note)

    def watch(self, moved: Callable[[], None]) -> None:
        """Call `moved` whenever the sentinels name another server, until `unwatch`. Without sentinels never."""
        if self._sentinels is not None:
            self._sentinels.watch(moved)

    def unwatch(self, moved: Callable[[], None]) -> None:
        """End what `watch` began; else the reactor is never at rest."""
        if self._sentinels is not None:
            self._sentinels.unwatch(moved)


def endpoint(
    reactor: Any, host: str | None, port: int | None, path: str | None, tls: bool, ca_file: str | None, timeout: float
) -> IStreamClientEndpoint:
    """The server as an endpoint; `timeout` in seconds is for connecting.

    :raises ValueError: without a path and without host and port; for a `ca_file` that holds no certificates.
    :raises OSError: when `ca_file` cannot be read.
    """
    if path is not None:
        unix: IReactorUNIX = reactor
        return UNIXClientEndpoint(unix, path, timeout=timeout)  # type: ignore[no-untyped-call]
    if host is None or port is None:
        raise ValueError("a store has a host and a port, or a path")
    tcp: IReactorTCP = reactor
    plain = HostnameEndpoint(tcp, host, port, timeout=timeout)
    if not tls:
        return plain
    # txredisapi's own TLS would take any certificate.
    return wrapClientTLS(Named(options(ca_file), host), plain)
