"""The reference page of the admin API, computed from its OpenAPI document.

    curl -s http://localhost:8000/api/v1/openapi.json | python -m oauthd.admin.reference > etc/docs/admin-api.md
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, Final

_WIDTH: Final = 110
_INTRODUCTION: Final = """\
Clients, users, scopes, tokens and signing keys, in JSON, under `/api/v1`. The server describes the same in OpenAPI 3.1
at `/api/v1/openapi.json`, from which this page is generated (`oauthd.admin.reference`); what one says the other says,
and the server reads by it.

Every call carries an access token: `Authorization: Bearer ...`, with the scope `admin`, of an administrator or of a
client that was given that scope. Under `/api/v1/users/profile` it is a user's own token with the scope `account` (or
`read_write`, by the setting `userinfo.account_by_read_write`). The command `oauthd` makes these calls for you.

A program asks at the token endpoint with `grant_type=client_credentials` and `scope=admin`: as the client whose id and
secret the first start wrote to `admin-credentials.json` in the data folder, or as one of its own, registered with that
scope.

Times are whole seconds since 1970. Ids of clients and users are opaque strings. Lists come in pages: `next_cursor` of
one page is the `cursor` of the next, null at the end; a page may be shorter than `limit`. PUT changes the members that
are sent and leaves the others as they are; lists and objects are replaced as a whole.

An error has `error`, `error_description` and `detail`, and `errors` where single members or parameters are wrong. 422
is a value that can never be; 409 one that cannot be beside what is there, among it the last administrator, who stays
one, and the client whose own token makes the request, which cannot take itself away. Every operation may also answer
400 (malformed), 408, 413, 414 and 431 (too slow or too large), 415 (not JSON) and 503, which says when to try again."""


def markdown(document: Mapping[str, Any]) -> str:
    """The page of a document."""
    lines = ["# Admin API", "", _INTRODUCTION, "", "| | | |", "| --- | --- | --- |"]
    lines += [f"| {method} | `{path}` | {one['summary']} |" for path, method, one in _operations(document)]
    for path, method, one in _operations(document):
        about = f"{one['summary']}. {one.get('description', '')}"
        lines += ["", f"## {method} {path}", "", *textwrap.wrap(about, _WIDTH)]
        lines += _section("Parameters", _parameters(one))
        body = one.get("requestBody")
        if body is not None:
            schema = next(iter(body["content"].values()))["schema"]
            kinds = " or ".join(f"`{kind}`" for kind in body["content"])
            needed = "" if body["required"] else ", may be left out"
            lines += _section(f"Body ({kinds}{needed})", _body(schema, document))
        lines += _section("Answers", _answers(one))
    return "\n".join(lines) + "\n"


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, one in methods.items():
            yield path, method.upper(), one


def _section(title: str, items: Iterator[str]) -> list[str]:
    found: list[str] = []
    for item in items:
        found += textwrap.wrap(item, _WIDTH, initial_indent="- ", subsequent_indent="  ")
    return ["", f"{title}:", "", *found] if found else []


def _parameters(one: Mapping[str, Any]) -> Iterator[str]:
    for parameter in one.get("parameters", ()):
        alternatives = parameter["schema"].get("anyOf")
        if alternatives is None:
            yield f"`{parameter['name']}` ({parameter['in']}): {parameter['description']}"
            continue
        for alternative in alternatives:  # one object, spelled out in the query
            for name, schema in alternative["properties"].items():
                yield f"`{name}` ({parameter['in']}; {parameter['description'].lower()}): {schema['description']}"


def _body(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[str]:
    """The members; of bodies that are told apart by a word those of the first, which has the most."""
    variants = schema.get("anyOf", [schema])
    whole = _resolved(variants[0], document)
    words = [word for variant in variants[1:] for word in next(iter(variant["properties"].values()))["enum"]]
    for name, member in whole["properties"].items():
        facts = [_kind(member, document)]
        if name in whole.get("required", ()):
            facts.append("required")
        if "default" in member:
            facts.append(f"default `{json.dumps(member['default'])}`")
        if words and "enum" in member and len(member["enum"]) == 1:
            facts[0] = " or ".join(f"`{word}`" for word in (*member["enum"], *words))
        yield f"`{name}`: {', '.join(facts)}. {_resolved(member, document).get('description', '')}".strip()


def _kind(schema: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    whole = _resolved(schema, document)
    if "anyOf" in whole:
        return " or ".join(_kind(one, document) for one in whole["anyOf"])
    if "enum" in whole:
        return " or ".join(f"`{json.dumps(word).strip(chr(34))}`" for word in whole["enum"])
    kind = whole["type"]
    words = kind if isinstance(kind, list) else [kind]
    if "array" in words:
        return f"list of {_kind(whole['items'], document)}"
    limits = [f"{text} {whole[name]}" for name, text in _LIMITS if name in whole]
    return " or ".join(words) + (f" ({', '.join(limits)})" if limits else "")


_LIMITS: Final = (
    ("minLength", "at least"), ("maxLength", "at most"), ("minimum", "from"), ("maximum", "to"),
)  # fmt: skip


def _answers(one: Mapping[str, Any]) -> Iterator[str]:
    for status, answer in one["responses"].items():
        if status.startswith("2"):
            yield f"{status}: {answer['description']}"
    own = [status for status in one["responses"] if not status.startswith("2") and status not in _EVERYWHERE]
    if own:
        yield f"refused with {', '.join(own)}"


_EVERYWHERE: Final = ("400", "408", "413", "414", "415", "422", "431", "503")


def _resolved(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in schema:
        return schema
    whole: Mapping[str, Any] = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return whole


if __name__ == "__main__":
    sys.stdout.write(markdown(json.load(sys.stdin)))
