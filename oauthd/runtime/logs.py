"""What the log says: from which level on, as lines of text or of JSON. Where it goes is as twistd's own flags say.

One event is one line of JSON, or of text in twistd's own form. Control characters are escaped, so that nothing a caller
sends can forge a line. Lines of requests and of what happened are made in `oauthd.runtime.journal`. Left to twistd:
`--syslog` and `--logger`, whose events are theirs to write.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import IO, Any

from attrs import frozen
from twisted.internet import reactor
from twisted.logger import (
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    PredicateResult,
    formatEvent,
    formatEventAsClassicLogText,
)
from twisted.python.logfile import LogFile
from zope.interface import implementer

from oauthd.config import LogSettings
from oauthd.runtime.output import Output

_CHATTY = ("twisted.application._client_service.ClientService",)  # tells of each try while the store is away
URGENT = (LogLevel.warn, LogLevel.error, LogLevel.critical)
# Bytes after which a new file begins. With twistd's own million a busy server would begin one every few seconds, and
# each time rename all that are there.
_LENGTH = 64 << 20
_FORGERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")  # text keeps line ends, which twistd indents


@implementer(ILogObserver)
@frozen(eq=False)
class Written:
    """An observer that writes what is important enough.

    :ivar form: makes a line of an event, or None.
    """

    output: Output
    form: Callable[[LogEvent], str | None]
    important: Callable[[LogEvent], Any]

    def __call__(self, event: LogEvent) -> None:
        """Write an event, at once if it is bad news."""
        if self.important(event) is PredicateResult.no:
            return
        line = self.form(event)
        if line:
            (self.output.now if event.get("log_level") in URGENT else self.output.soon)(line)


def observer(settings: LogSettings, twistd: Mapping[str, Any]) -> Written | None:
    """The observer to give to twistd; None when its flags name another one.

    :param twistd: twistd's own options.
    """
    if twistd.get("syslog") or twistd.get("logger"):
        return None
    output = output_to(_file(twistd))
    if isinstance(output.file, LogFile) and not signal.getsignal(signal.SIGUSR1):
        # As twistd does: a signal begins a new file.
        signal.signal(signal.SIGUSR1, lambda *_: reactor.callFromThread(output.rotate))  # type: ignore[attr-defined]
    return Written(output, json_line if settings.json else text_line, levels(settings))


def writing(observer: ILogObserver | None) -> Callable[[str], None] | None:
    """What takes finished lines for the same file; None where the log is not ours."""
    return observer.output.soon if isinstance(observer, Written) else None


def levels(settings: LogSettings) -> LogLevelFilterPredicate:
    """Which events are written."""
    level = LogLevelFilterPredicate(defaultLogLevel=LogLevel.lookupByName(settings.level))
    for namespace in _CHATTY:
        level.setLogLevelForNamespace(namespace, LogLevel.warn)
    return level


def output_to(file: IO[Any]) -> Output:
    """What writes lines to a file, with this process's reactor to wait with."""
    return Output(file, reactor, lambda: bool(reactor.running))


def text_line(event: LogEvent) -> str | None:
    """An event as twistd writes it; None for one without a message."""
    line = formatEventAsClassicLogText(event)
    return None if line is None else _FORGERS.sub(_escaped, line)


def json_line(event: LogEvent) -> str | None:
    """An event as an object: `time`, `level`, `source`, `message`; `worker` and `failure` where there is one."""
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
    if "worker" in event:
        told["worker"] = event["worker"]
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
    file: Any = LogFile(os.path.basename(path), os.path.dirname(path), _LENGTH, mode)
    return file  # type: ignore[no-any-return]
