"""`oauthd config`: check, show. Reads files and environment as the server would; needs no running server."""

from __future__ import annotations

import os

import click

from oauthd.command.output import done
from oauthd.command.server import Server
from oauthd.config import Settings, SettingsError, issuer_of, load, shown


@click.group()
def config() -> None:
    """Settings."""


file = click.option("--config", "-c", "path", type=click.Path(dir_okay=False), help="TOML file with settings.")


@config.command()
@file
@click.pass_obj
def check(server: Server, path: str | None) -> None:
    """Check settings; every problem is told, and the status is 1 when there is one."""
    settings = _load(path)
    done(server, f"the settings are in order; the issuer is {issuer_of(settings)}")


@config.command()
@file
def show(path: str | None) -> None:
    """Print the settings in force as TOML, secrets masked."""
    click.echo(shown(_load(path)), nl=False)


def _load(path: str | None) -> Settings:
    try:
        settings = load(path, os.environ, {})
        issuer_of(settings)
    except SettingsError as error:
        raise click.ClickException("the settings are not in order\n" + "\n".join(error.problems)) from None
    return settings
