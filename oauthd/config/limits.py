"""Settings of limits: how often who may ask, and what is refused first when there is too much of everything."""

from __future__ import annotations

import attrs

from oauthd.config.setting import setting

_MOST = 1_000_000_000


@attrs.frozen
class LimitSettings:
    """How often clients and addresses may ask, together for all processes and nodes, and what is refused first when the
    store is nearly full or this server is late. With 0 there is no such limit."""

    client_rate: int = setting(
        2000,
        help="How many requests a client may make, at the token endpoint and all others where it authenticates but for "
        "introspection. A public client, which anybody can name, has as many at each source address.",
        unit="requests a second",
        spec="RFC 6585 section 4",
        between=(0, _MOST),
    )
    client_burst: int = setting(
        20_000,
        help="How many of these it may make at once.",
        unit="requests",
        between=(1, _MOST),
    )
    caller_rate: int = setting(
        0,
        help="How many tokens a client may introspect; each token of a batch counts. Off unless set: a resource server "
        "that is refused must refuse everybody.",
        unit="tokens a second",
        spec="RFC 6585 section 4",
        between=(0, _MOST),
    )
    caller_burst: int = setting(
        20_000,
        help="How many of these it may introspect at once.",
        unit="tokens",
        between=(1, _MOST),
    )
    source_rate: int = setting(
        1000,
        help="How many requests may come from a source address; an IPv6 network (/64) is one address. What clients ask "
        "that prove who they are does not count here, nor does what comes from this machine. Behind a proxy set "
        "server.trusted_proxies first, or all who come by it are one source.",
        unit="requests a second",
        spec="RFC 6585 section 4",
        between=(0, _MOST),
    )
    source_burst: int = setting(
        10_000,
        help="How many of these may come at once.",
        unit="requests",
        between=(1, _MOST),
    )
    unfinished: int = setting(
        100_000,
        help="How many pushed authorization requests a client with a proof of its own may have open at a time; as many "
        "device codes, and backchannel requests. For other clients they are counted by source address: 1000 a minute.",
        unit="requests",
        between=(0, _MOST),
    )
    store_bytes: int = setting(
        0,
        help="What the store may use, where its server has no maxmemory of its own.",
        unit="bytes",
        between=(0, 2**50),
    )
    shed_unfinished_at: int = setting(
        80,
        help="From how full a store on nothing is begun that may be left unfinished: sign-ins, pushed requests, device "
        "codes. Clients are told to come back. Tokens and revocations go on.",
        unit="percent",
        between=(0, 100),
    )
    shed_registration_at: int = setting(
        90,
        help="From how full a store on no client may register itself.",
        unit="percent",
        between=(0, 100),
    )
    loop_delay: float = setting(
        1.0,
        help="How late the event loop may be, for a whole second, before sign-ins and other dear requests that begin "
        "something are refused. Introspection and revocation go on.",
        unit="seconds",
        between=(0, 60),
    )
