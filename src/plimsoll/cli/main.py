"""The command: finds what was asked, imports that and nothing else, and turns errors into messages and exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from types import ModuleType
from typing import Final, Protocol, cast

from plimsoll.cli import deadline
from plimsoll.cli.arguments import Parser
from plimsoll.errors import PlimsollError, UsageError

COMMANDS: Final = {
    "verify": "judge images: may they be run, and why (not)",
    "policy": "lint, test and compare policies; explain one image's verdict",
    "trust": "show, export or refresh the trusted root of logs and authorities",
    "digest": "print the SHA-256 of files, hashed in interleaved lanes",
    "sign": "sign an image with a sigstore key, keyless, or with GPG",
    "attest": "sign a statement about an image: provenance, an SBOM, a scan",
    "generate-sigstore-key": "write a new key pair, the private half encrypted",
    "standalone-sign": "sign a manifest in a file with GPG",
    "standalone-verify": "verify a GPG signature of a manifest in a file",
    "demo": "verify a few hundred images, good and forged, in an embedded registry",
    "serve": "serve a folder of OCI layouts as a registry",
    "conformance": "the sigstore conformance suite's protocol: verify or make a bundle of a file",
    "version": "print the version, and with --verbose what was built in",
}
_MODULES: Final = {"trust": "trust_command"}
"""Commands whose module has another name than they."""
# skopeo's persistent flags: accepted before the command too.
_GLOBAL_WITH_VALUE: Final = frozenset(
    {"--policy", "--registries.d", "--registries-conf", "--command-timeout", "--tmpdir", "--user-agent-prefix"}
    | {"--override-arch", "--override-os", "--override-variant"}
)
_USAGE: Final = (
    "usage: plimsoll [GLOBAL OPTIONS] COMMAND [OPTIONS]\n\nplimsoll verifies container images.\n\ncommands:\n"
)


class Command(Protocol):
    """What a command's module offers."""

    add_arguments: Callable[[Parser], None]
    run: Callable[..., int]
    USAGE: str


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    _hold_standard_files()
    try:
        code = _dispatch(words)
        sys.stdout.flush()
    except PlimsollError as error:
        return _complain(str(error))
    except deadline.OutOfTime:
        return _complain("the time of --command-timeout is over: the command was ended")
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        return _unprinted(error)
    return code


def _hold_standard_files() -> None:
    """Take a 0, 1 or 2 that the shell closed (``>&-``) before a socket or a file gets that number.

    What is read from such a stdin or written to such a stdout fails, and the command with it; what to such a stderr
    is lost.
    """
    for descriptor, mode in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, mode)  # gets the lowest number that is free
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115  # for the process's life
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115  # as above
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115  # as above


def _dispatch(words: list[str]) -> int:
    leading, name, rest = _split(words)
    if name is None:
        return _without_command(leading)
    if name not in COMMANDS:
        raise UsageError(f"unknown command {name!r}; try plimsoll --help")
    module = import_module(f"plimsoll.cli.{_MODULES.get(name, name.replace('-', '_'))}")
    actions: dict[str, str] = getattr(module, "ACTIONS", {})
    if not actions:
        return _run(module, [*leading, *rest], name=name, description=COMMANDS[name])
    before, action, after = _split(rest)
    if action is None:
        return _without_action(name, before, actions)
    if action not in actions:
        raise UsageError(f"plimsoll {name} has no {action!r}; try plimsoll {name} --help")
    module = import_module(f"plimsoll.cli.{name}_{action.replace('-', '_')}")
    return _run(module, [*leading, *before, *after], name=f"{name} {action}", description=actions[action])


def _run(found: ModuleType, words: list[str], *, name: str, description: str) -> int:
    module = cast("Command", found)
    parser = Parser(prog=f"plimsoll {name}", description=description, usage=getattr(module, "USAGE", None))
    module.add_arguments(parser)
    try:
        arguments = parser.read(words)
    except UsageError as error:
        raise UsageError(f"{error}; try plimsoll {name} --help") from None
    except SystemExit as leave:  # --help
        return int(leave.code or 0)
    with deadline.within(getattr(arguments, "command_timeout", None)):
        return module.run(arguments)


def _split(words: list[str]) -> tuple[list[str], str | None, list[str]]:
    at = 0
    while at < len(words) and words[at].startswith("-"):
        at += 2 if words[at] in _GLOBAL_WITH_VALUE else 1
    return words[:at], words[at] if at < len(words) else None, words[at + 1 :]


def _without_command(leading: list[str]) -> int:
    if any(word in ("-h", "--help") for word in leading):
        lines = [f"  {name:<22} {what}\n" for name, what in COMMANDS.items()]
        sys.stdout.write(_USAGE + "".join(lines) + "\nplimsoll COMMAND --help tells more.\n")
        return 0
    if any(word in ("-v", "--version") for word in leading):
        return import_module("plimsoll.cli.version").run(None)  # type: ignore[no-any-return]  # as Command.run
    raise UsageError("no command is given; try plimsoll --help")


def _without_action(name: str, leading: list[str], actions: dict[str, str]) -> int:
    if not any(word in ("-h", "--help") for word in leading):
        raise UsageError(f"plimsoll {name} needs to know what: {', '.join(actions)}")
    width = max(9, *[len(action) for action in actions])
    lines = [f"  {action:<{width}} {what}\n" for action, what in actions.items()]
    sys.stdout.write(
        f"usage: plimsoll {name} ACTION [OPTIONS]\n\n{''.join(lines)}\nplimsoll {name} ACTION --help tells more.\n"
    )
    return 0


def _unprinted(error: OSError) -> int:
    """Stdout could not take it: say so once; Python would try again at its end, with a traceback and exit 120.

    An error that names a file is that file's.
    """
    if error.filename is not None:
        return _complain(str(error))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return 1 if isinstance(error, BrokenPipeError) else _complain(error.strerror or str(error))


def _complain(message: str) -> int:
    escape = import_module("plimsoll.report.escape").printable
    sys.stderr.write(f"plimsoll: {escape(message)}\n")
    return 1
