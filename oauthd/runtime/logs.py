"""What the log says: from which level on, as lines of text or of JSON. Where it goes is as twistd's own flags say.

One event is one line of JSON, or of text in twistd's own form. Control characters are escaped, so that nothing a caller
sends can forge a line. Left to twistd: `--syslog` and `--logger`, whose events are theirs to write.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import IO, Any

from twisted.internet import reactor
from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    formatEvent,
    formatEventAsClassicLogText,
)
from twisted.python.logfile import LogFile

from oauthd.config import LogSettings

_CHATTY = ("twisted.application._client_service.ClientService",)  # tells of each try while the store is away
_FORGERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")  # text keeps line ends, which twistd indents


def observer(settings: LogSettings, twistd: Mapping[str, Any]) -> ILogObserver | None:
    """The observer to give to twistd; None when its flags name another one.

    :param twistd: twistd's own options.
    """
    if twistd.get("syslog") or twistd.get("logger"):
        return None
    written = FileLogObserver(_file(twistd), json_line if settings.json else text_line)
    level = LogLevelFilterPredicate(defaultLogLevel=LogLevel.lookupByName(settings.level))
    for namespace in _CHATTY:
        level.setLogLevelForNamespace(namespace, LogLevel.warn)
    return FilteringLogObserver(written, [level])


def text_line(event: LogEvent) -> str | None:
    """An event as twistd writes it; None for one without a message."""
    line = formatEventAsClassicLogText(event)
    return None if line is None else _FORGERS.sub(_escaped, line)


def json_line(event: LogEvent) -> str | None:
    """An event as an object: `time`, `level`, `source`, `message`, and `failure` with the trace where there is one."""
    message = formatEvent(event)
    failure = event.get("log_failure")
    if not message and failure is None:
        return None
    told = {
        "time": datetime.fromtimestamp(event["log_time"], UTC).isoformat(timespec="milliseconds"),
        "level": getattr(event.get("log_level"), "name", "info"),
        "source": event.get("log_namespace") or "",
        "message": message,
    }
    if failure is not None:
        told["failure"] = failure.getTraceback()
    return json.dumps(told) + "\n"


def _escaped(found: re.Match[str]) -> str:
    return repr(found[0])[1:-1]


def _file(twistd: Mapping[str, Any]) -> IO[Any]:
    """The file that twistd would write to."""
    name, in_foreground = twistd.get("logfile"), twistd.get("nodaemon", True)
    if in_foreground and name in (None, "", "-"):
        return sys.stdout
    if name == "-":
        raise ValueError("a daemon cannot log to standard output")
    path = os.path.abspath(name or "twistd.log")
    # Not for everybody: it tells who did what, and from where. A file that exists keeps its mode.
    mode = None if os.path.exists(path) else 0o640
    file: Any = LogFile(os.path.basename(path), os.path.dirname(path), defaultMode=mode)
    if not signal.getsignal(signal.SIGUSR1):  # as twistd does: a signal begins a new file
        signal.signal(signal.SIGUSR1, lambda *_: reactor.callFromThread(file.rotate))  # type: ignore[attr-defined]
    return file  # type: ignore[no-any-return]
