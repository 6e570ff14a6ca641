"""The sigstore conformance suite's bundles by its own client protocol: ``plimsoll conformance verify-bundle``.

The data is the suite's and is not committed: PLIMSOLL_CONFORMANCE names its folder, else it is looked for beside the
checkout.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from fakes.signing import signer
from plimsoll.cli.main import main

SUITE = Path(os.environ.get("PLIMSOLL_CONFORMANCE") or Path(__file__).parents[3] / "shared/labs/sigstore-conformance")
FOLDERS = sorted(path.parent for path in SUITE.glob("*/bundle.sigstore.json"))
IDENTITY = (
    "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/"
    ".github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main"
)
ISSUER = "https://token.actions.githubusercontent.com"
OTHER_PAYLOAD = ("log-proof-invalid", "the log entry is about another payload")
OTHER_SIGNATURE = ("log-proof-invalid", "the log entry is about another signature")
NOT_MADE = ("bad-signature", "the certificate's key did not make this signature over this content")
CHECKPOINT_LACKS = ("log-proof-invalid", "the checkpoint lacks its origin, tree size or root hash")
REFUSED = {
    "bundle-empty-certificate-chain_fail": ("bundle-invalid", "certificates is empty"),
    "bundle-invalid-base64-signature_fail": ("bundle-invalid", "messageSignature.signature is no base64"),
    "bundle-malformed-json_fail": ("bundle-invalid", "the bundle is refused"),
    "bundle-negative-log-index_fail": ("bundle-invalid", "no whole number"),
    "bundle-unknown-version_fail": ("bundle-invalid", "is no bundle of v0.1, v0.2 or v0.3"),
    "bundle-with-root-cert_fail": ("bundle-invalid", "is a root"),
    "checkpoint-bad-keyhint_fail": ("log-proof-invalid", "is not signed by the log"),
    "checkpoint-wrong-roothash_fail": ("log-proof-invalid", "the checkpoint is of another tree"),
    "dsse-invalid-sig_fail": NOT_MADE,
    "dsse-mismatch-envelope_fail": OTHER_PAYLOAD,
    "dsse-mismatch-sig_fail": OTHER_SIGNATURE,
    "inclusion-proof-corrupted-hash_fail": ("log-proof-invalid", "does not lead from this entry to the root"),
    "integrated-time-in-future_fail": ("certificate-expired", "not at"),
    "intoto-set-outside-signing-cert-validity_fail": ("certificate-expired", "not at 1675296000 seconds since 1970"),
    "invalid-ct-key_fail": ("sct-invalid", "no CT log that"),
    "invalid-inclusion-proof_fail": ("log-proof-missing", "has no inclusionProof.checkpoint"),
    "managed-key-wrong-key_fail": ("key-unreadable", "Invalid key"),
    "message-digest-mismatch_fail": ("digest-mismatch", "the bundle is about another artifact"),
    "rekor2-checkpoint-missing-log-signature_fail": ("log-proof-invalid", "the checkpoint has no signature"),
    "rekor2-checkpoint-missing-origin_fail": CHECKPOINT_LACKS,
    "rekor2-checkpoint-missing-root-hash_fail": CHECKPOINT_LACKS,
    "rekor2-checkpoint-missing-size_fail": CHECKPOINT_LACKS,
    "rekor2-checkpoint-no-matching-signature_fail": ("log-proof-invalid", "the checkpoint is of '"),
    "rekor2-dsse-invalid-sig_fail": NOT_MADE,
    "rekor2-dsse-mismatch-envelope_fail": OTHER_PAYLOAD,
    "rekor2-dsse-mismatch-sig_fail": OTHER_SIGNATURE,
    "rekor2-no-inclusion-proof_fail": ("log-proof-missing", "has no inclusionProof"),
    "rekor2-no-timestamp_fail": ("timestamp-missing", "nothing proves when the certificate signed"),
    "rekor2-timestamp-outside-trust-root-tsa-validity_fail": ("timestamp-invalid", "its authority was not in use at"),
    "rekor2-timestamp-outside-tsa-cert-validity_fail": ("timestamp-invalid", "is valid from"),
    "set-invalid-signature_fail": ("log-proof-invalid", "the log's signature over the entry does not verify"),
    "signature-mismatch_fail": NOT_MADE,
    "trust-root-tlog-missing-validity-start_fail": ("trust-root-invalid", "validFor.start is missing"),
    "wrong-hashedrekord-artifact_fail": OTHER_PAYLOAD,
    "wrong-hashedrekord-cert-and-sig_fail": OTHER_SIGNATURE,
    "wrong-hashedrekord-entry_fail": OTHER_PAYLOAD,
    "wrong-material_fail": ("digest-mismatch", "the bundle is about another artifact"),
}
"""Folder -> the reason code of its refusal, and words of the message that say it is just this one."""

pytestmark = pytest.mark.skipif(
    not FOLDERS, reason="the conformance suite's data is neither named nor beside this tree"
)


@pytest.fixture(autouse=True)
def vendored_root_only(tmp_path, monkeypatch):
    for name in list(os.environ):
        if name.startswith("XDG_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


def words_of(folder, *, key=None):
    """The suite's arguments for a folder, in its order, without the artifact."""
    words = ["--bundle", str(folder / "bundle.sigstore.json")]
    if key is not None or (folder / "key.pub").exists():
        words += ["--key", str(key or folder / "key.pub")]
    else:
        texts = [(folder / "identity", IDENTITY), (folder / "issuer", ISSUER)]
        identity, issuer = [path.read_text().strip() if path.exists() else usual for path, usual in texts]
        words += ["--certificate-identity", identity, "--certificate-oidc-issuer", issuer]
    root = folder / "trusted_root.json"
    return words + (["--trusted-root", str(root)] if root.exists() else [])


def artifact_of(folder):
    own = folder / "artifact"
    return own if own.exists() else SUITE / "a.txt"


def as_digest(path):
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def verify(*words, capfd):
    """The exit code and what was said."""
    code = main(["conformance", "verify-bundle", *words])
    said = capfd.readouterr()
    assert said.out == ""
    return code, said.err


@pytest.mark.parametrize("by", ["path", "digest"])
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_a_bundle_is_accepted_or_refused_as_its_folder_is_named(folder, by, capfd):
    artifact = artifact_of(folder)
    code, said = verify(*words_of(folder), str(artifact) if by == "path" else as_digest(artifact), capfd=capfd)
    if folder.name not in REFUSED:
        assert not folder.name.endswith("_fail"), said
        assert (code, said) == (0, "")
        return
    assert folder.name.endswith("_fail")
    reason, words = REFUSED[folder.name]
    assert code == 1
    assert said.startswith(f"plimsoll: {reason}: ")
    assert words in said


def test_the_suite_is_there_with_enough_of_both_kinds():
    names = {path.name for path in FOLDERS}
    assert {name for name in names if name.endswith("_fail")} <= set(REFUSED)
    assert len(names & set(REFUSED)) >= 29
    assert len(names - set(REFUSED)) >= 17


@pytest.mark.parametrize("folder", [path for path in FOLDERS if path.name not in REFUSED], ids=lambda path: path.name)
def test_what_is_accepted_is_refused_for_another_artifact_or_signer(folder, tmp_path, capfd):
    stranger = tmp_path / "stranger.pub"
    stranger.write_bytes(signer("p256", "stranger").pem)
    other = as_digest(stranger)
    assert verify(*words_of(folder), str(stranger), capfd=capfd)[0] == 1
    said = verify(*words_of(folder), other, capfd=capfd)[1]
    assert said.startswith(("plimsoll: digest-mismatch: ", "plimsoll: bad-signature: ", "plimsoll: untrusted-key: "))
    said = verify(*words_of(folder, key=stranger), str(artifact_of(folder)), capfd=capfd)[1]
    assert said.startswith("plimsoll: untrusted-key: ")


def test_a_wrong_key_that_can_be_read_is_refused_as_untrusted(tmp_path, capfd):
    """The suite's own wrong key is a text edited by hand, whose point lies on no curve."""
    folder = SUITE / "managed-key-wrong-key_fail"
    key = tmp_path / "key.pub"
    key.write_bytes(signer("p256", "another").pem)
    code, said = verify(*words_of(folder, key=key), str(SUITE / "a.txt"), capfd=capfd)
    assert code == 1
    assert said.startswith("plimsoll: untrusted-key: ")
    right = SUITE / "managed-key-happy-path" / "key.pub"
    assert verify(*words_of(folder, key=right), str(SUITE / "a.txt"), capfd=capfd)[0] == 0


def test_an_inclusion_proof_without_a_checkpoint_is_wrong_beside(tmp_path, capfd):
    """Where the version asks for no checkpoint, the proof itself is what is refused."""
    bundle = tmp_path / "bundle.sigstore.json"
    text = (SUITE / "invalid-inclusion-proof_fail" / "bundle.sigstore.json").read_text()
    assert "version=0.2" in text
    bundle.write_text(text.replace("version=0.2", "version=0.1"))
    said = verify(*words_of(tmp_path), str(SUITE / "a.txt"), capfd=capfd)[1]
    assert said.startswith("plimsoll: log-proof-invalid: the inclusion proof does not lead")


def test_a_file_whose_name_is_a_digest_is_the_file(tmp_path, monkeypatch, capfd):
    folder = SUITE / "happy-path-v0.3"
    words = words_of(folder)
    digest = as_digest(SUITE / "a.txt")
    monkeypatch.chdir(tmp_path)
    assert verify(*words, digest, capfd=capfd)[0] == 0
    (tmp_path / digest).write_bytes(b"another content")
    assert verify(*words, digest, capfd=capfd)[0] == 1
    wrong = f"sha256:{'0' * 64}"
    shutil.copy(SUITE / "a.txt", tmp_path / wrong)
    assert verify(*words, wrong, capfd=capfd)[0] == 0


def test_the_staging_instance_needs_a_root(capfd):
    words = ["--staging", *words_of(SUITE / "happy-path-v0.3"), str(SUITE / "a.txt")]
    code, said = verify(*words, capfd=capfd)
    assert code == 1
    assert "--trusted-root" in said
    root = next(path / "trusted_root.json" for path in FOLDERS if path.name == "rekor2-happy-path")
    words = ["--staging", *words_of(root.parent), str(SUITE / "a.txt")]
    assert verify(*words, capfd=capfd) == (0, "")
