"""The `oauthd` command: administration from a shell. It talks to a running server and has no power of its own.

    oauthd client create --name "Reports" --grant client_credentials
    oauthd token get --scope admin

A file of this folder is a noun; its functions are the verbs.
"""

from __future__ import annotations

from functools import partial

import click

from oauthd import __version__
from oauthd.command.clients import client
from oauthd.command.configuration import config
from oauthd.command.initial_access import initial_access
from oauthd.command.keys import keys
from oauthd.command.messages import message
from oauthd.command.posture import check
from oauthd.command.scopes import scope
from oauthd.command.server import Server
from oauthd.command.tokens import token
from oauthd.command.users import user

told = partial(click.option, show_envvar=True)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@told("--url", envvar="OAUTHD_URL", help="Address of the server. Default: the one that uses the data folder.")
@told("--data", envvar="OAUTHD_SERVER_DATA", help="The server's data folder.")
@told("--client-id", envvar="OAUTHD_CLIENT_ID", help="Admin client. Default: the first administrator's.")
@told(
    "--client-secret",
    envvar="OAUTHD_CLIENT_SECRET",
    help="Its secret; better in the environment than on the command line, which others can read.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@click.version_option(__version__, prog_name="oauthd")
@click.pass_context
def main(
    context: click.Context,
    url: str | None,
    data: str | None,
    client_id: str | None,
    client_secret: str | None,
    as_json: bool,
) -> None:
    """Administer a running oauthd."""
    server = context.obj = Server(url, data, client_id, client_secret, as_json)
    context.call_on_close(server.close)


for noun in (client, initial_access, user, scope, token, keys, message, config, check):
    main.add_command(noun)
