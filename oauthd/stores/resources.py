"""The generations of resources (RFC 8707): all access tokens for one of them are ended in one step.

A resource has no beginning and no end: it stands at 0 until it is first revoked. An access token carries the numbers of
its audience as they were when it was issued. Grants go on: who holds a refresh token never gave it to the resource.
"""

from __future__ import annotations

from functools import partial

from attrs import frozen

from oauthd.stores import naming
from oauthd.stores.cache import Cache
from oauthd.stores.interface import IStore


@frozen
class ResourceGenerations:
    """Those of every resource."""

    store: IStore
    cache: Cache

    async def today(self, audience: tuple[str, ...]) -> tuple[int, ...]:
        """The numbers that a token for these resources is issued under; () where all are 0.

        From memory: were one old, the token would be dead, never live.
        """
        numbers = []
        for resource in audience:
            name = _name(resource)
            entry = await self.cache.through(name, (name,), partial(self._read, resource))
            numbers.append(int(entry.value))
        return tuple(numbers) if any(numbers) else ()

    def at_once(self, audience: tuple[str, ...]) -> tuple[int, ...] | None:
        """As `today`, from memory alone; None where it does not know."""
        entries = [self.cache.find(_name(resource)) for resource in audience]
        numbers = [int(entry.value) for entry in entries if entry is not None]
        if len(numbers) < len(audience):
            return None
        return tuple(numbers) if any(numbers) else ()

    async def revoke(self, resource: str) -> None:
        """End every access token for a resource."""
        await self.store.raise_generation(_subject(resource))

    async def _read(self, resource: str) -> bytes:
        _, (number,) = await self.store.get_with_generations((), (_subject(resource),))
        return b"%d" % (number or 0)


def _subject(resource: str) -> str:
    return f"resource:{resource}"


def _name(resource: str) -> bytes:
    return naming.generation(_subject(resource))
