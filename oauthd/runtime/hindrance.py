"""What may stand in the way of a start: told to whoever starts the server in words, not as a trace."""

from __future__ import annotations

from oauthd.runtime.data import DataFolderError
from oauthd.runtime.process import ValkeyError
from oauthd.sealed_keys import MasterKeyMismatch
from oauthd.stores.interface import StoreUnavailable


class CannotStart(Exception):
    """Something stands in the way; the text says what, fit for the one who starts the server."""


HINDRANCES = (CannotStart, DataFolderError, ValkeyError, StoreUnavailable, MasterKeyMismatch)
"""Everything that is no bug when it ends a start."""
