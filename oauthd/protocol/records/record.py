"""What all records have in common."""

from __future__ import annotations

from oauthd.protocol.frozen import Frozen


class Record(Frozen, frozen=True, omit_defaults=True):
    """What is stored; a field that equals its default is left out."""
