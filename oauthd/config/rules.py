"""Rules that look at several settings at once.

Each rule names the settings it looks at, so that `load` can leave it out where one of them was refused already and can
say where each came from. The check raises ValueError with a sentence that never quotes a secret.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from oauthd.config import issuer
from oauthd.config.declarations import Settings
from oauthd.protocol.token_policy import TokenPolicy


@attrs.frozen
class Rule:
    """Settings, as `section.name`, and what must hold between them."""

    keys: tuple[str, ...]
    check: Callable[[Settings], None]


def not_above(lower: str, upper: str, *, equal: bool = True) -> Rule:
    """One number may not exceed another, or, when `equal` is false, must be below it."""

    def check(settings: Settings) -> None:
        low, high = _value(settings, lower), _value(settings, upper)
        if low > high or (low == high and not equal):
            raise ValueError(f"{lower} ({low}) must {'not be above' if equal else 'be below'} {upper} ({high})")

    return Rule((lower, upper), check)


def _value(settings: Settings, key: str) -> float:
    section, _, name = key.partition(".")
    value = getattr(getattr(settings, section), name)
    assert isinstance(value, int | float)  # noqa: S101 - the rules below name numbers
    return value


def _issuer(settings: Settings) -> None:
    try:
        issuer.judge(settings.server)
    except ValueError as reason:
        named = "server.issuer" if settings.server.issuer is None else "the issuer"  # whose source names it, else
        raise ValueError(f"{named} {reason}") from None


def _listeners(settings: Settings) -> None:
    for text in settings.mtls.listen:
        if text in settings.server.listen:
            raise ValueError(f"mtls.listen must not name {text}, which is in server.listen")


def _mtls_base(settings: Settings) -> None:
    mtls = settings.mtls
    if mtls.base is not None and not mtls.listen and mtls.proxy_header is None:
        raise ValueError("mtls.base needs mtls.listen or mtls.proxy_header: nobody asks for certificates there")


def _proxy_header(settings: Settings) -> None:
    server = settings.server
    if settings.mtls.proxy_header is not None and not server.trusted_proxies and not server.trust_unix:
        raise ValueError("mtls.proxy_header needs server.trusted_proxies or server.trust_unix: nobody is believed")


def _rotation(settings: Settings) -> None:
    keys = settings.keys
    if 0 < keys.rotation_period <= keys.announce:
        raise ValueError(
            f"keys.rotation_period ({keys.rotation_period}) must be above keys.announce ({keys.announce}), "
            "or 0 for rotation by command only"
        )


def _has_key(key: str) -> Rule:
    def check(settings: Settings) -> None:
        name = getattr(settings.tokens, key.partition(".")[2])
        if name not in settings.keys.algorithms:
            raise ValueError(f"{key} ({name}) must be one of keys.algorithms ({', '.join(settings.keys.algorithms)})")

    return Rule((key, "keys.algorithms"), check)


def _signed_resources(settings: Settings) -> None:
    name = settings.protected_resources.signed
    if name is not None and name not in settings.keys.algorithms:
        raise ValueError(f"protected_resources.signed ({name}) must be one of keys.algorithms")


def _token_policy(settings: Settings) -> None:
    for policy in TokenPolicy.of(settings.tokens.claims, settings.tokens.resources).resources.values():
        name = policy.access_algorithm
        if name and name not in settings.keys.algorithms:
            raise ValueError(f"tokens.resources: {name}, for {policy.resource}, must be one of keys.algorithms")


def _administrator(settings: Settings) -> None:
    given = attrs.astuple(settings.administrator)
    names = [field.name for field in attrs.fields(type(settings.administrator))]
    missing = [f"administrator.{name}" for name, value in zip(names, given, strict=True) if value is None]
    if 0 < len(missing) < len(names):
        raise ValueError(f"all four or none of [administrator] must be set; missing: {', '.join(missing)}")


def _administrator_password(settings: Settings) -> None:
    password = settings.administrator.password
    users = settings.users
    if password is None:
        return
    if len(password) < users.password_min_length:
        raise ValueError("administrator.password is shorter than users.password_min_length")
    if len(password.encode()) > users.password_max_length:
        raise ValueError("administrator.password is longer than users.password_max_length")


RULES: tuple[Rule, ...] = (
    Rule(("server.issuer", "server.listen", "server.insecure_issuer"), _issuer),
    Rule(("mtls.listen", "server.listen"), _listeners),
    Rule(("mtls.base", "mtls.listen", "mtls.proxy_header"), _mtls_base),
    # RFC 9440 section 4: from a trusted proxy alone
    Rule(("mtls.proxy_header", "server.trusted_proxies", "server.trust_unix"), _proxy_header),
    # A store that does not reply must be noticed before the request itself is given up.
    not_above("store.reply_timeout", "server.answer_timeout", equal=False),
    not_above("store.revocation_wait_timeout", "server.answer_timeout", equal=False),
    # A reply that comes later than a proof counts is not believed: a slow store would be an outage.
    not_above("store.reply_timeout", "cache.max_staleness", equal=False),
    # Whoever waits for a document must be told before the request itself is given up.
    not_above("fetch.timeout", "server.answer_timeout", equal=False),
    not_above("fetch.shortest", "fetch.longest"),
    not_above("fetch.per_host", "fetch.at_once"),
    not_above("tokens.refresh_idle", "tokens.refresh_absolute"),
    not_above("tokens.refresh_grace", "tokens.refresh_idle", equal=False),
    not_above("device.interval", "device.lifetime", equal=False),
    not_above("device.source_tries", "device.total_tries"),
    not_above("sessions.idle", "sessions.absolute"),
    Rule(("keys.rotation_period", "keys.announce"), _rotation),
    # Others fetch a list anew when it is `ttl` old: what they have must not have ended by then.
    not_above("status_lists.ttl", "status_lists.lifetime", equal=False),
    _has_key("tokens.access_algorithm"),
    _has_key("tokens.id_token_algorithm"),
    Rule(("protected_resources.signed", "keys.algorithms"), _signed_resources),
    Rule(("tokens.claims", "tokens.resources", "keys.algorithms"), _token_policy),
    not_above("users.lock_free_failures", "users.lock_after", equal=False),
    not_above("users.password_min_length", "users.password_max_length"),
    Rule(
        ("administrator.username", "administrator.password", "administrator.client_id", "administrator.client_secret"),
        _administrator,
    ),
    Rule(("administrator.password", "users.password_min_length", "users.password_max_length"), _administrator_password),
)
