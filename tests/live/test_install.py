"""The wheel in a fresh environment: the plugin is found there, and everything that belongs to it has come along."""

from __future__ import annotations

from oauthd.config import flags
from tests.live.daemon import LiveCase, installed, run, twistd


class InstallTests(LiveCase):
    """What somebody finds who has just typed `pip install .`."""

    def test_twistd_knows_it(self) -> None:
        """`twistd --help` lists oauthd."""
        self.assertRegex(run(twistd(), "--help", cwd=self.folder), r"(?m)^\s+oauthd\s+\S")

    def test_flags(self) -> None:
        """`twistd oauthd --help` shows every flag that the settings declare, and the one for their file."""
        shown = run(twistd(), "oauthd", "--help", cwd=self.folder)
        for long in ("config", "version", "help", *(flag.long for flag in flags())):
            self.assertRegex(shown, rf"(?m)^\s+(-\w, )?--{long}\b")

    def test_command(self) -> None:
        """The package installs the `oauthd` command, which tells how it is used."""
        self.assertIn("Usage: oauthd", run(str(installed() / "bin" / "oauthd"), "--help", cwd=self.folder))

    def test_source_is_not_needed(self) -> None:
        """What is imported is the installed package, and no test has come along."""
        program = "import oauthd, importlib.util; print(oauthd.__file__, importlib.util.find_spec('tests'))"
        said = run(str(installed() / "bin" / "python"), "-c", program, cwd=self.folder).strip()
        self.assertTrue(said.startswith(str(installed() / "lib")), said)
        self.assertTrue(said.endswith(" None"), said)
