"""Settings of introspection: signed answers (RFC 9701), and many tokens at once."""

from __future__ import annotations

import attrs

from oauthd.config.setting import setting


@attrs.frozen
class IntrospectionSettings:
    """How resource servers are answered that ask for signed answers, or about many tokens at once."""

    signed_repeat: float = setting(
        5.0,
        help="How long the signature of a signed answer is repeated to the same caller, whenever it is to be told the "
        "same of a token. Whether the token is alive is looked up each time; iat is when the signature was made. With "
        "0 each answer is signed for itself.",
        unit="seconds",
        spec="RFC 9701 section 5",
        between=(0, 60),
    )
    batch_body: int = setting(
        2097152,
        help="The largest body of a request about many tokens (at most 1,000). A larger one is 413.",
        unit="bytes",
        between=(65536, 16777216),
    )
    batches: int = setting(
        32,
        help="How many requests that are larger than server.body_limit a worker takes at once; further ones are 503.",
        unit="requests",
        between=(1, 10000),
    )
