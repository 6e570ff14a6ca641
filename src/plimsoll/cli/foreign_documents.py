"""Foreign policies in files, each as a section that remembers what was not read of it."""

from __future__ import annotations

from typing import assert_never

from plimsoll import limits
from plimsoll.config.files import read_file
from plimsoll.config.yaml_document import Map, Node, Scalar, Sequence, read_yaml
from plimsoll.errors import ConfigError, UsageError
from plimsoll.policy.foreign import Findings, Foreign, Section


def read_documents(paths: list[str], findings: Findings) -> tuple[Section, ...]:
    """The policies in ``paths``, of which each holds one, or a Kubernetes list of them; raises ConfigError."""
    if len(paths) > limits.CONVERSION_FILES:
        raise UsageError(f"{len(paths)} files: at most {limits.CONVERSION_FILES}")
    sections: list[Section] = []
    for path in paths:
        where = "" if len(paths) == 1 else f"({path})"
        sections += _items(Section(_read(path), where, findings), path)
    return tuple(sections)


def _items(document: Section, path: str) -> tuple[Section, ...]:
    if not (document.text("kind") or "").endswith("List"):
        return (document,)
    items = document.sections("items")
    document.say_nothing("apiVersion", "metadata")
    if document.close() or not items:
        raise ConfigError(f"{path!r} is a list of no policies, or of more than policies: convert its items")
    return items


def _read(path: str) -> Foreign:
    try:
        found = read_file(path, limit=limits.POLICY_BYTES)
    except FileNotFoundError as error:
        raise ConfigError(f"no policy: {error}") from None
    node = read_yaml(found.data, origin=path)
    if node is None:
        raise ConfigError(f"{path!r} is empty: no policy is there")
    return _foreign(node, {})


def _foreign(node: Node, made: dict[int, Foreign]) -> Foreign:
    """``node`` and all in it, each once: an alias shares its node here too, so aliases cannot multiply."""
    if id(node) in made:
        return made[id(node)]
    match node:
        case Scalar(text=text, plain=plain, line=line):
            found = Foreign(value=text, plain=plain, line=line)
        case Sequence(items=items, line=line):
            found = Foreign(value=tuple([_foreign(item, made) for item in items]), line=line)
        case Map(entries=entries, line=line):
            found = Foreign(value={key: _foreign(entry, made) for key, entry in entries.items()}, line=line)
        case _:
            assert_never(node)
    made[id(node)] = found
    return found
