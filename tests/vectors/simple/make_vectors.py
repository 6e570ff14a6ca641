"""Makes keys/, messages/ and cases.json with GnuPG 2.2 or later; the tests read them and need no gpg.

Run it by hand, in this folder, only to add a vector: every run makes new keys and writes all files anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
MADE, SIGNED, AFTER = "20250101T000000", "20250601T000000", "20250901T000000"
IMAGE = b"the image of these vectors"
DIGEST = "sha256:" + hashlib.sha256(IMAGE).hexdigest()
REVOCATION = "y\n{reason}\n\ny\n"
HARD, SUPERSEDED = "1", "2"


def payload(**changes):
    document = {
        "critical": {
            "identity": {"docker-reference": "registry.example/acme/app:v1"},
            "image": {"docker-manifest-digest": changes.get("digest", DIGEST)},
            "type": changes.get("type", "atomic container signature"),
        },
        "optional": changes.get("optional", {"creator": "made by hand", "timestamp": 1748736000}),
    }
    return json.dumps(document, separators=(",", ":")).encode()


class Gpg:
    """A gpg of its own, whose clock stands where it is told."""

    def __init__(self, home):
        self.home = home

    def __call__(self, *arguments, data=b"", at=SIGNED, loopback=True):
        quiet = ["--batch", "--pinentry-mode", "loopback", "--passphrase", ""] if loopback else []
        command = ["gpg", "--homedir", self.home, "--quiet", "--no-tty", "--yes", *quiet, f"--faked-system-time={at}!"]
        done = subprocess.run([*command, *arguments], input=data, capture_output=True, check=False)
        if done.returncode:
            raise RuntimeError(f"gpg {arguments}: {done.stderr.decode()}")
        return done.stdout

    def key(self, name, algorithm, *options, use="sign,cert", until="never"):
        """Make a key; the answer is its fingerprint."""
        user = f"{name} <{name}@acme.example>"
        self(*options, "--quick-generate-key", user, algorithm, use, until, at=MADE)
        listed = self("--with-colons", "--list-keys", f"={user}", at=MADE).decode()
        return next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))

    def sign(self, key, *options, data=None, at=SIGNED):
        return self(*options, "--local-user", f"{key}!", "--sign", data=payload() if data is None else data, at=at)

    def subkey(self, primary):
        self("--quick-add-key", primary, "rsa2048", "sign", "never", at=MADE)
        listed = self("--with-colons", "--list-keys", primary, at=MADE).decode()
        return re.findall(r"^fpr:+([0-9A-F]+):", listed, re.MULTILINE)[-1]

    def revoke(self, key, reason):
        answers = REVOCATION.format(reason=reason).encode()
        said = self("--command-fd", "0", "--gen-revoke", key, data=answers, at=AFTER, loopback=False)
        self("--import", data=said, at=AFTER)

    def revoke_subkey(self, primary, reason):
        answers = ("key 1\nrevkey\n" + REVOCATION.format(reason=f"y\n{reason}").removeprefix("y\n") + "save\n").encode()
        self("--command-fd", "0", "--edit-key", primary, data=answers, at=AFTER, loopback=False)


def literal(data):
    body = b"b\0\0\0\0\0" + data
    return b"\xcb\xff" + len(body).to_bytes(4) + body


CASES = []


def write_key(gpg, name, fingerprint):
    (HERE / "keys" / f"{name}.gpg").write_bytes(gpg("--export-options", "export-minimal", "--export", fingerprint))


def write(name, message, *, keys, expect, signer=None, why):
    (HERE / "messages" / f"{name}.sig").write_bytes(message)
    CASES.append({"message": name, "keys": keys, "expect": expect, "signer": signer, "why": why})


def kinds_of_keys(gpg):
    """One signature by each kind and state of key."""
    for name, algorithm in (
        ("ed25519", "ed25519"),
        ("p256", "nistp256"),
        ("rsa2048", "rsa2048"),
        ("rsa3072", "rsa3072"),
    ):
        key = gpg.key(name, algorithm)
        write_key(gpg, name, key)
        write(name, gpg.sign(key), keys=[name], expect="verified", signer=key, why=f"a good {algorithm} key")
    weak = gpg.key("rsa1024", "rsa1024")
    write_key(gpg, "rsa1024", weak)
    write("rsa1024", gpg.sign(weak), keys=["rsa1024"], expect="bad-signature", why="RSA below 2048 bits (gpg takes it)")
    old = gpg.key("sha1-certified", "rsa2048", "--cert-digest-algo", "SHA1")
    write_key(gpg, "sha1-certified", old)
    write(
        "sha1-certified", gpg.sign(old), keys=["sha1-certified"], expect="bad-signature",
        why="the key's own certifications are over SHA-1 (gpg takes them)",
    )  # fmt: skip
    ended = gpg.key("expired-key", "rsa2048", until="20250701T000000")
    write_key(gpg, "expired-key", ended)
    write("expired-key", gpg.sign(ended), keys=["expired-key"], expect="bad-signature", why="expired after it signed")
    for name, reason in (("revoked-key", HARD), ("superseded-key", SUPERSEDED)):
        key = gpg.key(name, "rsa2048")
        message = gpg.sign(key)
        gpg.revoke(key, reason)
        write_key(gpg, name, key)
        write(name, message, keys=[name], expect="bad-signature", why="revoked after it signed")


def subkeys(gpg):
    primary = gpg.key("subkey", "rsa2048", use="cert")
    message = gpg.sign(gpg.subkey(primary))
    write_key(gpg, "subkey", primary)
    write("subkey", message, keys=["subkey"], expect="verified", signer=primary, why="by a subkey; the primary counts")
    for name, reason in (("revoked-subkey", HARD), ("superseded-subkey", SUPERSEDED)):
        primary = gpg.key(name, "rsa2048", use="cert")
        message = gpg.sign(gpg.subkey(primary))
        gpg.revoke_subkey(primary, reason)
        write_key(gpg, name, primary)
        write(name, message, keys=[name], expect="bad-signature", why="by a subkey that was revoked after it signed")


def forms(gpg):
    """One good key, every form of message."""
    key, other = gpg.key("good", "rsa2048"), gpg.key("other", "rsa2048")
    reader = gpg.key("reader", "rsa2048", use="cert")
    gpg("--quick-add-key", reader, "rsa2048", "encr", "never", at=MADE)
    write_key(gpg, "good", key)
    write_key(gpg, "other", other)
    both = ["good", "other"]

    def good(name, message, why, keys=None):
        write(name, message, keys=keys or ["good"], expect="verified", signer=key, why=why)

    def bad(name, message, why, expect="bad-signature", keys=None):
        write(name, message, keys=keys or both, expect=expect, why=why)

    for name in ("none", "zip", "zlib", "bzip2"):
        good(f"compressed-{name}", gpg.sign(key, "--compress-algo", name), f"compression {name}")
    plain = (HERE / "messages" / "compressed-none.sig").read_bytes()
    good("two-keyrings", plain, "signed by the first key of two", keys=both)
    good("one-of-two-keyrings", plain, "signed by the last key of two", keys=["other", "good"])
    long = payload(optional={"creator": "x" * 3000})
    piped = gpg.sign(key, "--compress-algo", "none", data=long)
    good("long", piped, "a literal of more than one length octet")
    good("signature-expires-in-2060", gpg.sign(key, "--default-sig-expire", "2060-01-01"), "it expires one day")
    bad("expired-signature", gpg.sign(key, "--default-sig-expire", "2025-07-01"), "the signature itself has expired")
    bad("unknown-signer", gpg.sign(other), "signed by another key", "untrusted-key", ["good"])
    bad("cleartext", gpg("--local-user", key, "--clear-sign", data=payload()), "cleartext-signed")
    bad("detached", gpg("--local-user", key, "--detach-sign", data=payload()), "detached: nothing is in it")
    bad("armored", gpg.sign(key, "--armor"), "armored")
    bad("text-mode", gpg.sign(key, "--textmode"), "a signature over text, whose line ends may be changed")
    bad("two-signatures", gpg("--local-user", key, "--local-user", other, "--sign", data=payload()), "signed by two")
    bad("encrypted", gpg("--trust-model", "always", "-r", reader, "--local-user", key, "--sign", "--encrypt",
                         data=payload()), "signed, then encrypted")  # fmt: skip
    bad("unsigned-literal", gpg("--compress-algo", "none", "--store", data=payload()), "not signed")
    bad("unsigned-compressed", gpg("--store", data=payload()), "not signed, compressed")
    bad("text-glued-before", literal(payload()) + plain, "an unsigned text before the signed message")
    bad("text-glued-after", plain + literal(payload()), "an unsigned text after the signed message")
    bad("rubbish-after", plain + b"rubbish", "rubbish after the message (gpg takes it)")
    bad("sha1", gpg.sign(key, "--digest-algo", "SHA1"), "over SHA-1 (gpg takes it)")
    older = gpg.sign(key, "--ignore-time-conflict", "--ignore-valid-from", at="20241201T000000")
    bad("older-than-its-key", older, "made before its key was")
    bad("null-optional", gpg.sign(key, data=payload(optional=None)), "optional is null", "payload-invalid")
    bad("cosign-type", gpg.sign(key, data=payload(type="cosign container image signature")), "", "payload-invalid")
    bad("not-json", gpg.sign(key, data=b"no JSON"), "a good signature over something else", "payload-invalid")
    bad("empty-payload", gpg.sign(key, data=b""), "a good signature over nothing", "payload-invalid")
    moved = payload(digest="sha256:" + "0" * 64)
    bad("other-image", gpg.sign(key, data=moved), "a good signature of another image", "digest-mismatch")


def main():
    home = tempfile.mkdtemp(prefix="gpg")
    os.environ["LC_ALL"] = "C"
    try:
        gpg = Gpg(home)
        kinds_of_keys(gpg)
        subkeys(gpg)
        forms(gpg)
    finally:
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)
        shutil.rmtree(home, ignore_errors=True)
    cases = {"image": IMAGE.decode(), "reference": "registry.example/acme/app:v1", "cases": CASES}
    (HERE / "cases.json").write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    main()
