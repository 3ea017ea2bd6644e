"""People, their sign-ins, and what they have agreed to."""

from __future__ import annotations

from typing import Any

from msgspec import field

from oauthd.protocol.records.record import Record


class User(Record, frozen=True):
    """A person who signs in; `user_id` is the `sub` of tokens.

    :ivar username: as entered; `Username` records map its canonical form to the user.
    :ivar password: Argon2id hash in PHC form, "" for none.
    :ivar user_code: the same of what the person lets clients be told that may ask for the person (CIBA Core section
        7.1.2), "" for none.
    :ivar roles: free words; `admin` makes an administrator.
    :ivar claims: standard claims by their OpenID Connect names (Core section 5.1).
    :ivar vouched_after: what others have vouched for until then counts for nothing; 0 where all of it does.
    """

    secret = ("password", "user_code")

    user_id: str = field(name="i")
    username: str = field(name="n")
    created_at: int = field(name="ca")
    updated_at: int = field(name="ua")
    password: str = field(name="p", default="")
    user_code: str = field(name="uc", default="")
    roles: tuple[str, ...] = field(name="r", default=())
    claims: dict[str, Any] = field(name="c", default_factory=dict)
    is_active: bool = field(name="a", default=True)
    vouched_after: int = field(name="va", default=0)


class Username(Record, frozen=True):
    """Canonical username -> user."""

    user_id: str = field(name="i")


class Administrators(Record, frozen=True):
    """The active administrators' user ids: one record, so that the last one cannot be removed by a race."""

    user_ids: tuple[str, ...] = field(name="u", default=())


class Session(Record, frozen=True):
    """A signed-in browser. It ends with its user's generation, so a changed password signs out everywhere.

    :ivar ends_at: absolute end, which use does not extend.
    :ivar sid: its name, of which what each client knows it by is made (`protocol.logout.sid`); it opens nothing.
    :ivar clients: who got tokens in it.
    """

    user_id: str = field(name="u")
    auth_time: int = field(name="at")
    user_generation: int = field(name="g")
    ends_at: int = field(name="ea")
    expires_at: int = field(name="e")
    amr: tuple[str, ...] = field(name="m", default=("pwd",))
    sid: str = field(name="sd", default="")
    clients: tuple[str, ...] = field(name="c", default=())


class Interaction(Record, frozen=True):
    """The state of one browser flow: an authorization, device, backchannel or logout request between pages.

    :ivar purpose: `authorize`, `device`, `requests`, `logout` or `home`; `answered` for an authorization request that
        is over.
    :ivar parameters: the request as it was validated, name to value.
    :ivar browser: digest of the browser cookie it is bound to.
    :ivar signed_in_at: `auth_time` of the sign-in made within this interaction, 0 before.
    :ivar consented: scopes agreed to within it; None before the page was answered.
    :ivar denied: the person refused.
    :ivar tries: wrong entries made on its pages.
    """

    purpose: str = field(name="p")
    parameters: dict[str, str] = field(name="q")
    browser: bytes = field(name="b")
    created_at: int = field(name="c")
    expires_at: int = field(name="e")
    signed_in_at: int = field(name="si", default=0)
    user_id: str = field(name="u", default="")
    consented: tuple[str, ...] | None = field(name="co", default=None)
    denied: bool = field(name="d", default=False)
    tries: int = field(name="t", default=0)


class Consent(Record, frozen=True):
    """What a user has agreed to for a client; `client_number` keeps it from a later client of the same id."""

    scope: tuple[str, ...] = field(name="s")
    client_number: int = field(name="n")
    expires_at: int = field(name="e")


class Lockout(Record, frozen=True):
    """Failed sign-ins of one account or one source."""

    failures: int = field(name="f")
    blocked_until: float = field(name="b")
    expires_at: int = field(name="e")


class Tally(Record, frozen=True):
    """How often something was tried within a window that ends at `expires_at`."""

    count: int = field(name="n")
    expires_at: int = field(name="e")
