"""One stream of things that happened; log, metrics and audit listen to it.

Each event is declared once in `EVENTS`. Facts are identifiers (client_id, user_id, token_id), counts and words: never
a token, code, secret or password.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import field, frozen

from oauthd.protocol.frozen import Frozen

Fact = str | int | float | bool | None

EVENTS: Mapping[str, str] = {
    "founded": "the store was founded by this node: keys, first scopes and administrator were made",
    "token.issued": "an access token was handed out",
    "token.reused": "a client was given a live token of its own again",
    "token.refused": "a token request was refused",
    "token.revoked": "a token was revoked",
    "grant.ended": "a grant and all its tokens were ended",
    "grant.replayed": "a code or refresh token was used again by its own client; its grant is ended",
    "code.issued": "an authorization code was handed out",
    "authorization.pushed": "a client pushed an authorization request",
    "authorization.refused": "an authorization request was refused",
    "consent.given": "a person agreed to an authorization",
    "consent.denied": "a person refused an authorization",
    "sign_in.succeeded": "a person signed in",
    "sign_in.failed": "a sign-in failed",
    "sign_in.locked": "a sign-in was refused without a look at the password: too many failures",
    "client.untold": "a sign-out had more clients than a page has frames, and no back channel to this one",
    "sign_out": "a browser session was ended",
    "userinfo.told": "a client was told who a person is",
    "device.requested": "a device asked for authorization",
    "device.approved": "a person approved a device",
    "device.denied": "a person denied a device",
    "ciba.requested": "a client asked that a person be authenticated on a device of the person's own",
    "ciba.approved": "a person approved a client's request for authentication",
    "ciba.denied": "a person denied a client's request for authentication",
    "client.created": "a client was registered",
    "client.updated": "a client was changed",
    "client.deleted": "a client was deleted and its tokens with it",
    "client.secret_rotated": "a client got a new secret",
    "client.expired": "a client that had registered itself and was not used any more was deleted",
    "initial_access.issued": "an initial access token was issued, with which clients can be registered",
    "initial_access.revoked": "an initial access token was taken back",
    "client.refused": "a client failed to authenticate",
    "user.created": "a user was created",
    "user.updated": "a user was changed",
    "user.deactivated": "a user was deactivated and its tokens with it",
    "user.reactivated": "a user may sign in again",
    "user.password_changed": "a user's password was changed",
    "user.user_code_changed": "a user got another user code, or has none any more",
    "scope.created": "a scope was created",
    "scope.updated": "a scope was changed",
    "scope.deleted": "a scope was deleted",
    "limited": "a client, a caller of introspection or a source asked more often than it may; told once a minute",
    "shedding.began": "what begins something is refused, since the store is nearly full or the event loop is late",
    "shedding.ended": "it is taken again",
    "revoked.everything": "every token was revoked",
    "revoked.client": "every token of a client was revoked",
    "revoked.user": "every token of a user was revoked",
    "revoked.session": "a session was ended, and every token that was given in it",
    "revoked.resource": "every access token for a resource was revoked",
    "message.given_up": "a message to a client was given up: it was refused, or not received for too long",
    "message.revived": "a message that was given up is to be sent again",
    "message.dropped": "a message that was given up was forgotten",
    "keys.rotated": "new signing keys were announced",
    "keys.dropped": "a key was taken out at once",
    "keys.resealed": "keys and secrets were sealed with the first master key",
}


class Event(Frozen, frozen=True):
    """Something that happened: a name of `EVENTS` and its facts."""

    name: str
    facts: Mapping[str, Fact]


@frozen
class Events:
    """The stream. An observer must not raise and must not wait."""

    observers: list[Callable[[Event], None]] = field(factory=list)

    def tell(self, name: str, **facts: Fact) -> None:
        """Tell every observer.

        :raises LookupError: when `name` is not declared in `EVENTS`.
        """
        if name not in EVENTS:
            raise LookupError(f"undeclared event {name}")
        event = Event(name, facts)
        for observer in self.observers:
            observer(event)
