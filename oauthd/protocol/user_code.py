"""The code a person carries from a device to a browser (RFC 8628 section 6.1): eight consonants, shown as XXXX-XXXX.

Twenty letters without vowels make no words and need no second keyboard; eight of them are 34.5 bits, which section 5.1
finds enough together with limits on guessing. Those limits, and how long a code lives, are for others.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Final

ALPHABET: Final = "BCDFGHJKLMNPQRSTVWXZ"
LENGTH: Final = 8
_COUNT = len(ALPHABET) ** LENGTH
_FAIR = 2**64 - 2**64 % _COUNT  # below this every code is equally likely
_LONGEST_INPUT = 64


def new(entropy: Callable[[int], bytes]) -> str:
    """A fresh code in its canonical form, each of the 20 to the 8th equally likely."""
    while (number := int.from_bytes(entropy(8), "big")) >= _FAIR:
        pass  # once in a thousand million draws
    letters = []
    for _ in range(LENGTH):
        number, letter = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[letter])
    return "".join(letters)


def shown(code: str) -> str:
    """The canonical code as a person reads it."""
    return f"{code[: LENGTH // 2]}-{code[LENGTH // 2 :]}"


def normalise(typed: str) -> str | None:
    """The canonical code that was typed, None when it can be none.

    Case, spaces, dashes and other punctuation do not count (RFC 8628 section 6.1); a letter or digit that no code has
    is a slip of the finger, not noise, and refused.
    """
    if len(typed) > _LONGEST_INPUT:
        return None
    letters = [letter for letter in unicodedata.normalize("NFKC", typed).upper() if letter.isalnum()]
    code = "".join(letters)
    return code if len(code) == LENGTH and all(letter in ALPHABET for letter in code) else None
