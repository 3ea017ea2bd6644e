"""Rich authorization requests (RFC 9396): what `authorization_details` may say, and how much of it a token gets.

The operator declares each type: its name, a title for people, a JSON Schema (2020-12) that its objects must fit, and
what it takes to narrow one. Refused (section 5): types that are not declared or not this client's, objects that do not
fit, fields that the schema does not name, more than `LONGEST` octets or `MOST` objects, deep nesting, members named
twice, numbers that other readers would read differently. A schema can reach nothing outside itself, and its patterns
are matched in linear time, so no value that a client sends takes long.

Objects are compared as they are (section 12): no text is normalised, and no API's own idea of "less" is known here. A
narrower request (section 6.1) is therefore made of whole objects that were granted, or of objects that are equal to
one of them but for a shorter list where the type's declaration says that the entries of that list add up.

Consent, storage and tokens are left to others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from attrs import field, frozen
from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationError

from oauthd.protocol.errors import INVALID_AUTHORIZATION_DETAILS, OAuthError
from oauthd.protocol.json_body import strict
from oauthd.protocol.json_text import text
from oauthd.protocol.records import Client

Details = tuple[dict[str, Any], ...]

PARAMETER: Final = "authorization_details"
LONGEST: Final = 4096
"""Octets of the parameter: it travels in addresses, is kept with each grant, and stands in tokens."""
MOST: Final = 20
DEPTH: Final = 8
LONGEST_DECLARATION: Final = 65536
_LARGEST: Final = 2**53 - 1  # RFC 8259 section 6: beyond it readers disagree
_TYPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,200}")  # section 2.1: ASCII, so that nobody mistakes one for another
_WORD = re.compile(r"[A-Za-z0-9_.:-]{1,40}")
_PLACE = re.compile(r"\{([A-Za-z0-9_.-]{1,100})\}")
_MEMBERS = frozenset({"type", "title", "sentence", "schema", "additive"})
_NAMING = frozenset({"properties", "patternProperties", "dependentSchemas", "if", "$ref", "allOf", "anyOf", "oneOf"})
"""Keywords that name fields, in their place or through another schema (JSON Schema 2020-12, core section 11.3)."""
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


@frozen
class DetailsType:
    """One declared type.

    :ivar title: what people read, such as "Start a payment".
    :ivar sentence: the same with values, which stand as `{path.to.member}`; "" for none.
    :ivar labels: what people read instead of a member's name, by the path of the member.
    :ivar additive: members whose entries add up, so that a request may name fewer of them.
    :ivar flaw: what is wrong with an object of this type: keyword and place, or None.
    """

    type: str
    title: str
    sentence: str
    labels: Mapping[str, str]
    additive: frozenset[str]
    flaw: Callable[[dict[str, Any]], str | None] = field(eq=False, repr=False)


def declared(declaration: str) -> DetailsType:
    """The type that a declaration describes: JSON with `type`, `title`, `schema`, and maybe `sentence` and `additive`.

    :raises ValueError: with what is wrong.
    """
    if len(declaration) > LONGEST_DECLARATION:
        raise ValueError(f"must be shorter than {LONGEST_DECLARATION} characters")
    try:
        given = json.loads(declaration)
    except (ValueError, RecursionError):
        raise ValueError("must be JSON") from None
    if not isinstance(given, dict) or not {"type", "title", "schema"} <= given.keys() <= _MEMBERS:
        raise ValueError(f"must be a JSON object with type, title and schema, and no other than {sorted(_MEMBERS)}")
    name, title, sentence = given["type"], given["title"], given.get("sentence", "")
    if not isinstance(name, str) or not _TYPE.fullmatch(name):
        raise ValueError("type must be 1 to 200 visible ASCII characters without quotes and backslashes")
    if not all(isinstance(words, str) and len(words) <= 500 for words in (title, sentence)) or not title.strip():
        raise ValueError(f"title and sentence of {name} must be texts of at most 500 characters")
    additive = given.get("additive", [])
    if not isinstance(additive, list) or not all(isinstance(one, str) for one in additive) or "type" in additive:
        raise ValueError(f"additive of {name} must be a list of names of members")
    schema = _closed_object(name, given["schema"])
    return DetailsType(name, title, sentence, dict(_labels(schema)), frozenset(additive), _judge(name, schema))


def _closed_object(name: str, schema: object) -> dict[str, Any]:
    if not isinstance(schema, dict) or not isinstance(schema.get("properties", {}), dict):
        raise ValueError(f"schema of {name} must be a JSON Schema, an object")
    if schema.get("$schema", _DIALECT).rstrip("#") != _DIALECT:
        raise ValueError(f"schema of {name} must be of the dialect {_DIALECT}")
    named = {"type": {"const": name}, **schema.get("properties", {})}
    closed: dict[str, Any] = _closed({"type": "object", **schema, "properties": named})
    return closed


def _closed(schema: Any, whole: bool = True) -> Any:
    """The schema, in which an object that names its fields has no others, if it says nothing else (section 5).

    :param whole: is it all that is said of its object? Of one that is a part the rest is named elsewhere.
    """
    if not isinstance(schema, dict):
        return schema
    closed = dict(schema)
    for keyword in ("items", "additionalProperties"):
        if keyword in schema:
            closed[keyword] = _closed(schema[keyword])
    for keyword, each_whole in (("prefixItems", True), ("anyOf", False), ("oneOf", False)):
        if isinstance(schema.get(keyword), list):
            closed[keyword] = [_closed(inner, each_whole) for inner in schema[keyword]]
    for keyword, each_whole in (("properties", True), ("patternProperties", True), ("$defs", False)):
        if isinstance(schema.get(keyword), dict):
            closed[keyword] = {member: _closed(inner, each_whole) for member, inner in schema[keyword].items()}
    if whole and _NAMING & schema.keys() and "additionalProperties" not in schema:
        closed.setdefault("unevaluatedProperties", False)
    return closed


def _judge(name: str, schema: dict[str, Any]) -> Callable[[dict[str, Any]], str | None]:
    try:
        # Offline: no reference leads out of the schema. RegexOptions: patterns are matched in linear time.
        validator = Draft202012Validator(
            schema, offline=True, pattern_options=RegexOptions(), validate_formats=True, mask="a value"
        )
    except (ValidationError, ValueError) as error:
        raise ValueError(f"schema of {name}: {str(error).partition(chr(10))[0]}") from None

    def flaw(value: dict[str, Any]) -> str | None:
        found = next(validator.iter_errors(value), None)
        if found is None:
            return None
        # Names of members are input: told are those alone that can do no harm where this is shown.
        path = "/".join(one if _WORD.fullmatch(one) else "?" for one in map(str, found.instance_path))
        return f"{found.kind.name} at /{path}"

    return flaw


def _labels(schema: Any, path: str = "") -> Iterable[tuple[str, str]]:
    """The titles of members, by their paths; those of entries of a list have the path of the list."""
    if not isinstance(schema, dict):
        return
    for member, inner in schema.get("properties", {}).items():
        place = f"{path}.{member}" if path else member
        if isinstance(inner, dict) and isinstance(inner.get("title"), str):
            yield place, inner["title"]
        yield from _labels(inner, place)
    yield from _labels(schema.get("items"), path)


@frozen
class Line:
    """One member of an object, for people."""

    label: str
    value: str


@frozen
class Shown:
    """One object, for people.

    :ivar sentence: its parts, each with whether it is a value that a client chose.
    :ivar lines: every member, so that nothing is agreed to that was not shown.
    """

    title: str
    sentence: tuple[tuple[str, bool], ...]
    lines: tuple[Line, ...]


@frozen
class DetailsTypes:
    """The declared types, by name."""

    types: Mapping[str, DetailsType] = field(factory=dict)

    @classmethod
    def of(cls, declarations: Iterable[str]) -> DetailsTypes:
        """The types of the declarations.

        :raises ValueError: with what is wrong with one.
        """
        found: dict[str, DetailsType] = {}
        for declaration in declarations:
            one = declared(declaration)
            if one.type in found:
                raise ValueError(f"declares {one.type} twice")
            found[one.type] = one
        return cls(found)

    def asked(self, parameter: str | None, client: Client) -> Details:
        """What a request asks for (section 3); () where it asks for none.

        :raises OAuthError: `invalid_authorization_details` (section 5).
        """
        if parameter is None:
            return ()
        details = _read(parameter)
        for number, one in enumerate(details, 1):
            self._check(number, one, client)
        return details

    def still(self, details: Sequence[dict[str, Any]], client: Client) -> None:
        """Make sure that what was asked for a while ago may be asked for now.

        :raises OAuthError: `invalid_authorization_details`.
        """
        for number, one in enumerate(details, 1):
            self._check(number, one, client)

    def of_client(self, parameter: str | None, client: Client) -> Details:
        """What a client gets for itself, where no person agrees: of types that it was given by name (section 6).

        :raises OAuthError: `invalid_authorization_details`.
        """
        details = self.asked(parameter, client)
        if details and client.details_types is None:
            raise INVALID_AUTHORIZATION_DETAILS("the client may use no type of authorization_details by itself")
        return details

    def narrowed(self, parameter: str | None, client: Client, granted: Sequence[dict[str, Any]]) -> Details:
        """What of the granted details a token gets: all of them, or what the request names (section 6).

        :raises OAuthError: `invalid_authorization_details`.
        """
        if parameter is None:
            return tuple(granted)
        wanted = self.asked(parameter, client)
        fitting = [
            [number for number, held in enumerate(granted) if _equal(held, one) or self._narrows(one, held)]
            for one in wanted
        ]
        if not _each_once(fitting):
            raise INVALID_AUTHORIZATION_DETAILS("the request asks for authorization_details that were not granted")
        return wanted

    def shown(self, details: Iterable[Mapping[str, Any]]) -> list[Shown]:
        """The objects in words for the person who is asked."""
        return [self._shown(one) for one in details]

    def metadata(self) -> Mapping[str, Any]:
        """What the metadata document says of them (section 10)."""
        return {"authorization_details_types_supported": list(self.types)} if self.types else {}

    def _check(self, number: int, one: dict[str, Any], client: Client) -> None:
        name = one.get("type")
        known = self.types.get(name) if isinstance(name, str) else None
        if known is None or (client.details_types is not None and name not in client.details_types):
            raise INVALID_AUTHORIZATION_DETAILS(f"object {number} has a type that is unknown or not for this client")
        flaw = known.flaw(one)
        if flaw:
            raise INVALID_AUTHORIZATION_DETAILS(f"object {number} is not what its type allows: {flaw}")

    def _narrows(self, one: Mapping[str, Any], held: Mapping[str, Any]) -> bool:
        """Is it the granted object with shorter lists, where lists add up, and at least one shorter?"""
        known = self.types.get(held["type"])
        if known is None or one.keys() != held.keys():  # a member left out may mean "all"
            return False
        differing = [name for name in one if not _equal(one[name], held[name])]
        return bool(differing) and all(
            name in known.additive and _shorter(one[name], held[name]) for name in differing
        )

    def _shown(self, one: Mapping[str, Any]) -> Shown:
        known = self.types.get(one["type"])
        if known is None:  # not declared any more
            return Shown(one["type"], (), tuple(_lines(one, {})))
        return Shown(known.title, tuple(_filled(known.sentence, one)), tuple(_lines(one, known.labels)))


def _read(parameter: str) -> Details:
    if len(parameter.encode("utf-8", "surrogatepass")) > LONGEST:
        raise INVALID_AUTHORIZATION_DETAILS(f"authorization_details is longer than {LONGEST} octets")
    try:
        value = strict(parameter, PARAMETER, DEPTH)
    except OAuthError as error:
        raise INVALID_AUTHORIZATION_DETAILS(error.description) from None
    if not isinstance(value, list) or not value or not all(isinstance(one, dict) for one in value):
        raise INVALID_AUTHORIZATION_DETAILS("authorization_details is not an array of objects")  # section 2
    if len(value) > MOST:
        raise INVALID_AUTHORIZATION_DETAILS(f"authorization_details has more than {MOST} objects")
    if not _exact(value):
        raise INVALID_AUTHORIZATION_DETAILS("authorization_details holds a number that is too large")
    return tuple(value)


def _exact(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_exact, value.values()))
    if isinstance(value, list):
        return all(map(_exact, value))
    return not isinstance(value, int | float) or abs(value) <= _LARGEST


def _equal(one: Any, other: Any) -> bool:
    """The same JSON? To Python 1, 1.0 and true are one."""
    return _canonical(one) == _canonical(other)


def _canonical(value: Any) -> str:
    return text(_sorted(value))


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(one) for one in value] if isinstance(value, list) else value


def _each_once(fitting: Sequence[Sequence[int]]) -> bool:
    """Is there one of its own for each? What was granted once is not had twice, in parts neither.

    :param fitting: the numbers of those that will do, for each.
    """
    taken: dict[int, int] = {}

    def finds(one: int, seen: set[int]) -> bool:
        for number in fitting[one]:
            if number not in seen:
                seen.add(number)
                if number not in taken or finds(taken[number], seen):  # who has it may find another
                    taken[number] = one
                    return True
        return False

    return all(finds(one, set()) for one in range(len(fitting)))


def _shorter(one: Any, held: Any) -> bool:
    """Some of the entries of a list, and not none: an empty list may mean "all"."""
    if not isinstance(one, list) or not isinstance(held, list) or not one:
        return False
    return {_canonical(entry) for entry in one} < {_canonical(entry) for entry in held}


def _lines(value: Any, labels: Mapping[str, str], path: str = "", label: str = "") -> Iterable[Line]:
    """Every member of an object, those of inner objects with the words of the outer ones before their own."""
    for name, inner in value.items():
        if not path and name == "type":
            continue
        place = f"{path}.{name}" if path else name
        words = labels.get(place, name)
        yield from _line(inner, labels, place, f"{label}, {words}" if label else words)


def _line(value: Any, labels: Mapping[str, str], path: str, label: str) -> Iterable[Line]:
    if isinstance(value, dict) and value:
        yield from _lines(value, labels, path, label)
    elif isinstance(value, list) and any(isinstance(one, dict | list) for one in value):
        for number, one in enumerate(value, 1):
            yield from _line(one, labels, path, f"{label} {number}")
    else:
        yield Line(label, _words(value))


def _words(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_words, value)) or "\N{EM DASH}"
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, dict):  # an empty one, as the members of others have lines of their own
        return "\N{EM DASH}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return text(value)


def _filled(sentence: str, one: Mapping[str, Any]) -> Iterable[tuple[str, bool]]:
    """The sentence, its parts as they stand and the values between them."""
    for number, part in enumerate(_PLACE.split(sentence)):
        if number % 2:
            yield _words(_member(one, part)), True
        elif part:
            yield part, False


def _member(one: Any, path: str) -> Any:
    for name in path.split("."):
        one = one.get(name) if isinstance(one, dict) else None
    return one
