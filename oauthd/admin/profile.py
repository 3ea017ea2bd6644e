"""A user's own profile, password and user code, by the user's own token.

A new password, as a new user code, wants the current password, which is counted like a sign-in (RFC 6819 section 4.3.5
on stolen tokens: who holds one is not thereby the person). Neither may be the other one: applications see user codes
(CIBA Core section 7.1.2). A new password ends every token and session, the one of this request included. Roles, the
username and what somebody else verified are for administrators.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from attrs import frozen
from msgspec.structs import replace

from oauthd.admin import claims
from oauthd.admin.declarations import NO_CONTENT, Answer, Call, Operation, Who, operation
from oauthd.admin.users import SHOWN, USER_CODE, PasswordRule, replace_password, replace_user_code, shown
from oauthd.events import Events
from oauthd.passwords import Passwords
from oauthd.protocol.errors import CONFLICT, FORBIDDEN
from oauthd.protocol.messages import Response, json_response
from oauthd.protocol.records import User
from oauthd.protocol.schemas import Member, Members, Text
from oauthd.sign_out import SignOut
from oauthd.stores.users import Users

KnowsPassword = Callable[[User, str, str], Awaitable[bool]]
"""Does the user know the own password? User, password, source address; counted like a sign-in."""


@frozen
class ProfileResource:
    """The caller's own user."""

    users: Users
    sign_out: SignOut
    passwords: Passwords
    events: Events
    password_rule: PasswordRule
    knows_password: KnowsPassword

    def _passwords(self) -> Members:
        current = Text(self.password_rule.schema.pattern, "text without control characters", 1, 4096)
        return Members(
            (
                Member("current_password", current, "Wrong ones are counted as at sign-in.", required=True),
                Member("password", self.password_rule.schema, "The new one.", required=True),
            )
        )

    def _user_codes(self) -> Members:
        return Members((self._passwords().members[0], USER_CODE))

    @operation(
        Operation("profile.show", "Show the own profile", {200: Answer("The caller's user.", SHOWN)}, who=Who.OWNER)
    )
    async def show(self, call: Call) -> Response:
        """The caller."""
        return json_response(_told(call, call.caller.person))

    @operation(
        Operation(
            "profile.update",
            "Change the own profile",
            {200: Answer("The caller's user as it is now.", SHOWN)},
            help="Claims that are left out stay as they are; null removes one. A changed email address or phone number "
            "is no longer verified.",
            who=Who.OWNER,
            body=claims.PROFILE,
            refusals=(409,),
        )
    )
    async def update(self, call: Call) -> Response:
        """Change claims of the caller."""
        changes = dict(call.body)
        user = await self.users.update(
            call.caller.person.user_id, lambda user: replace(user, claims=claims.changed(user.claims, changes))
        )
        self.events.tell("user.updated", user_id=user.user_id, **call.caller.facts)
        return json_response(_told(call, user))

    @operation(
        lambda self: Operation(
            "profile.password",
            "Change the own password",
            {204: Answer("It is the new one, and every token and session of the user is dead.")},
            who=Who.OWNER,
            body=self._passwords(),
            refusals=(409, 429),
        )
    )
    async def password(self, call: Call) -> Response:
        """Replace the caller's password."""
        user = await self._known(call)
        if user.user_code and await self.passwords.verify(user.user_code, call.body["password"]):
            raise CONFLICT("the password is the user code", fields={"password": "is the user code"})
        await replace_password(self.users, self.sign_out, self.passwords, user, call.body["password"])
        self.events.tell("user.password_changed", user_id=user.user_id, **call.caller.facts)
        return NO_CONTENT

    @operation(
        lambda self: Operation(
            "profile.user_code",
            "Change the own user code",
            {204: Answer("It is the new one, or there is none.")},
            help="Who has one is asked by CIBA clients alone that send it (CIBA Core section 7.1.2).",
            who=Who.OWNER,
            body=self._user_codes(),
            refusals=(409, 429),
        )
    )
    async def user_code(self, call: Call) -> Response:
        """Replace the caller's user code."""
        user = await self._known(call)
        if call.body["user_code"] == call.body["current_password"]:
            raise CONFLICT("the user code is the password", fields={"user_code": "is the password"})
        await replace_user_code(self.users, self.passwords, user, call.body["user_code"])
        self.events.tell("user.user_code_changed", user_id=user.user_id, **call.caller.facts)
        return NO_CONTENT

    async def _known(self, call: Call) -> User:
        """The caller, who knows the password."""
        user = call.caller.person
        if not await self.knows_password(user, call.body["current_password"], call.request.connection.source):
            raise FORBIDDEN("the current password is wrong", fields={"current_password": "is wrong"})
        return user


def _told(call: Call, user: User) -> dict[str, Any]:
    """The user, under the `sub` of the caller's token: a client with pairwise subjects learns no other id."""
    subject = call.caller.token.subject if call.caller.token is not None else ""
    return shown(user) | ({"user_id": subject} if subject else {})
