"""Reading a command line as skopeo's users write it: pflag's rules on top of argparse.

Wrong usage is exit 1 (argparse would say 2), ``--flag`` and ``--flag=false`` are both fine for booleans, options and
images may interleave, long options are never abbreviated.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import NoReturn

from plimsoll.errors import UsageError

_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ns|us|\u00b5s|ms|s|m|h))+")
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|\u00b5s|ms|s|m|h)")
_LONGEST_S = 2**63 / 1e9
"""Go's durations are 64 bits of nanoseconds, some 292 years."""
_AS_IT_IS = "\0"
"""Put before a word that stands behind ``--``; no operating system hands over one that has it."""
_SECONDS = {"ns": 1e-9, "us": 1e-6, "\u00b5s": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """A boolean's value is not the next word, so it is not shown as one."""

    def _format_action_invocation(self, action: argparse.Action) -> str:
        return super()._format_action_invocation(action).replace(" [=BOOL]", "[=BOOL]")


class Parser(argparse.ArgumentParser):
    """An argparse parser that raises UsageError and never abbreviates."""

    def __init__(self, *, prog: str, description: str, usage: str | None = None, epilog: str | None = None) -> None:
        super().__init__(
            prog=prog,
            description=description,
            usage=usage,
            epilog=epilog,
            allow_abbrev=False,
            formatter_class=_HelpFormatter,
        )
        self._booleans: set[str] = set()

    def add_boolean(self, *names: str, help: str, default: bool | None = False) -> None:  # noqa: A002  # argparse's word
        """An option that may stand bare or as ``--x=true|false``; ``default`` None tells unset from false."""
        self._booleans.update(names)
        self.add_argument(*names, type=boolean, default=default, metavar="[=BOOL]", help=help)

    def add_pairs(self, *names: str, dest: str, help: str) -> None:  # noqa: A002  # as above
        """An option that takes ``KEY=VALUE`` and may be given again."""
        self.add_argument(*names, dest=dest, action="append", default=[], type=pair, metavar="KEY=VALUE", help=help)

    def error(self, message: str) -> NoReturn:
        """Raise UsageError instead of leaving the process."""
        raise UsageError(message.replace(_AS_IT_IS, ""))

    def read(self, argv: Sequence[str]) -> argparse.Namespace:
        """Parse; raises UsageError for anything that does not fit."""
        end = self._end_of_options(argv)
        words = [self._spelled_out(word) for word in argv[:end]]
        # argparse's intermixed reading loses the "--": what stands behind it is disguised instead.
        found = self.parse_intermixed_args([*words, *[_AS_IT_IS + word for word in argv[end + 1 :]]])
        for name, value in vars(found).items():
            setattr(found, name, _undisguised(value))
        return found

    def _end_of_options(self, words: Sequence[str]) -> int:
        """Where the ``--`` stands that is no option's value; argparse refuses one that is."""
        at = 0
        while at < len(words) and words[at] != "--":
            option = None if words[at] in self._booleans else self._option_string_actions.get(words[at])
            at += 1 if option is None or option.nargs == 0 else 2
        return min(at, len(words))

    def _spelled_out(self, word: str) -> str:
        # "--x false" does not exist in pflag: a bare boolean never takes the next word.
        return f"{word}=true" if word in self._booleans else word


def _undisguised(value: object) -> object:
    if isinstance(value, list):
        return [_undisguised(item) for item in value]
    return value.removeprefix(_AS_IT_IS) if isinstance(value, str) else value


def boolean(text: str) -> bool:
    """Go's ParseBool."""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise argparse.ArgumentTypeError(f"{text!r} is no boolean: write true or false")


def duration(text: str) -> float:
    """A Go duration such as ``300ms`` or ``1m30s``, in seconds."""
    if not _DURATION.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no duration: write 30s, 500ms or 1m30s")
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(text))
    if seconds <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no time at all")
    if seconds >= _LONGEST_S:
        raise argparse.ArgumentTypeError(f"{text[:64]!r} is too long a time")
    return seconds


def count(text: str) -> int:
    """A whole number from 1."""
    if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1")
    return int(text)


def count_or_none(text: str) -> int:
    """A whole number from 0."""
    if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0")
    return int(text)


def rate(text: str) -> float:
    """A number above 0."""
    if not re.fullmatch(r"[0-9]{1,9}(?:\.[0-9]{1,6})?", text, re.ASCII) or float(text) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return float(text)


def pair(text: str) -> tuple[str, str]:
    """``KEY=VALUE``."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key, value
