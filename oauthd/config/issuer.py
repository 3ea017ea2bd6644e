"""The issuer identifier: what may be one, and which one a server has when none was set.

RFC 8414 section 2 and OpenID Connect Discovery section 3 ask for an https URL without query and fragment. Clients
compare it byte for byte, so only the one normal spelling is accepted: lower case, no slash at the end, no port that is
the scheme's own. Paths are refused too: the metadata, pages and cookies of oauthd stand at the root of their origin.
Refuses http, except on loopback or where it was allowed explicitly.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from oauthd.config.listeners import Listener, is_loopback, listener

if TYPE_CHECKING:
    from oauthd.config.declarations import Settings
    from oauthd.config.server import ServerSettings

_URL = re.compile(r"(?P<scheme>[a-z]+)://(?P<host>\[[0-9a-f:.]+\]|[^\s/?#@:\[\]\\]+)(?::(?P<port>[0-9]+))?", re.ASCII)
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_OWN_PORT = {"http": 80, "https": 443}


def well_formed(issuer: str) -> str:
    """Check the spelling of an issuer and return its host, without brackets. Raises ValueError with a reason."""
    if issuer != issuer.lower():
        raise ValueError("must be in lower case")
    if "?" in issuer or "#" in issuer:
        raise ValueError("must have neither query nor fragment")
    if "@" in issuer:
        raise ValueError("must not carry a user name or password")
    scheme, _, rest = issuer.partition("://")
    if scheme not in _OWN_PORT or not rest:
        raise ValueError("must begin with https:// (or http:// on loopback) and a host")
    if "/" in rest:
        raise ValueError("must end after host and port: no slash at the end, no path")
    parts = _URL.fullmatch(issuer)
    if parts is None:
        raise ValueError("must be a URL of scheme, host and perhaps a port, such as https://login.example.org")
    _judge_port(scheme, parts["port"])
    return _host(parts["host"])


def _judge_port(scheme: str, port: str | None) -> None:
    if port is None:
        return
    if len(port) > 5 or port.startswith("0") or int(port) > 65535:
        raise ValueError("must have a port from 1 to 65535, without leading zeros")
    if int(port) == _OWN_PORT[scheme]:
        # Browsers and URL libraries drop it, and then nothing compares equal.
        raise ValueError(f"must leave out :{port}, which is the port of {scheme} anyway")


def _host(host: str) -> str:
    if host.startswith("["):
        return _address(host[1:-1])
    labels = host.split(".")
    if labels[-1].isdigit() or labels[-1].startswith("0x"):
        # Browsers read every host that ends in a number as an IPv4 address.
        return _address(host)
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("must have a host name of letters, digits and hyphens (international names as xn--...)")
    return host


def _address(host: str) -> str:
    try:
        if str(ipaddress.ip_address(host)) == host:
            return host
    except ValueError:
        pass
    raise ValueError("must have a well-formed host; an IP address in its shortest spelling")


def judge(server: ServerSettings) -> None:
    """Refuse an issuer that this server may not have, or a server that has none. Raises ValueError with a reason."""
    if server.issuer is None:
        if _of_listeners(server) is None:
            raise ValueError(
                "is required here: it can be left out only when one of the listeners is tcp: or ssl: with a fixed port "
                "on a loopback interface"
            )
        return
    host = well_formed(server.issuer)
    # RFC 8414 section 2: https, without which a network in between can put its own keys and endpoints in our place.
    if server.issuer.startswith("http:") and not is_loopback(host) and not server.insecure_issuer:
        raise ValueError("must be https, because its host is not loopback (server.insecure_issuer lifts this)")


def issuer_of(settings: Settings) -> str:
    """The issuer of a server with these settings: the one set, else that of the first loopback listener.

    Raises ValueError when there is neither, which `load` has ruled out.
    """
    judge(settings.server)
    issuer = settings.server.issuer or _of_listeners(settings.server)
    assert issuer is not None  # noqa: S101 - judge() has refused it
    return issuer


def _of_listeners(server: ServerSettings) -> str | None:
    for one in map(listener, server.listen):
        if one.loopback and one.port:
            return _of_listener(one)
    return None


def _of_listener(one: Listener) -> str:
    scheme = "https" if one.kind == "ssl" else "http"
    host = one.interface or "localhost"
    if host in ("127.0.0.1", "::1"):
        host = "localhost"  # what the printed examples use, and what browsers take for a secure place
    port = "" if one.port == _OWN_PORT[scheme] else f":{one.port}"
    return f"{scheme}://{host}{port}"
