"""Issuers, subjects and claims of foreign policies, in our terms: a text, or a regexp of the whole text. Pure.

cosign's and policy-controller's regexps are Go's and search; ours match the whole text, so one of theirs gets any text
before and behind it. Kyverno's plain texts may have its wildcards, which cross ``/`` as no pattern of ours does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from plimsoll.errors import UsageError
from plimsoll.model.identity import Exact, Regexp, RegexpReading, TextMatch

ANY_TEXT: Final = Regexp(pattern="(?s:.+)")
_ANCHORED: Final = re.compile(r"(?s)\^(?:[^|\\(]|\\[^Q]|\((?!\?))*(?<!\\)\$")


@dataclass(frozen=True, slots=True, kw_only=True)
class TextReading:
    """A text to match, None where it cannot be said, and what is to be said of that."""

    match: TextMatch | None
    message: str = ""
    stricter: bool = False


def searched(pattern: str) -> TextReading:
    """A regexp that searches, as one that matches the whole."""
    try:
        Regexp(pattern=pattern, reading=RegexpReading.SEARCH)
        if _ANCHORED.fullmatch(pattern):
            return TextReading(match=Regexp(pattern=pattern))
        whole = Regexp(pattern=f"(?s:.*)(?:{pattern})(?s:.*)")
    except UsageError as error:
        return TextReading(match=None, message=str(error))
    return TextReading(
        match=whole,
        message="the regexp searches there and matches the whole text here: .* was put before and behind it to keep "
        "its meaning; anchor it with ^ and $ if that is not what you want",
    )


def read_pair(exact: str | None, pattern: str | None) -> TextReading | None:
    """A text and a regexp that searches, of which one may be missing; None where both are.

    Of both, cosign reads the regexp or demands both, by the signature's format: the text is taken where it matches too.
    """
    if pattern is None:
        return None if exact is None else _exact(exact)
    if exact is None:
        return searched(pattern)
    found = searched(pattern)
    if found.match is None or not found.match.matches(exact):
        return TextReading(match=None, message=f"no text is {exact!r:.160} and matches {pattern!r:.160}")
    return TextReading(
        match=Exact(text=exact), stricter=True, message="of the text and the regexp only the text is demanded"
    )


def wildcarded(text: str) -> TextReading:
    """A text with Kyverno's wildcards: ``*`` is any run of characters, ``?`` is any one."""
    if not re.search(r"[*?]", text):
        return _exact(text)
    pieces = [
        {"*": "(?s:.*)", "?": "(?s:.)"}.get(piece) or _quoted(piece) for piece in re.findall(r"[*?]|[^*?]+", text)
    ]
    try:
        return TextReading(match=Regexp(pattern="".join(pieces)))
    except UsageError as error:
        return TextReading(match=None, message=str(error))


def _exact(text: str) -> TextReading:
    try:
        return TextReading(match=Exact(text=text))
    except UsageError as error:
        return TextReading(match=None, message=str(error))


def _quoted(text: str) -> str:
    """RE2 takes a backslash before any ASCII punctuation, and before nothing else that stands for itself."""
    return re.sub(r"([\\.+()|\[\]{}^$])", r"\\\1", text)
