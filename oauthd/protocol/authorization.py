"""The grid of checks that every request for an authorization passes: rows are checks in order, columns the endpoints.

Client and redirect URI are settled before (a wrong one never redirects); what is refused here may be told by redirect.
Where the parameters stood (in the request, in a request object, at the server already) is settled before, too.
Afterwards `next_step` says what stands between the request and its answer: a sign-in, a consent, or nothing. Parameters
that are not known are ignored (RFC 6749 section 3.1).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from enum import Enum
from typing import Any

from attrs import field, frozen

from oauthd.protocol import acr, claims_request, pkce, profile, response_modes, scopes
from oauthd.protocol.authorization_details import PARAMETER, Details, DetailsTypes
from oauthd.protocol.dpop import asked_key
from oauthd.protocol.errors import (
    CONSENT_REQUIRED,
    INVALID_REQUEST,
    INVALID_SCOPE,
    INVALID_TARGET,
    LOGIN_REQUIRED,
    REGISTRATION_NOT_SUPPORTED,
    UNAUTHORIZED_CLIENT,
    UNMET_AUTHENTICATION_REQUIREMENTS,
    UNSUPPORTED_RESPONSE_TYPE,
)
from oauthd.protocol.grant_types import CIBA, DEVICE_CODE
from oauthd.protocol.messages import Parameters
from oauthd.protocol.records import Client, Interaction, Scopes, Session
from oauthd.protocol.redirects import RedirectUri, choose

REPEATABLE = ("resource",)  # RFC 8707 section 2
PROMPTS = ("none", "login", "consent", "select_account")  # OpenID Connect Core section 3.1.2.1
DISPLAYS = ("page", "popup", "touch", "wap")
LONGEST_MAX_AGE = 10**10
CHOSEN = "chosen_redirect_uri"
"""What is kept of a request that does not say where its response is to go: where that is."""


@frozen
class Context:
    """What the checks look at.

    :ivar resources: the resource indicators that exist.
    :ivar redirect: where the response is to go; None where nobody is redirected.
    :ivar details: the types of authorization details that exist.
    :ivar pkce_always: PKCE is demanded of confidential clients too; `pkce_public`: of public ones.
    :ivar strict: the client is held to FAPI 2.0.
    :ivar subject_of_hint: the `sub` of an id token of ours; raises `OAuthError` for any other.
    """

    parameters: Parameters
    client: Client
    scopes: Scopes
    resources: Collection[str] = ()
    redirect: RedirectUri | None = None
    details: DetailsTypes = DetailsTypes()
    pkce_always: bool = False
    pkce_public: bool = True
    strict: bool = False
    subject_of_hint: Callable[[str], str] = field(default=lambda hint: "", repr=False)


@frozen
class Asked:
    """A request for an authorization that passed every check.

    :ivar subject: whom it must be about, by the `sub` that the client knows the person by; "" for anybody.
    :ivar claims: what the `claims` parameter asks for, as `claims_request.parse` gives it.
    :ivar acr: the classes of which the sign-in must have one (RFC 9470); none for any.
    :ivar details: authorization details (RFC 9396).
    """

    scope: tuple[str, ...] = ()
    audience: tuple[str, ...] = ()
    code_challenge: str = ""
    jkt: str = ""
    nonce: str = ""
    prompt: frozenset[str] = frozenset()
    max_age: int | None = None
    subject: str = ""
    claims: Mapping[str, Any] = field(factory=dict)
    acr: frozenset[str] = frozenset()
    details: Details = ()

    @property
    def to_agree(self) -> frozenset[str]:
        """What the person must have agreed to: scopes, and claims that no scope covers."""
        return frozenset(claims_request.to_agree(self.claims, self.scope))


Found = Mapping[str, Any]
Check = Callable[[Context], Found]


def no_repeats(c: Context) -> Found:
    """RFC 6749 section 3.1: no parameter more than once."""
    c.parameters.refuse_repeats(REPEATABLE)
    return {}


def no_registration(c: Context) -> Found:
    """OpenID Connect Core section 3.1.2.6: what is not supported has an error of its own."""
    if c.parameters.one("registration") is not None:
        raise REGISTRATION_NOT_SUPPORTED("the parameter registration is not supported")
    return {}


def redirect_uri(c: Context) -> Found:
    """Named in each request, even where one alone is registered.

    FAPI 2.0 Security Profile section 5.3.2.2 item 6, FAPI 1.0 Baseline section 5.2.2 item 9; OpenID Connect Core
    section 3.1.2.1, too.
    """
    if (c.strict or c.client.profile == profile.FAPI1) and c.parameters.one("redirect_uri") is None:
        raise INVALID_REQUEST("redirect_uri is missing")
    return {}


def response_type(c: Context) -> Found:
    """RFC 6749 section 4.1.1; nothing but `code` (RFC 9700 section 2.1.2)."""
    if c.parameters.required("response_type") != "code":
        raise UNSUPPORTED_RESPONSE_TYPE("the response_type is not supported")
    if "authorization_code" not in c.client.grant_types:
        raise UNAUTHORIZED_CLIENT("the client is not registered for the authorization code grant")
    return {}


def response_mode(c: Context) -> Found:
    """OAuth 2.0 Multiple Response Types section 2.1; `query` is the default for a code.

    JARM section 3: a client that registered how its responses are signed or encrypted gets no others; so FAPI 2.0
    Message Signing section 5.4.1 is demanded of a client.
    """
    mode = response_modes.chosen(c.parameters, c.redirect)
    if not mode.signed and response_modes.wants_signed(c.client):
        raise INVALID_REQUEST("this client is registered for signed responses, and must ask for them by response_mode")
    if not response_modes.is_for(c.client, c.parameters):
        raise INVALID_REQUEST("this client is not registered for this response_mode")
    return {}


def device_grant(c: Context) -> Found:
    """RFC 8628 section 3.1: only clients registered for the grant."""
    if DEVICE_CODE not in c.client.grant_types:
        raise UNAUTHORIZED_CLIENT("the client is not registered for the device code grant")
    return {}


def backchannel_grant(c: Context) -> Found:
    """CIBA Core section 7.1: only clients registered for the grant, and for one of the ways to learn of its outcome."""
    if CIBA not in c.client.grant_types or not c.client.ciba_mode:
        raise UNAUTHORIZED_CLIENT("the client is not registered for backchannel authentication")
    return {}


def openid(c: Context) -> Found:
    """CIBA Core section 7.1: `scope` is required, and has `openid`."""
    if "openid" not in scopes.parse(c.parameters.required("scope")):
        raise INVALID_SCOPE("the scope must have openid")
    return {}


def code_challenge(c: Context) -> Found:
    """RFC 7636 section 4.3; demanded of public clients unless the operator says otherwise (RFC 9700 section 2.1.1)."""
    challenge = pkce.accept(c.parameters.one("code_challenge"), c.parameters.one("code_challenge_method"))
    public = c.pkce_public and not c.client.confidential
    if not challenge and (public or c.client.pkce_required or c.pkce_always or c.strict):
        raise INVALID_REQUEST("code_challenge is missing; this client must use PKCE with S256")
    return {"code_challenge": challenge}


def fapi1(c: Context) -> Found:
    """FAPI 1.0 Baseline sections 5.2.2.2 and 5.2.2.3: a nonce with openid, a state without.

    What is asked for must be said, and is not what the client has by default: all stands in the signed request
    (Advanced section 5.2.2 item 10).
    """
    if c.client.profile == profile.FAPI1:
        c.parameters.required("nonce" if "openid" in c.parameters.required("scope").split() else "state")
    return {}


def dpop_jkt(c: Context) -> Found:
    """RFC 9449 section 10: the thumbprint of the key that the code's tokens will be bound to."""
    return {"jkt": asked_key(c.parameters.one("dpop_jkt"))}


def scope(c: Context) -> Found:
    """RFC 6749 section 3.3; whether the user may have an administrator's scope is asked when the user is known.

    By default nobody gets such a scope before that: what was not asked for by name is not refused later, but missing.
    """
    requested = c.parameters.one("scope")
    return {"scope": scopes.granted(requested, c.client, c.scopes, bool(scopes.parse(requested)))}


def resource(c: Context) -> Found:
    """RFC 8707 section 2: only what the operator has declared."""
    asked = tuple(dict.fromkeys(c.parameters.all("resource")))
    if any(uri not in c.resources for uri in asked):
        raise INVALID_TARGET("a requested resource is unknown")
    return {"audience": asked}


def details(c: Context) -> Found:
    """RFC 9396 section 3: of declared types that this client may use."""
    return {"details": c.details.asked(c.parameters.one(PARAMETER), c.client)}


def prompt(c: Context) -> Found:
    """OpenID Connect Core section 3.1.2.1."""
    prompts = frozenset((c.parameters.one("prompt") or "").split())
    if not prompts <= set(PROMPTS):
        raise INVALID_REQUEST("a prompt value is unknown")
    if "none" in prompts and len(prompts) > 1:
        raise INVALID_REQUEST("prompt=none goes with no other value")
    return {"prompt": prompts}


def max_age(c: Context) -> Found:
    """OpenID Connect Core section 3.1.2.1: whole seconds; the client's own default without (Registration section 2)."""
    text = c.parameters.one("max_age")
    if text is None:
        return {"max_age": c.client.default_max_age}
    if not (text.isascii() and text.isdigit()) or int(text[:20]) > LONGEST_MAX_AGE or len(text) > 20:
        raise INVALID_REQUEST("max_age is not a number of seconds")
    return {"max_age": int(text)}


def id_token_hint(c: Context) -> Found:
    """OpenID Connect Core section 3.1.2.1: an id token of ours, which may have expired."""
    hint = c.parameters.one("id_token_hint")
    return {} if hint is None else {"subject": c.subject_of_hint(hint)}


def claims(c: Context) -> Found:
    """OpenID Connect Core section 5.5, for requests of OpenID Connect; an essential acr that nobody can reach fails."""
    text = c.parameters.one("claims")
    if text is None or "openid" not in scopes.parse(c.parameters.one("scope")):
        return {}
    found = claims_request.parse(text)
    needed = claims_request.acr_needed(found)
    if needed and not set(needed) & set(acr.AMR):
        # Section 5.5.1.1: as a failed authentication; the code is the one made for it.
        raise UNMET_AUTHENTICATION_REQUIREMENTS("no sign-in here has an acr that the request demands")
    return {"claims": found}


def acr_values(c: Context) -> Found:
    """RFC 9470 section 5: a class that is asked for is needed; where no sign-in here has one, nobody signs in for it.

    With `openid` it is a wish, which must not fail (OpenID Connect Core sections 3.1.2.1 and 5.5.1); the id token says
    what was reached, and the `claims` parameter asks for what is needed.
    """
    wanted = frozenset((c.parameters.one("acr_values") or "").split())
    if not wanted or "openid" in scopes.parse(c.parameters.one("scope")):
        return {}
    if not wanted & set(acr.AMR):
        raise UNMET_AUTHENTICATION_REQUIREMENTS("no sign-in here has an acr that the request demands")
    return {"acr": wanted}


def display(c: Context) -> Found:
    """OpenID Connect Core section 3.1.2.1: every value gets the one page, which fits all sizes."""
    if c.parameters.one("display") not in (None, *DISPLAYS):
        raise INVALID_REQUEST("the display value is unknown")
    return {}


def carried(c: Context) -> Found:
    """What is carried along: `nonce` to the id token; the rest are wishes."""
    for name in ("ui_locales", "claims_locales", "login_hint", "state"):
        c.parameters.one(name)
    return {"nonce": c.parameters.one("nonce") or ""}


AUTHORIZE, PAR, DEVICE, BACKCHANNEL = "authorize", "par", "device_authorization", "backchannel_authentication"
BROWSER = frozenset({AUTHORIZE, PAR})  # RFC 9126 section 2.1: what is pushed is checked as what a browser brings
EVERY = frozenset({AUTHORIZE, PAR, DEVICE, BACKCHANNEL})

GRID: tuple[tuple[Check, frozenset[str]], ...] = (
    (no_repeats, EVERY),
    (no_registration, BROWSER),
    (response_type, BROWSER),
    (device_grant, frozenset({DEVICE})),
    (backchannel_grant, frozenset({BACKCHANNEL})),
    (openid, frozenset({BACKCHANNEL})),
    (redirect_uri, BROWSER),
    (response_mode, BROWSER),
    (code_challenge, BROWSER),
    (fapi1, BROWSER),
    (dpop_jkt, BROWSER),
    (scope, EVERY),
    (resource, EVERY),
    (details, EVERY),
    (prompt, BROWSER),
    (max_age, BROWSER),
    (id_token_hint, BROWSER),
    (claims, BROWSER),
    (acr_values, BROWSER),
    (display, BROWSER),
    (carried, BROWSER),
)


def check(endpoint: str, context: Context) -> Asked:
    """Pass the request through the endpoint's column of the grid.

    :raises OAuthError: of the first check that refuses it.
    """
    found: dict[str, Any] = {}
    for one, endpoints in GRID:
        if endpoint in endpoints:
            found |= one(context)
    return Asked(**found)


def kept_redirect(client: Client, stored: Mapping[str, str]) -> RedirectUri:
    """Where the response of a flow goes, which must be where it was to go when the flow began.

    A client that may change itself could otherwise have people agree to one address, and take another's place.

    :param stored: what is kept of the request: its parameters, and `CHOSEN`.
    :raises OAuthError: `invalid_request`, to be shown to the person.
    """
    redirect = choose(client.redirect_uris, stored.get("redirect_uri"), client.described)
    if stored.get(CHOSEN, redirect.value) != redirect.value:
        raise INVALID_REQUEST("the application has changed meanwhile; go back to it and start again there")
    return redirect


class Step(Enum):
    """What stands between an authorization request and its answer."""

    LOGIN = "login"
    CONSENT = "consent"
    ANSWER = "answer"


def next_step(
    asked: Asked,
    client: Client,
    redirect: RedirectUri,
    session: Session | None,
    interaction: Interaction | None,
    remembered: Collection[str] | None,
    now: float,
    told: str,
) -> Step:
    """Decide the next step of the browser flow from what is known.

    :param interaction: the flow so far, None at its beginning.
    :param remembered: what the user agreed to before, None for no consent.
    :param told: the `sub` that this client knows the session's user by, "" for no session.
    :raises OAuthError: `login_required` or `consent_required` where the request forbids to ask (prompt=none), or where
        another person has signed in than it wants; `unmet_authentication_requirements`.
    """
    fresh = (
        interaction is not None
        and session is not None
        and interaction.signed_in_at > 0
        and interaction.user_id == session.user_id
    )
    if session is None:
        if "none" in asked.prompt:
            raise LOGIN_REQUIRED("the person is not signed in")
        return Step.LOGIN
    if _sign_in_again(asked, session, fresh, now, told):
        if "none" in asked.prompt:
            raise LOGIN_REQUIRED("the person is not signed in as the request wants it")
        if fresh and _another_person(asked, told):
            raise LOGIN_REQUIRED("another person has signed in than the request is about")
        if fresh:
            raise UNMET_AUTHENTICATION_REQUIREMENTS("the sign-in has no acr that the request demands")
        return Step.LOGIN
    if _ask_consent(asked, client, redirect, session, interaction, remembered):
        if "none" in asked.prompt:
            raise CONSENT_REQUIRED("the person has not agreed to this yet")
        return Step.CONSENT
    return Step.ANSWER


def _sign_in_again(asked: Asked, session: Session, fresh: bool, now: float, told: str) -> bool:
    needed, reached = claims_request.acr_needed(asked.claims), acr.reached(session.amr)
    if _another_person(asked, told) or (needed and reached not in needed) or (asked.acr and reached not in asked.acr):
        return True
    if fresh:
        return False
    if asked.prompt & {"login", "select_account"} or asked.max_age == 0:  # section 3.1.2.1: 0 is as prompt=login
        return True
    return asked.max_age is not None and now - session.auth_time > asked.max_age


def _another_person(asked: Asked, told: str) -> bool:
    """Core section 3.1.2.2, step 4: a request about one person is never answered about another."""
    return bool(asked.subject and told != asked.subject) or not claims_request.subject_fits(asked.claims, told)


def _ask_consent(
    asked: Asked,
    client: Client,
    redirect: RedirectUri,
    session: Session,
    interaction: Interaction | None,
    remembered: Collection[str] | None,
) -> bool:
    agreed = interaction.consented if interaction is not None and interaction.user_id == session.user_id else None
    if agreed is not None and asked.to_agree <= set(agreed):
        return False
    if "consent" in asked.prompt:
        return True
    if not _is_known(client, redirect):
        return True
    if client.first_party:
        return False
    # A remembered consent is one to scopes: authorization details are agreed to each time (RFC 9396 section 3.1).
    return remembered is None or bool(asked.details) or not asked.to_agree <= set(remembered)


def _is_known(client: Client, redirect: RedirectUri) -> bool:
    """Does anything show that it is this client that asks?

    RFC 8252 section 8.6: a public client on the person's own device could be any application there, also where the
    operator has made it; a secret or a key shows who it is, or that the response goes to an https address, its own.
    """
    return client.confidential or not redirect.native
