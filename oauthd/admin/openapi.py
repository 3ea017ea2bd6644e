"""The OpenAPI 3.1 document of the admin API, computed from the declarations that the operations read by.

Paths and methods come from the route table, which is handed in. Statuses that every operation of a kind may answer are
added here: those of a malformed request, of the caller's token, of the path, the query and the body, of a server that
is busy or without its store. 405 is not among them: it is answered where there is no operation.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from attrs import field, frozen

from oauthd.admin.declarations import AdminEndpoint, Answer, Call, Operation, Parameter, Who, operation
from oauthd.protocol.messages import Response
from oauthd.protocol.schemas import AnyObject, Dictionary, Member, Members, Text

VERSION: Final = "1"
Places = Iterable[tuple[str, Mapping[str, str]]]
"""Path (with `<name>` for its arguments) and names of endpoints by method, as the route table has them."""

_ERROR: Final = Members(
    (
        Member("error", Text("[!#-\\[\\]-~\\x20]+"), "A word for programs (RFC 6749 section 5.2).", required=True),
        Member("error_description", Text(), "A sentence for people.", required=True),
        Member("detail", Text(), "The same sentence.", required=True),
        Member("errors", Dictionary(Text()), "What is wrong, by member or parameter."),
    ),
    name="Error",
)
_TOLD: Final = {
    400: "The request is malformed.",
    401: "There is no access token, or no good one.",
    403: "The access token is not enough, or what was presented with it is wrong.",
    404: "There is nothing of this id, or no such page.",
    408: "The request took too long to arrive.",
    409: "It cannot be together with what is there.",
    413: "The body is too large.",
    414: "The address is too long.",
    415: "The body is of another media type.",
    422: "A member of the body or a parameter of the query is wrong.",
    429: "Too many attempts; wait.",
    431: "The headers are too large.",
    503: "The store or a worker is not available; try again.",
}
_ALWAYS: Final = (400, 408, 413, 414, 415, 422, 431, 503)
_ARGUMENT: Final = re.compile("<([a-z_]+)>")

@frozen
class OpenApi:
    """The document, and the endpoint that serves it to everybody: it holds nothing but declarations.

    :ivar endpoints: every operation of the admin API but this one.
    :ivar places: where the route table has them.
    """

    issuer: str
    endpoints: Mapping[str, AdminEndpoint]
    places: Places
    body: bytes = field(init=False, repr=False)

    @body.default
    def _computed(self) -> bytes:
        return json.dumps(self.document(), separators=(",", ":")).encode()

    @operation(
        Operation(
            "openapi",
            "This document",
            {200: Answer("The OpenAPI 3.1 document of this API.", AnyObject())},
            who=Who.ANYBODY,
        )
    )
    async def show(self, call: Call) -> Response:
        """The document."""
        return Response(200, (("Content-Type", "application/json"), ("Cache-Control", "no-cache")), self.body)

    def document(self) -> dict[str, Any]:
        """The document's members."""
        named: dict[str, Any] = {}
        paths = _named_once(self._paths(), named)
        return {
            "openapi": "3.1.0",
            "info": {
                "title": "oauthd admin API",
                "version": VERSION,
                "description": "Clients, users, scopes, tokens and signing keys of this server. Times are seconds "
                "since 1970. Ids of clients and users are opaque strings.",
                "license": {"name": "MIT", "identifier": "MIT"},
            },
            "servers": [{"url": self.issuer}],
            "paths": paths,
            "components": {
                "schemas": named,
                "securitySchemes": {
                    "bearer": {"type": "http", "scheme": "bearer", "description": "An access token of this server."},
                    "client": {"type": "http", "scheme": "basic", "description": "A client's id and secret."},
                },
            },
        }

    def _paths(self) -> dict[str, Any]:
        own: dict[str, Operation] = {name: one.operation for name, one in self.endpoints.items()}
        own["openapi"] = vars(OpenApi)["show"].__dict__["_operation"]
        paths: dict[str, Any] = {}
        for path, methods in self.places:
            for method, name in methods.items():
                if name in own:
                    declared = own.pop(name)
                    if tuple(_ARGUMENT.findall(path)) != tuple(one.name for one in declared.arguments):
                        raise TypeError(f"the arguments of {name} are not those of its path {path}")
                    paths.setdefault(_ARGUMENT.sub(r"{\1}", path), {})[method.lower()] = _operation(declared)
        if own:
            raise LookupError(f"not in the route table: {', '.join(own)}")
        return paths


def _named_once(value: Any, named: dict[str, Any]) -> Any:
    """The value with every schema that has a title taken out into `named`, and a reference in its place."""
    if isinstance(value, list):
        return [_named_once(one, named) for one in value]
    if not isinstance(value, dict):
        return value
    whole = {name: _named_once(one, named) for name, one in value.items()}
    title = whole.get("title")
    if not isinstance(title, str) or whole.get("type") != "object":
        return whole
    told = {name: whole.pop(name) for name in ("description", "default") if name in whole}
    if named.setdefault(title, whole) != whole:
        raise TypeError(f"two schemas are called {title}")
    return {"$ref": f"#/components/schemas/{title}", **told}


def _operation(declared: Operation) -> dict[str, Any]:
    told: dict[str, Any] = {
        "operationId": declared.name,
        "summary": declared.summary,
        "tags": [declared.name.partition(".")[0]],
        "security": _security(declared),
        "responses": _responses(declared),
    }
    if declared.help:
        told["description"] = declared.help
    parameters = [
        *(_parameter(one, "path") for one in declared.arguments),
        *(_parameter(one, "query") for one in declared.query),
        *_one_of(declared.one_of),
    ]
    if parameters:
        told["parameters"] = parameters
    if declared.body is not None:
        content = {"application/json": {"schema": declared.body.document()}}
        if declared.form is not None:
            content["application/x-www-form-urlencoded"] = {"schema": declared.form.document()}
        told["requestBody"] = {"required": declared.body_required, "content": content}
    return told


def _security(declared: Operation) -> list[dict[str, list[str]]]:
    if declared.who is not Who.ANYBODY:
        return [{"bearer": [declared.who.value]}]
    # Where the operation itself finds out who calls, credentials may also stand in the body.
    return [{"bearer": ["admin"]}, {"client": []}, {}] if 401 in declared.refusals else []


def _parameter(one: Parameter, where: str) -> dict[str, Any]:
    return {
        "name": one.name,
        "in": where,
        "required": where == "path" or one.required,
        "description": one.help,
        "schema": one.schema.document(),
    }


def _one_of(alternatives: tuple[Parameter, ...]) -> list[dict[str, Any]]:
    """Parameters of which exactly one is given: together one object, spelled out in the query member by member."""
    if not alternatives:
        return []
    return [
        {
            "name": "which",
            "in": "query",
            "required": True,
            "style": "form",
            "explode": True,
            "description": "Exactly one of these.",
            "schema": {
                "type": "object",
                "anyOf": [
                    Members((Member(one.name, one.schema, one.help, required=True),)).document()
                    for one in alternatives
                ],
            },
        }
    ]


def _responses(declared: Operation) -> dict[str, Any]:
    statuses = {*_ALWAYS, *declared.refusals}
    if declared.who is not Who.ANYBODY:
        statuses |= {401, 403}
    if declared.arguments or any(one.name == "cursor" for one in declared.query):
        statuses |= {404}
    refusals = {str(status): _refusal(status) for status in sorted(statuses)}
    return {str(status): _answer(answer) for status, answer in declared.answers.items()} | refusals


def _answer(answer: Answer) -> dict[str, Any]:
    told: dict[str, Any] = {"description": answer.help}
    if answer.headers:
        told["headers"] = {name: _header(help) for name, help in answer.headers.items()}
    if answer.schema is not None:
        told["content"] = {"application/json": {"schema": answer.schema.document()}}
    return told


def _refusal(status: int) -> dict[str, Any]:
    told: dict[str, Any] = {
        "description": _TOLD[status],
        "content": {"application/json": {"schema": _ERROR.document()}},
    }
    if status == 401:
        told["headers"] = {"WWW-Authenticate": _header("The challenge (RFC 6750 section 3).")}
    if status in (429, 503):
        told["headers"] = {"Retry-After": _header("Seconds to wait.", {"type": "integer", "minimum": 0})}
    return told


def _header(help: str, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"description": help, "required": True, "schema": schema or {"type": "string", "minLength": 1}}
