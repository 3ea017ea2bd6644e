"""Options for the members of a client, one for each that the admin API knows.

    --redirect-uri https://app.example/cb --token-endpoint-auth-method private_key_jwt --jwks keys.json --no-introspects

Whether the server offers what is asked for is for the server to say.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any, Final

import click

from oauthd.admin.client_members import ClientMembers
from oauthd.command.terminal import Refused
from oauthd.protocol.client_metadata import Offered, rows
from oauthd.protocol.grant_types import CIBA, DEVICE_CODE, JWT_BEARER, TOKEN_EXCHANGE
from oauthd.protocol.key_sets import KeySet
from oauthd.protocol.schemas import Flag, Listing, Member, Members, Nullable, Schema, Whole

_ALL: Final = Offered(auth_methods=("tls_client_auth",), details_types=("any",), ciba_modes=("poll", "ping"))
ROWS: Final = {row.name: row for row in rows(_ALL) if row.admin}
OWN: Final = {
    one.name: one
    for one in ClientMembers(_ALL, machine_refresh=False, claims=("any",)).changes().members
    if one.name not in ROWS
}
"""Members that the admin API has by names of its own."""
_ONE: Final[Mapping[str, str]] = {
    "redirect_uris": "redirect-uri",
    "post_logout_redirect_uris": "post-logout-redirect-uri",
    "grant_types": "grant",
    "scopes": "scope",
    "default_scopes": "default-scope",
    "resources": "resource",
    "token_claims": "token-claim",
    "is_active": "active",
}
"""What an option is called that names one of several, or reads better so."""
SHORT: Final[Mapping[str, str]] = {
    "device_code": DEVICE_CODE,
    "token_exchange": TOKEN_EXCHANGE,
    "jwt_bearer": JWT_BEARER,
    "ciba": CIBA,
}
"""Grant types that are URNs, for those who type."""
_INACTIVE: Final = "inactive"
EMPTY: Final[Mapping[str, Any]] = {
    **{name: row.empty for name, row in ROWS.items()},
    **{name: [] for name, one in OWN.items() if isinstance(one.schema, Listing)},
    **{name: None for name, one in OWN.items() if isinstance(one.schema, Nullable)},
}
"""What each member is that can be without a value, then."""
_Command = Callable[..., Any]


class Keys(click.ParamType[Any]):
    """JSON in a file, as a JWK Set is; `-` for standard input."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read it."""
        try:
            with click.open_file(value, encoding="utf-8") as file:
                return json.load(file)
        except (OSError, ValueError):
            self.fail(f"{value} cannot be read, or is not JSON", param, ctx)


def options(command: _Command) -> _Command:
    """A command with an option for each member."""
    table = [_option(*_words(one)) for one in OWN.values()] + [
        _option(row.name, row.name.replace("_", "-"), row.schema, row.help) for row in ROWS.values()
    ]
    return reduce(lambda made, option: option(made), reversed(table), command)


def _words(member: Member) -> tuple[str, str, Schema, str]:
    name = member.name
    told = f"{member.help} For short: {', '.join(SHORT)}." if name == "grant_types" else member.help
    return name, _ONE.get(name, name.replace("_", "-")), member.schema, told


def _option(name: str, word: str, schema: Schema, told: str) -> Callable[[_Command], _Command]:
    schema = schema.of if isinstance(schema, Nullable) else schema
    if isinstance(schema, Flag):
        no = _INACTIVE if name == "is_active" else f"no-{word}"
        return click.option(f"--{word}/--{no}", name, default=None, help=told)
    if isinstance(schema, Listing) and not isinstance(schema.of, Members):
        return click.option(f"--{word}", name, multiple=True, help=f"{told} Repeatable.")
    if isinstance(schema, KeySet | Listing):
        return click.option(f"--{word}", name, type=Keys(), help=f"{told} JSON in a file, or -.")
    kind = click.INT if isinstance(schema, Whole) else click.STRING
    return click.option(f"--{word}", name, type=kind, help=told)


def given(members: Mapping[str, Any]) -> dict[str, Any]:
    """The members that were given, as the API takes them."""
    sent = {
        name: list(one) if isinstance(one, tuple) else one
        for name, one in members.items()
        if one is not None and one != ()
    }
    if "grant_types" in sent:
        sent["grant_types"] = [SHORT.get(one, one) for one in sent["grant_types"]]
    return sent


def cleared(names: tuple[str, ...]) -> dict[str, Any]:
    """Members that are to be without a value."""
    wanted = [name.replace("-", "_") for name in names]
    for name in wanted:
        if name not in EMPTY:
            raise Refused(f"{name} is no member that could be cleared")
    return {name: EMPTY[name] for name in wanted}
