"""Options for the members of a client that registration knows, too: one for each row of `client_metadata`'s table.

    --token-endpoint-auth-method private_key_jwt --jwks keys.json --require-pushed-authorization-requests

Whether the server offers what is asked for is for the server to say.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any, Final

import click

from oauthd.command.terminal import Refused
from oauthd.protocol.client_metadata import Offered, Row, rows
from oauthd.protocol.key_sets import KeySet
from oauthd.protocol.schemas import Flag, Listing, Nullable, Whole

ROWS: Final = {
    row.name: row
    for row in rows(Offered(auth_methods=("tls_client_auth",), details_types=("any",)))
    if row.admin
}
EMPTY: Final[Mapping[str, Any]] = {
    **{name: row.empty for name, row in ROWS.items()},
    **{name: [] for name in ("redirect_uris", "post_logout_redirect_uris", "default_scopes", "resources", "held")},
    "exchanges": [],
    **dict.fromkeys(("scopes", "access_format", "id_token_algorithm", "client_uri", "profile", "unused_until")),
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
    return reduce(lambda made, row: _option(row)(made), reversed(ROWS.values()), command)


def _option(row: Row) -> Callable[[_Command], _Command]:
    flag = f"--{row.name.replace('_', '-')}"
    schema = row.schema.of if isinstance(row.schema, Nullable) else row.schema
    if isinstance(schema, Flag):
        return click.option(f"{flag}/--no-{flag[2:]}", row.name, default=None, help=row.help)
    if isinstance(schema, Listing):
        return click.option(flag, row.name, multiple=True, help=f"{row.help} Repeatable.")
    kind = Keys() if isinstance(schema, KeySet) else click.INT if isinstance(schema, Whole) else click.STRING
    return click.option(flag, row.name, type=kind, help=row.help)


def given(members: Mapping[str, Any]) -> dict[str, Any]:
    """The members that were given, as the API takes them."""
    return {
        name: list(one) if isinstance(one, tuple) else one
        for name, one in members.items()
        if one is not None and one != ()
    }


def cleared(names: tuple[str, ...]) -> dict[str, Any]:
    """Members that are to be without a value."""
    wanted = [name.replace("-", "_") for name in names]
    for name in wanted:
        if name not in EMPTY:
            raise Refused(f"{name} is no member that could be cleared")
    return {name: EMPTY[name] for name in wanted}
