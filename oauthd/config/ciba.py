"""Settings of backchannel authentication (CIBA): how long requests wait, how many, and what people are asked."""

from __future__ import annotations

import attrs

from oauthd.config.setting import DAY, MINUTE, setting


@attrs.frozen
class CibaSettings:
    """Clients that ask for a person to be authenticated on a device of the person's own, without a browser (CIBA)."""

    lifetime: int = setting(
        5 * MINUTE,
        help="How long a request waits for its person when the client does not say.",
        unit="seconds",
        spec="CIBA Core section 7.3",
        between=(10, 1 * DAY),
    )
    longest: int = setting(
        30 * MINUTE,
        help="How long it waits at most, whatever the client asks for.",
        unit="seconds",
        spec="CIBA Core section 7.1",
        between=(10, 1 * DAY),
    )
    interval: int = setting(
        5,
        help="How long a client must wait between polls; one that asks sooner is told to slow down.",
        unit="seconds",
        spec="CIBA Core section 7.3",
        between=(1, 300),
    )
    message_length: int = setting(
        128,
        help="How long a binding_message may be.",
        unit="characters",
        spec="CIBA Core section 7.1",
        between=(8, 1000),
    )
    user_requests: int = setting(
        20,
        help="How many requests about one person may go unanswered within ciba.longest; further ones are refused.",
        unit="requests",
        between=(1, 100_000),
    )
    client_requests: int = setting(
        5,
        help="The same for the requests of one client about one person.",
        unit="requests",
        between=(1, 100_000),
    )
    user_code_tries: int = setting(
        5,
        help="How many wrong user codes one client may send of one person in an hour; clients that registered "
        "themselves count as one. Then none of theirs is looked at until the hour is over.",
        unit="tries",
        spec="CIBA Core section 7.1.2",
        between=(1, 1000),
    )
    tells_unknown: bool = setting(
        True,
        help="Tell clients that a login_hint names nobody, or that the user code is wrong. When off, such a request is "
        "taken like any other, and ends unanswered: no client finds out who has an account.",
        spec="CIBA Core section 13",
    )
    sign_in_age: int = setting(
        15 * MINUTE,
        help="How long ago a person may have signed in who allows a request on the page; then the password is asked "
        "for again. A client's default_max_age makes it shorter.",
        unit="seconds",
        spec="CIBA Core section 8",
        between=(0, 30 * DAY),
    )
