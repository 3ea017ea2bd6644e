"""The admin API of a real daemon, tried by schemathesis with everything that it can do."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.live.daemon import SOURCE, LiveCase

EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "30")


class SchemathesisTests(LiveCase):
    """All phases, all checks, nothing excluded."""

    timeout = 3000  # it takes some minutes, and more on a busy machine

    def test_everything(self) -> None:
        """Of thousands of good and bad requests to every operation each is answered as the document says."""
        daemon = self.daemon()
        document = daemon.folder / "openapi.json"
        # As a file, since of an address schemathesis leaves out the operation that the document itself is.
        document.write_bytes(daemon.http.get("/api/v1/openapi.json").body)
        done = subprocess.run(
            [
                *(str(Path(sys.executable).parent / "schemathesis"), "run", str(document)),
                *("--url", f"http://127.0.0.1:{daemon.port}", "--checks", "all"),
                *("--phases", "examples,coverage,fuzzing,stateful", "--max-examples", EXAMPLES),
                *("--generation-database", "none", "--no-color"),
            ],
            cwd=daemon.folder,
            env=os.environ
            | {
                "SCHEMATHESIS_HOOKS": "tests.live.schemathesis_hooks",
                "PYTHONPATH": str(SOURCE),
                "ADMIN_API": f"http://127.0.0.1:{daemon.port}",
                "ADMIN_CREDENTIALS": str(daemon.data / "admin-credentials.json"),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertRegex(done.stdout, r"Selected: (\d+)/\1\n\s+Tested: \1\n")
        passed = re.search(r"(\d+) generated, \1 passed", done.stdout)
        self.assertIsNotNone(passed, done.stdout)
