"""What a token stands on: generations that must be in force, things that must be there, and things that must not.

One rule for all who ask whether something that was issued is still good: introspection, exchange, listings, the sweep
of the status lists. What else may end a token is added here, and all of them know it.

Things are named as their keys begin: `a:` and the digest of an access token, `v:` and the `jti` of one that was not
written down (that it is revoked), `g:` and the id of a grant. To read what stands today is for `oauthd.stores`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from oauthd.protocol.frozen import Frozen
from oauthd.protocol.records import AccessToken, Generations, StatusEntry

SUBJECTS: Final[Mapping[str, bool]] = {"world": True, "client": True, "user": True, "resource": False}
"""What has a generation; must it have begun? What need not have begun stands at 0."""

WORLD: Final = "world"
MOST_NAMES: Final = 16
MOST_NUMBERS: Final = 128
ACCESS_TOKEN: Final = b"a:"
REVOKED: Final = b"v:"
GRANT: Final = b"g:"
DIGEST: Final = 32  # octets of SHA-256


Issued = AccessToken | StatusEntry
"""What says of a token what it stands on: its record, or what its place in a status list knows of it."""


class Standing(Frozen, frozen=True):
    """All that something stands on.

    :ivar numbers: subjects of generations (`world`, `client:ID`, `user:ID`, `resource:URI`), each with the number that
        it was issued under; None for one that had not begun.
    :ivar there: names of what must be there, and `gone`: of what must not.
    """

    numbers: tuple[tuple[str, int | None], ...]
    there: tuple[bytes, ...] = ()
    gone: tuple[bytes, ...] = ()

    @classmethod
    def of(cls, issued: Issued, name: bytes = b"") -> Standing:
        """What an access token stands on.

        :param name: its own, or its revocation's where it is not written down; empty where that is known otherwise.
        """
        numbers = _numbers(issued.generations, issued.client_id, issued.user_id)
        if issued.audience:
            numbers += tuple(of_resources(issued.audience, issued.resource_generations))
        there: tuple[bytes, ...] = (GRANT + issued.grant.encode(),) if issued.grant else ()
        parents = issued.parents
        if isinstance(issued, AccessToken) and issued.parent:
            parents = (*parents, _earlier(issued.parent))
        if not (name or parents or issued.under):
            return cls(numbers, there)
        names = (*parents, name) if name else parents
        gone = tuple([one for one in names if one[:2] == REVOKED])
        there += tuple([one for one in names if one[:2] != REVOKED])
        return cls((*numbers, *issued.under), there, gone)

    @classmethod
    def within(cls, generations: Generations, client_id: str, user_id: str, grant: str) -> Standing:
        """What stands on its grant, its client and its user alone, as refresh tokens do."""
        return cls(_numbers(generations, client_id, user_id), (GRANT + grant.encode(),))

    @property
    def began(self) -> bool:
        """Had all begun that it was issued under? Else it is dead whatever happens."""
        return all(number is not None for _, number in self.numbers)

    @property
    def names(self) -> tuple[bytes, ...]:
        """All that is to be looked for."""
        return self.there + self.gone

    def holds(self, today: Mapping[str, float | None], found: Collection[bytes]) -> bool:
        """Is it still good?

        :param today: the generations in force; None for what has none.
        :param found: which of `names` there are.
        """
        for subject, issued in self.numbers:
            number = today[subject]
            if number is None:
                if needs_beginning(subject):
                    return False
                number = 0
            if issued is None or issued < number:
                return False
        return all(name in found for name in self.there) and not any(name in found for name in self.gone)

    def joined(self, other: Standing) -> Standing:
        """On both: what is said twice counts by its lowest number."""
        lowest = dict(self.numbers)
        for subject, number in other.numbers:
            known = lowest.get(subject, number)
            lowest[subject] = None if known is None or number is None else min(known, number)
        return Standing(
            tuple(lowest.items()),
            tuple(dict.fromkeys(self.there + other.there)),
            tuple(dict.fromkeys(self.gone + other.gone)),
        )

    @property
    def bounded(self) -> bool:
        """Is it little enough to be written down with each token that stands on it?"""
        return len(self.names) <= MOST_NAMES and len(self.numbers) <= MOST_NUMBERS


NOWHERE: Final = Standing(())
"""What stands on nothing."""


def of_resources(audience: tuple[str, ...], generations: tuple[int, ...]) -> Iterable[tuple[str, int]]:
    """The numbers of an audience. :param generations: () where all are 0."""
    return zip([f"resource:{uri}" for uri in audience], generations or (0,) * len(audience), strict=True)


def needs_beginning(subject: str) -> bool:
    """Is a subject that has no generation nobody, or is it at 0?"""
    return SUBJECTS[subject.partition(":")[0]]


def _earlier(parent: bytes) -> bytes:
    """The name of what an earlier version calls a token's parent: a digest, or a `jti`, which is shorter."""
    return (ACCESS_TOKEN if len(parent) == DIGEST else REVOKED) + parent


def _numbers(issued: Generations, client_id: str, user_id: str) -> tuple[tuple[str, int | None], ...]:
    machine = (WORLD, issued.world), (f"client:{client_id}", issued.client)
    return (*machine, (f"user:{user_id}", issued.user)) if user_id and issued.user != 0 else machine
