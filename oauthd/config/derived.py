"""Values that follow from settings: the master keys as bytes, and how long old signing keys stay published."""

from __future__ import annotations

from oauthd.config.checks import master_key
from oauthd.config.declarations import Settings


def master_keys(settings: Settings) -> tuple[bytes, ...]:
    """The master keys that were set, 32 bytes each; none when the one in the data folder counts."""
    return tuple(master_key(text) for text in settings.keys.master_keys)


def key_retirement(settings: Settings) -> int:
    """Seconds for which a key that no longer signs must stay published: what it signed last must verify to its end.

    Clients with longer lifetimes of their own are not known here; whoever lets them sign adds theirs.
    """
    tokens = settings.tokens
    return max(settings.keys.retire_after, max(tokens.access_lifetime, tokens.id_token_lifetime) + tokens.leeway)
