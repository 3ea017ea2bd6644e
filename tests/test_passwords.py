"""Passwords: Argon2id, always in the pool, at one price for everybody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from argon2 import PasswordHasher, Type, extract_parameters
from argon2.exceptions import VerifyMismatchError
from twisted.trial.unittest import TestCase

from oauthd.passwords import Passwords


class PasswordTests(TestCase):
    """Hashing and checking."""

    def setUp(self) -> None:
        """Count what is done in the pool."""
        self.done: list[Any] = []
        self.hasher = PasswordHasher(time_cost=1, memory_cost=7168, parallelism=1)
        self.passwords = Passwords(self.hasher, self.in_thread)

    async def in_thread(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Stand for the pool."""
        self.done.append(work)
        return work(*arguments)

    async def test_argon2id(self) -> None:
        """A hash is Argon2id with the parameters of the settings, and salted: never the same twice."""
        first, second = [await self.passwords.hash("secret") for _ in range(2)]
        parameters = extract_parameters(first)
        self.assertEqual((parameters.type, parameters.memory_cost, parameters.time_cost), (Type.ID, 7168, 1))
        self.assertNotEqual(first, second)
        self.assertNotIn("secret", first)

    async def test_right_and_wrong(self) -> None:
        """A password fits its own hash, to the letter, whatever it is made of."""
        for password in ("secret", "", " ", "\u00e4\U0001f511", "\ud800", "a\x00b", "x" * 5000):
            hashed = await self.passwords.hash(password)
            self.assertTrue(await self.passwords.verify(hashed, password))
            for wrong in (password + "x", password + " ", "Secret"):
                self.assertFalse(await self.passwords.verify(hashed, wrong))

    async def test_nobodys_password(self) -> None:
        """Without a hash no password fits, at the price of a real check, from the first time on."""
        hashed = await self.passwords.hash("secret")
        del self.done[:]
        for password in ("", "x", "nobody"):
            self.assertFalse(await self.passwords.verify("", password))
        unknown, self.done = self.done, []
        for password in ("", "x", "nobody"):
            self.assertFalse(await self.passwords.verify(hashed, password))
        self.assertEqual(unknown, self.done)

    async def test_the_decoy_costs_what_others_cost(self) -> None:
        """The decoy has the parameters of today and the form of a real hash, so that checking it hashes."""
        hashed = await self.passwords.hash("secret")
        self.assertEqual(extract_parameters(self.passwords.decoy), extract_parameters(hashed))
        self.assertEqual(len(self.passwords.decoy), len(hashed))
        with self.assertRaises(VerifyMismatchError):
            self.hasher.verify(self.passwords.decoy, "x")

    async def test_a_broken_hash(self) -> None:
        """What is no hash fits nothing, and breaks nothing."""
        for hashed in ("rubbish", "$argon2id$", "$argon2id$v=19$m=1,t=1,p=1$x$y"):
            self.assertFalse(await self.passwords.verify(hashed, "x"))

    async def test_outdated(self) -> None:
        """A hash made under other parameters is known."""
        other = PasswordHasher(time_cost=2, memory_cost=7168, parallelism=1).hash("secret")
        self.assertTrue(self.passwords.outdated(other))
        self.assertFalse(self.passwords.outdated(await self.passwords.hash("secret")))

    async def test_always_in_the_pool(self) -> None:
        """Hashing and checking never run in the reactor's thread."""
        await self.passwords.verify(await self.passwords.hash("secret"), "secret")
        self.assertEqual(len(self.done), 2)

    async def test_repr(self) -> None:
        """The decoy is not in the repr."""
        self.assertNotIn(self.passwords.decoy, repr(self.passwords))
