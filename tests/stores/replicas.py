"""A primary, its replicas and three sentinels, all real: for tests of what a failover does.

    self.service = Service(replicas=1)
    self.addCleanup(self.service.close)
    self.service.start()
    self.service.primary.kill()
    new = self.service.wait_for_failover()

Plain blocking functions; whoever uses a reactor runs them in a thread, or lets it wait.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import Any

from oauthd.runtime.process import die_with_parent, find_binary
from tests.ports import free_port
from tests.stores.servers import OwnValkey

NAME = "main"
DOWN_AFTER = 1.0  # seconds until a sentinel takes a silent server for dead
_PATIENCE = 30.0


class Member(OwnValkey):
    """A Valkey that may be primary or replica, reached by TCP, and by its socket from the test."""

    def __init__(self, password: str = "") -> None:
        super().__init__(password)
        self.port = free_port()

    def begin(self, *settings: str) -> None:
        """Start it, or start it again."""
        always = ("--port", str(self.port), "--bind", "127.0.0.1", "--appendonly", "yes", "--repl-diskless-sync-delay",
                  "0", "--repl-ping-replica-period", "1")  # fmt: skip
        secret = ("--masterauth", self.password) if self.password else ()
        self.start(*always, *secret, *settings)

    @property
    def role(self) -> str:
        """`master` or `slave`; "" while it is away."""
        try:
            reply: Any = self.say("ROLE")
        except OSError:
            return ""
        return reply[0].decode() if isinstance(reply, list) else ""

    def info(self, section: str) -> dict[str, str]:
        """What it tells of itself."""
        reply = self.say("INFO", section)
        assert isinstance(reply, bytes)
        return dict(line.split(":", 1) for line in reply.decode().splitlines() if ":" in line)


class Sentinel(OwnValkey):
    """One sentinel; `password` is what it asks of those who ask it."""

    def __init__(self, password: str = "") -> None:
        super().__init__()
        self.password = password
        self.port = free_port()

    def begin(self, primary: Member) -> None:
        """Start it; it finds replicas and other sentinels by itself."""
        settings = [
            f"port {self.port}", "bind 127.0.0.1", f"unixsocket {self.path}", f"dir {self.folder}",
            f"sentinel monitor {NAME} 127.0.0.1 {primary.port} 2",
            f"sentinel down-after-milliseconds {NAME} {DOWN_AFTER * 1000:.0f}",
            f"sentinel failover-timeout {NAME} 4000",
        ]  # fmt: skip
        if primary.password:
            settings.append(f"sentinel auth-pass {NAME} {primary.password}")
        if self.password:
            settings += [f"requirepass {self.password}", f"sentinel sentinel-pass {self.password}"]
        file = self.folder / "sentinel.conf"
        file.write_text("\n".join(settings) + "\n")
        with (self.folder / "valkey.log").open("ab") as output:
            self._process = subprocess.Popen(
                [find_binary(), str(file), "--sentinel"],
                stdout=output,
                stderr=output,
                preexec_fn=die_with_parent(),  # noqa: PLW1509 (see there)
            )
        wait_until(self._speaks, "the sentinel answers")

    def knows(self) -> tuple[int, int]:
        """How many replicas and other sentinels it has found that it can reach."""
        reply: Any = self.say("SENTINEL", "MASTER", NAME)
        facts = dict(zip(reply[::2], reply[1::2], strict=True))
        return int(facts[b"num-slaves"]), int(facts[b"num-other-sentinels"])

    @property
    def primary_port(self) -> int:
        """Where it says the primary is."""
        reply: Any = self.say("SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME)
        return int(reply[1])


class Service:
    """One primary, replicas, and three sentinels.

    :ivar primary: the member that was the primary at the start, or since the last `wait_for_failover`.
    """

    def __init__(self, replicas: int = 1, password: str = "", sentinel_password: str = "") -> None:
        self.members = [Member(password) for _ in range(1 + replicas)]
        self.sentinels = [Sentinel(sentinel_password) for _ in range(3)]
        self.primary = self.members[0]

    def start(self, *settings: str) -> None:
        """Start all, with settings for the members; return when a failover could happen."""
        self.primary.begin(*settings)
        for replica in self.members[1:]:
            replica.begin("--replicaof", f"127.0.0.1 {self.primary.port}", *settings)
        wait_until(lambda: all(member.info("replication").get("master_link_status") == "up"
                               for member in self.members[1:]), "the replicas follow")  # fmt: skip
        for sentinel in self.sentinels:
            sentinel.begin(self.primary)
        everybody = (len(self.members) - 1, len(self.sentinels) - 1)
        wait_until(lambda: all(one.knows() == everybody for one in self.sentinels), "the sentinels know everybody")

    @property
    def replicas(self) -> list[Member]:
        """All but the primary."""
        return [member for member in self.members if member is not self.primary]

    @property
    def where(self) -> dict[str, Any]:
        """Parameters of `Primary`."""
        return {
            "sentinels": [("127.0.0.1", one.port) for one in self.sentinels],
            "service": NAME,
            "password": self.primary.password or None,
            "sentinel_password": self.sentinels[0].password or None,
        }

    @property
    def url(self) -> str:
        """The setting `store.redis`."""
        hosts = ",".join(f"127.0.0.1:{one.port}" for one in self.sentinels)
        return f"redis+sentinel://{hosts}/{NAME}"

    def wait_for_failover(self) -> Member:
        """Wait until a replica has become the primary; it."""

        def promoted() -> Member | None:
            return next((one for one in self.replicas if one.role == "master"), None)

        self.primary = wait_until(promoted, "a replica is promoted")
        return self.primary

    def close(self) -> None:
        """End all, in whatever state they are."""
        for one in (*self.sentinels, *self.members):
            one.close()


def wait_until(condition: Callable[[], Any], what: str) -> Any:
    """Wait for something; what the condition returned in the end."""
    deadline = time.monotonic() + _PATIENCE
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {_PATIENCE:g} s in vain: {what}")
        time.sleep(0.02)
    return found


