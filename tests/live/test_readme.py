"""README.md as somebody reads it who has just got the source: every fenced command, in order, in an empty folder.

The first block installs and serves, in the background. The blocks of the tour run one after the other in one bash, with
its variables and functions kept; where one prints `Open: address`, Ada does, in a real Chromium. The block with the
tests is run with tox told to make no environment but the linters', and to leave it at that: the suite cannot run itself
within itself.

Port 8000 is used as printed when it is free, as on a newcomer's machine, and so is the application's; otherwise free
ports stand in their place.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import IO, Any

from attrs import field, frozen
from twisted.trial.unittest import SynchronousTestCase

from oauthd.runtime.process import die_with_parent
from tests.browser import Tab, chromium, executable
from tests.live.daemon import SOURCE, environment
from tests.ports import free_port

INSTALL = 600.0  # seconds for what fetches packages, on a machine that has other things to do
BLOCK = 120.0  # seconds for a block of the tour, browser included
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BUILT = ("*venv*", ".tox", "__pycache__", "build", "*.egg-info")
END = "--- end of the block"
PASSWORD = "correct horse battery staple"


@frozen
class Block:
    """Fenced commands and the heading that they stand under."""

    heading: str
    language: str
    text: str


def blocks() -> list[Block]:
    """Every fenced block of README.md."""
    text = (SOURCE / "README.md").read_text("utf-8")
    found = []
    for fence in FENCE.finditer(text):
        headings = re.findall(r"^#+ (.*)$", text[: fence.start()], re.MULTILINE)
        found.append(Block(headings[-1], fence[1], fence[2]))
    return found


def copy_source(folder: Path) -> None:
    """Copy the tree as a clone of it would be, with what is not committed yet, without what was built."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        names = subprocess.run(listed, cwd=SOURCE, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):  # an unpacked archive
        shutil.copytree(SOURCE, folder, ignore=shutil.ignore_patterns(*BUILT))
        return
    for name in filter(None, names.split("\0")):
        if (SOURCE / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(SOURCE / name, folder / name)


def port(printed: int) -> int:
    """The printed port, if nobody has it."""
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", printed))
        return printed
    return free_port()


@frozen
class Shell:
    """A bash, and what it prints, line by line as it comes.

    :ivar said: every line so far.
    """

    process: subprocess.Popen[str]
    lines: queue.Queue[str | None]
    said: list[str] = field(factory=list)

    @classmethod
    def start(cls, folder: Path, environ: dict[str, str], script: str = "") -> Shell:
        """Start one that runs a script, or that waits for blocks; its errors are printed where its output is."""
        process = subprocess.Popen(
            ["bash", "-c", script] if script else ["bash"],
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL if script else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=die_with_parent(),  # noqa: PLW1509 (see there)
        )
        lines: queue.Queue[str | None] = queue.Queue()
        assert process.stdout is not None
        threading.Thread(target=cls._read, args=(process.stdout, lines), daemon=True).start()
        return cls(process, lines)

    @staticmethod
    def _read(stream: IO[str], lines: queue.Queue[str | None]) -> None:
        for line in stream:
            lines.put(line.rstrip("\n"))
        lines.put(None)

    def next(self, deadline: float) -> str | None:
        """The next line; None when there will be no more."""
        try:
            line = self.lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise AssertionError(f"it takes too long; so far:\n{self.text}") from None
        if line is not None:
            self.said.append(line)
        return line

    def until(self, text: str, seconds: float) -> str:
        """Wait for a line that contains this; the line."""
        deadline = time.monotonic() + seconds
        while (line := self.next(deadline)) is not None:
            if text in line:
                return line
        raise AssertionError(f"it ended without {text!r}:\n{self.text}")

    @property
    def text(self) -> str:
        """All that was said."""
        return "\n".join(self.said)

    def wait(self, seconds: float) -> int:
        """Its status, when it has ended."""
        deadline = time.monotonic() + seconds
        while self.next(deadline) is not None:
            pass
        return self.process.wait(seconds)

    def interrupt(self) -> None:
        """Press Ctrl-C: everything in the foreground hears it."""
        os.killpg(self.process.pid, signal.SIGINT)

    def kill(self) -> None:
        """End it with all that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Ada:
    """The person of the tour, at her browser."""

    def __init__(self, screenshots: Path) -> None:
        self.screenshots = screenshots

    def open(self, address: str) -> str:
        """Open the address, sign in, agree; the text of the page that she ends at."""
        with chromium() as browser, browser.tab() as tab:
            try:
                return self._agree(tab, address)
            except Exception as error:
                self.screenshots.mkdir(exist_ok=True)
                picture = self.screenshots / "readme-failed.png"
                tab.page.screenshot(path=picture)
                raise AssertionError(f"at {tab.page.url}, shown in {picture}: {error}") from error

    def _agree(self, tab: Tab, address: str) -> str:
        tab.open(address)
        tab.page.fill("#login", "ada")
        tab.page.fill("#password", PASSWORD)
        tab.page.click("#submit")
        tab.page.click("#allow")
        tab.page.locator("#allow").wait_for(state="detached")
        return str(tab.page.locator("body").inner_text())


class ReadmeTests(SynchronousTestCase):
    """A newcomer's first quarter of an hour."""

    def setUp(self) -> None:
        """Make the empty place: a copy of the source, and a home with nothing in it."""
        self.place = Path(tempfile.mkdtemp(prefix="oauthd-readme-"))
        self.addCleanup(shutil.rmtree, self.place, ignore_errors=True)
        self.source, home = self.place / "source", self.place / "home"
        home.mkdir()
        copy_source(self.source)
        own = {"HOME": home, "XDG_DATA_HOME": home / "data", "TMPDIR": self.place}
        self.environ = environment() | {"PIP_QUIET": "1"} | {name: str(path) for name, path in own.items()}
        self.ports = {number: port(number) for number in (8000, 8912)}
        if self.ports[8000] != 8000:
            self.environ["OAUTHD_SERVER_LISTEN"] = f"tcp:{self.ports[8000]}:interface=127.0.0.1"
        self.ada = Ada(Path("screenshots").absolute())

    def shell(self, script: str = "") -> Shell:
        """A bash in the source folder."""
        shell = Shell.start(self.source, self.environ, script)
        self.addCleanup(shell.kill)
        return shell

    def text(self, block: Block) -> str:
        """A block as printed, but for ports that are taken."""
        return re.sub(r"\b(8000|8912)\b", lambda number: str(self.ports[int(number[0])]), block.text)

    def play(self, shell: Shell, block: Block) -> str:
        """Run a block of the tour; what it printed, and at the end of it what Ada saw."""
        assert shell.process.stdin is not None
        before = len(shell.said)
        script = self.place / "block.sh"
        script.write_text(self.text(block))
        # Sourced, so that variables stay; from a file, so that no command eats the next one.
        shell.process.stdin.write(f". {script} < /dev/null; echo; echo '{END}'\n")
        shell.process.stdin.flush()
        deadline, seen = time.monotonic() + BLOCK, ""
        while (line := shell.next(deadline)) != END:
            if line is None:
                raise AssertionError(f"bash has gone:\n{shell.text}")
            if line.startswith("Open: "):
                seen = self.ada.open(line.removeprefix("Open: "))
        return "\n".join([*shell.said[before:-1], seen])

    def test_only_commands_are_fenced(self) -> None:
        """Whatever is fenced is for the shell, so nothing that is printed as a command stays untried."""
        self.assertEqual({block.language for block in blocks()}, {"sh"})

    def test_everything(self) -> None:
        """Every fenced command works as printed, in order, and shows what the text around it promises."""
        executable()  # without a browser there is no Ada: skip now, not in the middle
        serve, *tour, tests = blocks()
        server = self.shell(self.text(serve))
        server.until("oauthd serves", INSTALL)
        data = Path(server.until("data lies in", BLOCK).rpartition(" ")[2])
        credentials = Path(server.until("credentials are in", BLOCK).rpartition(" ")[2])
        self.assertEqual((data, credentials.parent), (self.place / "home/data/oauthd", data))

        shell = self.shell()
        said: dict[str, list[str]] = {}
        try:
            for block in tour:
                said.setdefault(block.heading, []).append(self.play(shell, block))
            self.judge(said)
        except BaseException:
            print(f"README so far:\n{shell.text}\n\nthe server:\n{server.text}")
            raise
        self.ended_and_found_again(server, serve)
        self.run_tests(tests)

    def judge(self, said: dict[str, list[str]]) -> None:
        """Compare what was said with what the text promises, block by block."""
        for outputs in said.values():
            for output in outputs:
                self.assertNotRegex(output, r"Traceback|command not found|curl: |No such file|server_error")
        (metadata,) = said["Five minutes with curl"]
        self.assertEqual(json.loads(metadata)["issuer"], f"http://localhost:{self.ports[8000]}")
        self.judge_machine(said["A machine gets a token"])
        self.judge_person(said["A person signs in on a web page"])
        self.judge_television(said["A television asks"])
        (out,) = said["And out"]
        before, after = answers(out)
        self.assertEqual((before["active"], before["username"]), (True, "ada"))
        self.assertEqual(after, {"active": False})
        self.assertIn("ada is deactivated", out)

    def judge_machine(self, said: list[str]) -> None:
        """Registered; a token, good and then not; and another one for the refresh token and the secret alone."""
        (client,), (token, good, bad), (refused, refreshed) = map(answers, said)
        self.assertEqual((client["name"], client["client_type"]), ("Your Service", "confidential"))
        self.assertEqual((good["active"], good["client_id"]), (True, client["client_id"]))
        self.assertIn('{"active":false}', said[1].splitlines())
        self.assertEqual(bad, {"active": False})
        self.assertEqual(refused["error"], "invalid_client")
        self.assertNotEqual(refreshed["access_token"], token["access_token"])

    def judge_person(self, said: list[str]) -> None:
        """Ada is made, comes back to the application, and is who she is."""
        made, agreed, exchanged = said
        self.assertRegex(made, r"(?m)^username +ada$")
        self.assertNotIn(PASSWORD, made)
        self.assertIn("Thank you.", agreed)
        tokens, who = answers(exchanged)
        self.assertEqual(tokens["scope"], "openid")
        self.assertEqual((who["username"], who["email"]), ("ada", "ada@example.com"))

    def judge_television(self, said: list[str]) -> None:
        """The television waits, is let in, and stays in without a secret."""
        let_in, refreshed = said
        client, asked, tokens = answers(let_in)
        self.assertNotIn("client_secret", client)
        self.assertEqual(asked["interval"], 5)
        self.assertIn("Device connected", let_in)
        (again,) = answers(refreshed)
        self.assertEqual((tokens["scope"], again["scope"]), ("openid", "openid"))
        self.assertNotEqual(again["refresh_token"], tokens["refresh_token"])

    def ended_and_found_again(self, server: Shell, serve: Block) -> None:
        """Ctrl-C ends the server in order; the next start finds everything again."""
        server.interrupt()
        self.assertEqual(server.wait(BLOCK), 0, server.text)
        again = self.shell(self.text(serve).split("&&")[-1].strip())
        again.until("oauthd serves", BLOCK)
        command = [str(self.source / "oauthd-venv/bin/oauthd"), "--json", "user", "list"]
        listed = json.loads(subprocess.check_output(command, env=self.environ, timeout=BLOCK))
        self.assertEqual({user["username"]: user["is_active"] for user in listed}, {"admin": True, "ada": False})
        again.interrupt()
        self.assertEqual(again.wait(BLOCK), 0, again.text)

    def run_tests(self, block: Block) -> None:
        """Run the block with the tests: tox is installed, reads what it is to do, and makes an environment."""
        self.environ |= {"TOX_SKIP_ENV": "(?!lint$).*", "TOX_NO_TEST": "1"}
        shell = self.shell(block.text)
        status = shell.wait(INSTALL)
        self.assertEqual(status, 0, shell.text)
        self.assertIn("lint: OK", shell.text)


def answers(said: str) -> list[Any]:
    """The JSON answers among the lines."""
    return [json.loads(line) for line in said.splitlines() if line.startswith("{")]
