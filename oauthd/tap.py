"""`twistd oauthd`: its options, computed from the settings, and its service. Nothing is opened here: twistd forks later."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.application.service import IService
from twisted.python import usage

from oauthd.config import SettingsError, flags, issuer_of, load
from oauthd.runtime.data import DataFolder, DataFolderError
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


def makeService(options: Options) -> IService:  # noqa: N802 - Twisted's name
    """The service, not yet started.

    :raises UsageError: for settings that are not in order, each problem in a line.
    """
    try:
        settings = load(options["config"] and str(Path(options["config"]).absolute()), os.environ, options)
        issuer_of(settings)
    except SettingsError as error:
        raise usage.UsageError("\n".join(error.problems)) from None
    parent: Any = options.parent or {}
    uid, gid = parent.get("uid"), parent.get("gid")
    try:
        data = DataFolder.choose(settings.server.data, os.environ, uid)
    except DataFolderError as error:
        raise usage.UsageError(str(error)) from None
    node: IService = Node(settings, data, uid, gid)  # type: ignore[assignment]  # Service provides it
    return node
