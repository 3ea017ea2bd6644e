"""A worker's log: written by the parent, which alone knows where the log goes, each line with the worker's number.

A worker writes each event as a line of JSON to its standard output, a pipe to the parent; lines that are finished
already have a mark in front. It waits when the pipe is full, as any server does whose log is not read. What Python
itself prints to the standard error when it fails is passed on as it is. All that a worker has written is read, however
it ended.
"""

from __future__ import annotations

import json
from typing import Any

from attrs import define, frozen
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from zope.interface import implementer

from oauthd.runtime.logs import URGENT
from oauthd.runtime.output import Output

LONGEST = 1 << 20  # bytes of one line
FINISHED = "="  # in front of a line that needs nothing but to be written
_LEGACY = frozenset({"message", "time", "system", "isError", "format", "why", "failure"})  # of twisted.python.log
_PLAIN = (str, int, float, bool, type(None))


@implementer(ILogObserver)
@frozen(eq=False)
class Relay:
    """The worker's side: an observer of events, which takes finished lines, too."""

    output: Output

    def __call__(self, event: LogEvent) -> None:
        """Write one event."""
        (self.output.now if event.get("log_level") in URGENT else self.output.soon)(line_of(event))

    def finished(self, line: str) -> None:
        """Write a line that is ready."""
        self.output.soon(FINISHED + line)


def line_of(event: LogEvent) -> str:
    """An event as a line: its text, where it is from, its trace, and those of its facts that JSON knows."""
    failure = event.get("log_failure")
    told = {
        "time": event["log_time"],
        "level": getattr(event.get("log_level"), "name", "info"),
        "source": event.get("log_namespace") or "",
        "text": formatEvent(event),
        "trace": None if failure is None else failure.getTraceback(),
        "facts": {
            name: value
            for name, value in event.items()
            if isinstance(value, _PLAIN) and not name.startswith("log_") and name not in _LEGACY
        },
    }
    return json.dumps(told) + "\n"


@frozen
class _Trace:
    """Stands for a failure that happened in another process."""

    text: str

    def getTraceback(self) -> str:  # noqa: N802 - Twisted's name
        return self.text


def event_of(line: str, worker: int) -> LogEvent:
    """The event that a worker wrote as a line.

    :raises ValueError: it is no such line.
    """
    told: dict[str, Any] = json.loads(line)
    try:
        level, source = LogLevel.lookupByName(told["level"]), told["source"]
        place = f"{source}#{level.name} " if source and source != "log_legacy" else ""
        event: LogEvent = {
            **told["facts"],
            "log_time": told["time"],
            "log_level": level,
            "log_namespace": source,
            "log_system": f"{place}worker {worker}",
            "log_format": "{log_text}",
            "log_text": told["text"],
            "worker": worker,
        }
        if told["trace"] is not None:
            event["log_failure"] = _Trace(told["trace"])
    except (LookupError, TypeError) as problem:
        raise ValueError("not a line of a worker's log") from problem
    return event


@define
class Lines:
    """What a pipe brings, cut into lines."""

    _rest: bytes = b""

    def take(self, data: bytes) -> list[bytes]:
        """The lines that are complete now."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST:
            lines, self._rest = [*lines, self._rest], b""
        return [line for line in lines if line]

    def end(self) -> list[bytes]:
        """What was left without an end of line."""
        rest, self._rest = self._rest, b""
        return [rest] if rest else []
