"""What one setting is: the declaration that everything else about settings is computed from.

A setting is an attrs field made by `setting()`; what is known about it stands in the field's metadata and is read
back by `declared()` as `Declared` values. Refuses a field without help and a flag that could only repeat its default.
How values are written in files and in text belongs to `values`, what the settings are to `declarations`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Literal, TypeVar, get_type_hints

import attrs

from oauthd.config.values import Written, written_as

T = TypeVar("T")
Check = Callable[[Any], object]
FlagKind = Literal["parameter", "boolean", "repeatable"]

MINUTE = 60  # seconds
HOUR = 60 * MINUTE
DAY = 24 * HOUR
YEAR = 365 * DAY

_METADATA = "oauthd.config"


@attrs.frozen
class _Facts:
    """What `setting()` was told, as it stands in the field's metadata."""

    help: str
    unit: str | None
    spec: str | None
    secret: bool
    reloadable: bool
    flag: str | None
    between: tuple[float, float] | None
    check: Check | None

    def judge(self, value: object) -> None:
        """Raise ValueError when the value is of the right type and still not acceptable."""
        if self.between is not None and isinstance(value, int | float):
            low, high = self.between
            if not low <= value <= high:
                raise ValueError(f"must be from {low} to {high}, is {value}")
        if self.check is not None and value is not None:
            self.check(value)


@attrs.frozen
class Declared:
    """One setting: where it stands and everything that was said about it."""

    section: str
    name: str
    default: object
    written: Written
    facts: _Facts

    @property
    def key(self) -> str:
        """The name people use, such as `tokens.access_lifetime`."""
        return f"{self.section}.{self.name}"

    @property
    def variable(self) -> str:
        """The environment variable, such as `OAUTHD_TOKENS_ACCESS_LIFETIME`."""
        return f"OAUTHD_{self.section}_{self.name}".upper()

    @property
    def file_name(self) -> str | None:
        """The name under which a secret may be given as the path of a file that holds it."""
        return f"{self.name}_file" if self.facts.secret else None

    @property
    def range(self) -> str | None:
        """The accepted range in words, when there is one."""
        return None if self.facts.between is None else "{} to {}".format(*self.facts.between)

    @property
    def accepted(self) -> str:
        """Type, unit and range in words."""
        unit = "" if self.facts.unit is None else f" of {self.facts.unit}"
        return f"{self.written.words}{unit}" + ("" if self.range is None else f", {self.range}")

    @property
    def flag_kind(self) -> FlagKind:
        """How the command line takes it."""
        if self.written.is_list:
            return "repeatable"
        return "boolean" if isinstance(self.default, bool) else "parameter"


def setting(
    default: T,
    *,
    help: str,
    unit: str | None = None,
    spec: str | None = None,
    secret: bool = False,
    reloadable: bool = False,
    flag: str | None = None,
    between: tuple[float, float] | None = None,
    check: Check | None = None,
) -> T:
    """Declare one setting as a field of a section's frozen attrs class.

    `help` is one or more sentences for the person who sets it. `unit` is a plural noun, `spec` the section of a
    specification it follows. A `secret` is absent from repr() and masked when shown, and may also be given as
    `<name>_file`. `reloadable` values change without a restart. `flag` is the long flag without its dashes.
    `between` is the accepted range, ends included; `check` raises ValueError with a reason, which must never quote a
    secret. Optional settings are checked only when they are set. The check also runs when a section is constructed.
    """
    if not help.strip():
        raise TypeError("a setting needs help")
    if flag is not None and default is True:
        raise TypeError("a flag can only switch on, and this setting is on by default")
    facts = _Facts(help, unit, spec, secret, reloadable, flag, between, check)

    def judge(_section: object, _attribute: attrs.Attribute[T], value: T) -> None:
        facts.judge(value)

    field: T = attrs.field(default=default, repr=not secret, validator=judge, metadata={_METADATA: facts})
    return field


def declared(settings: type) -> dict[str, tuple[Declared, ...]]:
    """Every setting of every section, in order, by section name.

    `settings` is an attrs class with one attribute per section, whose type is that section's attrs class.
    """
    sections = get_type_hints(settings)
    return {field.name: _of_section(field.name, sections[field.name]) for field in attrs.fields(settings)}


def _of_section(section: str, kind: type) -> tuple[Declared, ...]:
    types = get_type_hints(kind)
    return tuple(
        Declared(section, field.name, field.default, written_as(types[field.name]), field.metadata[_METADATA])
        for field in attrs.fields(kind)
    )


def introduction(kind: type) -> str:
    """What a section is about: the docstring of its class."""
    return inspect.cleandoc(kind.__doc__ or "")
