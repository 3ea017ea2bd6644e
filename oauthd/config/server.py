"""Settings of how the server is reached: where it listens, how it is called, who may show it certificates.

Times are in seconds unless a unit says otherwise.
"""

from __future__ import annotations

from typing import Literal

import attrs

from oauthd.config import checks
from oauthd.config.setting import YEAR, setting
from oauthd.config.values import Network


@attrs.frozen
class ServerSettings:
    """Where the server listens, how it is called, and how long it waits for whom."""

    listen: tuple[str, ...] = setting(
        ("tcp:8000:interface=127.0.0.1",),
        help="Where to listen, as Twisted endpoint strings: tcp:, ssl:, unix: or systemd:.",
        flag="listen",
        check=checks.listeners,
    )
    issuer: str | None = setting(
        None,
        help="The issuer identifier: scheme and host, with a port where it is not the scheme's own, without a path and "
        "without a slash at the end. When not set it follows the first loopback listener (http://localhost:8000); a "
        "server without one must have it set. https is required unless the host is loopback.",
        spec="RFC 8414 section 2",
        flag="issuer",
        check=checks.issuer,
    )
    insecure_issuer: bool = setting(
        False,
        help="Accept an http issuer whose host is not loopback. All that is sent can then be read and changed on the "
        "way.",
        flag="insecure-issuer",
    )
    profile: Literal["", "fapi2"] = setting(
        "",
        help='"fapi2": hold every client to the FAPI 2.0 Security Profile: pushed requests, PKCE, authentication by '
        "keys, tokens bound to their sender, none by password. A single client can be held to it, too, or be left out "
        "by its own profile, plain, as the first administrator's client is. `oauthd check` tells how a configuration "
        "stands.",
        spec="FAPI 2.0 Security Profile",
    )
    https_only: int = setting(
        0,
        help="For how long browsers are to come to this host by https alone, whatever else is there: told with what "
        "they are sent over TLS (Strict-Transport-Security). 0: not told, but a year under the fapi2 profile where the "
        "host is not loopback.",
        unit="seconds",
        spec="RFC 6797 section 6.1.1",
        between=(0, 10 * YEAR),
    )
    data: str | None = setting(
        None,
        help="The folder for the master key, the administrator's credentials and the embedded store. When not set: "
        "STATE_DIRECTORY as the service manager gives it, else oauthd in the user's data folder.",
        flag="data",
        check=checks.folder,
    )
    workers: int | Literal["auto"] = setting(
        1,
        help="How many processes serve; auto: one for each core that the server may use.",
        flag="workers",
        check=checks.workers,
    )
    trusted_proxies: tuple[Network, ...] = setting(
        (),
        help="Addresses or networks of the proxies whose forwarded headers count. From anybody else they are ignored.",
        check=checks.proxies,
    )
    trust_unix: bool = setting(
        False,
        help="Take whoever connects through a unix socket for such a proxy, too. The socket's mode says who can.",
    )
    header_timeout: float = setting(
        10.0,
        help="How long a client may take from the first byte of a request to the end of its headers.",
        unit="seconds",
        between=(0.1, 300),
    )
    body_timeout: float = setting(
        20.0, help="How long a client may take to send the body.", unit="seconds", between=(0.1, 300)
    )
    answer_timeout: float = setting(
        10.0, help="How long an answer may take before it is 503.", unit="seconds", between=(0.1, 300)
    )
    idle_timeout: float = setting(
        60.0, help="How long a connection may stay open between requests.", unit="seconds", between=(0.1, 3600)
    )
    drain_timeout: float = setting(
        10.0,
        help="How long requests in flight may take to finish when the server is told to stop.",
        unit="seconds",
        between=(0, 300),
    )
    drain_grace: float = setting(
        1.0,
        help="How long connections that are idle when the server is told to stop stay open, within the time that "
        "requests in flight have: a request that was on its way is still answered.",
        unit="seconds",
        between=(0, 60),
    )
    drain_delay: float = setting(
        0.0,
        help="How long the server goes on as if nothing were when it is told to stop, but for its readiness, which is "
        "503 at once: so that whoever sends requests here can send them elsewhere first.",
        unit="seconds",
        between=(0, 300),
    )
    body_limit: int = setting(
        65536,
        help="The largest request body that is read; a larger one is 413.",
        unit="bytes",
        between=(1024, 16777216),
    )
    max_connections: int = setting(
        1000,
        help="How many connections a worker may have open at once. Keep it below the process's limit of open files.",
        unit="connections",
        between=(1, 1000000),
    )


@attrs.frozen
class MtlsSettings:
    """Client certificates: clients that prove themselves, or bind their tokens, by mutual TLS.

    Either TLS ends here, at a listener of its own, or at a trusted proxy, which writes the certificate into a header.
    """

    listen: tuple[str, ...] = setting(
        (),
        help="Where to listen for clients with certificates, as Twisted endpoint strings, ssl: alone. A certificate is "
        "asked for there and need not be shown; one that the client has made itself will do.",
        spec="RFC 8705 section 5",
        check=checks.tls_listeners,
    )
    base: str | None = setting(
        None,
        help="Scheme and host, with a port where it is not 443, under which clients reach these listeners, or the "
        "proxy that asks for certificates. The metadata name the endpoints there, too (mtls_endpoint_aliases). Not "
        "needed where certificates are asked for under the issuer itself.",
        spec="RFC 8705 section 5",
        check=checks.tls_base,
    )
    ca_file: str | None = setting(
        None,
        help="The path of the authorities (PEM) whose certificates clients of tls_client_auth may have: only those "
        "that issue to nobody else under such names. Without it certificates prove keys and not names.",
        spec="RFC 8705 section 7.4",
        check=checks.folder,
    )
    proxy_header: str | None = setting(
        None,
        help="The header in which trusted proxies write the client's certificate, such as Client-Cert or "
        "X-Ssl-Client-Cert. From anybody else it is ignored. The proxy must remove it from what clients send.",
        spec="RFC 9440 section 2.2",
        check=checks.header,
    )
    proxy_form: Literal["rfc9440", "pem", "base64"] = setting(
        "rfc9440",
        help="How they write it: as RFC 9440 says; as PEM, percent-encoded or with blanks for its line ends (nginx's "
        "$ssl_client_escaped_cert); or as the base64 of the DER.",
        spec="RFC 9440 section 2.1",
    )
    proxy_vouches: bool = setting(
        False,
        help="The proxy passes on only certificates of authorities that clients of tls_client_auth may have. Otherwise "
        "they are checked here against mtls.ca_file, which then holds the intermediate authorities as well.",
        spec="RFC 9440 section 2.4",
    )
