"""What belongs to the server as a whole: scopes, resources, keys."""

from __future__ import annotations

from typing import Any

from msgspec import field

from oauthd.protocol.records.record import Record


class Scope(Record, frozen=True):
    """A scope; `reserved` ones must be allowed to a client by name, `administrators_only` ones go to no other user."""

    scope_id: int = field(name="i")
    name: str = field(name="n")
    description: str = field(name="d", default="")
    reserved: bool = field(name="r", default=False)
    administrators_only: bool = field(name="a", default=False)


class Scopes(Record, frozen=True):
    """Every scope, in one record: a token request reads them at once, and names stay unique."""

    scopes: tuple[Scope, ...] = field(name="s", default=())
    last_id: int = field(name="l", default=0)

    @property
    def names(self) -> frozenset[str]:
        """The names of all of them."""
        return frozenset([one.name for one in self.scopes])


class Resources(Record, frozen=True):
    """Resource indicators (RFC 8707) and the clients that own each: only the operator declares them."""

    owners: dict[str, Any] = field(name="o", default_factory=dict)


class SealedKey(Record, frozen=True):
    """A signing key: its public JWK, the sealed private one, and the stages of its life (seconds)."""

    secret = ("sealed",)

    kid: str = field(name="k")
    algorithm: str = field(name="a")
    public: dict[str, Any] = field(name="p")
    sealed: bytes = field(name="s")
    created_at: int = field(name="c")
    signs_from: int = field(name="f")
    retires_at: int | None = field(name="r", default=None)


class KeyRing(Record, frozen=True):
    """Every signing key, in one record: a rotation is one swap."""

    keys: tuple[SealedKey, ...] = field(name="k", default=())


class Salt(Record, frozen=True):
    """What pairwise subjects are made with (OpenID Connect Core section 8.1), sealed."""

    secret = ("sealed",)

    sealed: bytes = field(name="s")


class World(Record, frozen=True):
    """That the store was founded, and by which master key (fingerprint, not key)."""

    founded_at: int = field(name="f")
    master: str = field(name="m")
