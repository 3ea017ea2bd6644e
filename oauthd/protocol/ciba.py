"""Backchannel authentication requests (OpenID Connect Client-Initiated Backchannel Authentication, CIBA Core 1.0).

What of a request is its own, beside scope, resource and details, which the grid of `authorization` checks: the one hint
that says whom it is about, the message that the person compares, how long it is to wait. Section 7.1. And what a signed
one must say (7.1.1): all of the request stands in it, and parameters outside are not there.

Refused: none of the three hints or more than one; a `login_hint_token`, for nobody here issues any (13 leaves it to the
provider); a message that could not be shown as it is; a notification token that is no bearer token.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Final

from attrs import frozen

from oauthd.protocol import jose, profile, request_object
from oauthd.protocol.client_metadata import CLIENT_NAME, hides
from oauthd.protocol.errors import (
    INVALID_BINDING_MESSAGE,
    INVALID_REQUEST,
    INVALID_REQUEST_OBJECT,
    UNAUTHORIZED_CLIENT,
    OAuthError,
)
from oauthd.protocol.frozen import Frozen
from oauthd.protocol.messages import Parameters
from oauthd.protocol.records import Client

POLL: Final = "poll"
PING: Final = "ping"
PUSH: Final = "push"
MODES: Final = (POLL, PING, PUSH)  # section 5
HINTS: Final = ("login_hint", "id_token_hint", "login_hint_token")
LONGEST_TOKEN: Final = 1024  # section 7.1, characters of a client_notification_token
LONGEST_WISH: Final = 1024  # characters of acr_values, which are kept
LONGEST_CODE: Final = 256  # characters of a user_code: none here is longer
AUTH_REQ_ID: Final = "urn:openid:params:jwt:claim:auth_req_id"  # section 10.3.1
RT_HASH: Final = "urn:openid:params:jwt:claim:rt_hash"
_BEARER = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750 section 2.1
_IN_A_SIGNED_ONE: Final = ("aud", "iss", "exp", "iat", "nbf", "jti")  # section 7.1.1


@frozen
class Waiting:
    """How long requests wait, and what they may say: the operator's limits.

    :ivar usual: seconds that one waits which does not say; `longest`: at most.
    :ivar message: characters of a `binding_message`.
    """

    usual: int
    longest: int
    message: int


class Wanted(Frozen, frozen=True):
    """A request, as far as it is not the grid's.

    :ivar hint: the name of the parameter that says whom it is about; `value`: its value.
    :ivar lifetime: seconds that it waits.
    :ivar notification_token: what the client knows our call by; "" for one that polls.
    """

    secret = ("value", "notification_token", "user_code")

    hint: str
    value: str
    message: str = ""
    lifetime: int = 0
    acr_values: tuple[str, ...] = ()
    notification_token: str = ""
    user_code: str = ""


def read(parameters: Parameters, client: Client, waiting: Waiting) -> Wanted:
    """What a client asks for, wherever it stood.

    :raises OAuthError: `invalid_request`, `invalid_binding_message`.
    """
    hints = [(name, value) for name in HINTS if (value := parameters.one(name)) is not None]
    if len(hints) != 1:  # sections 7.1 and 7.2
        raise INVALID_REQUEST("there must be exactly one of login_hint, id_token_hint and login_hint_token")
    ((hint, value),) = hints
    if hint == "login_hint_token":
        raise INVALID_REQUEST("login_hint_token is not supported: name the person by login_hint or id_token_hint")
    wishes = parameters.one("acr_values") or ""
    if len(wishes) > LONGEST_WISH:
        raise INVALID_REQUEST("acr_values is too long")
    user_code = parameters.one("user_code") or ""
    if len(user_code) > LONGEST_CODE:
        raise INVALID_REQUEST("user_code is too long")
    return Wanted(
        hint=hint,
        value=value,
        message=_message(parameters.one("binding_message"), client, waiting.message),
        lifetime=_lifetime(parameters.one("requested_expiry"), waiting),
        acr_values=tuple(dict.fromkeys(wishes.split())),
        notification_token=_notification_token(parameters, client),
        user_code=user_code,
    )


def _message(message: str | None, client: Client, longest: int) -> str:
    if message is None:
        if client.profile == profile.FAPI1:  # FAPI-CIBA section 5.2.2 item 2
            raise INVALID_REQUEST("this client must send a binding_message")
        return ""
    # Section 7.1: relatively short, of characters that any screen shows.
    if len(message) > longest or not re.fullmatch(CLIENT_NAME, message) or hides(message):
        raise INVALID_BINDING_MESSAGE(f"the binding_message must be one line of at most {longest} visible characters")
    return message


def _lifetime(asked: str | None, waiting: Waiting) -> int:
    """Section 7.1: a positive integer; what is asked for beyond the longest is not given, and `expires_in` says so."""
    if asked is None:
        return waiting.usual
    if not (asked.isascii() and asked.isdigit()) or len(asked) > 20 or int(asked) == 0:
        raise INVALID_REQUEST("requested_expiry is not a positive number of seconds")
    return min(int(asked), waiting.longest)


def _notification_token(parameters: Parameters, client: Client) -> str:
    if client.ciba_mode == POLL:  # section 7.1: for the other modes alone
        return ""
    token = parameters.required("client_notification_token")
    if len(token) > LONGEST_TOKEN or not _BEARER.fullmatch(token):
        raise INVALID_REQUEST(f"client_notification_token must be a bearer token of at most {LONGEST_TOKEN} characters")
    return token


def check_mode(client: Client, server: str) -> None:
    """Make sure that a client may learn of outcomes as it is registered to.

    :param server: the profile that the server holds all clients to.
    :raises OAuthError: `unauthorized_client`.
    """
    if client.ciba_mode == PUSH and (is_held(client, server) or client.dpop_bound):
        # FAPI-CIBA section 5.2.2 item 4; and what is pushed can be bound to no key of a DPoP proof.
        raise UNAUTHORIZED_CLIENT("tokens are not pushed to this client: it must be registered for poll or ping")


def is_held(client: Client, server: str) -> bool:
    """Is this client held to FAPI, of either generation? Then it is held to FAPI-CIBA."""
    return profile.accepted(client, server) is not None


def must_sign(client: Client, server: str) -> bool:
    """Must its requests be signed? Section 4: by the algorithm that it registered; FAPI-CIBA section 5.2.2 item 1."""
    return bool(client.ciba_algorithm) or is_held(client, server)


def algorithms(client: Client, server: str) -> Collection[str]:
    """The algorithms that may sign a client's requests: asymmetric ones alone (section 7.1.1)."""
    held = profile.accepted(client, server) or jose.ASYMMETRIC
    return [name for name in held if client.ciba_algorithm in ("", name)]


def judge(claims: Mapping[str, Any], client_id: str, issuer: str, now: float, leeway: float) -> Parameters:
    """The request that a signed one holds, whose signature has verified.

    :raises OAuthError: `invalid_request`, for section 13 knows no other word.
    """
    for name in _IN_A_SIGNED_ONE:
        if claims.get(name) in (None, ""):
            raise INVALID_REQUEST(f"the signed request has no {name}")
    if not isinstance(claims["jti"], str):
        raise INVALID_REQUEST("the jti of the signed request is no string")
    try:
        # The rules of request objects are those of section 7.1.1; `client_id` is no parameter of these requests.
        request_object.judge({"client_id": client_id, **claims}, client_id, issuer, now, leeway, strict=True)
        return request_object.parameters(claims)
    except OAuthError as error:
        if error.kind is not INVALID_REQUEST_OBJECT:
            raise
        raise INVALID_REQUEST(error.description) from None
