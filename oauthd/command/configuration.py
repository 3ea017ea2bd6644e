"""`oauthd config`: check, show. Reads files and environment as the server would; needs no running server."""

from __future__ import annotations

import json
import os
import tomllib

import click

from oauthd.command.output import done
from oauthd.command.server import Server
from oauthd.command.terminal import Refused, say
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
    settings = settings_of(path)
    done(server, f"the settings are in order; the issuer is {issuer_of(settings)}")


@config.command()
@file
@click.pass_obj
def show(server: Server, path: str | None) -> None:
    """Print the settings in force as TOML or JSON, secrets masked."""
    toml = shown(settings_of(path))
    say(json.dumps(tomllib.loads(toml), indent=1) if server.as_json else toml.removesuffix("\n"))


def settings_of(path: str | None) -> Settings:
    """The settings of a file and the environment, as the server would read them."""
    try:
        settings = load(path, os.environ, {})
        issuer_of(settings)
    except SettingsError as error:
        raise Refused("the settings are not in order", *error.problems) from None
    return settings
