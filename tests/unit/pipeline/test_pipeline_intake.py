import asyncio
import os
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll import limits
from plimsoll.errors import InvalidReferenceError, LimitExceededError, NotFoundError, UnreachableError
from plimsoll.model.reference import DockerReference, parse_reference
from plimsoll.pipeline.intake import TagExpansion, Unread, lines_of, parse_repository, read_entry

REPOSITORY = "registry.example/team/app"


async def collect(items):
    return [item async for item in items]


def from_file(data, path):
    path.write_bytes(data)
    with path.open("rb") as stream:
        return asyncio.run(collect(lines_of(stream)))


def from_pipe(data, path=None, *, pieces=1):
    reading, writing = os.pipe()

    def feed():
        with open(writing, "wb", buffering=0) as pipe:
            step = max(1, len(data) // pieces)
            pipe.writelines(data[at : at + step] for at in range(0, len(data), step))

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        with open(reading, "rb") as stream:
            return asyncio.run(collect(lines_of(stream)))
    finally:
        feeder.join(10)


BOTH = pytest.mark.parametrize("read", [from_file, from_pipe])


@BOTH
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"\n\n \n\t\n", []),
        (b"a\nb\n", ["a", "b"]),
        (b"a\nb", ["a", "b"]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"  a  \n\tb\t\n", ["a", "b"]),
        (b"# comment\na\n  # comment\nb#no comment\n#", ["a", "b#no comment"]),
        (b"a\na\n", ["a", "a"]),
        ("ä\n".encode(), ["ä"]),
        (b"\xff\xfe\n", ["\udcff\udcfe"]),
        # Notepad's mark of UTF-8 is no part of the first name; elsewhere it is no mark.
        (b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n", ["a", "\ufeffb"]),
        (b"\xef\xbb\xbf# comment\na\n", ["a"]),
        (b"\xef\xbb\xbf", []),
        (b"a\x00b\n", ["a\x00b"]),
        (b"a b\n", ["a b"]),
        # What only Unicode calls a space is no blank line, and no reference either.
        (b"\x1c\n\xc2\x85a\n", ["\x1c", "\x85a"]),
    ],
)
def test_one_reference_a_line(read, data, expected, tmp_path):
    assert read(data, tmp_path / "list") == expected


@BOTH
@pytest.mark.parametrize("length", [limits.REFERENCE_CHARS * 4, limits.REFERENCE_CHARS * 4 + 1, 100_000, 1_000_000])
@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b""])
def test_a_line_that_is_too_long_is_one_refused_record_and_the_next_line_is_whole(read, length, ending, tmp_path):
    lines = read(b"first\n" + b"x" * length + (ending + b"last" if ending else b""), tmp_path / "list")
    assert lines[0] == "first"
    assert lines[2:] == (["last"] if ending else [])
    entry = read_entry(lines[1])
    assert isinstance(entry, Unread)
    assert entry.reason.code == "invalid-reference"
    assert len(lines[1]) <= limits.REFERENCE_CHARS * 4 + 2


@BOTH
def test_a_comment_that_is_too_long_is_still_a_comment(read, tmp_path):
    assert read(b"#" + b"x" * 100_000 + b"\nlast", tmp_path / "list") == ["last"]


@BOTH
@pytest.mark.parametrize("name", [b"docker.io/library/app", b"   docker.io/library/app"])
def test_spaces_do_not_hide_what_was_cut_behind_them(read, name, tmp_path):
    lines = read(name + b" " * 100_000 + b"docker.io/library/other\nlast", tmp_path / "list")
    assert len(lines) == 2
    assert isinstance(read_entry(lines[0]), Unread)
    few = read(name + b" " * 1000 + b"\nlast", tmp_path / "list")
    assert few == ["docker.io/library/app", "last"]


@BOTH
def test_a_reference_behind_too_many_spaces_is_not_lost(read, tmp_path):
    lines = read(b" " * 100_000 + b"docker.io/library/app\nlast", tmp_path / "list")
    assert len(lines) == 2
    assert isinstance(read_entry(lines[0]), Unread)
    assert lines[1] == "last"


@settings(deadline=None, max_examples=60)
@given(st.lists(st.binary(max_size=40).filter(lambda line: b"\n" not in line), max_size=20), st.integers(1, 9))
def test_a_pipe_and_a_file_give_the_same_lines(tmp_path_factory, lines, pieces):
    data = b"\n".join(lines)
    found = from_pipe(data, pieces=pieces)
    assert found == from_file(data, tmp_path_factory.getbasetemp() / "list")
    for text in found:
        assert isinstance(read_entry(text), DockerReference | Unread) or text.startswith(("oci", "dir"))


def test_dev_null_is_an_empty_list():
    with open(os.devnull, "rb") as stream:
        assert asyncio.run(collect(lines_of(stream))) == []


def test_a_pipe_is_left_blocking_as_it_was_found():
    reading, writing = os.pipe()
    os.write(writing, b"a\n")
    os.close(writing)
    with open(os.dup(reading), "rb") as stream:
        assert asyncio.run(collect(lines_of(stream))) == ["a"]
    assert os.get_blocking(reading)
    os.close(reading)


def test_reading_a_silent_pipe_can_be_cancelled():
    reading, writing = os.pipe()

    async def run(stream):
        task = asyncio.create_task(collect(lines_of(stream)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        await task

    with open(writing, "wb"), open(reading, "rb") as stream, pytest.raises(asyncio.CancelledError):
        asyncio.run(run(stream))


@pytest.mark.parametrize("text", ["", "A", "a b", "a\x00", "ftp://x", "docker:x", "x" * 5000, "sif:x"])
def test_what_is_no_reference_is_unread_with_its_reason(text):
    entry = read_entry(text)
    assert entry == Unread(text=text, reason=entry.reason)
    assert entry.reason.code == "invalid-reference"


def test_what_stands_for_no_character_is_shown_as_an_escape():
    entry = read_entry("a\udcff\ud800:v1")
    assert (entry.text, entry.reason.code) == ("a\\udcff\\ud800:v1", "invalid-reference")


def test_a_reference_is_read():
    assert read_entry(f"{REPOSITORY}:v1") == parse_reference(f"docker://{REPOSITORY}:v1")


def expand(tags, *texts, patterns=(), error=None):
    closed = []

    async def tags_of(repository):
        assert repository.repository == REPOSITORY
        try:
            for tag in tags:
                yield tag
            if error is not None:
                raise error
        finally:
            closed.append(True)

    async def given_texts():
        for text in texts or (REPOSITORY,):
            yield text

    expansion = TagExpansion(tags_of, patterns=patterns)
    entries = asyncio.run(collect(expansion.expand(given_texts())))
    assert len(closed) <= max(1, len(texts))
    return entries, expansion.attachments


def shown(entries):
    return [entry.reason.code if isinstance(entry, Unread) else entry.tag for entry in entries]


def test_every_tag_is_one_entry():
    entries, attachments = expand(["v1", "v2", "latest"])
    assert [str(entry) for entry in entries] == [f"docker://{REPOSITORY}:{tag}" for tag in ("v1", "v2", "latest")]
    assert attachments == 0


DIGEST = f"sha256-{'a' * 64}"


def test_attachments_are_counted_and_not_verified():
    tags = [
        "v1",
        DIGEST,
        f"{DIGEST}.sig",
        f"{DIGEST}.att",
        f"{DIGEST}.sbom",
        f"sha512-{'b' * 64}",
        f"sha512-{'b' * 128}",
    ]
    entries, attachments = expand(tags)
    assert (shown(entries), attachments) == (["v1"], 6)


@pytest.mark.parametrize(
    "tag",
    [
        f"main-{'a' * 40}",
        f"build-{'0' * 64}",
        f"sha256-{'a' * 63}",
        f"sha256-{'A' * 64}",
        f"{DIGEST}.txt",
        f"x{DIGEST}",
    ],
)
def test_a_tag_that_only_looks_like_an_attachment_is_verified(tag):
    entries, attachments = expand([tag])
    assert (shown(entries), attachments) == ([tag], 0)


@pytest.mark.parametrize("tag", ["", ".a", "-a", "a b", "a\x1b[2J", "a/b", "x" * 129, "../x", "ä"])
def test_a_tag_outside_the_grammar_is_an_undetermined_record(tag):
    entries, _ = expand(["v1", tag])
    assert shown(entries) == ["v1", "invalid-reference"]
    assert entries[1].text == f"docker://{REPOSITORY}:{tag}"


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (("v1.*",), ["v1.0", "v1.1"]),
        (("v1.*", "l*"), ["v1.0", "v1.1", "latest"]),
        (("V1.*",), ["not-found"]),
        (("v?.0",), ["v1.0", "v2.0"]),
        (("[lv]*",), ["v1.0", "v1.1", "v2.0", "latest"]),
    ],
)
def test_tags_are_narrowed_by_globs(patterns, expected):
    entries, attachments = expand(["v1.0", "v1.1", "v2.0", "latest", DIGEST], patterns=patterns)
    assert (shown(entries), attachments) == (expected, 1)


@pytest.mark.parametrize("tags", [[], [DIGEST], [f"{DIGEST}.sig"]])
def test_a_repository_with_no_tag_left_is_one_record(tags):
    entries, attachments = expand(tags)
    assert (shown(entries), attachments) == (["not-found"], len(tags))
    assert entries[0].text == f"docker://{REPOSITORY}"


def test_the_record_says_which_tags_were_looked_for():
    (entry,), _ = expand(["v1"], patterns=("x*", "y*"))
    assert "x* or y*" in entry.reason.message


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotFoundError("x"), "not-found"),
        (UnreachableError("x"), "unreachable"),
        (LimitExceededError("x"), "server-error"),
    ],
)
@pytest.mark.parametrize("tags", [[], ["v1", "v2"]])
def test_an_error_of_the_listing_is_a_record_after_the_tags_that_came(tags, error, code):
    entries, _ = expand(tags, error=error)
    assert shown(entries) == [*tags, code]


def test_each_repository_is_listed_and_a_bad_name_hurts_no_other():
    entries, _ = expand(["v1"], REPOSITORY, "UPPER", f"docker://{REPOSITORY}")
    assert shown(entries) == ["v1", "invalid-reference", "v1"]


@pytest.mark.parametrize("text", [REPOSITORY, f"docker://{REPOSITORY}", "localhost:5000/app", "app"])
def test_a_repository_is_a_name_alone(text):
    assert parse_repository(text).tag == "latest"


@pytest.mark.parametrize(
    "text",
    [
        f"{REPOSITORY}:v1",
        f"{REPOSITORY}@sha256:{'a' * 64}",
        f"{REPOSITORY}:v1@sha256:{'a' * 64}",
        "oci:/x",
        "dir:/x",
        "",
        "A",
    ],
)
def test_more_than_a_repository_is_refused(text):
    with pytest.raises(InvalidReferenceError):
        parse_repository(text)
