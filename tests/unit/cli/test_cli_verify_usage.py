import json
import logging
import os
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plimsoll.cli.main import main

VECTORS = Path(__file__).parents[2] / "vectors" / "cosign"
IMAGE = f"oci:{VECTORS / 'cosign-k1'}:v1"
UNSIGNED = f"oci:{VECTORS / 'unsigned'}:v1"
KEY = str(VECTORS / "keys" / "k1.pub")
ROOT = str(VECTORS / "trust" / "trusted_root.json")
TRUST = ("--key", KEY, "--insecure-ignore-tlog")
IDENTITY = ("--certificate-identity", "x", "--certificate-oidc-issuer", "y")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty home and no variables: what is found must be given."""
    for name in list(os.environ):
        if name.startswith(("REGISTRY_", "CONTAINERS_", "XDG_", "DOCKER_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    logger = logging.getLogger("plimsoll")
    before = logger.handlers[:], logger.level
    yield tmp_path
    logger.handlers[:], logger.level = before


@pytest.fixture
def policy(tmp_path):
    path = tmp_path / "policy.json"
    path.write_text('{"default":[{"type":"insecureAcceptAnything"}]}')
    return str(path)


def run(capfd, *words):
    code = main(words)
    return code, *capfd.readouterr()


def refuse(capfd, *words):
    """Run what is wrong usage: exit 1, nothing on stdout, one line on stderr."""
    code, out, err = run(capfd, *words)
    assert (code, out) == (1, "")
    assert re.fullmatch(r"plimsoll: [^\n]+\n", err), err
    assert "Traceback" not in err
    return err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "no command"),
        (["--policy"], "no command"),
        (["frobnicate"], "unknown command 'frobnicate'"),
        (["verify"], "no image is given"),
        (["verify", *TRUST], "no image is given"),
        (["verify", "--unknown", IMAGE], "--unknown"),
        (["verify", "--ke", KEY, IMAGE], "--ke"),
        (["verify", *TRUST, "-j0", IMAGE], "whole number"),
        (["verify", *TRUST, "-j", "many", IMAGE], "whole number"),
        (["verify", *TRUST, "--retry-times=-1", IMAGE], "whole number"),
        (["verify", *TRUST, "--timeout", "30", IMAGE], "no duration"),
        (["verify", *TRUST, "--timeout", "0s", IMAGE], "no time"),
        (["verify", *TRUST, "--req-per-sec", "0", IMAGE], "above 0"),
        (["verify", *TRUST, "--format", "yaml", IMAGE], "yaml"),
        (["verify", *TRUST, "--layers", "all", IMAGE], "all"),
        (["verify", *TRUST, "--progress", "loud", IMAGE], "loud"),
        (["verify", *TRUST, "--platform", "linux", IMAGE], "--platform 'linux'"),
        (["verify", *TRUST, "--tls-verify=maybe", IMAGE], "no boolean"),
        (["verify", *TRUST, "--tags", "v*", IMAGE], "--all-tags"),
        (["verify", *TRUST, "--creds", "", IMAGE], "--creds"),
        (["verify", *TRUST, "--creds", ":x", IMAGE], "--creds"),
        (["verify", *TRUST, "--cert-dir", "/no/such", IMAGE], "/no/such"),
        (["verify", *TRUST, "--authfile", "/no/such", IMAGE], "/no/such"),
        (["verify", *TRUST, "ftp://x/y"], "unknown transport 'ftp'"),
        (["verify", *TRUST, "docker-daemon:x:y"], "not built yet"),
        (["verify", *TRUST, "UPPER"], "lower case"),
        (["verify", *TRUST, "a\nb"], "control character"),
        (["verify", *TRUST, "a\x1b[2Jb"], "control character"),
        (["verify", *TRUST, ""], "empty text"),
        (["verify", *TRUST, "x@sha256:abc"], "no digest"),
        (["verify", *TRUST, "x@md5:" + "a" * 32], "no digest"),
        (["verify", *TRUST, "--all-tags", "h.example/a:v1"], "repository alone"),
        (["verify", *TRUST, "--all-tags", IMAGE], "--all-tags"),
        (["verify", *TRUST, "--from", "/no/such/list"], "--from /no/such/list"),
        (["verify", *TRUST, "--from", "/"], "--from /"),
        (["verify", *TRUST, "--output", "/no/such/folder/out", IMAGE], "--output /no/such/folder/out"),
        (["verify", *TRUST, "--output", "/", IMAGE], "--output /"),
        (["digest"], "no file is given"),
        (["digest", "--unknown"], "--unknown"),
        (["version", "--unknown"], "--unknown"),
        (["version", "extra"], "extra"),
    ],
)
def test_wrong_usage_is_exit_1_with_one_line(capfd, words, said):
    assert said in refuse(capfd, *words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        # A policy and keys exclude each other, whatever the policy option says.
        (["--key", KEY, "--policy", "p"], ("--key", "--policy")),
        (["--key", KEY, "--policy", ""], ("--key", "--policy")),
        (["--key", KEY, "--insecure-policy"], ("--key", "--insecure-policy")),
        (["--key", KEY, "--require-signed"], ("--key", "--require-signed")),
        (["--key", KEY, "--registries.d", "/x"], ("--key", "--registries.d")),
        (["--insecure-policy", "--require-signed"], ("--insecure-policy", "--require-signed")),
        (["--insecure-policy", "--policy", "p"], ("--insecure-policy", "--policy")),
        # An ad hoc option without a key never falls through to the policy look-up.
        (["--threshold", "1"], ("--threshold", "--key")),
        (["--insecure-ignore-tlog"], ("--insecure-ignore-tlog", "--key")),
        (["--insecure-ignore-sct"], ("--insecure-ignore-sct", "--key")),
        (["-a", "a=b"], ("--annotations", "--key")),
        (["--annotations", "a=b"], ("--annotations", "--key")),
        (["--signature-digest-algorithm", "sha256"], ("--signature-digest-algorithm", "--key")),
        (["--insecure-ignore-tlog", "--policy", "p"], ("--insecure-ignore-tlog", "--key")),
        # The root that is given must be one.
        (["--key", KEY, "--trusted-root", "/no/such"], ("/no/such",)),
        (["--key", KEY, "--trusted-root", KEY], ("--trusted-root", "k1.pub")),
        (["--key", "/no/such.pub"], ("--key", "/no/such.pub")),
        (["--key", ""], ("--key",)),
        (["--key", "env://NO_SUCH_KEY"], ("--key env://NO_SUCH_KEY", "not set")),
        (["--key", "pkcs11:object=k;pin-value=1"], ("--key pkcs11:object=k:", "not used here")),
        (["--key", "hashivault://release", "--offline"], ("--key hashivault://release", "--offline forbids")),
        (["--key", "awskms:///alias/release", "--offline"], ("--key awskms:///alias/release", "--offline forbids")),
        (["--key", "gcpkms://projects/p"], ("gcpkms://projects/p", "not built yet")),
        (["--key", "k8s://ns/secret"], ("k8s://ns/secret", "save the public key")),
        (["--key", "https://keys.example/k.pub"], ("https://keys.example/k.pub", "download")),
        (["--key", ROOT, "--insecure-ignore-tlog"], ("trusted_root.json",)),
        (["--key", KEY, "--insecure-ignore-tlog", "--threshold", "0"], ("--threshold",)),
        (["--key", KEY, "--insecure-ignore-tlog", "--threshold", "2"], ("--threshold 2", "from 1 to 1")),
        (["--key", KEY, "--key", KEY, "--insecure-ignore-tlog", "--threshold", "2"], ("from 1 to 1",)),
        (["--key", KEY, "-a", "novalue"], ("KEY=VALUE",)),
        (["--key", KEY, "--signature-digest-algorithm", "md5"], ("md5",)),
        # An identity is a subject and its issuer, each said once.
        (["--certificate-identity", "x"], ("--certificate-oidc-issuer[-regexp]",)),
        (["--certificate-identity-regexp", "x"], ("--certificate-oidc-issuer[-regexp]",)),
        (["--certificate-oidc-issuer", "x"], ("--certificate-identity[-regexp]",)),
        (["--certificate-oidc-issuer-regexp", "x"], ("--certificate-identity[-regexp]",)),
        ([*IDENTITY, "--certificate-identity-regexp", "x"], ("--certificate-identity[-regexp]",)),
        ([*IDENTITY, "--certificate-oidc-issuer-regexp", "x"], ("--certificate-oidc-issuer[-regexp]",)),
        (["--certificate-identity", "", "--certificate-oidc-issuer", "x"], ("empty",)),
        (["--certificate-identity-regexp", "(", "--certificate-oidc-issuer", "x"], ("RE2",)),
        (["--certificate-github-workflow-ref", "x"], ("--certificate-github-workflow-ref", "--key")),
        (["--ca-roots", "x"], ("--ca-roots", "--key")),
        (["--ca-intermediates", "x"], ("--ca-intermediates", "--key")),
        (["--attestation-type", "x"], ("--attestation-type", "--key")),
        (["--cosign-compatible"], ("--cosign-compatible", "--key")),
        ([*IDENTITY, "--key", KEY], ("--key", "--certificate-identity")),
        (["--key", KEY, "--ca-roots", "x"], ("--key", "--ca-roots")),
        ([*IDENTITY, "--policy", "p"], ("--certificate-identity", "--policy")),
        ([*IDENTITY, "--insecure-policy"], ("--certificate-identity", "--insecure-policy")),
        ([*IDENTITY, "--threshold", "2"], ("--threshold 2",)),
        ([*IDENTITY, "--signature-digest-algorithm", "sha256"], ("--signature-digest-algorithm",)),
        ([*IDENTITY, "--ca-intermediates", ROOT], ("--ca-intermediates", "--ca-roots")),
        ([*IDENTITY, "--ca-roots", "/no/such.pem"], ("--ca-roots", "/no/such.pem")),
        ([*IDENTITY, "--ca-roots", KEY], ("--ca-roots", "k1.pub")),
        ([*IDENTITY, "--attestation-type", "frobnicate"], ("frobnicate",)),
        (["--registries-conf", "/no/such.conf", "--insecure-policy"], ("--registries-conf", "/no/such.conf")),
        (["--registries-conf", "", "--insecure-policy"], ("--registries-conf",)),
        # No policy anywhere, or none that can be read.
        (["--policy", "/no/such/policy.json"], ("/no/such/policy.json",)),
        (["--policy", ""], ("--policy",)),
        (["--policy", "/"], ("/",)),
        (["--policy", KEY], ("k1.pub",)),
    ],
)
def test_trust_that_makes_no_sense_is_exit_1(capfd, words, said):
    err = refuse(capfd, "verify", *words, IMAGE)
    for part in said:
        assert part in err


AD_HOC = [
    "--insecure-ignore-tlog=false",
    "--insecure-ignore-sct=false",
    "--cosign-compatible=false",
    "--threshold=0",
    "--threshold=",
    "--annotations=",
    "-a=",
    "--attestation-type=",
    "--signature-digest-algorithm=",
    "--key=",
    "--certificate-identity=",
    "--certificate-identity-regexp=",
    "--certificate-oidc-issuer=",
    "--certificate-oidc-issuer-regexp=",
    "--certificate-github-workflow-ref=",
    "--ca-roots=",
    "--ca-intermediates=",
]


@pytest.mark.parametrize("command", [["verify"], ["policy", "explain"], ["policy", "test", "--cases"]])
@pytest.mark.parametrize("word", AD_HOC)
def test_what_is_given_and_says_nothing_never_falls_through_to_a_policy(capfd, monkeypatch, policy, command, word):
    monkeypatch.setenv("CONTAINERS_POLICY_JSON", policy)  # it accepts everything
    image = IMAGE
    if command[-1] == "--cases":
        cases = Path(policy).with_name("cases.json")
        cases.write_text(json.dumps([{"image": UNSIGNED, "expect": "accepted"}]))
        command, image = [*command, str(cases)], None
    words = [*command, *filter(None, [image])]
    assert run(capfd, *words)[0] == 0  # its twin
    refuse(capfd, *words, word)


@pytest.mark.parametrize("word", ["--insecure-policy=false", "--require-signed=false", "--policy="])
def test_keys_and_a_policy_that_is_denied_exclude_each_other_too(capfd, word):
    assert word.partition("=")[0] in refuse(capfd, "verify", *TRUST, word, IMAGE)


@pytest.mark.parametrize(
    "document",
    ["", "{}", "[]", '{"default":[]}', '{"default":[{"type":"reject"}],"x":1}', '{"default":[{"type":"new"}]}'],
)
def test_a_policy_that_cannot_be_read_with_certainty_is_exit_1(capfd, policy, document):
    Path(policy).write_text(document)
    assert "policy.json" in refuse(capfd, "verify", "--policy", policy, IMAGE)


def test_wrong_usage_leaves_the_report_of_an_earlier_run_alone(capfd, tmp_path):
    report = tmp_path / "report"
    report.write_text("earlier")
    refuse(capfd, "verify", "--key", "/no/such", "--output", str(report), IMAGE)
    refuse(capfd, "verify", *TRUST, "--platform", "x", "--output", str(report), IMAGE)
    assert report.read_text() == "earlier"


def test_an_ambiguous_layout_reference_is_exit_1(capfd, tmp_path):
    (tmp_path / "layout@sha256").mkdir()
    assert "ambiguous" in refuse(capfd, "verify", *TRUST, f"oci:{tmp_path}/layout@sha256:{'a' * 64}")


def records(out):
    return [json.loads(line) for line in out.splitlines()]


def test_options_may_stand_before_between_and_after(capfd, policy):
    for words in (
        ["--policy", policy, "verify", "--format", "jsonl", IMAGE, UNSIGNED],
        [f"--policy={policy}", "verify", IMAGE, "--format=jsonl", UNSIGNED],
        ["verify", IMAGE, "--policy", policy, UNSIGNED, "--format", "jsonl", "--quiet=false"],
        ["verify", "--policy", policy, "--format", "jsonl", "--", IMAGE, UNSIGNED],
        ["--insecure-policy", "verify", "--format", "jsonl", IMAGE, UNSIGNED],
        ["--insecure-policy=true", "verify", "--format", "jsonl", IMAGE, UNSIGNED],
    ):
        code, out, err = run(capfd, *words)
        assert (code, err) == (0, "")
        assert [record.get("verdict") for record in records(out)] == ["accepted", "accepted", None]


def test_insecure_policy_can_be_said_to_be_false(capfd, policy):
    Path(policy).write_text('{"default":[{"type":"reject"}]}')
    code, _, _ = run(capfd, "verify", "--insecure-policy=false", "--policy", policy, IMAGE)
    assert code == 3


def test_require_signed_rejects_what_no_signature_was_asked_of(capfd, policy):
    code, out, _ = run(capfd, "verify", "--require-signed", "--policy", policy, "--format", "jsonl", IMAGE)
    assert code == 3
    assert records(out)[0]["reasons"][0]["code"] == "policy-reject"


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        ([IMAGE], 0),
        ([UNSIGNED], 3),
        ([IMAGE, UNSIGNED], 3),
        ([f"oci:{VECTORS}/cosign-k1:nope"], 2),
        (["oci:/no/such/layout:v1"], 2),
        (["dir:/no/such/folder"], 2),
        (["oci-archive:/no/such.tar"], 2),
        ([IMAGE, "oci:/no/such/layout:v1"], 4),
        ([UNSIGNED, "oci:/no/such/layout:v1"], 3),
    ],
)
def test_exit_codes(capfd, images, expected):
    code, out, err = run(capfd, "verify", *TRUST, "--format", "jsonl", *images)
    assert (code, err) == (expected, "")
    assert len(records(out)) == len(images) + 1


def test_not_found_in_a_list_is_exit_4(capfd, tmp_path):
    listed = tmp_path / "list"
    listed.write_text("oci:/no/such/layout:v1\n")
    assert run(capfd, "verify", *TRUST, "--from", str(listed))[0] == 4


def test_a_log_entry_is_demanded_unless_ignored(capfd):
    logged = f"oci:{VECTORS}/cosign-logged:v1"
    trust = ("verify", "--key", KEY, "--trusted-root", ROOT, "--format", "jsonl")
    assert run(capfd, *trust, logged)[0] == 0
    code, out, _ = run(capfd, *trust, IMAGE)
    assert code == 3
    assert records(out)[0]["reasons"][0]["code"] == "log-proof-missing"
    assert run(capfd, *trust, "--insecure-ignore-tlog", IMAGE)[0] == 0
    assert run(capfd, *trust, "--offline", logged)[0] == 0


@pytest.mark.parametrize("form", ["text", "json", "jsonl"])
def test_a_list_that_breaks_off_is_named_and_what_came_before_is_judged(capfd, form):
    lists = ("--from", "/proc/self/mem", "--from", "/dev/null")  # its first page is never mapped: EIO
    code, out, err = run(capfd, "verify", *TRUST, "--format", form, IMAGE, UNSIGNED, *lists)
    assert code == 1
    assert err == "plimsoll: --from /proc/self/mem: Input/output error; what it lists after that is not judged\n"
    if form == "text":
        assert "2 images: 1 accepted, 1 rejected" in out
    else:
        summary = json.loads(out)["summary"] if form == "json" else records(out)[-1]
        assert (summary["images"], summary["accepted"], summary["rejected"]) == (2, 1, 1)


def test_two_policies_are_compared_by_what_came_before_a_list_broke_off(capfd, policy):
    code, out, err = run(capfd, "policy", "diff", policy, policy, IMAGE, "--from", "/proc/self/mem")
    assert code == 1
    assert out.startswith("1 image")
    assert err == "plimsoll: --from /proc/self/mem: Input/output error; what it lists after that is not compared\n"


def test_insecure_policy_has_the_digest_of_the_policy_that_says_the_same(capfd, policy):
    Path(policy).write_text('{"default":[{"type":"insecureAcceptAnything"}]}')
    found = {
        records(run(capfd, "verify", "--format", "jsonl", *words, IMAGE)[1])[-1]["policy"]
        for words in (["--insecure-policy"], ["--policy", policy])
    }
    assert len(found) == 1
    assert found.pop().startswith("sha256:")


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n", "   \n\t\n"])
@pytest.mark.parametrize("form", ["text", "json", "jsonl"])
def test_an_empty_list_is_exit_1(capfd, tmp_path, text, form):
    listed = tmp_path / "list"
    listed.write_text(text)
    code, out, err = run(capfd, "verify", *TRUST, "--from", str(listed), "--format", form)
    assert code == 1
    assert err == "plimsoll: the list is empty: no image was verified\n"
    if form != "text":
        summary = json.loads(out)["summary"] if form == "json" else json.loads(out)
        assert summary["images"] == 0


def test_every_line_of_every_list_is_one_record_in_order(capfd, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_bytes(f"# fleet\n{IMAGE}\r\n\nUPPER\n".encode())
    second.write_bytes(f"\xff\n{IMAGE}\n{UNSIGNED}".encode("latin-1"))
    words = ["verify", *TRUST, "--format", "json", "--from", str(first), "--from", str(second), UNSIGNED]
    code, out, err = run(capfd, *words)
    assert (code, err) == (3, "")
    verdicts = json.loads(out)["verdicts"]
    assert [verdict["position"] for verdict in verdicts] == [0, 1, 2, 3, 4, 5]
    assert [verdict["image"] for verdict in verdicts] == [UNSIGNED, IMAGE, "UPPER", "\\udcff", IMAGE, UNSIGNED]
    assert [verdict["verdict"][0] for verdict in verdicts] == list("rauuar")
    assert verdicts[2]["reasons"][0]["code"] == "invalid-reference"


@pytest.mark.parametrize("form", ["text", "json", "jsonl"])
def test_the_output_goes_where_it_is_sent(capfd, tmp_path, form):
    report = tmp_path / "report"
    report.write_text("something long that is replaced\n" * 1000)
    direct = run(capfd, "verify", *TRUST, "--format", form, IMAGE)
    code, out, err = run(capfd, "verify", *TRUST, "--format", form, "--output", str(report), IMAGE)
    assert (code, out, err) == (0, "", "")
    times = re.compile(r'"(seconds|images_per_second)":[0-9.e-]+|[0-9.]+ s, [0-9]+ images/s')
    assert times.sub("", report.read_text()) == times.sub("", direct[1])


def test_quiet_tells_by_the_exit_code_alone(capfd):
    for words, expected in ((["-q", IMAGE], 0), (["--quiet", UNSIGNED], 3), (["--quiet=true", IMAGE], 0)):
        assert run(capfd, "verify", *TRUST, *words) == (expected, "", "")


def test_fail_fast_counts_what_was_read_and_not_judged(capfd):
    images = [UNSIGNED] + [IMAGE] * 50
    code, out, _ = run(capfd, "verify", *TRUST, "--fail-fast", "-j1", "--format", "jsonl", *images)
    *verdicts, summary = records(out)
    assert code == 3
    assert [verdict["verdict"] for verdict in verdicts] == ["rejected"]
    assert summary["images"] == 1
    assert summary.get("not_judged", 0) <= 1
    code, out, _ = run(capfd, "verify", *TRUST, "-j1", "--format", "jsonl", *images)
    assert (code, len(records(out))) == (3, 52)


@pytest.mark.parametrize("form", ["text", "json"])
def test_fail_fast_shows_the_verdict_that_ended_the_run(capfd, form):
    code, out, _ = run(capfd, "verify", *TRUST, "--fail-fast", "--format", form, IMAGE, UNSIGNED, IMAGE)
    assert code == 3
    assert "no-signature" in out


def test_a_hostile_line_reaches_the_terminal_escaped(capfd, tmp_path):
    listed = tmp_path / "list"
    listed.write_text("evil\x1b[2J\u202e\n")
    code, out, err = run(capfd, "verify", *TRUST, "--from", str(listed))
    assert code == 4
    assert "\x1b" not in out + err
    assert "\u202e" not in out + err
    assert "\\x1b" in out


def test_help_names_every_option_of_the_contract_that_is_built(capfd):
    code, out, err = run(capfd, "verify", "--help")
    assert (code, err) == (0, "")
    for option in [
        "--from",
        "--all-tags",
        "--tags",
        "--policy",
        "--registries.d",
        "--insecure-policy",
        "--require-signed",
        "--key",
        "--trusted-root",
        "--insecure-ignore-tlog",
        "--insecure-ignore-sct",
        "--signature-digest-algorithm",
        "--annotations",
        "--threshold",
        "--offline",
        "--authfile",
        "--creds",
        "--cert-dir",
        "--tls-verify",
        "--auth-realm",
        "--layers",
        "--platform",
        "--concurrency",
        "--retry-times",
        "--timeout",
        "--req-per-sec",
        "--fail-fast",
        "--format",
        "--output",
        "--progress",
        "--quiet",
    ]:
        assert option in out
    for word in ("--help", "-h"):
        code, out, err = run(capfd, word)
        assert (code, err) == (0, "")
        assert "verify" in out


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(exclude_characters="\0"), max_size=8), max_size=5))
def test_no_words_give_a_traceback(words):
    try:
        # The root is none: whatever is asked, nothing is sent.
        code = main(["verify", *TRUST, "--trusted-root", KEY, *words])
    except SystemExit as leave:  # pragma: no cover
        raise AssertionError("main() must return") from leave
    assert code in (0, 1)


def test_what_a_log_message_quotes_is_escaped(capfd):
    run(capfd, "verify", *TRUST, "--quiet", IMAGE)  # configures the log
    logging.getLogger("plimsoll.transport").warning("the registry says %s", "\x1b[2J\nERROR plimsoll: all is well")
    _, err = capfd.readouterr()
    assert err == "WARNING plimsoll.transport: the registry says \\x1b[2J\\nERROR plimsoll: all is well\n"
