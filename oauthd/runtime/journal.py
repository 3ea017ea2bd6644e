"""What the log says of events and requests, a line each: which of them, and how they are written.

Finished lines go straight to the file of the log: a line made by hand costs a tenth of one that goes through Twisted's
logger. Where the log is not ours (twistd's `--syslog` and `--logger`) they go through the logger after all. What is not
to be written is found out first, and costs next to nothing.

No line can be forged: methods and routes are from our tables, and facts are written as JSON in ASCII. Nothing of a
query, a form or a header is ever part of a line.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from attrs import define, field
from twisted.logger import Logger, formatTime

from oauthd.config import LogSettings
from oauthd.events import Event, Fact
from oauthd.web.answering import AccessLog

NAMESPACE = "oauthd"

_log = Logger(namespace=NAMESPACE)
_json = json.JSONEncoder().encode


@define(eq=False)
class Journal:
    """Writes events and requests.

    :ivar write: takes finished lines; None for Twisted's logger.
    :ivar worker: the number of this process where there are several, as part of each line.
    :ivar clock: wall-clock seconds.
    """

    settings: LogSettings
    write: Callable[[str], None] | None = None
    worker: int | None = None
    clock: Callable[[], float] = time.time
    _left_out: frozenset[str] = field(init=False)
    _system: str = field(init=False)
    _second: int = -1
    _stamp: str = ""  # of that second
    _passed_over: int = 0

    @_left_out.default
    def _names(self) -> frozenset[str]:
        return frozenset(self.settings.leave_out)

    @_system.default
    def _place(self) -> str:
        return f"[{NAMESPACE}#info{'' if self.worker is None else f' worker {self.worker}'}] "

    @property
    def writes(self) -> bool:
        """Does the level of the log let any of it through? Where the log is not ours, others judge."""
        return self.write is None or self.settings.level in ("debug", "info")

    @property
    def event(self) -> Callable[[Event], None] | None:
        """An observer of events; None where nothing would be written."""
        return self._event if self.writes else None

    @property
    def access(self) -> AccessLog | None:
        """To be told of requests on the ordinary path; None where nobody wants to know."""
        return self._access if self.writes and self.settings.access != "off" else None

    @property
    def lane(self) -> AccessLog | None:
        """To be told of requests on the fast lane; None where nobody wants to know."""
        return self._access if self.writes and self.settings.access == "all" else None

    def _event(self, event: Event) -> None:
        if event.name in self._left_out:
            return
        facts = {name: fact for name, fact in event.facts.items() if fact is not None}
        message = event.name + "".join(f" {name}={_json(fact)}" for name, fact in facts.items())
        self._tell(message, event=event.name, facts=facts)

    def _access(self, method: str, route: str, status: int, seconds: float) -> None:
        self._passed_over += 1
        if self._passed_over < self.settings.access_every:
            return
        self._passed_over = 0
        ms = round(seconds * 1000, 1)
        self._tell(f"{method} {route} {status} {ms}ms", method=method, route=route, status=status, ms=ms)

    def _tell(self, message: str, **members: Fact | Mapping[str, Fact]) -> None:
        write = self.write
        if write is None:
            _log.info("{line}", line=message, **members)
        elif self.settings.json:
            write(self._object(message, members))
        else:
            now = int(self.clock())
            if now != self._second:
                self._second, self._stamp = now, f"{formatTime(now)} {self._system}"
            write(f"{self._stamp}{message}\n")

    def _object(self, message: str, members: Mapping[str, Fact | Mapping[str, Fact]]) -> str:
        moment = self.clock()
        now = int(moment)
        if now != self._second:
            self._second, self._stamp = now, datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        told: dict[str, object] = {
            "time": f"{self._stamp}.{int(moment % 1 * 1000):03d}+00:00",
            "level": "info",
            "source": NAMESPACE,
            "message": message,
            **members,
        }
        if self.worker is not None:
            told["worker"] = self.worker
        return _json(told) + "\n"
