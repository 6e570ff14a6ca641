"""junit and sarif as the command writes them: whole documents, kept or streamed, and what becomes of broken ones."""

import logging
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import tracemalloc
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from fakes.report_schemas import read_junit, read_sarif
from plimsoll import limits
from plimsoll.cli.formats import FORMATS
from plimsoll.cli.main import main
from plimsoll.cli.spool import Spool
from plimsoll.errors import DeliveryError
from plimsoll.model.verdict import Outcome, Reason, Verdict
from plimsoll.report.junit import RUN_CASE
from plimsoll.report.run_facts import RunFacts
from plimsoll.report.sarif import ListedAt
from plimsoll.report.shortfall import Ending
from plimsoll.report.summary import Summary

VECTORS = Path(__file__).parents[2] / "vectors" / "cosign"
IMAGE = f"oci:{VECTORS / 'cosign-k1'}:v1"
UNSIGNED = f"oci:{VECTORS / 'unsigned'}:v1"
TRUST = ("--key", str(VECTORS / "keys" / "k1.pub"), "--insecure-ignore-tlog")
WAIT_S = 30
RUN = RunFacts(policy="sha256:ab", backend="cython", started_s=0.0)
READ = {"junit": read_junit, "sarif": read_sarif}


def verdict(position, outcome=Outcome.ACCEPTED):
    reasons = () if outcome is Outcome.ACCEPTED else (Reason(code="no-signature", message="none"),) * 2
    return Verdict(image=f"docker://h/app:v{position}", position=position, outcome=outcome, reasons=reasons)


def printed(form, verdicts, write):
    """Print them all; gives how many texts were written before the end."""
    summary, before = Summary(), 0

    def counted(text):
        nonlocal before
        before += 1
        write(text)

    listed = {0: ListedAt(path="list", line=3)}
    with closing(FORMATS[form](counted, run=RUN, listed=lambda found: listed.get(found.position))) as printer:
        for found in verdicts:
            printer.verdict(found)
            summary.add(found)
        until_the_end = before
        for _ in printer.summary(summary, ending=Ending(exit_code=3)):
            pass
    return until_the_end, before


OUTCOMES = [Outcome.ACCEPTED, Outcome.REJECTED, Outcome.ACCEPTED, Outcome.UNDETERMINED, Outcome.ACCEPTED]


@pytest.mark.parametrize("outcomes", [[], OUTCOMES, OUTCOMES[::-1], [Outcome.ACCEPTED] * 3, [Outcome.REJECTED] * 3])
def test_sarif_is_one_document_and_one_text_a_verdict(outcomes):
    texts = []
    verdicts = [verdict(at, outcome) for at, outcome in enumerate(outcomes)]
    until_the_end, _ = printed("sarif", verdicts, texts.append)
    assert until_the_end == len(outcomes)
    assert all(texts)  # nothing is written of an empty text, so it would not be counted
    results = read_sarif("".join(texts))["results"]
    expected = [found.position for found in verdicts for _ in found.reasons]
    assert [result["properties"]["position"] for result in results if "properties" in result] == expected


@pytest.mark.parametrize("outcomes", [[], OUTCOMES, [Outcome.ACCEPTED] * 3])
def test_junit_is_one_document_one_text_a_verdict_and_nothing_before_the_end(outcomes):
    texts = []
    verdicts = [verdict(at, outcome) for at, outcome in enumerate(outcomes)]
    assert printed("junit", verdicts, texts.append) == (0, len(outcomes) + 1)
    cases = read_junit("".join(texts)).findall("testcase")
    assert [case.get("name") for case in cases][: len(verdicts)] == [found.image for found in verdicts]


@pytest.mark.parametrize("form", ["junit", "sarif"])
def test_a_sarif_place_is_the_lists_and_no_cut_document_can_be_read(form):
    texts = []
    printed(form, [verdict(0, Outcome.REJECTED), verdict(1, Outcome.REJECTED)], texts.append)
    if form == "sarif":
        places = [found["locations"][0]["physicalLocation"] for found in read_sarif("".join(texts))["results"]]
        assert [place["artifactLocation"]["uri"] for place in places] == ["list", "list", "h/app%3Av1", "h/app%3Av1"]
    for count in range(len(texts)):
        with pytest.raises((ValueError, SyntaxError)):  # no JSON, no XML
            READ[form]("".join(texts[:count]))


@pytest.mark.parametrize("form", ["junit", "sarif"])
def test_memory_does_not_grow_with_the_report(monkeypatch, form):
    monkeypatch.setattr(limits, "SPOOL_BYTES", 50_000)
    printed(form, [verdict(0)], len)  # what is made once a process is made
    tracemalloc.start()
    printed(form, (verdict(at, Outcome.REJECTED) for at in range(1500)), len)  # half a megabyte and more
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 350_000


def test_a_spool_gives_back_what_it_was_given(monkeypatch):
    monkeypatch.setattr(limits, "SPOOL_BYTES", 1000)
    lines = [f"{at} ü\n" for at in range(20_000)]  # beyond what is held in memory, and what is read at once
    with closing(Spool()) as spool:
        for line in lines:
            spool.add(line)
        assert list(spool.lines()) == lines


def on_a_full_disk(monkeypatch, *, held):
    monkeypatch.setattr(limits, "SPOOL_BYTES", held)
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: Path("/dev/full").open("w+b", buffering=0))  # noqa: SIM115


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_spool_that_is_full_is_a_delivery_that_failed(monkeypatch):
    on_a_full_disk(monkeypatch, held=1000)
    with closing(Spool()) as spool:
        spool.add("x" * 999 + "\n")
        with pytest.raises(DeliveryError, match=r"No space left on device.*could not be kept"):
            spool.add("y\n")


@pytest.fixture
def quiet_home(tmp_path, monkeypatch):
    for name in list(os.environ):
        if name.startswith(("REGISTRY_", "CONTAINERS_", "XDG_", "DOCKER_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    logger = logging.getLogger("plimsoll")
    before = logger.handlers[:], logger.level
    yield tmp_path
    logger.handlers[:], logger.level = before


def verify(capfd, *words):
    code = main(["verify", *TRUST, *words])
    return code, *capfd.readouterr()


def test_a_list_below_the_working_directory_is_named_with_its_lines(capfd, quiet_home):
    (quiet_home / "fleet").mkdir()
    listed = quiet_home / "fleet" / "images.txt"
    listed.write_bytes(f"\xef\xbb\xbf# all\r\n\r\n{IMAGE}\r\nUPPER\n\n{UNSIGNED}".encode("latin-1"))
    words = ["--from", str(listed), "--from", "fleet/../fleet/images.txt", "--format", "sarif", UNSIGNED]
    code, out, err = verify(capfd, *words)
    run = read_sarif(out)
    assert (code, err, run["invocations"][0]["exitCode"]) == (3, "", 3)
    places = [result["locations"][0]["physicalLocation"] for result in run["results"]]
    uris = [(place["artifactLocation"]["uri"], place["region"]["startLine"]) for place in places]
    assert uris[0][1] == 1
    assert uris[0][0].endswith("unsigned%3Av1")
    assert uris[1:] == [("fleet/images.txt", 4), ("fleet/images.txt", 6)] * 2
    assert [result["level"] for result in run["results"]] == ["error", "warning", "error", "warning", "error"]


def test_a_list_elsewhere_is_not_named(capfd, quiet_home, tmp_path_factory):
    listed = tmp_path_factory.mktemp("elsewhere") / "images.txt"
    listed.write_text(f"{UNSIGNED}\n")
    _, out, _ = verify(capfd, "--from", str(listed), "--format", "sarif")
    (result,) = read_sarif(out)["results"]
    assert "images.txt" not in str(result["locations"])


@pytest.mark.parametrize("form", ["junit", "sarif"])
def test_an_empty_list_is_no_pass(capfd, quiet_home, form):
    listed = quiet_home / "list"
    listed.write_text("# nothing\n")
    code, out, _ = verify(capfd, "--from", str(listed), "--format", form)
    assert code == 1
    assert "no image was verified" in out
    READ[form](out)


@pytest.mark.parametrize("form", ["junit", "sarif"])
def test_fail_fast_says_what_it_left(capfd, quiet_home, form):
    code, out, _ = verify(capfd, "--fail-fast", "--format", form, IMAGE, UNSIGNED, *[IMAGE] * 5)
    found = READ[form](out)
    assert code == 3
    assert "no-signature" in out
    if form == "junit":
        judged = sum(case.get("name") != RUN_CASE for case in found.findall("testcase"))
        assert (found.find(f"testcase[@name='{RUN_CASE}']") is not None) is (judged < 7)
        assert {case.get("name") for case in found.findall("testcase")} <= {IMAGE, UNSIGNED, RUN_CASE}


@pytest.mark.parametrize("form", ["junit", "sarif"])
@pytest.mark.parametrize("from_list", [True, False])
def test_what_fail_fast_left_unread_makes_no_whole_report(capfd, quiet_home, form, from_list):
    images = [IMAGE, UNSIGNED, *[IMAGE] * 20]
    (quiet_home / "list").write_text("\n".join(images))
    words = ["--from", str(quiet_home / "list")] if from_list else images
    code, out, _ = verify(capfd, "-j1", "--fail-fast", "--format", form, *words)
    found = READ[form](out)
    assert code == 3
    if form == "junit":
        assert found.find(f"testcase[@name='{RUN_CASE}']/error").get("type") == "not-judged"
    else:
        assert found["invocations"][0]["executionSuccessful"] is False
    # Its twin: the one that fails is the last, and nothing is left.
    code, out, _ = verify(capfd, "-j1", "--fail-fast", "--format", form, IMAGE, UNSIGNED)
    assert (code, "the run ended early" in out) == (3, False)


@pytest.mark.parametrize("form", ["jsonl", "junit", "sarif"])
def test_quiet_still_writes_what_output_names(capfd, quiet_home, form):
    report = quiet_home / "report"
    assert verify(capfd, "-q", "--format", form, "--output", str(report), UNSIGNED) == (3, "", "")
    assert "no-signature" in report.read_text()


@pytest.mark.parametrize("form", ["junit", "sarif"])
def test_quiet_and_output_hold_for_them_too(capfd, quiet_home, form):
    assert verify(capfd, "-q", "--format", form, IMAGE) == (0, "", "")
    report = quiet_home / "report"
    report.write_text("earlier" * 1000)
    assert verify(capfd, "--format", form, "--output", str(report), IMAGE) == (0, "", "")
    READ[form](report.read_text())


@contextmanager
def started(*words, home, stdin=subprocess.DEVNULL):
    process = subprocess.Popen(
        [sys.executable, "-m", "plimsoll", "verify", *TRUST, *words],
        env=os.environ | {"HOME": str(home)},
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("form", ["junit", "sarif"])
def test_an_interrupted_run_is_a_whole_document_and_no_pass(quiet_home, form):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(WAIT_S)
        words = ["-j2", "--format", form, IMAGE, f"docker://127.0.0.1:{silent.getsockname()[1]}/app:v1"]
        with started(*words, home=quiet_home) as process:
            connection, _ = silent.accept()
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=WAIT_S)
            connection.close()
    found = READ[form](out)
    assert (process.returncode, err) == (130, "")
    if form == "junit":
        assert found.find(f"testcase[@name='{RUN_CASE}']/error").get("type") == "not-judged"
    else:
        assert [result["ruleId"] for result in found["results"]] == ["not-judged"]
        assert found["invocations"][0]["exitCode"] == 130
        assert found["invocations"][0]["executionSuccessful"] is False


def test_a_run_that_waited_for_its_list_when_it_was_interrupted_is_no_pass(quiet_home):
    with started("--from", "-", "--format", "sarif", home=quiet_home, stdin=subprocess.PIPE) as process:
        process.stdin.write(f"{IMAGE}\n")
        process.stdin.flush()
        out = process.stdout.readline()  # the head; the verdict's space comes with it
        process.send_signal(signal.SIGINT)
        out += process.stdout.read()
        code = process.wait(WAIT_S)
    run = read_sarif(out)
    assert (code, run["invocations"][0]["properties"]["notJudged"]) == (130, 0)
    assert [result["ruleId"] for result in run["results"]] == ["not-judged"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
@pytest.mark.parametrize("form", ["junit", "sarif"])
def test_a_full_device_is_exit_1_and_no_verdict_is_said_to_be_written(capfd, quiet_home, form):
    code, out, err = verify(capfd, "--output", "/dev/full", "--format", form, IMAGE, UNSIGNED)
    assert (code, out) == (1, "")
    assert re.fullmatch(r"plimsoll: /dev/full: No space left[^\n]*; 0 verdicts were written, 2 more [^\n]+\n", err)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_report_that_cannot_be_kept_is_exit_1(capfd, quiet_home, monkeypatch):
    on_a_full_disk(monkeypatch, held=1)
    code, out, err = verify(capfd, "--format", "junit", IMAGE)
    assert (code, out) == (1, "")
    assert "could not be kept" in err
    assert "; 0 verdicts were written" in err
