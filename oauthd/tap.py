"""`twistd oauthd`: its options, computed from the settings, and its service.

No socket, process or thread is made here: twistd forks later.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.application.service import IService
from twisted.python import usage

from oauthd.config import SettingsError, flags, load
from oauthd.runtime.data import DataFolder, DataFolderError
from oauthd.runtime.logs import observer
from oauthd.runtime.node import Node


class Options(usage.Options):
    """Flags of `twistd oauthd`; every one is a setting, but for the file that holds the others."""

    synopsis = "[options]"
    longdesc = "OAuth 2 and OpenID Connect token server. Every setting: etc/docs/settings.md."
    optParameters = [  # noqa: N815 - Twisted's name
        ["config", "c", None, "TOML file with settings."],
        *([flag.long, None, None, flag.help] for flag in flags() if flag.kind == "parameter"),
    ]
    optFlags = [  # noqa: N815 - Twisted's name
        [flag.long, None, flag.help] for flag in flags() if flag.kind == "boolean"
    ]

    def opt_listen(self, endpoint: str) -> None:
        """Where to listen, as a Twisted endpoint string (tcp:, ssl:, unix:, systemd:); may be given several times."""
        self.setdefault("listen", []).append(endpoint)

    def parseOptions(self, options: Sequence[str] | None = None) -> None:  # noqa: N802 - Twisted's name
        """Read the command line.

        :raises SystemExit: for one that is not in order; twistd itself would end with status 0.
        """
        try:
            super().parseOptions(options)
        except usage.UsageError as error:
            raise SystemExit(f"oauthd: {error} (twistd oauthd --help lists all flags)") from None


def makeService(options: Options) -> IService:  # noqa: N802 - Twisted's name
    """The service, not yet started.

    :raises SystemExit: for settings that are not in order, each problem in a line; twistd would show a trace instead.
    """
    parent: Any = options.parent or {}
    try:
        settings = load(options["config"] and str(Path(options["config"]).absolute()), os.environ, options)
        data = DataFolder.choose(settings.server.data, os.environ, parent.get("uid"))
        log = observer(settings.log, parent)
    except SettingsError as error:
        raise SystemExit("\n".join(f"oauthd: {problem}" for problem in error.problems)) from None
    except (DataFolderError, OSError, ValueError) as error:
        raise SystemExit(f"oauthd: {error}") from None
    daemon = not parent.get("nodaemon", True)
    return Node(settings, data, parent.get("uid"), parent.get("gid"), daemon, log)
