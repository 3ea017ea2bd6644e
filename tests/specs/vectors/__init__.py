"""The examples of specifications, as data: a file for each, whose members are named after the sections."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature

from oauthd.protocol import jose
from oauthd.protocol.jose.algorithms import rules


def examples(name: str) -> dict[str, Any]:
    """The examples of one specification."""
    found: dict[str, Any] = json.loads((Path(__file__).parent / f"{name}.json").read_text("utf-8"))
    return found


def verifies(token: str, key: dict[str, Any], algorithm: str) -> bool:
    """Is the signature that key's? The content need not be JSON, which the examples' often is not."""
    data, _, signature = token.rpartition(".")
    try:
        rules(algorithm).verify(jose.public_key(key), jose.decode(signature), data.encode())
    except InvalidSignature:
        return False
    return True


def altered(token: str) -> str:
    """The same with another character in its signature, far from its end."""
    data, _, signature = token.rpartition(".")
    return f"{data}.{signature[:9]}{'A' if signature[9] != 'A' else 'B'}{signature[10:]}"
