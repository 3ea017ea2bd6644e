"""Keys as they lie in the store: sealed with the master key, together with what they are for.

What a key is and may do is believed from its seal alone: algorithm and kid are sealed with the private key, and the
published key is computed from it. So whoever can write to the store still cannot add a key of his own to the set.

Refused is a key that is damaged, or sealed with a master key that was not given. When keys are made, sign and go is for
`oauthd.keys`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from attrs import field, frozen
from msgspec.structs import replace

from oauthd.protocol import jose
from oauthd.protocol.records import SealedKey
from oauthd.protocol.seals import SealBroken, Seals


class MasterKeyMismatch(Exception):
    """The store is sealed with a master key that was not given; the text tells the operator what to do."""


@frozen
class OpenedKey:
    """A key whose seal has been opened.

    :ivar public: its public JWK.
    :ivar signer: of one that signs; `private`: of one that others encrypt to.
    """

    public: dict[str, Any]
    signer: jose.Signer | None = None
    private: Mapping[str, Any] | None = field(default=None, repr=False)


@frozen
class KeySeals:
    """Seals keys and opens them.

    :ivar in_thread: calls its first argument with the others, outside the reactor's thread.
    """

    seals: Seals
    in_thread: Callable[..., Awaitable[Any]]

    def seal(self, pair: jose.KeyPair, now: int, signs_from: int) -> SealedKey:
        """A fresh key for the store, under the first master key."""
        return SealedKey(
            kid=pair.kid,
            algorithm=pair.algorithm,
            public=pair.public,
            sealed=self.seals.seal(_purpose(pair.algorithm, pair.kid), pair.private),
            created_at=now,
            signs_from=signs_from,
        )

    async def open(self, key: SealedKey) -> OpenedKey:
        """What is in it.

        :raises MasterKeyMismatch: when it does not open.
        """
        try:
            private = self.seals.open(_purpose(key.algorithm, key.kid), key.sealed)
        except SealBroken:
            raise MasterKeyMismatch(
                f"the signing key {key.kid} is damaged, or sealed with a master key that is not given"
            ) from None
        loaded: OpenedKey = await self.in_thread(load, private, key.algorithm)  # RSA: tens of milliseconds
        return loaded

    def is_current(self, key: SealedKey) -> bool:
        """Is it sealed with the first master key?"""
        return self.seals.is_current(key.sealed)

    def reseal(self, key: SealedKey) -> SealedKey:
        """The same under the first master key."""
        purpose = _purpose(key.algorithm, key.kid)
        return replace(key, sealed=self.seals.seal(purpose, self.seals.open(purpose, key.sealed)))


def load(private: bytes, algorithm: str) -> OpenedKey:
    """A key of what was sealed; RSA ones are checked, which takes tens of milliseconds.

    :raises ValueError: when it is none for that algorithm.
    """
    key = jose.load(private)
    public = jose.public_jwk(key.public_key(), algorithm)
    if algorithm in jose.DECRYPTION:
        return OpenedKey(public, private=jose.private_jwk(key))
    return OpenedKey(public, jose.Signer(key, algorithm, public["kid"]))


def _purpose(algorithm: str, kid: str) -> str:
    return f"signing key {algorithm} {kid}"  # of those to encrypt to as well: the algorithm tells them apart
