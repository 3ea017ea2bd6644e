"""How values of settings are written: in a TOML file, and as text in the environment and on the command line.

One `Written` per type, found by the type that a setting is declared with. Refuses a value of another type, also where
Python would let it pass (a boolean for a number, NaN for a float, a number for text). Ranges and meaning are judged
by the declaration, not here.

An empty text means "not set" for an optional setting, in a file and in the environment alike, because TOML has no null.
"""

from __future__ import annotations

import ipaddress
import math
import re
import types
from collections.abc import Callable, Iterable
from typing import Any, Literal, Union, get_args, get_origin

import attrs

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_WHOLE = re.compile(r"[+-]?[0-9]+")
_ON = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_DIGITS = 18  # far above every range; without a limit, thousands of digits are Python's own error


@attrs.frozen
class Written:
    """How one type of value is written and read.

    `words` describes one to people and `many` several; `plain` gives a value as TOML knows it (str, int, float, bool or
    a list of these); `from_toml` and `from_text` read one, and raise ValueError with a reason that does not quote what
    was given when their second argument is false.
    """

    words: str
    from_toml: Callable[[object, bool], object]
    from_text: Callable[[str, bool], object]
    plain: Callable[[Any], object]
    many: str = "values"
    is_list: bool = False


def written_as(kind: object) -> Written:
    """The way values of this type are written. Raises TypeError for a type that no setting has had so far."""
    simple: dict[object, Written] = {bool: _BOOLEAN, int: _INTEGER, float: _FLOAT, str: _TEXT, Network: _NETWORK}
    if kind in simple:
        return simple[kind]
    origin, inner = get_origin(kind), get_args(kind)
    if origin is tuple and len(inner) == 2 and inner[1] is Ellipsis:
        return _list_of(written_as(inner[0]))
    if origin is Literal:
        return _choice(inner)
    if origin in (Union, types.UnionType) and len(inner) == 2:
        if inner[1] is type(None):
            return _optional(written_as(inner[0]))
        return _either(written_as(inner[0]), written_as(inner[1]))
    raise TypeError(f"settings of type {kind} cannot be written yet")


def wrong(expected: str, given: object, quote: bool) -> ValueError:
    """The refusal of a value: what it must be, and what it is unless that may not be shown."""
    if not quote:
        return ValueError(f"must be {expected}")
    text = repr(given)
    return ValueError(f"must be {expected}, is {text if len(text) <= 80 else text[:77] + '...'}")


def _integer(text: str, quote: bool) -> object:
    if not _WHOLE.fullmatch(text) or len(text) > _DIGITS:
        raise wrong(_INTEGER.words, text, quote)
    return int(text)


def _integer_toml(given: object, quote: bool) -> object:
    if type(given) is not int:
        raise wrong(_INTEGER.words, given, quote)
    return given


def _float(text: str, quote: bool) -> object:
    try:
        return _float_toml(float(text), quote)
    except ValueError:
        raise wrong(_FLOAT.words, text, quote) from None


def _float_toml(given: object, quote: bool) -> object:
    if isinstance(given, int | float) and not isinstance(given, bool):
        try:
            value = float(given)
        except OverflowError:
            value = math.inf
        if math.isfinite(value):
            return value
    raise wrong(_FLOAT.words, given, quote)


def _boolean(text: str, quote: bool) -> object:
    if text.lower() not in _ON:
        raise wrong(_BOOLEAN.words, text, quote)
    return _ON[text.lower()]


def _boolean_toml(given: object, quote: bool) -> object:
    if type(given) is not bool:
        raise wrong(_BOOLEAN.words, given, quote)
    return given


def _text(given: object, quote: bool) -> object:
    # Bytes of an environment that were not UTF-8 arrive as lone surrogates, which no file and no page can hold.
    if not isinstance(given, str) or any("\ud800" <= character <= "\udfff" for character in given):
        raise wrong(_TEXT.words, given, quote)
    return given


def _network(given: object, quote: bool) -> object:
    try:
        return ipaddress.ip_network(str(_text(given, quote)))
    except ValueError:
        raise wrong(_NETWORK.words, given, quote) from None


def _same(value: object) -> object:
    return value


_BOOLEAN = Written("true or false", _boolean_toml, _boolean, _same)
_INTEGER = Written("a whole number", _integer_toml, _integer, _same)
_FLOAT = Written("a number", _float_toml, _float, _same)
_TEXT = Written("text", _text, _text, _same, many="texts")
_NETWORK = Written(
    "an IP address or network such as 10.0.0.0/8",
    _network,
    _network,
    str,
    many="IP addresses or networks such as 10.0.0.0/8",
)


def _list_of(one: Written) -> Written:
    words = f"a list of {one.many}"

    def from_toml(given: object, quote: bool) -> object:
        if not isinstance(given, list):
            raise wrong(words, given, quote)
        return tuple(one.from_toml(item, quote) for item in given)

    def from_text(text: str, quote: bool) -> object:
        # Commas stand for themselves in no other way: a value that holds one belongs in the file.
        return tuple(one.from_text(item.strip(), quote) for item in text.split(",") if item.strip())

    def plain(value: Iterable[object]) -> object:
        return [one.plain(item) for item in value]

    return Written(words, from_toml, from_text, plain, is_list=True)


def _choice(words: tuple[str, ...]) -> Written:
    spelled = ", ".join(f'"{word}"' for word in words[:-1]) + f' or "{words[-1]}"' if words[1:] else f'"{words[0]}"'

    def choose(given: object, quote: bool) -> object:
        if given not in words:
            raise wrong(spelled, given, quote)
        return given

    return Written(spelled, choose, choose, _same, many=spelled)


def _optional(one: Written) -> Written:
    def from_toml(given: object, quote: bool) -> object:
        return None if given == "" else one.from_toml(given, quote)

    def from_text(text: str, quote: bool) -> object:
        return None if text == "" else one.from_text(text, quote)

    def plain(value: object) -> object:
        return "" if value is None else one.plain(value)

    return Written(f"{one.words}, or empty", from_toml, from_text, plain, is_list=one.is_list)


def _either(first: Written, second: Written) -> Written:
    words = f"{first.words} or {second.words}"

    def from_toml(given: object, quote: bool) -> object:
        return _first_that_reads(words, given, quote, first.from_toml, second.from_toml)

    def from_text(text: str, quote: bool) -> object:
        return _first_that_reads(words, text, quote, first.from_text, second.from_text)

    return Written(words, from_toml, from_text, _same)


def _first_that_reads(words: str, given: Any, quote: bool, *ways: Callable[[Any, bool], object]) -> object:
    for way in ways:
        try:
            return way(given, quote)
        except ValueError:
            continue
    raise wrong(words, given, quote)
