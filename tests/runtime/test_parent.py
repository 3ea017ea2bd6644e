"""The parent of workers, over real processes that are quick to start and behave as they are told."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import deferLater
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import TestCase

from oauthd.runtime import parent as module
from oauthd.runtime.hindrance import CannotStart
from oauthd.runtime.parent import Parent, workers

PROGRAM = """
import json, os, socket, struct, sys, time
end = socket.socket(fileno=3)
mood = ""
def tell(**message):
    text = json.dumps(message).encode()
    end.sendall(struct.pack("!I", len(text)) + text)
def exactly(count):
    data = b""
    while len(data) < count:
        more = end.recv(count - len(data))
        if not more:
            sys.exit(0)
        data += more
    return data
while True:
    message = json.loads(exactly(*struct.unpack("!I", exactly(4))))
    if "ask" in message:
        if mood != "mute":
            tell(number=message["number"], answer=[os.getpid(), mood])
    elif message["tell"] == "start":
        mood = message["value"]
        if mood == "failed":
            tell(tell="failed", value="the reason")
            sys.exit(1)
        if mood == "dies":
            print("Fatal: no luck", file=sys.stderr, flush=True)
            os._exit(7)
        tell(tell="ready", value=None)
    elif message["tell"] == "leave":
        mood = "leaving"
    elif message["tell"] == "stop" and mood != "stubborn":
        tell(tell="closed", value=None)
        sys.exit(0)
"""


class ParentTests(TestCase):
    """What becomes of workers."""

    def setUp(self) -> None:
        """Let nothing take longer than it must, and keep what is logged."""
        self.moods: dict[int, str] = {}
        self.log: list[str] = []
        for name, seconds in (("LEAST", 0.01), ("MOST", 0.05), ("CLOSING", 0.5), ("MARGIN", 0.5)):
            self.patch(module, name, seconds)
        observer: Any = self._observe
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def _observe(self, event: dict[str, Any]) -> None:
        if event.get("log_namespace") == "oauthd":
            self.log.append(event["log_format"].format(**event))

    def parent(self, count: int = 2) -> Parent:
        """One whose workers are killed after the test."""
        moods: Any = self.moods
        made = Parent(reactor, count, [], lambda number: moods.get(number, "fine"))
        made.command = (sys.executable, "-c", PROGRAM)
        self.addCleanup(lambda: ensureDeferred(made.kill()))
        return made

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait for something."""
        while not condition():
            await deferLater(reactor, 0.01)

    async def pids(self, parent: Parent) -> dict[int, int]:
        """Process by number."""
        return {number: answer[0] for number, answer in (await parent.ask("who", 5)).items()}

    async def test_life(self) -> None:
        """All start, each answers, all end."""
        parent = self.parent(3)
        await parent.start()
        self.assertEqual(parent.live, 3)
        self.assertEqual(sorted(await self.pids(parent)), [1, 2, 3])
        await parent.close()
        await parent.end(1)
        self.assertEqual(parent.live, 0)
        self.assertEqual([line for line in self.log if "ended" in line], [])

    async def test_silent_one(self) -> None:
        """Who does not answer in time is left out."""
        self.moods[2] = "mute"
        parent = self.parent()
        await parent.start()
        self.assertEqual(list(await parent.ask("who", 0.1)), [1])

    async def test_cannot_start(self) -> None:
        """When one of them has a reason not to start, that is why the server does not."""
        self.moods[2] = "failed"
        with self.assertRaises(CannotStart) as caught:
            await self.parent().start()
        self.assertEqual(str(caught.exception), "the reason")

    async def test_dies_while_starting(self) -> None:
        """When one just dies, its status is told, and its last words are in the log."""
        self.moods[1] = "dies"
        with self.assertRaises(CannotStart) as caught:
            await self.parent().start()
        self.assertIn("worker 1 ended while it started, with status 7", str(caught.exception))
        self.assertIn("worker 1: Fatal: no luck", self.log)

    async def test_no_program(self) -> None:
        """A program that is not there is named."""
        parent = self.parent()
        parent.command = ("/nowhere/python",)
        with self.assertRaises(CannotStart) as caught:
            await parent.start()
        self.assertIn("worker 1 cannot be started", str(caught.exception))

    async def test_replaced(self) -> None:
        """A dead one is replaced by the process that waits, and the others are left alone."""
        parent = self.parent()
        await parent.start()
        before = await self.pids(parent)
        os.kill(before[1], signal.SIGKILL)
        await self.until(lambda: parent.replaced == 1 and parent.live == 2)
        after = await self.pids(parent)
        self.assertNotEqual(after[1], before[1])
        self.assertEqual(after[2], before[2])
        self.assertIn(f"worker 1 (process {before[1]}) has ended, by signal 9; it is replaced at once", self.log)

    async def test_again_and_again(self) -> None:
        """One that always dies is tried again with pauses, up to the longest, and the others serve."""
        parent = self.parent()
        await parent.start()
        self.moods[1] = "dies"
        os.kill((await self.pids(parent))[1], signal.SIGKILL)
        await self.until(lambda: parent.replaced >= 6)
        pauses = [line.rpartition("replaced ")[2] for line in self.log if "is replaced" in line][:5]
        self.assertEqual(pauses, ["at once", "in 0.01 s", "in 0.02 s", "in 0.04 s", "in 0.05 s"])
        self.assertEqual(list(await self.pids(parent)), [2])
        self.moods[1] = "fine"
        await self.until(lambda: parent.live == 2)

    async def test_program_away(self) -> None:
        """A program that is not there for a while is tried again."""
        parent = self.parent()
        await parent.start()
        await self.until(lambda: parent._spare is not None)
        command, parent.command = parent.command, ("/nowhere/python",)
        for who in ("the process that waits", "worker"):  # which takes the first place, and nobody the second
            os.kill(min((await self.pids(parent)).values()), signal.SIGKILL)
            missing = re.compile(f"{who}.* cannot be started")
            await self.until(lambda missing=missing: any(map(missing.match, self.log)))  # type: ignore[misc]
        self.assertEqual(parent.live, 1)
        parent.command = command
        await self.until(lambda: parent.live == 2)

    async def test_leaving(self) -> None:
        """Each is told that the end is near, even one who takes another's place after that."""
        parent = self.parent()
        await parent.start()
        parent.leave()
        os.kill((await self.pids(parent))[1], signal.SIGKILL)
        await self.until(lambda: parent.replaced == 1 and parent.live == 2)
        self.assertEqual({mood for _, mood in (await parent.ask("mood", 5)).values()}, {"leaving"})

    async def test_stubborn_one(self) -> None:
        """Who does not end is killed when its time is over."""
        self.moods[1] = "stubborn"
        parent = self.parent()
        await parent.start()
        pid = (await self.pids(parent))[1]
        await parent.close()
        await parent.end(0)
        self.assertEqual(parent.live, 0)
        self.assertIn(f"worker 1 (process {pid}) does not end: killed", self.log)

    async def test_closed_while_replaced(self) -> None:
        """One that is missing at the end is started all the same, for those who wait at its socket."""
        parent = self.parent()
        await parent.start()
        self.moods[1] = "dies"
        os.kill((await self.pids(parent))[1], signal.SIGKILL)
        await self.until(lambda: parent.replaced == 3)
        self.moods[1] = "fine"
        before = len([line for line in self.log if line.startswith("worker 1") and line.endswith("serves")])
        await parent.close()
        await parent.end(1)
        after = [line for line in self.log if line.startswith("worker 1") and line.endswith("serves")]
        self.assertEqual(len(after), before + 1)

    def test_how_many(self) -> None:
        """A number is a number; auto is what this process may use."""
        self.assertEqual(workers(3), 3)
        self.assertEqual(workers("auto"), len(os.sched_getaffinity(0)))
