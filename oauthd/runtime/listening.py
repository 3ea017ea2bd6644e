"""Where connections come in: sockets bound as Twisted's endpoint strings say, with nobody behind them at first.

A bound socket is given to whoever serves by the `Door` at it; until then connections wait in its queue.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

from typing import Any

from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IAddress, IProtocolNegotiationFactory
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from oauthd.runtime.hindrance import CannotStart
from oauthd.web.site import Site

QUEUE = 128  # connections that may wait in a port's queue


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


def bind(reactor: Any, text: str, door: Door) -> Any:
    """Listen, at once, as each of our kinds of endpoint can, and accept nothing yet.

    :returns: the port, which is not reading.
    :raises CannotStart: with the endpoint and the reason.
    """
    outcome: list[Any] = []
    try:
        serverFromString(reactor, text).listen(door).addBoth(outcome.append)
    except LookupError:  # a systemd: endpoint without activation
        raise CannotStart(f"cannot listen on {text}: the service manager has passed no such socket") from None
    except Exception as error:  # the files of an ssl: endpoint
        raise CannotStart(f"cannot listen on {text}: {error}") from None
    (port,) = outcome
    if isinstance(port, Failure):
        reason = getattr(port.value, "socketError", None) or port.value
        raise CannotStart(f"cannot listen on {text}: {reason}")
    port.stopReading()  # connections wait in the queue until we are ready
    return port


def accept_waiting(port: Any) -> None:
    """Take the connections that wait in the queue of a port: closing it would reset them, requests and all."""
    for _ in range(QUEUE):
        before = port.sessionno
        port.doRead()
        if port.sessionno == before:
            break
