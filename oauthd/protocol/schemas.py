"""What JSON values look like: each schema publishes itself (JSON Schema 2020-12) and reads by what it says.

Lengths count characters, as JSON Schema does. Patterns are given without anchors and match the whole text; they stay in
the part of the language that Python and ECMA-262 share. Reading collects what is wrong, by the path of the member, and
never stops at the first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from attrs import evolve, field, frozen

Problems = dict[str, str]
"""What is wrong, by member: `redirect_uris.0` is the first of the list."""

_LONGEST_NAMED = 64
ABSENT: Final = object()
"""The default of a member without one: it is left out of what was read."""


class Schema(Protocol):
    """A kind of value."""

    def document(self) -> dict[str, Any]:
        """Its JSON Schema."""
        ...

    def read(self, value: object, at: str, problems: Problems) -> Any:
        """The value as the operations take it; what is wrong with it goes to `problems`."""
        ...


class TextSchema(Schema, Protocol):
    """A kind of value that also stands in a path or a query."""

    def parse(self, text: str, at: str, problems: Problems) -> Any:
        """The value that a text stands for."""
        ...


@frozen
class Text:
    """A string.

    :ivar says: what it must be, for people: "... must be {says}".
    :ivar explain: a better reason for one that does not match, if it knows one.
    """

    pattern: str = ""
    says: str = "text of the documented form"
    shortest: int = 0
    longest: int | None = None
    explain: Callable[[str], str] | None = None
    example: str = ""
    _compiled: re.Pattern[str] = field(init=False, repr=False)

    @_compiled.default
    def _compile(self) -> re.Pattern[str]:
        return re.compile(self.pattern or r"(?s:.*)")

    def document(self) -> dict[str, Any]:
        """A string with its length and pattern."""
        told: dict[str, Any] = {"type": "string"}
        if self.shortest:
            told["minLength"] = self.shortest
        if self.longest is not None:
            told["maxLength"] = self.longest
        if self.pattern:
            told["pattern"] = f"^(?:{self.pattern})$"
        if self.example:
            told["examples"] = [self.example]
        return told

    def read(self, value: object, at: str, problems: Problems) -> str:
        """The string itself."""
        if not isinstance(value, str):
            problems[at] = "must be a string"
            return ""
        if len(value) < self.shortest:
            problems[at] = f"must have at least {self.shortest} characters" if value else "must not be empty"
        elif self.longest is not None and len(value) > self.longest:
            problems[at] = f"must have at most {self.longest} characters"
        elif not self._compiled.fullmatch(value):
            problems[at] = (self.explain and self.explain(value)) or f"must be {self.says}"
        return value

    def parse(self, text: str, at: str, problems: Problems) -> str:
        """The same from a path or query."""
        return self.read(text, at, problems)


@frozen
class Choice:
    """One of a few words."""

    words: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """An enumeration."""
        return {"type": "string", "enum": list(self.words)}

    def read(self, value: object, at: str, problems: Problems) -> str:
        """The word itself."""
        if not isinstance(value, str) or value not in self.words:
            problems[at] = f"must be {' or '.join(self.words)}"
            return ""
        return value

    def parse(self, text: str, at: str, problems: Problems) -> str:
        """The same from a path or query."""
        return self.read(text, at, problems)


@frozen
class Flag:
    """True or false.

    :ivar only: the one value it may have, None for either.
    """

    only: bool | None = None

    def document(self) -> dict[str, Any]:
        """A boolean."""
        return {"type": "boolean"} if self.only is None else {"type": "boolean", "enum": [self.only]}

    def read(self, value: object, at: str, problems: Problems) -> bool:
        """The boolean itself."""
        if not isinstance(value, bool) or self.only not in (None, value):
            problems[at] = "must be true or false" if self.only is None else f"must be {str(self.only).lower()}"
            return False
        return value

    def parse(self, text: str, at: str, problems: Problems) -> bool:
        """`true` or `false`."""
        return self.read({"true": True, "false": False}.get(text, text), at, problems)


@frozen
class Whole:
    """A whole number from `least` to `most`."""

    least: int
    most: int

    def document(self) -> dict[str, Any]:
        """An integer with its range."""
        return {"type": "integer", "minimum": self.least, "maximum": self.most}

    def read(self, value: object, at: str, problems: Problems) -> int:
        """The number; JSON does not tell 1.0 from 1, and neither does JSON Schema."""
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not self.least <= value <= self.most:
            problems[at] = f"must be a whole number from {self.least} to {self.most}"
            return self.least
        return value

    def parse(self, text: str, at: str, problems: Problems) -> int:
        """Decimal digits in their usual form."""
        digits = re.fullmatch(r"-?(?:0|[1-9][0-9]{0,17})", text, re.ASCII)
        return self.read(int(text) if digits else text, at, problems)


@frozen
class Listing:
    """A list of values; `distinct` ones are different from each other."""

    of: Schema
    most: int | None = None
    distinct: bool = False

    def document(self) -> dict[str, Any]:
        """An array."""
        told: dict[str, Any] = {"type": "array", "items": self.of.document()}
        if self.most is not None:
            told["maxItems"] = self.most
        if self.distinct:
            told["uniqueItems"] = True
        return told

    def read(self, value: object, at: str, problems: Problems) -> tuple[Any, ...]:
        """The values in their order."""
        if not isinstance(value, list):
            problems[at] = "must be a list"
            return ()
        if self.most is not None and len(value) > self.most:
            problems[at] = f"must have at most {self.most} items"
            return ()
        items = tuple(self.of.read(item, f"{at}.{number}", problems) for number, item in enumerate(value))
        if self.distinct and any(item in value[:number] for number, item in enumerate(value)):
            problems[at] = "must not hold the same item twice"
        return items


@frozen
class Nullable:
    """A value or null, which is read as None."""

    of: Schema

    def document(self) -> dict[str, Any]:
        """Either of both."""
        inner = self.of.document()
        if "enum" in inner or "type" not in inner:
            return {"anyOf": [inner, {"type": "null"}]}
        return inner | {"type": [inner["type"], "null"]}

    def read(self, value: object, at: str, problems: Problems) -> Any:
        """The value, or None."""
        return None if value is None else self.of.read(value, at, problems)


@frozen
class Member:
    """A member of an object.

    :ivar help: a sentence for who sends or receives it.
    :ivar default: what is read when it is left out, in the form of JSON; `ABSENT` leaves it out of what is read.
    """

    name: str
    schema: Schema
    help: str = ""
    required: bool = False
    default: object = ABSENT

    def document(self) -> dict[str, Any]:
        """The schema with its help and default."""
        told = self.schema.document()
        if self.help:
            told["description"] = self.help
        if self.default is not ABSENT:
            told["default"] = self.default
        return told


@frozen
class Members:
    """An object of exactly these members.

    :ivar open: whether others are ignored (in a form, RFC 6749 section 3.2) instead of refused.
    :ivar name: under which the document shows it once, "" to show it wherever it stands.
    """

    members: tuple[Member, ...]
    open: bool = False
    least: int = 0
    name: str = ""

    def document(self) -> dict[str, Any]:
        """An object with its properties."""
        told: dict[str, Any] = {
            "type": "object",
            "properties": {member.name: member.document() for member in self.members},
        }
        required = [member.name for member in self.members if member.required]
        if required:
            told["required"] = required
        told |= _OTHERS if self.open else {"additionalProperties": False}
        if self.name:
            told["title"] = self.name
        if self.least:
            told["minProperties"] = self.least
        return told

    def read(self, value: object, at: str, problems: Problems) -> dict[str, Any]:
        """Values by name; members that were left out have their default, or are missing where there is none."""
        if not isinstance(value, dict):
            problems[at] = "must be an object"
            return {}
        inside = f"{at}." if at else ""
        known = {member.name for member in self.members}
        if not self.open:
            problems.update({f"{inside}{_shown(name)}": "is not known" for name in value if name not in known})
        if len(value) < self.least:
            problems[at or "body"] = "must name something"
        found: dict[str, Any] = {}
        for member in self.members:
            given = value.get(member.name, member.default)
            if given is not ABSENT:
                found[member.name] = member.schema.read(given, f"{inside}{member.name}", problems)
            elif member.required:
                problems[f"{inside}{member.name}"] = "is missing"
        return found

    def without(self, *names: str) -> Members:
        """The object without some of its members."""
        return evolve(self, members=tuple(member for member in self.members if member.name not in names))

    def given_only(self) -> Members:
        """The object where every member may be left out and then stays as it is."""
        return evolve(self, members=tuple(evolve(one, required=False, default=ABSENT) for one in self.members))

    def answered(self) -> Members:
        """The object as an answer: every member is there, and may hold what other ways let in."""
        return evolve(
            self,
            members=tuple(
                evolve(one, schema=loosened(one.schema), required=True, default=ABSENT) for one in self.members
            ),
        )


# Of a form the reader of requests refuses control characters and too many pairs, before anything is ignored.
_PLAIN = Text(r"[^\x00-\x1f\x7f-\x9f]*").document()
_OTHERS = {"additionalProperties": _PLAIN, "propertyNames": _PLAIN, "maxProperties": 50}


@frozen
class AnyObject:
    """An object of any shape; for answers alone."""

    def document(self) -> dict[str, Any]:
        """Just an object."""
        return {"type": "object"}

    def read(self, value: object, at: str, problems: Problems) -> dict[str, Any]:
        """The object itself."""
        if not isinstance(value, dict):
            problems[at] = "must be an object"
            return {}
        return value


@frozen
class Variants:
    """Objects of different members, told apart by the word in one of them.

    :ivar by: that member's name.
    :ivar default: the word that is meant when it is left out.
    """

    by: str
    default: str
    of: Mapping[str, Members]

    def document(self) -> dict[str, Any]:
        """Any of the objects; no value fits two of them."""
        return {"type": "object", "anyOf": [self._variant(word).document() for word in self.of]}

    def read(self, value: object, at: str, problems: Problems) -> dict[str, Any]:
        """As the object of the word that is given."""
        word = value.get(self.by, self.default) if isinstance(value, dict) else self.default
        if not isinstance(word, str) or word not in self.of:
            problems[self.by] = f"must be {' or '.join(self.of)}"
            return {}
        return self._variant(word).read(value, at, problems)

    def _variant(self, word: str) -> Members:
        is_default = word == self.default
        told = Member(
            self.by, Choice((word,)), required=not is_default, default=self.default if is_default else ABSENT
        )
        return evolve(self.of[word], members=(told, *self.of[word].members))


@frozen
class Dictionary:
    """An object whose member names are not known beforehand; for answers alone."""

    of: Schema

    def document(self) -> dict[str, Any]:
        """An object with any names."""
        return {"type": "object", "additionalProperties": self.of.document()}

    def read(self, value: object, at: str, problems: Problems) -> dict[str, Any]:
        """Its values by name."""
        if not isinstance(value, dict):
            problems[at] = "must be an object"
            return {}
        return {name: self.of.read(one, f"{at}.{_shown(name)}", problems) for name, one in value.items()}


def loosened(schema: Schema) -> Schema:
    """The schema without the rules for what is sent: only its types."""
    if isinstance(schema, Text | Choice):
        return Text()
    if isinstance(schema, Listing):
        return Listing(loosened(schema.of))
    if isinstance(schema, Nullable):
        return Nullable(loosened(schema.of))
    return schema


def _shown(name: str) -> str:
    """A name that somebody sent, short enough to be shown."""
    return name if len(name) <= _LONGEST_NAMED else name[:_LONGEST_NAMED] + "..."
