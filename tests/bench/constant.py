"""A plain Klein application that answers everything with one constant: what a server on Klein costs at the least.

    python -m tests.bench.constant PORT FILE

The answer is in the file: its header fields, an empty line, its body.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from klein import Klein
from twisted.internet import reactor
from twisted.web.server import Site


def application(fields: list[tuple[bytes, bytes]], body: bytes) -> Klein:
    """The application."""
    app = Klein()

    @app.route("/<path:path>", methods=["POST"])
    def answer(request: Any, path: str) -> bytes:
        for name, value in fields:
            request.setHeader(name, value)
        return body

    return app


def main(port: str, answer: str) -> None:
    """Serve until ended."""
    head, _, body = Path(answer).read_bytes().partition(b"\n\n")
    fields = [(name, value.strip()) for name, _, value in (line.partition(b":") for line in head.split(b"\n"))]
    running: Any = reactor
    running.listenTCP(int(port), Site(application(fields, body).resource()), interface="127.0.0.1")
    running.run()


if __name__ == "__main__":
    main(*sys.argv[1:3])
