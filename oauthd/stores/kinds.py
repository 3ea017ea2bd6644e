"""The table of record kinds: what is stored, under which prefix, and in which lists it appears."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from oauthd.protocol import records, standing
from oauthd.protocol.records import InitialAccess
from oauthd.stores.interface import Kind, Ref, Told


def _token_lists(record: records.AccessToken | records.RefreshToken) -> Iterable[str]:
    """A token is listed under its client and its user, as long as it can be used."""
    if isinstance(record, records.RefreshToken) and record.spent is not None:
        return
    yield tokens_of_client(record.client_id)
    if record.user_id:
        yield tokens_of_user(record.user_id)


def _client_lists(record: records.Client) -> Iterable[str]:
    """Clients that registered or described themselves have lists of their own besides: they are counted, and swept."""
    if record.described:
        return "clients", DESCRIBED
    return ("clients", REGISTERED) if record.registration else ("clients",)


def _waiting_lists(record: records.BackchannelRequest) -> Iterable[str]:
    """A request is listed as long as somebody is to answer it."""
    return (WAITING, waiting_for(record.user_id)) if record.user_id and record.status == "pending" else ()


REGISTERED, DESCRIBED, INITIAL, DEAD = "registered", "described", "initial", "dead"
"""The indexes of clients that registered themselves, of those that a document describes, of initial access tokens, and
of messages that were given up."""

OUTBOX_SLOT = "outbox"
"""Where all messages to clients stand together with the queue that they wait in."""


WAITING = "waiting"
"""The index of all backchannel authentication requests that wait for their answer."""


def waiting_for(user_id: str) -> str:
    """The index of those that one user is to answer."""
    return f"wu:{user_id}"


def _session_lists(record: records.Session) -> Iterable[str]:
    """A session is listed under its user."""
    return (sessions_of_user(record.user_id),)


def _grant_lists(record: records.Grant) -> Iterable[str]:
    """A grant is listed under the session that it was given in."""
    return (grants_of_session(record.session),) if record.session else ()


def sessions_of_user(user_id: str) -> str:
    """The index of a user's sessions."""
    return f"su:{user_id}"


def grants_of_session(session: str) -> str:
    """The index of the grants that were given in a session."""
    return f"gs:{session}"


def tokens_of_client(client_id: str) -> str:
    """The index of a client's tokens; short, since each user with a token pays for such a name."""
    return f"tc:{client_id}"


def tokens_of_user(user_id: str) -> str:
    """The index of a user's tokens."""
    return f"tu:{user_id}"


ACCESS_TOKEN = Kind("a", records.AccessToken, _token_lists, told=Told.REMOVALS)
REFRESH_TOKEN = Kind("r", records.RefreshToken, _token_lists)
GRANT = Kind("g", records.Grant, _grant_lists, told=Told.REMOVALS)  # a change only lets it live longer
REUSED = Kind("ru", records.Reused)
REVOKED = Kind("v", records.Revoked, told=Told.CHANGES)
UNWRITTEN = Kind("-", records.AccessToken)  # those that are not written down: there is nothing of this kind
ANSWER = Kind("n", records.Answer)
CODE = Kind("c", records.Code)
PUSHED_REQUEST = Kind("p", records.PushedRequest)
ONCE = Kind("j", records.Once)
DEVICE_CODE = Kind("d", records.DeviceCode)
USER_CODE = Kind("u", records.UserCode)
CIBA = Kind("b", records.BackchannelRequest, _waiting_lists)
SESSION = Kind("s", records.Session, _session_lists)
INTERACTION = Kind("i", records.Interaction)
CONSENT = Kind("o", records.Consent)
LOCKOUT = Kind("l", records.Lockout)
TALLY = Kind("t", records.Tally)
OUTBOX = Kind("q", records.Outgoing, lambda record: (DEAD,) if record.dead_at else ())
INITIAL_ACCESS = Kind("initial", InitialAccess, lambda record: (INITIAL,))
CLIENT = Kind("client", records.Client, _client_lists, lasting=True, told=Told.CHANGES)
USER = Kind("user", records.User, lambda record: ("users",), lasting=True)
USERNAME = Kind("username", records.Username, lasting=True)
ADMINISTRATORS = Kind("administrators", records.Administrators, lasting=True)
SCOPES = Kind("scopes", records.Scopes, lasting=True, told=Told.CHANGES)
RESOURCES = Kind("resources", records.Resources, lasting=True, told=Told.CHANGES)
KEY_RING = Kind("keys", records.KeyRing, lasting=True, told=Told.CHANGES)
WORLD = Kind("world", records.World, lasting=True)
SALT = Kind("salt", records.Salt, lasting=True)
STATUS = Kind("sl", records.StatusEntry)
STATUS_LIST = Kind("statuslist", records.StatusList)
STATUS_RANGE = Kind("statuses", records.StatusRange, lasting=True)
LEASE = Kind("lease", records.Lease)

KINDS: tuple[Kind[object], ...] = (
    ACCESS_TOKEN, REFRESH_TOKEN, GRANT, ANSWER, CODE, PUSHED_REQUEST, ONCE, DEVICE_CODE, USER_CODE, SESSION,
    INTERACTION, CONSENT, LOCKOUT, TALLY, INITIAL_ACCESS, CLIENT, USER, USERNAME, ADMINISTRATORS, SCOPES, RESOURCES,
    KEY_RING, WORLD, SALT, STATUS, STATUS_LIST, STATUS_RANGE, LEASE, OUTBOX, CIBA, REVOKED,
    REUSED,
)  # type: ignore[assignment]  # Kind is invariant; the table only names them


def digest(token: str) -> bytes:
    """SHA-256 of the whole string: how every token, code and cookie is found (never by its value)."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def access_token(token: str) -> Ref[records.AccessToken]:
    """Where an access token of either format stands."""
    return ACCESS_TOKEN.at(digest(token))


def revoked(jti: str) -> Ref[records.Revoked]:
    """Where it stands that a token which was not written down is revoked."""
    return REVOKED.at(jti)


def standing_on(name: bytes) -> Ref[Any]:
    """Where that stands which `oauthd.protocol.standing` names so."""
    sort, ident = name[:2], name[2:]
    if sort == standing.GRANT:
        return grant(ident.decode())
    return (REVOKED if sort == standing.REVOKED else ACCESS_TOKEN).at(ident)


def grant(grant_id: str) -> Ref[records.Grant]:
    """Where a grant stands; its codes and refresh tokens share its slot."""
    return GRANT.at(b"", grant_id)


def refresh_token(grant_id: str, token: str) -> Ref[records.RefreshToken]:
    """Where a refresh token stands."""
    return REFRESH_TOKEN.at(digest(token), grant_id)


def answer(refresh_token: Ref[records.RefreshToken]) -> Ref[records.Answer]:
    """Where the answer given for a refresh token stands during the grace window."""
    return ANSWER.at(refresh_token.ident, refresh_token.slot)


def code(grant_id: str, value: str) -> Ref[records.Code]:
    """Where an authorization code stands."""
    return CODE.at(digest(value), grant_id)


def device_code(grant_id: str, value: str) -> Ref[records.DeviceCode]:
    """Where a device code stands."""
    return DEVICE_CODE.at(digest(value), grant_id)


def backchannel_request(grant_id: str, value: str) -> Ref[records.BackchannelRequest]:
    """Where a backchannel authentication request stands, by its auth_req_id."""
    return CIBA.at(digest(value), grant_id)


def pushed_request(grant_id: str, value: str) -> Ref[records.PushedRequest]:
    """Where a pushed authorization request stands: in the slot of the grant that it may lead to."""
    return PUSHED_REQUEST.at(digest(value), grant_id)


def user_code(code: str) -> Ref[records.UserCode]:
    """Where the pointer from a normalised user code to its device stands."""
    return USER_CODE.at(digest(code))


def client(client_id: str) -> Ref[records.Client]:
    """Where a client stands."""
    return CLIENT.at(b"", client_id)


def user(user_id: str) -> Ref[records.User]:
    """Where a user stands."""
    return USER.at(b"", user_id)


def outgoing(message_id: str) -> Ref[records.Outgoing]:
    """Where a message to a client stands."""
    return OUTBOX.at(message_id, OUTBOX_SLOT)
