"""JSON as this project writes it: compact, and as plain as it can be.

The encoder of the standard library is made once; it makes itself anew for each value otherwise, which takes longer than
the writing.
"""

from __future__ import annotations

import json
import json.encoder
from typing import Any

_MAKE: Any = getattr(json.encoder, "c_make_encoder", None)


def _refuse(value: object) -> Any:
    raise TypeError(f"a {type(value).__name__} is nothing that JSON has")


if _MAKE is not None:
    # As JSONEncoder.iterencode calls it.
    _encode = _MAKE(None, _refuse, json.encoder.encode_basestring, None, ":", ",", False, False, False)

    def text(value: Any) -> str:
        """A value as JSON, without blanks and with every character as it is.

        :raises TypeError: for what JSON does not have.
        :raises ValueError: for numbers that are none.
        """
        return "".join(_encode(value, 0))

else:  # an interpreter without its part in C

    def text(value: Any) -> str:
        """A value as JSON, without blanks and with every character as it is."""
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
