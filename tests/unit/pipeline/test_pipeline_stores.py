"""Signature stores as the pipeline asks them: the files beside a ``dir:`` image, honest and hostile, and lookasides."""

from __future__ import annotations

import asyncio
import json
import os

import pytest

from fakes.sources import describe, index_bytes, manifest_bytes
from plimsoll import limits
from plimsoll.errors import ConfigError, ContentError, LimitExceededError, RegistryError, UnreachableError
from plimsoll.model.digest import Digest
from plimsoll.model.evidence import Absent, Failed, Found, Needs, StorePlace
from plimsoll.model.reference import parse_reference
from plimsoll.model.verdict import Outcome
from plimsoll.pipeline.gather import gather
from plimsoll.transport.directory import open_directory

IMAGE = manifest_bytes()
INDEX = index_bytes(describe(IMAGE))
DIGEST = Digest.of(IMAGE)


def ask(source, place):
    async def run():
        async with asyncio.timeout(10):
            return (await gather(source, Needs(places=(place,))))[place]

    return asyncio.run(run())


def folder(path, manifest=IMAGE, **files):
    """A ``dir:`` image; ``files`` are stored signatures, their names with - and . written as _ and __."""
    (path / "version").write_bytes(b"Directory Transport Version: 1.1\n")
    (path / "manifest.json").write_bytes(manifest)
    for name, data in files.items():
        (path / name.replace("__", ".").replace("_", "-")).write_bytes(data)
    return path


def beside(path, *, digest=DIGEST, base=""):
    """What the store beside the image in this folder answers."""
    source = open_directory(parse_reference(f"dir:{path}"))
    try:
        return ask(source, StorePlace(base=base, digest=digest))
    finally:
        asyncio.run(source.aclose())


def blobs(answer):
    assert isinstance(answer, Found)
    assert {attachment.descriptor for attachment in answer.attachments} == {None}
    return [attachment.data for attachment in answer.attachments]


def failure(answer):
    assert isinstance(answer, Failed)
    return answer.reason


def test_a_folder_without_signatures_has_none(tmp_path):
    assert beside(folder(tmp_path)) == Absent()


def test_signatures_beside_an_image_are_read_up_to_the_first_gap(tmp_path):
    folder(tmp_path, signature_1=b"one", signature_2=b"two", signature_4=b"four")
    assert blobs(beside(tmp_path)) == [b"one", b"two"]


def test_an_empty_file_is_a_signature_that_is_there(tmp_path):
    assert blobs(beside(folder(tmp_path, signature_1=b""))) == [b""]


def test_an_instance_has_signatures_of_its_own(tmp_path):
    folder(tmp_path, INDEX, signature_1=b"of the index", **{f"{DIGEST.hex}__signature_1": b"of the instance"})
    assert blobs(beside(tmp_path, digest=Digest.of(INDEX))) == [b"of the index"]
    assert blobs(beside(tmp_path, digest=DIGEST)) == [b"of the instance"]


def test_the_indexs_signatures_are_never_an_instances(tmp_path):
    folder(tmp_path, INDEX, signature_1=b"of the index")
    assert beside(tmp_path, digest=DIGEST) == Absent()


def test_an_instances_signatures_are_never_the_indexs(tmp_path):
    folder(tmp_path, INDEX, **{f"{DIGEST.hex}__signature_1": b"of the instance"})
    assert beside(tmp_path, digest=Digest.of(INDEX)) == Absent()


def test_a_folder_has_no_lookaside(tmp_path):
    assert beside(folder(tmp_path, signature_1=b"one"), base="https://sigs.example") == Absent()


def test_a_folder_whose_manifest_went_away_is_not_one_without_signatures(tmp_path):
    source = open_directory(parse_reference(f"dir:{folder(tmp_path, signature_1=b'one')}"))
    (tmp_path / "manifest.json").unlink()
    reason = failure(ask(source, StorePlace(base="", digest=DIGEST)))
    asyncio.run(source.aclose())
    assert (reason.code, reason.outcome) == ("unreachable", Outcome.UNDETERMINED)


def make_link(path):
    path.with_name("elsewhere").write_bytes(b"a signature")
    path.symlink_to("elsewhere")


def make_dangling_link(path):
    path.symlink_to("nowhere")


@pytest.mark.parametrize("make", [make_link, make_dangling_link, os.mkfifo, os.mkdir])
def test_what_is_no_regular_file_fails_and_is_not_waited_for(tmp_path, make):
    make(folder(tmp_path) / "signature-1")
    reason = failure(beside(tmp_path))
    assert reason.outcome is Outcome.REJECTED
    assert "signature-1" in reason.message


def test_one_that_fails_hides_those_before_it(tmp_path):
    make_link(folder(tmp_path, signature_1=b"one") / "signature-2")
    assert failure(beside(tmp_path)).outcome is Outcome.REJECTED


def test_a_file_that_is_too_large_is_refused(tmp_path):
    folder(tmp_path, signature_1=bytes(limits.PAYLOAD_BYTES))
    assert [len(blob) for blob in blobs(beside(tmp_path))] == [limits.PAYLOAD_BYTES]
    os.truncate(tmp_path / "signature-1", 5 * limits.MIB)
    assert failure(beside(tmp_path)).code == "limit-exceeded"


def test_too_many_files_are_refused(tmp_path):
    folder(tmp_path)
    for at in range(1, limits.SIGNATURES_PER_PLACE + 1):
        (tmp_path / f"signature-{at}").write_bytes(b"x")
    assert len(blobs(beside(tmp_path))) == limits.SIGNATURES_PER_PLACE
    (tmp_path / f"signature-{limits.SIGNATURES_PER_PLACE + 1}").write_bytes(b"x")
    assert failure(beside(tmp_path)).code == "limit-exceeded"


class Lookaside:
    """A source that has, or raises, this; ``asked`` is every question."""

    def __init__(self, answer):
        self._answer = answer
        self.asked = []

    async def stored_signatures(self, base, digest):
        self.asked.append((base, digest))
        if isinstance(self._answer, BaseException):
            raise self._answer
        return self._answer


LOOKASIDE = StorePlace(base="https://sigs.example", digest=DIGEST)


def test_a_lookaside_is_asked_for_the_manifest_that_is_judged():
    source = Lookaside((b"one",))
    assert blobs(ask(source, LOOKASIDE)) == [b"one"]
    assert source.asked == [("https://sigs.example", DIGEST)]
    assert ask(Lookaside(()), LOOKASIDE) == Absent()


@pytest.mark.parametrize(
    ("error", "code", "outcome"),
    [
        (UnreachableError("no route"), "unreachable", Outcome.UNDETERMINED),
        (RegistryError("500", status=500), "server-error", Outcome.UNDETERMINED),
        (LimitExceededError("too many"), "limit-exceeded", Outcome.REJECTED),
        (ContentError("no regular file"), None, Outcome.REJECTED),
        (ConfigError("ftp is not read"), "no-signature", Outcome.REJECTED),
    ],
)
def test_a_lookaside_that_fails_is_never_absent(error, code, outcome):
    reason = failure(ask(Lookaside(error), LOOKASIDE))
    assert reason.code == (code or error.code)
    assert reason.outcome is outcome
    assert reason.message == str(error)


def test_a_fault_of_our_own_is_nobodys_answer():
    with pytest.raises(ZeroDivisionError):
        ask(Lookaside(ZeroDivisionError()), LOOKASIDE)


def test_the_manifests_of_these_tests_are_different_ones():
    assert json.loads(INDEX)["manifests"][0]["digest"] == str(DIGEST) != str(Digest.of(INDEX))
