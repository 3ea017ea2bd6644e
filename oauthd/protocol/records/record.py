"""What all records have in common."""

from __future__ import annotations

from typing import ClassVar

from msgspec import Struct


class Record(Struct, frozen=True, omit_defaults=True):
    """What is stored: frozen, compared by what it holds; a changed copy is made by `msgspec.structs.replace`.

    :cvar secret: the fields that stay out of repr.
    """

    secret: ClassVar[tuple[str, ...]] = ()

    def __repr__(self) -> str:
        shown = (f"{name}={getattr(self, name)!r}" for name in self.__struct_fields__ if name not in self.secret)
        return f"{type(self).__name__}({', '.join(shown)})"
