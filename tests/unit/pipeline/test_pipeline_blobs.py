"""Files that are no images: hashed as streams, their bytes read only for a key that needs them."""

from __future__ import annotations

import os
from functools import cache

import pytest

from fakes.bundles import statement_bytes
from fakes.signing import LOGGED_AT_S, signer
from fakes.sigstore import OIDC, SUBJECT, PrivateSigstore
from plimsoll import limits
from plimsoll.errors import (
    BadSignatureError,
    BundleInvalidError,
    ConfigError,
    DigestMismatchError,
    IdentityMismatchError,
    SignedDigestMismatchError,
    UntrustedKeyError,
)
from plimsoll.model.digest import Digest
from plimsoll.model.identity import Exact, Identity
from plimsoll.model.trusted_root import parse_trusted_root
from plimsoll.pipeline.blobs import Blob, open_blob, verify_blob

DATA = b"a file"
WANTED = Identity(issuer=Exact(text=OIDC), subject=Exact(text=SUBJECT))


@cache
def sigstore():
    return PrivateSigstore()


@cache
def root():
    return parse_trusted_root(sigstore().root_bytes())


def verify(made, blob, by):
    return verify_blob(made.data, blob, signer=by, root=root(), now_s=LOGGED_AT_S)


@pytest.fixture
def path(tmp_path):
    found = tmp_path / "artifact"
    found.write_bytes(DATA)
    return found


def test_a_files_digest_and_its_bytes(path):
    blob = open_blob(str(path))
    assert blob.digest == Digest.of(DATA)
    assert blob.read() == DATA


@pytest.mark.parametrize("kind", ["p256", "p384", "p521", "rsa2048", "ed25519"])
def test_a_file_signed_by_a_key_of_every_kind(kind, path):
    how = {"prehashed": True} if kind == "ed25519" else {}
    made = sigstore().sign(DATA, by=signer(kind), **how)
    assert verify(made, open_blob(str(path)), signer(kind).key).digest == Digest.of(DATA)
    with pytest.raises(UntrustedKeyError):
        verify(made, open_blob(str(path)), signer(kind, "bob").key)
    path.write_bytes(b"another file")
    with pytest.raises(SignedDigestMismatchError):
        verify(made, open_blob(str(path)), signer(kind).key)


def test_a_digest_alone_is_enough_where_the_key_signs_sha256():
    blob = Blob(digest=Digest.of(DATA))
    assert verify(sigstore().sign(DATA), blob, WANTED).certified.subject == SUBJECT
    with pytest.raises(BadSignatureError, match="bytes"):
        verify(sigstore().sign(DATA, by=signer("p384")), blob, signer("p384").key)
    with pytest.raises(IdentityMismatchError):
        verify(sigstore().sign(DATA), blob, Identity(issuer=Exact(text=OIDC), subject=Exact(text="nobody")))


def test_bytes_are_read_only_where_they_are_needed():
    def read():
        raise AssertionError("read")

    blob = Blob(digest=Digest.of(DATA), read=read)
    assert verify(sigstore().sign(DATA), blob, WANTED)
    assert verify(sigstore().sign_image(Digest.of(DATA)), blob, WANTED)
    with pytest.raises(AssertionError):
        verify(sigstore().sign(DATA, by=signer("p384")), blob, signer("p384").key)


@pytest.mark.parametrize("algorithm", ["sha384", "sha512"])
def test_a_statement_that_names_another_hash_alone(algorithm, path):
    made = sigstore().attest(statement_bytes(Digest.of(DATA, algorithm=algorithm)))
    assert verify(made, open_blob(str(path)), WANTED).digest.algorithm == algorithm
    with pytest.raises(SignedDigestMismatchError):
        verify(made, Blob(digest=Digest.of(DATA)), WANTED)


def test_a_file_that_changes_between_hashing_and_reading(path, monkeypatch):
    blob = open_blob(str(path))
    path.write_bytes(b"another")
    with pytest.raises(DigestMismatchError, match="changed"):
        blob.read()
    path.unlink()
    with pytest.raises(ConfigError, match="does not exist"):
        blob.read()


def test_a_file_beyond_the_cap_is_hashed_and_never_held(path, monkeypatch):
    monkeypatch.setattr(limits, "ARTIFACT_BYTES", len(DATA) - 1)
    assert verify(sigstore().sign(DATA), open_blob(str(path)), WANTED)
    with pytest.raises(ConfigError, match="more than"):
        verify(sigstore().sign(DATA, by=signer("p384")), open_blob(str(path)), signer("p384").key)


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "missing", "/dev/null", "a\0b"):
        with pytest.raises(ConfigError):
            open_blob(str(path))


def test_an_unreadable_bundle(path):
    with pytest.raises(BundleInvalidError):
        verify_blob(b"{", open_blob(str(path)), signer=WANTED, root=root(), now_s=LOGGED_AT_S)
