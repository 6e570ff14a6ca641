"""The values of a plimsoll document that JSON has no word for: counts, durations, times; another is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from plimsoll import limits
from plimsoll.errors import PolicyError
from plimsoll.policy.fields import filled_text_at, kind, list_at, map_at, shown

_DURATION: Final = re.compile(r"([1-9][0-9]{0,9})([smhdw])", re.ASCII)
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_TIME: Final = re.compile(rf"{_DATE.pattern}T[0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}(?:Z|[+-][0-9]{{2}}:[0-9]{{2}})", re.ASCII)


def count_at(value: object, where: str) -> int:
    """The whole number at ``where``, at least 1; raises PolicyError, also for true, 1.0 and "1"."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise PolicyError(f"{where}: a whole number is needed, not {kind(value)}")
    if value < 1:
        raise PolicyError(f"{where}: {value} is too small: at least 1")
    return value


def true_at(value: object, where: str) -> bool:
    """The ``true`` at ``where``; raises PolicyError, also for false, which would say nothing."""
    if value is not True:
        raise PolicyError(f"{where}: write true, or leave the key out")
    return True


def word_at(value: object, where: str, *, words: tuple[str, ...]) -> str:
    """One of ``words``; raises PolicyError."""
    text = filled_text_at(value, where)
    if text not in words:
        raise PolicyError(f"{where}: {shown(text)} is none of {', '.join(words)}")
    return text


def duration_at(value: object, where: str) -> float:
    """A duration such as ``7d``, in seconds; raises PolicyError."""
    text = filled_text_at(value, where)
    found = _DURATION.fullmatch(text)
    if found is None:
        raise PolicyError(f"{where}: {shown(text)} is no duration: write a number and s, m, h, d or w, such as 7d")
    seconds = int(found[1]) * _SECONDS[found[2]]
    if seconds > limits.POLICY_DURATION_S:
        raise PolicyError(f"{where}: {shown(text)} is longer than a hundred years")
    return float(seconds)


def time_at(value: object, where: str) -> float:
    """A date (its first moment, in UTC) or an RFC 3339 time with a zone, in seconds since 1970; raises PolicyError."""
    text = filled_text_at(value, where)
    form = f"{text}T00:00:00Z" if _DATE.fullmatch(text) else text
    if _TIME.fullmatch(form) is None:
        raise PolicyError(f"{where}: {shown(text)} is no time: write 2027-01-31, or 2027-01-31T12:00:00Z with a zone")
    try:
        return datetime.fromisoformat(form).timestamp()
    except (ValueError, OverflowError) as error:
        raise PolicyError(f"{where}: {shown(text)} is no time: {error}") from None


def filled_list_at(value: object, where: str, *, most: int) -> list[object]:
    """A list with at least one entry; raises PolicyError."""
    listed = list_at(value, where)
    if not listed:
        raise PolicyError(f"{where}: the list is empty, which nothing could meet")
    if len(listed) > most:
        raise PolicyError(f"{where}: {len(listed)} entries; at most {most}")
    return listed


def filled_map_at(value: object, where: str) -> dict[str, object]:
    """An object with at least one member, none of them called ""; raises PolicyError."""
    found = map_at(value, where)
    if not found:
        raise PolicyError(f"{where}: the object is empty: leave the key out")
    if "" in found:
        raise PolicyError(f"{where}: a name is empty")
    return found


def one_of(fields: Mapping[str, object], where: str, *, names: tuple[str, ...]) -> str:
    """The one of ``names`` that is there; raises PolicyError for none and for several."""
    given = [name for name in names if name in fields]
    if len(given) != 1:
        found = " and ".join(given) or "none"
        raise PolicyError(f"{where}: exactly one of {', '.join(names)} is needed; {found} given")
    return given[0]
