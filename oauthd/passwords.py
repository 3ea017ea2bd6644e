"""User passwords: Argon2id, always in a thread of a bounded pool, at the same cost for users that do not exist.

RFC 6819 section 5.1.4.1.3. The hash parameters are settings; a hash made under others is replaced at the next sign-in.
"""

from __future__ import annotations

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
    :ivar decoy: a hash of nobody's password, checked for unknown users.
    """

    hasher: PasswordHasher
    in_thread: InThread
    decoy: list[str] = field(factory=list, repr=False)

    async def hash(self, password: str) -> str:
        """The PHC string of a password."""
        hashed: str = await self.in_thread(self.hasher.hash, _bytes(password))
        return hashed

    async def verify(self, hashed: str, password: str) -> bool:
        """Does the password fit? With an empty hash the answer is no, at the price of a real check."""
        if not hashed and not self.decoy:
            self.decoy.append(await self.hash("nobody's password"))
        fits: bool = await self.in_thread(self._fits, hashed or self.decoy[0], _bytes(password))
        return fits and bool(hashed)

    def outdated(self, hashed: str) -> bool:
        """Was it made under other parameters than today's?"""
        return self.hasher.check_needs_rehash(hashed)

    def _fits(self, hashed: str, password: bytes) -> bool:
        try:
            return self.hasher.verify(hashed, password)
        except (VerificationError, InvalidHashError):
            return False


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")
