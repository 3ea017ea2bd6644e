"""What memory keeps of a name, and what each such entry stands on. `cache` keeps them, and says when they count."""

from __future__ import annotations

import math
from typing import Any

# What an entry takes beside its value, a cell, and the table of an entry's views; measured by tests/bench/cache_bytes.
ENTRY_BYTES = 320
CELL_BYTES = 280
VIEWS_BYTES = 240
RECORD_BYTES = 4096  # what a record counts for


class Cell:
    """Stands until its name is told of.

    :ivar number: what is known of the name: a generation in force, a grant's end; None for unknown.
    :ivar aged: monotonic seconds, the number's longest age.
    :ivar parts: the cells that it falls with, whichever of them does; () for one that stands for a name.
    :ivar wholes: the cells that fall with it; None where none ever did.
    """

    __slots__ = ("aged", "entries", "name", "number", "parts", "stands", "wholes")

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.stands = True
        self.number: float | None = None
        self.aged = -math.inf
        self.entries = 0
        self.parts: tuple[Cell, ...] = ()
        self.wholes: set[Cell] | None = None


ALWAYS = Cell(b"")
"""The cell of an entry that needs fewer than four."""


class Entry:
    """Something that is kept.

    :ivar value: what it is; bytes for the answers about tokens.
    :ivar until: wall-clock seconds, its own end.
    :ivar aged: monotonic seconds, its longest age.
    :ivar views: for an answer that not every caller gets: what each caller (its own entry) gets; None for all alike.
    """

    __slots__ = ("aged", "first", "fourth", "hot", "second", "third", "until", "value", "views")

    def __init__(self, value: Any, until: float, aged: float, cells: tuple[Cell, ...]) -> None:
        self.value = value
        self.until = until
        self.aged = aged
        if len(cells) != 4:
            cells = (*cells, *(ALWAYS,) * (4 - len(cells)))
        self.first, self.second, self.third, self.fourth = cells
        self.views: dict[Entry, bytes] | None = None
        self.hot = False

    @property
    def stands(self) -> bool:
        """Has nothing been heard that would change it?"""
        return self.first.stands and self.second.stands and self.third.stands and self.fourth.stands

    @property
    def cells(self) -> tuple[Cell, Cell, Cell, Cell]:
        """What it stands on."""
        return self.first, self.second, self.third, self.fourth


def size_of(entry: Entry) -> int:
    """What it takes, in bytes, by estimate."""
    views = 0 if entry.views is None else VIEWS_BYTES
    return ENTRY_BYTES + views + (len(entry.value) if type(entry.value) is bytes else RECORD_BYTES)
