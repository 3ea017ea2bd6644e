"""Users in the admin API: created, listed, changed, deactivated, reactivated, given passwords by an administrator.

A deactivated user is gone from its address, as after any DELETE (RFC 9110 section 9.3.5): GET answers 404 until it is
reactivated, and so does a PUT that says nothing of `is_active`. The list still shows it, for its id and its name stay
taken.

PUT changes the members that are sent and leaves the others as they are. Whoever is deactivated, loses the role `admin`
or gets another password loses every token and session. The last administrator stays one (409). A password is read,
hashed and never shown; neither is its hash.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import evolve, frozen
from msgspec.structs import replace

from oauthd.admin import claims, paging
from oauthd.admin.declarations import NO_CONTENT, Answer, Call, Operation, Parameter, created, operation
from oauthd.events import Events
from oauthd.passwords import Passwords
from oauthd.protocol.client_metadata import LINE
from oauthd.protocol.errors import NOT_FOUND
from oauthd.protocol.messages import Response, json_response
from oauthd.protocol.records import User
from oauthd.protocol.schemas import Flag, Listing, Member, Members, Nullable, Text, Whole
from oauthd.sign_out import SignOut
from oauthd.stores.tokens import Tokens
from oauthd.stores.users import Users, is_administrator

# What cannot be seen makes no name: format characters have neither the first nor the last place, so that something is
# left when names are compared without them.
_UNSEEN = (
    r"\x00-\x20\x7f-\xa0\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u1680\u180e\u2000-\u200f\u2028-\u202f"
    r"\u205f-\u206f\u3000\ud7fc-\ud7ff\ue000-\uf8ff\ufeff\ufff0-\uffff"
)
_SEEN = f"[^{_UNSEEN}]"
USERNAME: Final = Text(rf"{_SEEN}(?:{LINE}{_SEEN})?", "a name that can be seen, without blanks at its ends", 1, 128)
USER_ID: Final = Text("[A-Za-z0-9._~-]{1,128}", "the id of a user", 1, 128)
_ROLE = Text("[a-z][a-z0-9_.:-]{0,63}", "lower-case letters, digits and _ . : -, a letter first", 1, 64)
_ID = (Parameter("user_id", USER_ID, "The id of the user, the `sub` of its tokens."),)
USER_CODE: Final = Member(
    "user_code",
    Nullable(Text(r"[^\x00-\x1f\x7f-\x9f]*", "text without control characters", 6, 64)),
    "Another word than the password, for applications see it; null for none.",
    required=True,
)
_LONGEST_CHARACTER: Final = 4  # octets of UTF-8


@frozen
class PasswordRule:
    """How long a password may be: characters at least, octets at most."""

    shortest: int
    longest: int

    @property
    def schema(self) -> Text:
        """What may become a password. A form of a page carries no control characters, so none can be typed there."""
        longest = max(self.shortest, self.longest // _LONGEST_CHARACTER)
        return Text(r"[^\x00-\x1f\x7f-\x9f]*", "text without control characters", self.shortest, longest)


_when = Whole(0, 2**53)
SHOWN: Final = Members(
    (
        Member("user_id", Text(), "The `sub` of tokens.", required=True),
        Member("username", Text(), required=True),
        Member("email", Nullable(Text()), "The same as in `claims`.", required=True),
        Member("roles", Listing(Text()), "`admin` makes an administrator.", required=True),
        Member(
            "claims",
            claims.CLAIMS,
            "Standard claims (OpenID Connect Core section 5.1).",
            required=True,
        ),
        Member("has_password", Flag(), "Without one nobody can sign in.", required=True),
        Member("has_user_code", Flag(), "Clients must know it who ask for the user by CIBA.", required=True),
        Member("is_active", Flag(), required=True),
        Member("created_at", _when, "Seconds since 1970.", required=True),
        Member("updated_at", _when, "Seconds since 1970.", required=True),
    ),
    name="User",
)


@frozen
class UsersResource:
    """The users."""

    users: Users
    tokens: Tokens
    sign_out: SignOut
    passwords: Passwords
    events: Events
    password_rule: PasswordRule

    def _new(self) -> Members:
        return Members(
            (
                Member("username", USERNAME, "Unique in any spelling.", required=True),
                Member("password", self.password_rule.schema, "Without one the user cannot sign in."),
                Member("email", claims.EMAIL, "The same as in `claims`, and counts before it."),
                Member("roles", Listing(_ROLE, 50, distinct=True), "`admin` makes an administrator.", default=[]),
                Member("claims", claims.CLAIMS, "Standard claims (OpenID Connect Core section 5.1).", default={}),
            )
        )

    def _changes(self) -> Members:
        kept = self._new().without("password").given_only()
        active = Member("is_active", Flag(), "false deactivates, as DELETE does; true reactivates.")
        return evolve(kept, members=(*kept.members, active))

    @operation(
        lambda self: Operation(
            "users.create",
            "Create a user",
            {201: Answer("The user.", SHOWN, {"Location": "Where the user is."})},
            body=self._new(),
            refusals=(409,),
        )
    )
    async def create(self, call: Call) -> Response:
        """Create a user."""
        body = call.body
        hashed = await self.passwords.hash(body["password"]) if "password" in body else ""
        stated = _claims(body, {})
        user = await self.users.create(
            User("", body["username"], 0, 0, password=hashed, roles=body["roles"], claims=stated)
        )
        self.events.tell("user.created", user_id=user.user_id, **call.caller.facts)
        return created(shown(user), f"{call.request.path}/{user.user_id}")

    @operation(
        Operation(
            "users.list",
            "List users",
            {200: Answer("A page of users.", paging.page_of("users", SHOWN))},
            query=(
                *paging.PARAMETERS,
                Parameter("username", Text(LINE, "text", 1, 128), "Of this name, in any spelling."),
                Parameter("role", _ROLE, "With this role."),
                Parameter("is_active", Flag(), "Active or not."),
            ),
        )
    )
    async def page(self, call: Call) -> Response:
        """A page of the users that fit the filters."""
        query = call.query

        def fits(user: User) -> bool:
            return (
                query.get("is_active", user.is_active) == user.is_active
                and ("role" not in query or query["role"] in user.roles)
            )  # fmt: skip

        if "username" in query:
            named = await self.users.find_by_name(query["username"])
            found, cursor = ([named] if named and fits(named) else []), None
            if "cursor" in query:
                raise paging.no_such_page()
        else:
            found, cursor = await paging.filtered(self.users.page, fits, query)
        return json_response({"users": [shown(user) for user in found], "next_cursor": cursor})

    @operation(Operation("users.show", "Show a user", {200: Answer("The user.", SHOWN)}, arguments=_ID))
    async def show(self, call: Call) -> Response:
        """One active user."""
        return json_response(shown(await self._active(call)))

    @operation(
        lambda self: Operation(
            "users.update",
            "Change a user",
            {200: Answer("The user as it is now.", SHOWN)},
            help="Members that are left out stay as they are; `roles` and `claims` are replaced as a whole. Who is "
            "deactivated, or is no administrator any more, loses every token and session.",
            arguments=_ID,
            body=self._changes(),
            refusals=(409,),
        )
    )
    async def update(self, call: Call) -> Response:
        """Change what is sent."""
        body = call.body
        user_id = (await self._user(call) if "is_active" in body else await self._active(call)).user_id
        ends = False

        def change(user: User) -> User:
            nonlocal ends
            after = _changed(user, body)
            # Ending again costs nothing, and the last try may have failed. A right that is gone is not looked for
            # again: the API itself asks whether a token's user still has it.
            ends = not after.is_active or (is_administrator(user) and not is_administrator(after))
            return after

        user = await self.users.update(user_id, change)
        if ends:
            await self.tokens.end_all_of_user(user_id)  # after the record: nothing issued in between survives
        if ends or "roles" in body:  # should the last try have failed before they were told
            await self.sign_out.of_user(user_id)
        what = "user.updated" if user.is_active else "user.deactivated"
        self.events.tell(what, user_id=user_id, **call.caller.facts)
        return json_response(shown(user))

    @operation(
        Operation(
            "users.deactivate",
            "Deactivate a user",
            {204: Answer("Every token and session of the user is dead, and it cannot sign in.")},
            help="The user is kept and still listed, with `is_active` false; its address is 404 until it is "
            "reactivated.",
            arguments=_ID,
            refusals=(409,),
        )
    )
    async def deactivate(self, call: Call) -> Response:
        """End all that the user has, and keep the user; once more if the last try was cut off in the middle."""
        user = await self.users.deactivate((await self._user(call)).user_id)
        await self.sign_out.of_user(user.user_id)
        self.events.tell("user.deactivated", user_id=user.user_id, **call.caller.facts)
        return NO_CONTENT

    @operation(
        Operation(
            "users.reactivate",
            "Reactivate a user",
            {200: Answer("The user, who may sign in again.", SHOWN)},
            help="What was ended stays so. A user who is active stays as it is.",
            arguments=_ID,
            refusals=(409,),
        )
    )
    async def reactivate(self, call: Call) -> Response:
        """Let the user sign in again."""
        user = await self.users.update(call.arguments["user_id"], lambda user: replace(user, is_active=True))
        self.events.tell("user.reactivated", user_id=user.user_id, **call.caller.facts)
        return json_response(shown(user))

    @operation(
        lambda self: Operation(
            "users.password",
            "Give a user another password",
            {204: Answer("It is the new one, and every token and session of the user is dead.")},
            arguments=_ID,
            body=Members((Member("password", self.password_rule.schema, "The new password.", required=True),)),
            refusals=(409,),
        )
    )
    async def password(self, call: Call) -> Response:
        """Replace the password."""
        user = await self._active(call)
        await replace_password(self.users, self.sign_out, self.passwords, user, call.body["password"])
        self.events.tell("user.password_changed", user_id=user.user_id, **call.caller.facts)
        return NO_CONTENT

    @operation(
        Operation(
            "users.user_code",
            "Give a user another user code",
            {204: Answer("It is the new one, or the user has none.")},
            help="Who has one is asked by CIBA clients alone that send it (CIBA Core section 7.1.2).",
            arguments=_ID,
            body=Members((USER_CODE,)),
            refusals=(409,),
        )
    )
    async def user_code(self, call: Call) -> Response:
        """Replace the user code."""
        user = await self._active(call)
        # Never compared with the password: whoever may write users would try out passwords by it, uncounted.
        await replace_user_code(self.users, self.passwords, user, call.body["user_code"])
        self.events.tell("user.user_code_changed", user_id=user.user_id, **call.caller.facts)
        return NO_CONTENT

    async def _user(self, call: Call) -> User:
        user = await self.users.find(call.arguments["user_id"])
        if user is None:
            raise NOT_FOUND("there is no such user")
        return user

    async def _active(self, call: Call) -> User:
        user = await self._user(call)
        if not user.is_active:
            raise NOT_FOUND("the user is deactivated; the list shows it with is_active=false")
        return user


async def replace_password(users: Users, sign_out: SignOut, passwords: Passwords, user: User, password: str) -> None:
    """Give a user another password; every token and session ends.

    They end before the change too: if the second time is lost, what a thief of the former password had is dead.
    """
    hashed = await passwords.hash(password)
    await sign_out.everywhere(user.user_id)
    await users.update(user.user_id, lambda user: replace(user, password=hashed))
    await sign_out.everywhere(user.user_id)


async def replace_user_code(users: Users, passwords: Passwords, user: User, code: str | None) -> None:
    """Give a user another user code, or (None) none."""
    hashed = "" if code is None else await passwords.hash(code)
    await users.update(user.user_id, lambda user: replace(user, user_code=hashed))


def shown(user: User) -> dict[str, Any]:
    """A user as answers show it: never its password, nor the hash."""
    known = claims.known(user.claims)
    return {
        "user_id": user.user_id,
        "username": user.username,
        "email": known.get("email"),
        "roles": list(user.roles),
        "claims": known,
        "has_password": bool(user.password),
        "has_user_code": bool(user.user_code),
        "is_active": user.is_active,
        "created_at": user.created_at,
        "updated_at": user.updated_at,
    }


def _claims(body: Mapping[str, Any], former: Mapping[str, Any]) -> dict[str, Any]:
    """The claims that an administrator states; `email` counts before the one in `claims`."""
    stated = dict(body.get("claims", former))
    return stated | ({"email": body["email"]} if "email" in body else {})


def _changed(user: User, body: Mapping[str, Any]) -> User:
    return replace(
        user,
        username=body.get("username", user.username),
        roles=body.get("roles", user.roles),
        claims=_claims(body, user.claims),
        is_active=body.get("is_active", user.is_active),
    )
