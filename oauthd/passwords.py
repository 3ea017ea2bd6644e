"""User passwords: Argon2id, always in a thread of a bounded pool, at the same cost for users that do not exist.

RFC 6819 section 5.1.4.1.3. The hash parameters are settings; a hash made under others is replaced at the next sign-in.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from attrs import field, frozen

InThread = Callable[..., Awaitable[Any]]


@frozen
class Passwords:
    """Hashes and checks passwords.

    :ivar hasher: argon2-cffi's hasher with the settings' parameters.
    :ivar in_thread: runs a callable in the bounded pool; a full queue raises an error that ends in a 503.
    :ivar decoy: a hash that no password has, checked for users who have none.
    """

    hasher: PasswordHasher
    in_thread: InThread
    decoy: str = field(init=False, repr=False)

    @decoy.default
    def _nobodys(self) -> str:
        # Put together, not hashed: a first unknown name that cost two hashes would be known by it.
        costs = f"m={self.hasher.memory_cost},t={self.hasher.time_cost},p={self.hasher.parallelism}"
        salt, digest = _unpadded(bytes(self.hasher.salt_len)), _unpadded(bytes(self.hasher.hash_len))
        return f"$argon2id$v=19${costs}${salt}${digest}"

    async def hash(self, password: str) -> str:
        """The PHC string of a password."""
        hashed: str = await self.in_thread(self.hasher.hash, _bytes(password))
        return hashed

    async def verify(self, hashed: str, password: str) -> bool:
        """Does the password fit? With an empty hash the answer is no, at the price of a real check."""
        fits: bool = await self.in_thread(self._fits, hashed or self.decoy, _bytes(password))
        return fits and bool(hashed)

    def outdated(self, hashed: str) -> bool:
        """Was it made under other parameters than today's?"""
        return self.hasher.check_needs_rehash(hashed)

    def _fits(self, hashed: str, password: bytes) -> bool:
        try:
            return self.hasher.verify(hashed, password)
        except (VerificationError, InvalidHashError):
            return False


def _unpadded(octets: bytes) -> str:
    return base64.b64encode(octets).rstrip(b"=").decode()


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")
