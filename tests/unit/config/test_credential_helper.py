from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll import limits
from plimsoll.config.credential_helper import CredentialHelpers, is_helper_name, parse_answer
from plimsoll.errors import CredentialHelperError
from plimsoll.model.settings import Credentials, IdentityToken, Login

SECRET = "s3cr3t-passw0rd"
ANSWER = json.dumps({"ServerURL": "r.example", "Username": "me", "Secret": SECRET})


class Shelf:
    """A folder of helpers, which is all of PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked = folder / "asked"

    def put(self, name: str, code: str) -> None:
        program = self.folder / f"docker-credential-{name}"
        program.write_text(f"#!{sys.executable} -IS\nimport os, sys, time\n{code}\n")
        program.chmod(0o755)

    def counted(self, answer: str = ANSWER, *, status: int = 0) -> str:
        return (
            f"open({str(self.asked)!r}, 'a').write(' '.join(sys.argv[1:]) + ' ' + sys.stdin.read() + '\\n')\n"
            f"print({answer!r})\nsys.exit({status})"
        )

    def get(
        self, name: str, server: str = "r.example", *, timeout_s: float = 20.0, path: str | None = None
    ) -> Login | None:
        async def story() -> Login | None:
            helpers = CredentialHelpers({"PATH": path or str(self.folder)}, timeout_s=timeout_s)
            try:
                return await helpers.get(name, server, named_by="auth.json")
            finally:
                await helpers.aclose()

        return asyncio.run(story())


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def test_the_helper_is_asked_for_the_server_on_stdin(shelf: Shelf):
    shelf.put("x", shelf.counted())
    assert shelf.get("x", "r.example:5000") == Credentials(username="me", password=SECRET)
    assert shelf.asked.read_text() == "get r.example:5000\n"


def test_a_token_in_place_of_a_user(shelf: Shelf):
    shelf.put("x", shelf.counted('{"Username": "<token>", "Secret": "t"}'))
    assert shelf.get("x") == IdentityToken(value="t")


@pytest.mark.parametrize(("answer", "status"), [("credentials not found in native keychain", 1), ("{}", 0)])
def test_a_helper_that_has_nothing(shelf: Shelf, answer: str, status: int):
    shelf.put("x", shelf.counted(answer, status=status))
    assert shelf.get("x") is None


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("print('no JSON ' + 'S3CR3T')", "its answer cannot be read"),
        ("print('[1]')", "no JSON object"),
        ("print('{\"Username\": 1}')", "no text"),
        ("pass", "its answer cannot be read"),
        ("print('S3CR3T'); sys.exit(3)", "exit code 3"),
        ("print('credentials not found in native keychain')", "its answer cannot be read"),
        ("os.kill(os.getpid(), 9)", "exit code -9"),
        ("while True: os.write(1, b'x' * 65536)", "printed more than"),
    ],
)
def test_rubbish_and_failures_are_errors_that_name_helper_and_file(shelf: Shelf, code: str, said: str):
    shelf.put("x", code)
    with pytest.raises(CredentialHelperError) as caught:
        shelf.get("x")
    message = str(caught.value)
    for part in ("docker-credential-x", "'auth.json'", "r.example", said):
        assert part in message
    assert "S3CR3T" not in message


def test_a_missing_helper_is_an_error(shelf: Shelf):
    with pytest.raises(CredentialHelperError, match="no such program in PATH"):
        shelf.get("x")


@pytest.mark.parametrize("name", ["", "../x", "a/b", "x\n", "x y"])
def test_a_name_that_is_no_programs_runs_nothing(shelf: Shelf, name: str):
    assert not is_helper_name(name)
    with pytest.raises(CredentialHelperError, match="no program's"):
        shelf.get(name)


def test_the_current_directory_is_no_place_for_helpers(shelf: Shelf, monkeypatch: pytest.MonkeyPatch):
    shelf.put("x", shelf.counted())
    monkeypatch.chdir(shelf.folder)
    for path in (":", ".", "./:nowhere"):
        with pytest.raises(CredentialHelperError, match="no such program"):
            shelf.get("x", path=path)
    assert not shelf.asked.exists()


def test_a_file_that_cannot_be_run(shelf: Shelf):
    shelf.put("x", "pass")
    (shelf.folder / "docker-credential-x").write_text("#!/no/such/interpreter\n")
    with pytest.raises(CredentialHelperError, match="cannot be started"):
        shelf.get("x")


@pytest.mark.parametrize(
    "code",
    [
        "time.sleep(600)",
        "os.close(1); time.sleep(600)",
        # Its child keeps our end of the pipe open after it has gone.
        "os.fork() or time.sleep(600); print('{}')",
    ],
)
def test_a_helper_that_hangs_is_ended_with_all_that_it_started(shelf: Shelf, code: str):
    pids = shelf.folder / "pids"
    shelf.put("x", f"open({str(pids)!r}, 'w').write(str(os.getpid()))\n{code}")
    with pytest.raises(CredentialHelperError, match="no answer in 2 s"):
        shelf.get("x", timeout_s=2.0)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pids.read_text()), 0)


def test_each_server_is_asked_for_once_a_run_whoever_wants_it(shelf: Shelf):
    shelf.put("x", shelf.counted())
    shelf.put("bad", shelf.counted("rubbish"))

    async def story() -> None:
        helpers = CredentialHelpers({"PATH": str(shelf.folder)})
        found = await asyncio.gather(*(helpers.get("x", "r.example", named_by="f") for _ in range(5)))
        assert set(found) == {Credentials(username="me", password=SECRET)}
        await helpers.get("x", "r.example", named_by="f")
        await helpers.get("x", "s.example", named_by="f")
        for _ in range(2):
            with pytest.raises(CredentialHelperError):
                await helpers.get("bad", "r.example", named_by="f")
        await helpers.aclose()

    asyncio.run(story())
    assert sorted(shelf.asked.read_text().splitlines()) == ["get r.example", "get r.example", "get s.example"]


def test_closing_ends_a_helper_that_still_runs(shelf: Shelf):
    shelf.put("x", f"open({str(shelf.asked)!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)")

    async def story() -> int:
        helpers = CredentialHelpers({"PATH": str(shelf.folder)})
        waiting = asyncio.create_task(helpers.get("x", "r.example", named_by="f"))
        while not (shelf.asked.exists() and shelf.asked.read_text()):
            await asyncio.sleep(0.01)
        await helpers.aclose()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return int(shelf.asked.read_text())

    pid = asyncio.run(story())  # joins the thread that waits for the program
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_secrets_are_in_no_repr():
    assert SECRET not in repr(parse_answer(ANSWER.encode()))
    assert SECRET not in repr(parse_answer(json.dumps({"Username": "<token>", "Secret": SECRET}).encode()))


TEXTS = st.text(max_size=20)


@given(TEXTS, TEXTS)
def test_any_user_and_secret_come_back(username: str, secret: str):
    found = parse_answer(json.dumps({"Username": username, "Secret": secret, "More": 1}).encode())
    if username == "<token>":
        assert found == (IdentityToken(value=secret) if secret else None)
    else:
        assert found == (Credentials(username=username, password=secret) if username or secret else None)


@given(
    st.binary(max_size=100)
    | st.recursive(st.none() | st.text(max_size=5), st.lists).map(lambda x: json.dumps(x).encode())
)
def test_any_other_answer_is_a_value_error_at_most(data: bytes):
    try:
        found = parse_answer(data)
    except ValueError:
        return
    assert found is None or isinstance(found, Credentials | IdentityToken)


def test_the_output_cap_is_the_limits_own():
    assert limits.HELPER_OUTPUT_BYTES >= 64 * limits.KIB
