"""Listeners as Twisted's endpoint strings: their syntax, and what they say about where a server listens.

The syntax is that of `twisted.internet.endpoints.serverFromString`: arguments between colons, `name=value` for named
ones, a backslash before a colon or an equals sign that stands for itself. Accepts `tcp:`, `ssl:`, `unix:` and
`systemd:` with the arguments that Twisted knows for them and refuses everything else. Whether a port is free, a
certificate readable or a socket handed over is found out by whoever opens the listener.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Literal, cast

import attrs

Kind = Literal["tcp", "ssl", "unix", "systemd"]

# The first argument may stand without its name; all others are named.
_ARGUMENTS: dict[str, tuple[str, ...]] = {
    "tcp": ("port", "interface", "backlog"),
    "ssl": (
        "port",
        "interface",
        "backlog",
        "privateKey",
        "certKey",
        "extraCertChain",
        "dhParameters",
        "sslmethod",
    ),
    "unix": ("address", "mode", "backlog", "lockfile"),
    "systemd": ("domain", "index", "name"),
}
_PART = re.compile(r"(?:[^:=\\]|\\.)+|[:=]", re.DOTALL)
_SPECIAL = re.compile(r"[\\:=]")
_DOMAINS = ("INET", "INET6", "UNIX")


@attrs.frozen
class Listener:
    """One place to listen at. `port` and `interface` are None where the kind has none."""

    kind: Kind
    port: int | None = None
    interface: str | None = None

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it through the network; false for sockets that others open or relay."""
        return self.interface is not None and is_loopback(self.interface)


def is_loopback(host: str) -> bool:
    """Whether a host, without brackets, is `localhost` or an address in 127.0.0.0/8 or ::1."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listener(text: str) -> Listener:
    """Read one endpoint string. Raises ValueError with a reason when it is not one."""
    kind, separator, rest = text.partition(":")
    if not separator or kind not in _ARGUMENTS:
        kinds = ", ".join(f"{name}:" for name in _ARGUMENTS)
        raise ValueError(f"a listener begins with one of {kinds}; {text!r} does not")
    try:
        arguments = _arguments(rest, _ARGUMENTS[kind])
        port = _judge(kind, arguments)
    except ValueError as reason:
        raise ValueError(f"listener {text!r}: {reason}") from None
    interface = arguments.get("interface", "") if port is not None else None
    return Listener(cast(Kind, kind), port, interface)


def endpoint_arguments(text: str) -> tuple[str, dict[str, str]]:
    """The kind of an endpoint string that `listener` accepts, and its arguments by name."""
    kind, _, rest = text.partition(":")
    return kind, _arguments(rest, _ARGUMENTS[kind])


def endpoint_string(kind: str, arguments: Mapping[str, str]) -> str:
    """The endpoint string with these arguments."""
    named = (f"{name}={_SPECIAL.sub(_escaped, value)}" for name, value in arguments.items())
    return ":".join((kind, *named))


def _escaped(special: re.Match[str]) -> str:
    return "\\" + special[0]


def _arguments(rest: str, known: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, (name, value) in enumerate(_pairs(rest)):
        if name is None and not value:
            raise ValueError("has an empty argument; write a colon that stands for itself as \\:")
        if name is None and number > 0:
            raise ValueError(f"the argument {value!r} needs a name, one of {', '.join(known)}")
        key = known[0] if name is None else name
        if key not in known:
            raise ValueError(f"unknown argument {key!r}, must be one of {', '.join(known)}")
        if key in found:
            raise ValueError(f"{key} is given twice")
        found[key] = value
    return found


def _pairs(rest: str) -> Iterator[tuple[str | None, str]]:
    """Name, or None where there is none, and value of each argument."""
    name: str | None = None
    value = ""
    for part in _parts(rest):
        if part == ":":
            yield name, value
            name, value = None, ""
        elif part == "=" and name is None:
            name, value = value, ""
        else:
            value += re.sub(r"\\(.)", r"\1", part, flags=re.DOTALL)
    yield name, value


def _parts(rest: str) -> list[str]:
    parts = _PART.findall(rest)
    if "".join(parts) != rest:
        raise ValueError("a backslash at the end escapes nothing")
    return parts


def _judge(kind: str, arguments: dict[str, str]) -> int | None:
    """Check the arguments' values; the port where the kind has one."""
    if not arguments.get("backlog", "1").isascii() or not arguments.get("backlog", "1").isdigit():
        raise ValueError("backlog must be a whole number")
    if kind == "unix":
        _judge_unix(arguments)
        return None
    if kind == "systemd":
        _judge_systemd(arguments)
        return None
    port = arguments.get("port", "")
    if not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        raise ValueError(f"the port must be a number from 0 to 65535, is {port!r}")
    interface = arguments.get("interface", "")
    if interface not in ("", "localhost"):
        try:
            ipaddress.ip_address(interface)
        except ValueError:
            # The usual slip: Twisted cuts at the colons of ::1 and listens somewhere else.
            raise ValueError("interface must be an IP address; write the colons of IPv6 as \\:") from None
    if kind == "ssl" and not arguments.get("privateKey"):
        raise ValueError("privateKey must name the file of the private key")
    return int(port)


def _judge_unix(arguments: dict[str, str]) -> None:
    if not arguments.get("address"):
        raise ValueError("the path of the socket is missing")
    if not re.fullmatch(r"[0-7]{3,4}", arguments.get("mode", "666")):
        raise ValueError("mode must be octal, such as 660")
    if arguments.get("lockfile", "1") not in ("0", "1"):
        raise ValueError("lockfile must be 0 or 1")


def _judge_systemd(arguments: dict[str, str]) -> None:
    if arguments.get("domain") not in _DOMAINS:
        raise ValueError(f"domain must be one of {', '.join(_DOMAINS)}")
    if ("index" in arguments) == ("name" in arguments):
        raise ValueError("exactly one of index and name is needed")
    if not re.fullmatch(r"[0-9]{1,4}", arguments.get("index", "0")):
        raise ValueError("index must be a whole number")
