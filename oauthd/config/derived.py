"""Values that follow from settings: where the data lies, the master keys as bytes, how long old keys are published.

Pure: the environment is handed in, and whether a folder exists is found out by whoever opens it.
"""

from __future__ import annotations

from collections.abc import Mapping

from oauthd.config.checks import master_key
from oauthd.config.declarations import Settings


def data_folder(settings: Settings, environ: Mapping[str, str]) -> str:
    """The path of the data folder, not made absolute when it was set as a relative one.

    The setting, else STATE_DIRECTORY (the service manager's, the first where it names several), else `oauthd` in the
    user's data folder (XDG_DATA_HOME, else ~/.local/share). Raises ValueError when none of them is known.
    """
    if settings.server.data is not None:
        return settings.server.data
    state = environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if state:
        return state
    home = environ.get("XDG_DATA_HOME", "")
    if home.startswith("/"):  # the XDG base directory specification ignores relative ones
        return f"{home.rstrip('/')}/oauthd"
    if environ.get("HOME"):
        return f"{environ['HOME'].rstrip('/')}/.local/share/oauthd"
    raise ValueError("server.data must be set, because neither STATE_DIRECTORY nor HOME is known")


def master_keys(settings: Settings) -> tuple[bytes, ...]:
    """The master keys that were set, 32 bytes each; none when the one in the data folder counts."""
    return tuple(master_key(text) for text in settings.keys.master_keys)


def key_retirement(settings: Settings) -> int:
    """Seconds for which a key that no longer signs must stay published: what it signed last must verify to its end.

    Clients with longer lifetimes of their own are not known here; whoever lets them sign adds theirs.
    """
    tokens = settings.tokens
    return max(settings.keys.retire_after, max(tokens.access_lifetime, tokens.id_token_lifetime) + tokens.leeway)
