"""What stands today of all that tokens stand on, in one read; the rule is `oauthd.protocol.standing`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import frozen

from oauthd.protocol.standing import Standing
from oauthd.stores import kinds
from oauthd.stores.interface import IStore, Stored


@frozen
class Today:
    """What was found, all as of one instant.

    :ivar numbers: the generations in force, None for none; `found`: what there is, by its name.
    """

    numbers: Mapping[str, int | None]
    found: Mapping[bytes, Stored[Any]]

    def holds(self, standing: Standing) -> bool:
        """Is what stands so still good?"""
        return standing.holds(self.numbers, self.found)


async def today(store: IStore, standings: Iterable[Standing]) -> Today:
    """What there is of all that is named."""
    subjects: dict[str, None] = {}
    names: dict[bytes, None] = {}
    for standing in standings:
        subjects.update(dict.fromkeys([subject for subject, _ in standing.numbers]))
        names.update(dict.fromkeys(standing.names))
    if not subjects and not names:
        return Today({}, {})
    found, numbers = await store.get_with_generations(list(map(kinds.standing_on, names)), list(subjects))
    there = {name: stored for name, stored in zip(names, found, strict=True) if stored is not None}
    return Today(dict(zip(subjects, numbers, strict=True)), there)
