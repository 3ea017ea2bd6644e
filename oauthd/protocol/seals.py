"""Sealed bytes and keyed digests: how secrets lie in the store.

A seal is AES-256-GCM (NIST SP 800-38D) under a key that HKDF-SHA256 (RFC 5869) derives from a master key for one
purpose; format, key and purpose are authenticated with it, so that bytes sealed for one purpose open for no other.
Several master keys may be given: the first one seals and digests, all of them open and verify. `seal_for` knows no
master key: only who holds the token opens what was sealed for it.

Refused is whatever does not open, without a word on why. What the master keys are kept in, and which of them a store
was founded with, is for `oauthd.keys` and the layers above. Digests cannot be made again without what was digested:
whoever drops an old master key also drops the client secrets that nobody has proved since the new one came, but for
those that are sealed besides.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MASTER_KEY_OCTETS: Final = 32

_FORMAT = b"\x01"
_HINT = 4  # octets of the key's fingerprint in front of what it sealed
_NONCE = 12
_FRAME = len(_FORMAT) + _HINT + _NONCE
_REMEMBERED = 64  # derived keys; purposes are few, save those that name a signing key


class SealBroken(Exception):
    """Sealed bytes that no key at hand opens: damaged, of another purpose, or of another master key."""


class Seals:
    """Seals and digests under one or more master keys.

    :param master_keys: at least one, each of 32 random octets; the first seals.
    :param entropy: gives that many random octets.
    :raises ValueError: for no key, or one of another length.
    """

    def __init__(self, master_keys: Sequence[bytes], entropy: Callable[[int], bytes]) -> None:
        if not master_keys or any(len(key) != MASTER_KEY_OCTETS for key in master_keys):
            raise ValueError(f"a master key has {MASTER_KEY_OCTETS} octets, and there is at least one")
        self._masters = tuple(dict.fromkeys(bytes(key) for key in master_keys))
        self._entropy = entropy
        self._prints = tuple(_derive(key, "fingerprint") for key in self._masters)
        self._derived: dict[tuple[int, str], bytes] = {}

    def __repr__(self) -> str:
        return f"<Seals {' '.join(self.fingerprints)}>"

    @property
    def fingerprint(self) -> str:
        """What names the first master key; tells nothing about it."""
        return self.fingerprints[0]

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """The same of every master key."""
        return tuple(octets[:8].hex() for octets in self._prints)

    def seal(self, purpose: str, plain: bytes) -> bytes:
        """Seal under the first master key."""
        head = _FORMAT + self._prints[0][:_HINT]
        return _encrypt(self._key(0, f"seal {purpose}"), head, self._entropy(_NONCE), plain)

    def open(self, purpose: str, sealed: bytes) -> bytes:
        """What was sealed for this purpose.

        :raises SealBroken: when none of the master keys opens it.
        """
        for number, octets in enumerate(self._prints):
            if sealed.startswith(_FORMAT + octets[:_HINT]):
                try:
                    return _decrypt(self._key(number, f"seal {purpose}"), sealed)
                except SealBroken:
                    continue  # two master keys may share their first octets
        raise SealBroken("the seal does not open")

    def is_current(self, sealed: bytes) -> bool:
        """Does it say that the first master key sealed it? (To be sealed anew otherwise.)"""
        return sealed.startswith(_FORMAT + self._prints[0][:_HINT])

    def digest(self, purpose: str, data: bytes) -> bytes:
        """HMAC-SHA256 by the first master key."""
        return hmac.digest(self._key(0, f"digest {purpose}"), data, "sha256")

    def digests(self, purpose: str, data: bytes) -> tuple[bytes, ...]:
        """The digests by every master key, the first one's first."""
        numbers = range(len(self._masters))
        return tuple(hmac.digest(self._key(number, f"digest {purpose}"), data, "sha256") for number in numbers)

    def verify(self, purpose: str, data: bytes, digest: bytes) -> bool:
        """Is it the digest of this data, by any of the master keys? Compared in constant time."""
        return any([hmac.compare_digest(own, digest) for own in self.digests(purpose, data)])  # noqa: C419 - all of them

    def seal_for(self, token: str, plain: bytes) -> bytes:
        """Seal for whoever holds a token of at least 160 random bits; the store and the master key cannot open it."""
        return _encrypt(_token_key(token), _FORMAT + bytes(_HINT), self._entropy(_NONCE), plain)

    def open_for(self, token: str, sealed: bytes) -> bytes:
        """What was sealed for this token.

        :raises SealBroken: when it was sealed for another, or was damaged.
        """
        return _decrypt(_token_key(token), sealed)

    def _key(self, number: int, info: str) -> bytes:
        key = self._derived.get((number, info))
        if key is None:
            if len(self._derived) >= _REMEMBERED:
                self._derived.clear()
            key = self._derived[number, info] = _derive(self._masters[number], info)
        return key


def _derive(secret: bytes, info: str) -> bytes:
    # RFC 5869 section 3.1: without a salt, since the secret is uniformly random already.
    return HKDF(SHA256(), 32, None, f"oauthd {info}".encode()).derive(secret)


def _token_key(token: str) -> bytes:
    # RFC 5869 section 2.3, the expansion alone, of one block: a token is a strong key by itself (section 3.3).
    return hmac.digest(token.encode("utf-8", "surrogatepass"), b"oauthd answer\x01", "sha256")


def _encrypt(key: bytes, head: bytes, nonce: bytes, plain: bytes) -> bytes:
    return head + nonce + AESGCM(key).encrypt(nonce, plain, head)


def _decrypt(key: bytes, sealed: bytes) -> bytes:
    head, nonce = sealed[: _FRAME - _NONCE], sealed[_FRAME - _NONCE : _FRAME]
    try:
        return AESGCM(key).decrypt(nonce, sealed[_FRAME:], head)
    except (InvalidTag, ValueError):
        raise SealBroken("the seal does not open") from None
