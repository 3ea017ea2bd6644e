"""`oauthd check`: how settings stand against RFC 9700 and FAPI 2.0. Needs no running server."""

from __future__ import annotations

import click

from oauthd.command.configuration import file, settings_of
from oauthd.command.output import table
from oauthd.command.server import Server
from oauthd.config import posture


@click.command()
@file
@click.option("--fapi", is_flag=True, help="The status is 1 also where a point of FAPI 2.0 does not hold.")
@click.pass_obj
def check(server: Server, path: str | None, fapi: bool) -> None:
    """Print what of RFC 9700 and FAPI 2.0 holds for every client, and the setting that mends the rest.

    It looks at the settings (environment and file), not at a running server: name the file that the server has.
    The status is 1 when a point of RFC 9700 does not hold.
    """
    found = posture.report(settings_of(path))
    table(server, [_row(one) for one in found], ("document", "section", "holds", "what", "mend"))
    demanded = {posture.RFC9700, posture.FAPI} if fapi else {posture.RFC9700}
    if any(not one.holds and one.point.document in demanded for one in found):
        raise SystemExit(1)


def _row(finding: posture.Finding) -> dict[str, object]:
    point = finding.point
    return {
        "document": point.document,
        "section": point.section,
        "holds": finding.holds,
        "what": point.asked,
        "mend": "" if finding.holds else point.mends,
    }
