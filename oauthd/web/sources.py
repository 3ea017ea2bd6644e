"""Who called: the caller's address, whether TLS protected the way, and its certificate, in the presence of proxies.

Forwarded headers count only from a trusted peer, and of `X-Forwarded-For` only the rightmost address that is not itself
a trusted proxy: what stands left of it was written by the caller. What is malformed counts as not sent. The `Forwarded`
field of RFC 7239 is not read. No header ever becomes a host name or a link.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from attrs import frozen
from twisted.internet.interfaces import IAddress

from oauthd.protocol.messages import Connection, Headers
from oauthd.web.client_certificates import NOTHING, Certificates, Shown

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

HOPS = 32
_WITH_PORT = re.compile(r"\[([^\]]+)\](?::[0-9]+)?|([0-9.]+):[0-9]+")
_FORWARDING = ("forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip")


@frozen
class Sources:
    """Finds the source of a request.

    :ivar trusted: addresses of the proxies whose forwarded headers count.
    :ivar unix: is a peer on a unix socket such a proxy?
    :ivar certificates: finds the certificate of the caller.
    """

    trusted: tuple[Network, ...] = ()
    unix: bool = False
    certificates: Certificates = Certificates()

    def connection(
        self, peer: IAddress, listener: IAddress, tls: bool, headers: Headers, shown: Shown = NOTHING
    ) -> Connection:
        """The facts of a connection as `Connection` explains them.

        :param peer: where the bytes came from.
        :param listener: our own end.
        :param tls: did TLS end here?
        :param shown: what the peer has shown in TLS.
        """
        near, own = _of(peer), _of(listener)
        local = near is not None and own is not None and near.is_loopback and own.is_loopback
        if self._trusts(near):
            source = self._forwarded_for(headers) or near
            secure = _forwarded_proto(headers, tls)
            certificate, vouched = self.certificates.of_proxy(headers)
        else:
            source, secure = near, tls
            certificate, vouched = self.certificates.of_peer(shown) if shown.der else (b"", False)
        local = local and not _was_forwarded(headers)
        return Connection(secure, "" if source is None else str(source), local, certificate, vouched)

    def trusts(self, peer: IAddress) -> bool:
        """Is it a proxy whose forwarded headers count?"""
        return self._trusts(_of(peer))

    def _trusts(self, address: Address | None) -> bool:
        if address is None:
            return self.unix
        return any(address in network for network in self.trusted)

    def _forwarded_for(self, headers: Headers) -> Address | None:
        """The rightmost hop that is no trusted proxy; the first of all when each is one; None when malformed."""
        hops = [hop for name, value in headers.pairs if name == "x-forwarded-for" for hop in value.split(",")]
        found = None
        for hop in reversed(hops[-HOPS:]):
            found = _address(_without_port(hop.strip(" \t")))
            if found is None or not self._trusts(found):
                return found
        return found


def _forwarded_proto(headers: Headers, tls: bool) -> bool:
    values = [value for name, value in headers.pairs if name == "x-forwarded-proto"]
    said = {word.strip(" \t").lower() for value in values for word in value.split(",")}
    # Proxies that disagree say nothing: which of the hops was in clear is not for us to guess.
    return {frozenset({"https"}): True, frozenset({"http"}): False}.get(frozenset(said), tls)


def _was_forwarded(headers: Headers) -> bool:
    # An underscore is counted as a hyphen, for here a doubt must not make anybody local.
    names = {name.replace("_", "-") for name, _ in headers.pairs}
    return any(name in _FORWARDING or name.startswith("x-forwarded") for name in names)


def _of(address: IAddress) -> Address | None:
    """The address of a TCP peer; None for a unix socket."""
    return _address(getattr(address, "host", ""))


@lru_cache(maxsize=1024)  # the same peers call again and again
def _address(text: str) -> Address | None:
    try:
        found = ip_address(text.partition("%")[0])  # a zone (RFC 4007) says nothing about who it is
    except ValueError:
        return None
    # An IPv4 caller of a dual-stack socket is the same caller as on an IPv4 one.
    return (isinstance(found, IPv6Address) and found.ipv4_mapped) or found


def _without_port(hop: str) -> str:
    """`[2001:db8::1]:443` and `192.0.2.1:443` are written by some proxies, and mean the address."""
    found = _WITH_PORT.fullmatch(hop)
    return (found[1] or found[2]) if found else hop
