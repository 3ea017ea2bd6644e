"""What an operation of the admin API is: declared once, read and documented by the same declaration.

A resource is an attrs class whose fields name what it needs and whose methods carry an `@operation`. The name of an
operation is its endpoint's name in the route table, which alone knows paths and methods. Every call goes the same way:
who calls, the path, the query, the body, the act; so nothing is told to somebody who may not call. RFC 6750 section 3
(challenges), RFC 9110 section 15 (statuses).

Refused: what is not declared. A status tells which rule was broken: 400 the form of the request, 404 what is named by
the path, 409 a value that is fine in itself but not beside what is there, 415 and 422 the body and the query.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from enum import Enum
from typing import Any, TypeVar

from attrs import field, frozen

from oauthd.proofs.administrator import Administrator
from oauthd.proofs.bearer import Bearer
from oauthd.protocol.errors import FORBIDDEN, INVALID_REQUEST, NOT_FOUND, UNPROCESSABLE_CONTENT
from oauthd.protocol.json_body import read_json
from oauthd.protocol.messages import NO_STORE, Request, Response, json_response
from oauthd.protocol.records import AccessToken, User
from oauthd.protocol.schemas import Members, Problems, Schema, TextSchema, Variants
from oauthd.stores.users import Users

NO_CONTENT = Response(204, NO_STORE)


class Who(Enum):
    """Who may call."""

    ADMINISTRATOR = "admin"
    """A token with the scope `admin`, whose user (if it has one) is an administrator."""
    OWNER = "account"
    """A user's own token with the scope `account`, or another one that a setting puts beside it."""
    DEVICES = "backchannel"
    """The operator's own application on people's devices: a client's own token with this scope."""
    ANYBODY = ""
    """Everybody; or the operation finds out itself."""


@frozen
class Caller:
    """Who calls; nobody in particular for `Who.ANYBODY`.

    :ivar user: the user for `Who.OWNER`.
    """

    token: AccessToken | None = None
    user: User | None = None

    @property
    def facts(self) -> dict[str, str | None]:
        """The caller as events tell of it."""
        if self.token is None:
            return {}
        return {"by_client": self.token.client_id, "by_user": self.token.user_id or None}

    @property
    def person(self) -> User:
        """The user of an operation for `Who.OWNER`."""
        if self.user is None:
            raise TypeError("this operation is not declared for owners")
        return self.user


@frozen
class Access:
    """Finds out who calls.

    :ivar owner_scopes: scopes that let a user change the own profile.
    """

    administrator: Administrator
    bearer: Bearer
    users: Users
    owner_scopes: tuple[str, ...]

    async def caller(self, request: Request, who: Who) -> Caller:
        """The caller, who may call.

        :raises OAuthError: `invalid_token`, `insufficient_scope`, `forbidden`.
        """
        if who is Who.ADMINISTRATOR:
            return Caller(await self.administrator.token(request))
        if who is Who.OWNER:
            token = await self.bearer.token(request, *self.owner_scopes)
            user = await self.users.find(token.user_id) if token.user_id else None
            if user is None or not user.is_active:
                raise FORBIDDEN("the access token is not a user's")
            return Caller(token, user)
        if who is Who.DEVICES:
            token = await self.bearer.token(request, who.value)
            if token.user_id:  # what a person lets an application do is not to speak for others
                raise FORBIDDEN("the access token is a user's; the application acts for itself")
            return Caller(token)
        return Caller()


@frozen
class Parameter:
    """A named part of the path, or a parameter of the query."""

    name: str
    schema: TextSchema
    help: str
    required: bool = False


@frozen
class Answer:
    """What an operation answers when it succeeds.

    :ivar schema: of the JSON in it; None for an answer without content.
    :ivar headers: name to help, of fields that are always there.
    """

    help: str
    schema: Schema | None = None
    headers: Mapping[str, str] = field(factory=dict)


@frozen
class Call:
    """One call, read."""

    request: Request
    caller: Caller
    arguments: Mapping[str, Any] = field(factory=dict)
    query: Mapping[str, Any] = field(factory=dict)
    body: Mapping[str, Any] = field(factory=dict, repr=False)


Body = Members | Variants


@frozen
class Operation:
    """The declaration.

    :ivar body: what is read from JSON; None where there must be none.
    :ivar body_required: may the body be left out? Then it counts as an empty object.
    :ivar form: the same as a form, where one is taken as well.
    :ivar one_of: of these query parameters exactly one must be given.
    :ivar refusals: statuses it answers besides those that every operation of its kind may answer.
    """

    name: str
    summary: str
    answers: Mapping[int, Answer]
    help: str = ""
    who: Who = Who.ADMINISTRATOR
    arguments: tuple[Parameter, ...] = ()
    query: tuple[Parameter, ...] = ()
    one_of: tuple[Parameter, ...] = ()
    body: Body | None = None
    body_required: bool = True
    form: Members | None = None
    refusals: tuple[int, ...] = ()

    def read(self, request: Request, caller: Caller) -> Call:
        """The call that a request makes.

        :raises OAuthError: 400, 404, 413, 415 or 422.
        """
        arguments = self._arguments(request)
        query = self._query(request)
        return Call(request, caller, arguments, query, self._body(request))

    def _arguments(self, request: Request) -> dict[str, Any]:
        problems: Problems = {}
        read = {one.name: one.schema.parse(request.arguments[one.name], one.name, problems) for one in self.arguments}
        if problems:
            raise NOT_FOUND("there is nothing of this id")
        return read

    def _query(self, request: Request) -> dict[str, Any]:
        request.query.refuse_repeats()
        given = dict(request.query)
        known = {one.name: one for one in (*self.query, *self.one_of)}
        problems: Problems = {name[:64]: "is not known" for name in given if name not in known}
        read = {name: known[name].schema.parse(text, name, problems) for name, text in given.items() if name in known}
        problems |= {one.name: "is missing" for one in self.query if one.required and one.name not in given}
        if self.one_of and len([one for one in self.one_of if one.name in given]) != 1:
            problems |= {one.name: "exactly one of these must be given" for one in self.one_of}
        _refuse(problems, "the query")
        return read

    def _body(self, request: Request) -> dict[str, Any]:
        if self.form is not None and request.content_type == "application/x-www-form-urlencoded":
            request.form.refuse_repeats()
            return self._checked(self.form, dict(request.form))
        if self.body is None:
            if request.body:
                raise INVALID_REQUEST("this operation takes no body")
            return {}
        if not self.body_required and not request.body:
            return self._checked(self.body, {})
        return self._checked(self.body, read_json(request))

    def _checked(self, schema: Body, value: dict[str, Any]) -> dict[str, Any]:
        problems: Problems = {}
        read = schema.read(value, "", problems)
        _refuse(problems, "the body")
        return read


def _refuse(problems: Problems, where: str) -> None:
    if problems:
        raise UNPROCESSABLE_CONTENT(f"something in {where} is wrong; see errors", fields=problems)


Act = Callable[[Call], Awaitable[Response]]
Declared = Operation | Callable[[Any], Operation]
"""A declaration, or what makes it from the resource where it depends on settings."""
M = TypeVar("M", bound=Callable[..., Awaitable[Response]])


def operation(declared: Declared) -> Callable[[M], M]:
    """Declare the method of a resource to be an operation."""

    def mark(method: M) -> M:
        method.__dict__["_operation"] = declared
        return method

    return mark


@frozen
class AdminEndpoint:
    """An operation as an endpoint."""

    operation: Operation
    access: Access
    act: Act = field(repr=False)

    async def __call__(self, request: Request) -> Response:
        """Answer a request."""
        caller = await self.access.caller(request, self.operation.who)
        return await self.act(self.operation.read(request, caller))


def endpoints_of(resource: object, access: Access) -> Iterator[tuple[str, AdminEndpoint]]:
    """The endpoints of a resource, by the names that the route table uses."""
    for name, method in vars(type(resource)).items():
        declared = getattr(method, "_operation", None)
        if declared is not None:
            made = declared if isinstance(declared, Operation) else declared(resource)
            yield made.name, AdminEndpoint(made, access, getattr(resource, name))


def created(value: Any, location: str) -> Response:
    """The answer to a request that made something, and where it is now (RFC 9110 section 15.3.2)."""
    return json_response(value, 201).adding(("Location", location))
