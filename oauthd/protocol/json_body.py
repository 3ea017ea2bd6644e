"""A JSON object in the body of a request (RFC 8259), read one way only.

Refused: another media type, other encodings than UTF-8, member names sent twice (RFC 8259 section 4 leaves to chance
which one counts), NaN and infinities, unpaired surrogates, deep nesting, anything but an object at the top. What the
members mean is for the endpoint to say.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from oauthd.protocol.errors import CONTENT_TOO_LARGE, INVALID_REQUEST, UNSUPPORTED_MEDIA_TYPE
from oauthd.protocol.messages import Request

DEPTH = 32
SIZE = 65536

_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_OTHERS = re.compile(r"[^\[\]{}]+")
_ALIKE = str.maketrans("{}", "[]")


def read_json(request: Request, depth: int = DEPTH, size: int = SIZE) -> dict[str, Any]:
    """The object in the body.

    :param depth: how many arrays and objects may stand within each other.
    :param size: how many bytes the body may have.
    :raises OAuthError: `unsupported_media_type` (415), `content_too_large` (413), else `invalid_request` (400).
    """
    if request.content_type != "application/json":
        raise UNSUPPORTED_MEDIA_TYPE("the body must be application/json")
    if len(request.body) > size:
        raise CONTENT_TOO_LARGE("the body is too large")
    try:
        text = request.body.decode()
    except UnicodeDecodeError:
        raise INVALID_REQUEST("the body is not UTF-8") from None
    value = strict(text, "the body", depth)
    if not isinstance(value, dict):
        raise INVALID_REQUEST("the body must be a JSON object")
    return value


def strict(text: str, name: str, depth: int = DEPTH) -> Any:
    """The value that a JSON text stands for; its size is for the caller to bound.

    :param name: what to call it in errors.
    :raises OAuthError: `invalid_request`.
    """
    # Before parsing: the parser itself recurses. Where little is opened, by its count alone, nothing can be deep.
    if text.count("[") + text.count("{") > depth and _depth(text, depth) > depth:
        raise INVALID_REQUEST(f"{name} is nested too deeply")
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant, parse_float=_finite)
    except ValueError:  # JSONDecodeError, and numbers of more digits than Python reads
        raise INVALID_REQUEST(f"{name} is not valid JSON") from None
    if "\\" in text and "\\u" in text:  # one character is found ten times as fast as two
        _refuse_surrogates(value, name)
    return value


def _depth(text: str, most: int) -> int:
    """The deepest nesting, counted outside strings, or more than `most`. Exact for valid JSON up to that, and at least
    what a parser goes down to. Character by character it would cost more than all the rest."""
    opened = text.count("[") + text.count("{")
    if opened <= 1:
        return opened
    left = _OTHERS.sub("", _STRING.sub("", text)).translate(_ALIKE)
    depth = 0
    while "[]" in left and depth <= most:
        left = left.replace("[]", "")  # the innermost of all
        depth += 1
    return depth + left.count("[")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise INVALID_REQUEST("a member of the JSON object is repeated")  # the name is input: not echoed
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number beyond what is finite")
    return number


def _refuse_surrogates(value: Any, name: str) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise INVALID_REQUEST(f"{name} holds an unpaired surrogate") from None
