"""Each fuzz target over its corpus, and over what a few plain changes make of it: what atheris does, for a moment."""

from __future__ import annotations

import pytest

from fuzz.targets import CORPUS, TARGETS, corpus

PARTS = 24
FILES = [(name, path) for name in TARGETS for path in corpus(name)]
IDS = [f"{name}-{path.stem}" for name, path in FILES]


def test_every_target_has_a_corpus_and_every_corpus_a_target():
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)
    assert {name for name, path in FILES if path.name.startswith("good-")} == set(TARGETS)


@pytest.mark.parametrize(("name", "path"), FILES, ids=IDS)
def test_good_ones_are_read_and_bad_ones_are_refused(name, path):
    target = TARGETS[name]
    target.fuzz_one(path.read_bytes())
    if path.name.startswith("good-"):
        assert target.parse(path.read_bytes())
        return
    with pytest.raises(target.refuses):
        target.parse(path.read_bytes())


@pytest.mark.parametrize(("name", "path"), FILES, ids=IDS)
def test_no_cut_or_changed_one_is_a_fault(name, path):
    fuzz_one, data = TARGETS[name].fuzz_one, path.read_bytes()
    for part in range(PARTS):
        at = len(data) * part // PARTS
        fuzz_one(data[:at])
        fuzz_one(data[at:])
        fuzz_one(data[:at] + data[at + 1 :])
        fuzz_one(data[:at] + data[at : at + 40] + data[at:])
        for bits in (0x01, 0x20, 0x80, 0xFF):
            fuzz_one(data[:at] + bytes([data[at] ^ bits]) + data[at + 1 :])


def test_a_target_lets_other_errors_through():
    for target in TARGETS.values():
        with pytest.raises((AttributeError, TypeError)):
            target.fuzz_one(None)
