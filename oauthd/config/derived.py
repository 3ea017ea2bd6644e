"""Values that follow from settings: the master keys as bytes, how long old signing keys stay published, and for how
long browsers are to come by https alone."""

from __future__ import annotations

from urllib.parse import urlsplit

from oauthd.config.checks import master_key
from oauthd.config.declarations import Settings
from oauthd.config.issuer import issuer_of
from oauthd.config.listeners import is_loopback
from oauthd.config.setting import YEAR
from oauthd.protocol.profile import FAPI2
from oauthd.protocol.token_policy import TokenPolicy


def master_keys(settings: Settings) -> tuple[bytes, ...]:
    """The master keys that were set, 32 bytes each; none when the one in the data folder counts."""
    return tuple(master_key(text) for text in settings.keys.master_keys)


def https_only(settings: Settings) -> int:
    """Seconds for which browsers are told to come to this host by https alone; 0 for not telling them.

    FAPI 2.0 Security Profile section 5.2.3 demands it. On loopback it would bind whatever else a person has there.
    """
    issuer, server = urlsplit(issuer_of(settings)), settings.server
    if issuer.scheme != "https":
        return 0
    demanded = server.profile == FAPI2 and not is_loopback(issuer.hostname or "")
    return server.https_only or (YEAR if demanded else 0)


def key_retirement(settings: Settings) -> int:
    """Seconds for which a key that no longer signs must stay published: what it signed last must verify to its end.

    Clients have lifetimes of their own, up to the longest one.
    """
    tokens = settings.tokens
    longest = max(longest_access(settings), tokens.id_token_lifetime, settings.status_lists.lifetime)
    return max(settings.keys.retire_after, longest + tokens.leeway)


def longest_access(settings: Settings) -> int:
    """Seconds that an access token lives at most, whatever its client has."""
    return max(settings.tokens.access_lifetime, settings.tokens.access_longest)


def token_policy(settings: Settings) -> TokenPolicy:
    """What is declared of access tokens.

    :raises ValueError: where resources name claims that are not declared.
    """
    return TokenPolicy.of(settings.tokens.claims, settings.tokens.resources)
