from __future__ import annotations

import asyncio
import codecs
import io
import os
import posixpath
import shutil
import subprocess
import tarfile
import tempfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.layouts import LayoutWriter
from plimsoll import limits
from plimsoll.errors import ContentError, LimitExceededError
from plimsoll.model.reference import ArchiveReference
from plimsoll.transport.archive import ArchiveCache, open_archive
from plimsoll.transport.layout_index import LayoutCache
from plimsoll.transport.tar_headers import BLOCK_BYTES, is_whole, parse_header, parse_records
from plimsoll.transport.tar_index import index_tar

USTAR, GNU, V7 = b"ustar\x0000", b"ustar  \0", b"\0" * 8
END = b"\0" * 1024
GIB = 1024**3
FORMATS = {"gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT, "ustar": tarfile.USTAR_FORMAT}


def padded(data):
    return data + b"\0" * (-len(data) % BLOCK_BYTES)


def summed(block, *, signed=False):
    """The block with its checksum made right."""
    block = bytearray(block)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(byte - 256 * (signed and byte > 127) for byte in block)
    return bytes(block)


def header(name, size=0, kind=b"0", *, magic=USTAR, target=b"", prefix=b"", fields=()):
    """A header, with ``fields`` written over it at the end."""
    block = bytearray(BLOCK_BYTES)
    size = size if isinstance(size, bytes) else b"%011o\0" % size
    plain = ((0, name[:100]), (100, b"0000644\0"), (124, size), (156, kind), (157, target), (257, magic), (345, prefix))
    for at, value in (*plain, *fields):
        block[at : at + len(value)] = value
    return summed(block)


def member(name, data=b"", **more):
    return header(name, len(data), **more) + padded(data)


def record(key, value):
    length = len(key) + len(value) + 3
    while len(text := b"%d %s=%s\n" % (length, key, value)) != length:
        length = len(text)
    return text


def pax(*records, kind=b"x", name=b"PaxHeaders/x"):
    return member(name, b"".join([record(*each) for each in records]), kind=kind)


def long(name, kind=b"L"):
    return member(b"././@LongLink", name + b"\0", kind=kind, magic=GNU)


def indexed(data, *, length=None):
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        if length is not None:
            file.truncate(length)
        return index_tar(file.fileno(), "a.tar")


def names(data):
    index = indexed(data)
    return {**dict.fromkeys(index.files, ""), **index.links}


MTIME = (b"mtime", b"1")
JUNK = (b"path", b"junk")
INDEX = (b"path", b"index.json")
# What D1 is: one reader sees the name "junk" where another one sees "index.json". Beside each stands an honest twin.
TWO_WAYS = {
    "global name, other records": (
        lambda data: pax(JUNK, kind=b"g") + pax(MTIME) + member(b"index.json", data),
        lambda data: pax((b"comment", b"index.json"), kind=b"g") + pax(MTIME) + member(b"junk", data),
    ),
    "global name, empty name": (
        lambda data: pax(JUNK, kind=b"g") + pax((b"path", b"")) + member(b"index.json", data),
        lambda data: pax() + member(b"junk", data),
    ),
    "pax name, long name": (
        lambda data: pax(JUNK) + long(b"index.json") + member(b"x", data),
        lambda data: pax(JUNK) + member(b"index.json", data),
    ),
    "long name, pax name": (
        lambda data: long(b"index.json") + pax(JUNK) + member(b"x", data),
        lambda data: long(b"junk") + member(b"index.json", data),
    ),
    "two pax headers": (
        lambda data: pax(JUNK) + pax(MTIME) + member(b"index.json", data),
        lambda data: pax(JUNK, MTIME) + member(b"index.json", data),
    ),
    "two pax names": (
        lambda data: pax(MTIME) + pax(JUNK) + member(b"index.json", data),
        lambda data: pax(MTIME, JUNK) + member(b"index.json", data),
    ),
    "an empty long name": (
        lambda data: long(b"") + member(b"index.json", data),
        lambda data: long(b"junk") + member(b"index.json", data),
    ),
    "two long names": (
        lambda data: long(b"junk") + long(b"index.json") + member(b"x", data),
        lambda data: long(b"junk") + member(b"x", data),
    ),
    "a prefix before prefixes were": (
        lambda data: member(b"index.json", data, magic=V7, prefix=b"junk"),
        lambda data: member(b"index.json", data, magic=USTAR, prefix=b"junk"),
    ),
    "a prefix in GNU's format": (
        lambda data: member(b"index.json", data, magic=GNU, prefix=b"junk"),
        lambda data: member(b"junk", data, magic=GNU),
    ),
    "a sparse name": (
        lambda data: pax((b"GNU.sparse.name", b"junk")) + member(b"index.json", data),
        lambda data: pax((b"SCHILY.xattr.user.name", b"index.json")) + member(b"junk", data),
    ),
    "a sparse name and size": (
        lambda data: pax((b"GNU.sparse.realsize", b"0"), (b"GNU.sparse.name", b"junk")) + member(b"index.json", data),
        lambda data: pax((b"SCHILY.dev", b"0"), JUNK) + member(b"index.json", data),
    ),
    "one block of zeros, then more": (
        lambda data: b"\0" * 512 + member(b"index.json", data),
        lambda data: member(b"junk", data) + b"\0" * 512,
    ),
    "a name twice in one header": (
        lambda data: pax(JUNK, INDEX) + member(b"x", data),
        lambda data: pax(JUNK) + member(b"x", data),
    ),
    "no record": (
        lambda data: member(b"pax", b"13 path=junk\n".ljust(20, b"\0"), kind=b"x") + member(b"index.json", data),
        lambda data: member(b"pax", b"13 path=junk\n", kind=b"x") + member(b"index.json", data),
    ),
    "pax index.json, long junk": (
        lambda data: pax(INDEX) + long(b"junk") + member(b"x", data),
        lambda data: pax(JUNK) + member(b"x", data),
    ),
}


def two_images():
    """The members of a layout, and beside it the blobs and the index.json of another one."""
    good, evil = LayoutWriter(), LayoutWriter()
    image = good.image("good", name="a")
    evil.image("evil", name="a")
    others = {**evil.finished(), **good.finished()}
    return image, b"".join([member(*each) for each in encoded(others)]), evil.finished()["index.json"]


def encoded(files):
    return [(name.encode(), data) for name, data in files.items()]


def judged(file):
    async def story():
        source = open_archive(ArchiveReference(path=str(file), name="a"), ArchiveCache(), LayoutCache())
        try:
            return (await source.manifest()).digest
        finally:
            await source.aclose()

    return asyncio.run(story())


@pytest.mark.parametrize("case", TWO_WAYS)
def test_no_second_index_is_hidden_by_a_name_that_readers_take_differently(tmp_path, case):
    hostile, honest = TWO_WAYS[case]
    image, members, evil = two_images()
    file = tmp_path / "a.tar"
    file.write_bytes(members + hostile(evil) + END)
    with pytest.raises(ContentError, match=r"could be read two ways: at the header at byte \d+, "):
        judged(file)
    file.write_bytes(members + honest(evil) + END)
    assert judged(file) == image.digest
    assert any("junk" in name for name in indexed(file.read_bytes()).files)


def test_the_message_says_where_and_why():
    with pytest.raises(ContentError) as caught:
        indexed(member(b"a", b"x") + long(b"b") + long(b"c") + member(b"d") + END)
    assert str(caught.value) == (
        "a.tar could be read two ways: at the header at byte 2048, it is a GNU long name behind a GNU long name;"
        " pack it anew"
    )


@pytest.mark.parametrize(
    ("hostile", "said"),
    [
        (member(b"a", kind=b"7"), "of the kind b'7'"),
        (member(b"a", kind=b"S", magic=GNU), "of the kind b'S'"),
        (member(b"a", kind=b"3"), "of the kind b'3'"),
        (member(b"a", kind=b"A"), "of the kind b'A'"),
        (member(b"a", kind=b"X") + member(b"a"), "of the kind b'X'"),
        (member(b"a", kind=b"5", fields=((124, b"%011o\0" % 1),)) + b"x" * 512, "a folder of 1 bytes"),
        (header(b"a", 1, b"1", target=b"b") + b"x" * 512, "a hard link of 1 bytes"),
        (header(b"a", kind=b"2"), "symbolic link to nothing"),
        (header(b""), "name is empty"),
        (header(b"a/"), "slash at the end"),
        (header(b"a/", kind=b"2", target=b"b"), "slash at the end"),
        (long(b"a" * 99 + b"/b") + header(b"a" * 99 + b"/", kind=b"\0", magic=GNU), "slash at the end"),
        (long(b"a" * 120 + b"/") + header(b"a" * 100, kind=b"\0", magic=GNU), "slash at the end"),
        (header(b"."), "the archive's root"),
        (header(b"a") + header(b"a/", kind=b"5"), "two members"),
        (header(b"a/", kind=b"5") + header(b"a"), "two members"),
        (header(b"\xff"), "no UTF-8"),
        (pax((b"linkpath", b"b")) + header(b"a", kind=b"2"), "symbolic link to nothing"),
        (long(b"b", b"K") + header(b"a", kind=b"1", magic=GNU), "hard link to nothing"),
        (pax((b"path", b"\xff")) + header(b"a"), "no UTF-8"),
        (header(b"a", magic=b"ustar 00"), "unknown format: b'ustar 00'"),
        (header(b"a", magic=b"USTAR\x0000"), "unknown format"),
        (header(b"a", fields=((508, b"tar\0"),)), "behind its prefix"),
        (header(b"a", prefix=b"b\0c"), "behind its prefix"),
        (header(b"a", magic=GNU, fields=((345, b"14000000000\0"),)), "fields of another format"),
        (header(b"a", b" " * 12), "no number"),
        (header(b"a", b"-1\0"), "no number"),
        (header(b"a", b"0o17\0"), "no number"),
        (header(b"a", b"1_0\0"), "no number"),
        (header(b"a", b"12 3\0"), "no number"),
        (header(b"a", b"\0" * 4 + b"7"), "no number"),
        (header(b"a", b"\x81" + b"\0" * 11), "no number"),
        (header(b"a", b"\xff" * 12), "size is -1"),
        (header(b"a", b"\x80" + b"\0" * 3 + b"\x80" + b"\0" * 7), "more than 64 bits"),
        (header(b"a", fields=((100, b"9"),)), "no number"),
        (header(b"a", fields=((329, b"x"),)), "no number"),
        (pax(JUNK), "must follow"),
        (long(b"b"), "must follow"),
        (pax((b"comment", b"c"), kind=b"g"), "must follow"),
        (pax(JUNK) + pax((b"comment", b"c"), kind=b"g") + header(b"a"), "global pax header behind a pax header"),
        (long(b"a") + pax((b"comment", b"c"), kind=b"g") + header(b"a"), "global pax header behind a GNU long name"),
        (pax((b"mtime", b"1"), kind=b"g"), "global pax header with b'mtime'"),
        (long(b"b\0c") + header(b"a"), "has a NUL in it"),
        (long(b"b", b"K") + header(b"a"), "a file with the name of a link's target"),
        (pax((b"linkpath", b"b")) + header(b"a"), "a file with the name of a link's target"),
        (pax((b"size", b"512")) + header(b"a") + b"\0" * 512, "0 in the header and 512 in the pax header"),
        (pax((b"size", b"0")) + header(b"a", 1) + padded(b"x"), "1 in the header and 0 in the pax header"),
        (pax((b"size", b"%d" % (9 * GIB))) + header(b"a", 1), "1 in the header and 9663676416 in the pax header"),
        (header(b"x", 11, b"x") + padded(b"11 path=ab\n8 path=c\n") + header(b"a"), "goes on behind the 11 bytes"),
        (member(b"x", b"b", kind=b"L", magic=GNU)[:-500] + b"c" * 500 + header(b"a"), "goes on behind the 1 bytes"),
    ],
)
def test_what_readers_take_differently_is_refused(hostile, said):
    with pytest.raises(ContentError, match=said):
        indexed(member(b"before") + hostile + END)


@pytest.mark.parametrize(
    ("honest", "seen"),
    [
        (member(b"a", kind=b"\0"), {"a": ""}),
        (member(b"a", magic=V7), {"a": ""}),
        (header(b"a", magic=b"ustar\0\0\0", prefix=b"b"), {"b/a": ""}),
        (pax(JUNK) + header(b"a", magic=GNU), {"junk": ""}),
        (header(b"a/", kind=b"5"), {}),
        (header(b"a/", kind=b"\0", magic=V7), {}),
        (header(b"./", kind=b"5"), {}),
        (header(b"a/", kind=b"5") + header(b"a", kind=b"5"), {}),
        (header(b"a", kind=b"1", target=b"b"), {"a": "b"}),
        (header(b"c/a", kind=b"2", target=b"../b"), {"c/a": "b"}),
        (header(b"a" * 100), {"a" * 100: ""}),
        (header(b"a" * 100, prefix=b"b" * 155), {"b" * 155 + "/" + "a" * 100: ""}),
        (long(b"a" * 300) + header(b"a" * 100, magic=GNU), {"a" * 300: ""}),
        (long(b"a" * 300) + header(b"a" * 100), {"a" * 300: ""}),
        (long(b"a" * 300) + long(b"b", b"K") + header(b"a", kind=b"1", magic=GNU, target=b"c"), {"a" * 300: "b"}),
        (long(b"b", b"K") + long(b"a" * 300) + header(b"a", kind=b"2", magic=GNU, target=b"c"), {"a" * 300: "b"}),
        (pax((b"linkpath", b"b"), (b"path", b"a")) + header(b"x", kind=b"2", target=b"y"), {"a": "b"}),
        (pax((b"size", b"1")) + member(b"a", b"x"), {"a": ""}),
        (pax((b"comment", b"c"), kind=b"g") * 2 + pax(JUNK) + header(b"a"), {"junk": ""}),
        (header(b"a", fields=((136, b"\xff" * 12),)), {"a": ""}),
        (header(b"a", fields=((108, b"\x80\0\0\0\xff\xff\xff\xfe"), (329, b"\0" * 16))), {"a": ""}),
    ],
)
def test_what_readers_take_alike_is_read(honest, seen):
    assert names(member(b"before") + honest + END) == {"before": "", **seen}


@pytest.mark.parametrize(
    "records",
    [
        b"12 path=abc",
        b"12 path=abcd",
        b"14 path=abcd\n",
        b"013 path=abc\n",
        b"+13 path=abc\n",
        b" 13 path=abc\n",
        b"12\tpath=abc\n",
        b"12 path=abc\n\0",
        b"5 a\n6 b\n",
        b"5 =a\n",
        b"2 \n",
        b"99999999999999999999 path=abc\n",
        record(b"path", b"a\0b"),
        record(b"pa\0th", b"a"),
        record(b"SCHILY.xattr.a\0b", b"a"),
        record(b"path", b""),
        record(b"linkpath", b""),
        record(b"uname", b"a\0b"),
        record(b"size", b"-1"),
        record(b"size", b"+1"),
        record(b"size", b"01"),
        record(b"size", b" 1"),
        record(b"size", b"1" * 19),
        record(b"size", "\N{ARABIC-INDIC DIGIT ONE}".encode()),
        record(b"uid", b"1_0"),
        record(b"mtime", b"1e3"),
        record(b"mtime", b"nan"),
        record(b"mtime", b"1."),
        record(b"hdrcharset", b"BINARY"),
        record(b"GNU.sparse.map", b"0,1"),
        record(b"SCHILY.realsize", b"1"),
        record(b"Path", b"a"),
        record(b"path ", b"a"),
    ],
)
def test_a_record_is_read_strictly(records):
    with pytest.raises(ValueError, match=r"record|pax header"):
        parse_records(records)
    with pytest.raises(ContentError, match="two ways"):
        indexed(member(b"x", records, kind=b"x") + header(b"a") + END)


def test_records_that_change_no_name_are_passed_over():
    given = {
        b"path": "ä/b=c\nd".encode(),
        b"uid": b"4294967294",
        b"mtime": b"-1.5",
        b"uname": "jürgen".encode(),
        b"SCHILY.xattr.security.capability": b"\x01\0\0\xff",
        b"LIBARCHIVE.creationtime": b"1",
        b"comment": b"",
    }
    assert parse_records(b"".join([record(*each) for each in given.items()])) == given
    assert names(pax(*given.items()) + member(b"a", b"x") + END) == {"ä/b=c\nd": ""}


@given(st.dictionaries(st.sampled_from([b"path", b"comment", b"SCHILY.xattr.a"]), st.binary(max_size=120)), st.data())
@settings(deadline=None)
def test_records_say_what_was_written_or_are_refused(wanted, data):
    text = bytearray(b"".join([record(*each) for each in wanted.items()]))
    for _ in range(data.draw(st.integers(0, 2)) if text else 0):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = parse_records(bytes(text))
    except ValueError:
        return
    assert b"".join([record(*each) for each in found.items()]) == text


@given(st.binary(min_size=512, max_size=512), st.sampled_from([USTAR, GNU, V7]))
@settings(deadline=None)
def test_any_block_is_a_header_or_refused(block, magic):
    whole = summed(block[:257] + magic + block[265:])
    assert is_whole(whole)
    try:
        assert parse_header(whole).size >= 0
    except ValueError:
        return


@pytest.mark.parametrize(
    "size",
    [
        b"00000000005\0",
        b"00000000005 ",
        b"000000000005",
        b"          5 ",
        b"5\0",
        b"5 \0",
        b"\x80" + b"\0" * 10 + b"\5",
    ],
)
def test_a_size_is_octal_or_base_256(size):
    found = indexed(header(b"a", size) + padded(b"12345") + member(b"b") + END)
    assert [(member.offset, member.size) for member in found.files.values()] == [(512, 5), (1536, 0)]


@pytest.mark.parametrize("form", ["gnu", "pax"])
def test_a_file_of_nine_gigabytes(form):
    info = tarfile.TarInfo("big")
    info.size = 9 * GIB
    data = info.tobuf(FORMATS[form])
    found = indexed(data, length=len(data) + info.size).files["big"]
    assert (found.offset, found.size) == (len(data), 9 * GIB)
    with pytest.raises(ContentError, match="it ends inside"):
        indexed(data, length=len(data) + info.size - 1)
    with pytest.raises(ContentError, match="it ends inside"):
        indexed(header(b"a", b"\x80" + b"\0" * 3 + b"\x7f" + b"\xff" * 7))


def test_both_checksums_are_right_and_no_other():
    block = header("ä".encode())
    assert names(summed(block, signed=True) + END) == names(block + END) == {"ä": ""}
    assert summed(block, signed=True) != block
    for at in (0, 148, 200, 511):
        damaged = bytearray(block)
        damaged[at] ^= 1
        with pytest.raises(ContentError, match="the header at byte 0 is cut or damaged"):
            indexed(bytes(damaged) + END)


@pytest.mark.parametrize(
    ("end", "ended"),
    [(b"", False), (b"\0" * 512, True), (END, True), (b"\0" * 1100, True), (b"\0" * 10240, True)],
)
def test_an_archive_may_end_so(end, ended):
    assert indexed(member(b"a", b"x") + end).ended is ended


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (b"\0" * 100, "the header at byte 1024 is cut or damaged"),
        (b"\0" * 600, "cut inside its end mark"),
        (b"\0" * 512 + header(b"b") + END, "more behind the zeros"),
        (END + header(b"b") + END, "more behind the zeros"),
        (b"\0" * 10239 + b"x", "more behind the zeros"),
    ],
)
def test_an_archive_may_not_end_so(end, said):
    with pytest.raises(ContentError, match=said):
        indexed(member(b"a", b"x") + end)


def test_caps_hold(monkeypatch):
    most = limits.TAR_NAME_BYTES
    assert names(long(b"a" * most) + header(b"a") + END) == {"a" * most: ""}
    with pytest.raises(ContentError, match="a name of 4097 bytes"):
        indexed(long(b"a" * (most + 1)) + header(b"a") + END)
    extension = header(b"x", limits.TAR_EXTENSION_BYTES + 1, b"x")
    with pytest.raises(LimitExceededError, match="at most 1048576"):
        indexed(extension, length=4 * limits.MIB)
    for name, value in (("ARCHIVE_NAMES_BYTES", 3), ("TAR_TAIL_BYTES", 512)):
        two = header(b"aa") + header(b"bb")
        assert len(names(two + END)) == 2
        with monkeypatch.context() as patch:
            patch.setattr(limits, name, value)
            with pytest.raises(LimitExceededError):
                indexed(two + END + b"\0" * 512)
    with monkeypatch.context() as patch:
        patch.setattr(limits, "ARCHIVE_MEMBERS", 5)
        with pytest.raises(ContentError, match="never end"):
            indexed(pax((b"comment", b"x"), kind=b"g") * 6)


def packed(entries, form):
    """Entries of ``(name, kind, data or target)`` as tarfile writes them."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=FORMATS[form]) as tar:
        for name, kind, what in entries:
            info = tarfile.TarInfo(name)
            info.type, info.mtime = kind, 1700000000.5
            if kind == tarfile.REGTYPE:
                info.size = len(what)
            elif kind != tarfile.DIRTYPE:
                info.linkname = what
            tar.addfile(info, io.BytesIO(what) if info.size else None)
    return buffer.getvalue()


@pytest.mark.parametrize("form", FORMATS)
def test_what_tarfile_writes_is_read(form):
    folder = "d" * 90
    entries = [
        ("a", tarfile.REGTYPE, b"1"),
        (folder, tarfile.DIRTYPE, b""),
        (f"{folder}/{'b' * 60}", tarfile.REGTYPE, b"2" * 513),
        ("ä", tarfile.REGTYPE, b""),
        ("s", tarfile.SYMTYPE, "a"),
        ("h", tarfile.LNKTYPE, "a"),
    ]
    if form != "ustar":
        entries += [("c" * 300, tarfile.REGTYPE, b"3"), ("k" * 120, tarfile.SYMTYPE, "t" * 130)]
    data = packed(entries, form)
    found = indexed(data)
    assert {name: data[at.offset : at.offset + at.size] for name, at in found.files.items()} == {
        name: what for name, kind, what in entries if kind == tarfile.REGTYPE
    }
    assert found.links == {name: what for name, kind, what in entries if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE)}
    assert (found.hard, found.ended) == ({"h"}, True)


GNU_TAR = b"GNU tar" in (
    subprocess.run(["tar", "--version"], capture_output=True, check=False).stdout if shutil.which("tar") else b""
)


@pytest.mark.skipif(not GNU_TAR, reason="tar is not GNU tar")
@pytest.mark.parametrize("form", ["v7", "oldgnu", "gnu", "ustar", "pax"])
@pytest.mark.parametrize("blocking", [1, 20])
def test_what_gnu_tar_writes_is_read(tmp_path, form, blocking):
    tree = tmp_path / "tree"
    long_ones = {} if form in ("v7", "ustar") else {"c" * 200: b"3", "d" * 70 + "/" + "e" * 200: b"4"}
    files = {"a": b"1" * 700, "b/ä": b"", "b/c": b"2", **({f"{'d' * 90}/f": b"5"} if form != "v7" else {}), **long_ones}
    for name, data in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(data)
    (tree / "s").symlink_to("a")
    os.link(tree / "a", tree / "z")
    words = [f"--format={form}", f"--blocking-factor={blocking}", "--sort=name", "-C", tree, "."]
    subprocess.run(["tar", "-cf", tmp_path / "a.tar", *words], check=True)
    data = (tmp_path / "a.tar").read_bytes()
    found = indexed(data)
    assert {name: data[at.offset : at.offset + at.size] for name, at in found.files.items()} == files
    assert (found.links, found.hard, found.ended) == ({"s": "a", "z": "a"}, {"z"}, True)


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")
def test_what_skopeo_writes_is_read(tmp_path):
    layout = LayoutWriter()
    image = layout.image("{}", name="a")
    (tmp_path / "layout").mkdir()
    layout.write(tmp_path / "layout")
    target = tmp_path / "a.tar"
    copy = ["copy", "--insecure-policy", f"oci:{tmp_path}/layout:a", f"oci-archive:{target}:a"]
    subprocess.run(["skopeo", *copy], check=True, capture_output=True)
    assert judged(target) == image.digest


def seen_by_tarfile(data):
    """Files with offset and size, links with their target, and folders; None where tarfile sees no whole archive."""
    seen, folders = [], set()
    try:
        with tarfile.TarFile(fileobj=io.BytesIO(data)) as tar:
            for info in tar:
                name = posixpath.normpath(info.name)
                if info.isreg():
                    seen.append((name, info.offset_data, info.size))
                elif info.isdir():
                    folders.add(name)
                else:
                    start = posixpath.dirname(name) if info.issym() else ""
                    seen.append((name, posixpath.normpath(posixpath.join(start, info.linkname)), info.type))
    except (tarfile.TarError, ValueError, OverflowError):
        return None
    return sorted(seen, key=repr), folders


def seen_by_gnu_tar(data):
    """The names of all members, or None where GNU tar sees no whole archive."""
    words = ["tar", "-tPf", "-", "--quoting-style=c"]
    done = subprocess.run(words, input=data, capture_output=True, check=False, env={**os.environ, "LC_ALL": "C"})
    if done.returncode:
        return None
    listed = [codecs.escape_decode(line[1:-1])[0].decode() for line in done.stdout.splitlines()]
    return [posixpath.normpath(name) for name in listed]


NAMES = st.text("ab/.ä", min_size=1, max_size=20) | st.sampled_from(["c" * 100, "d" * 99 + "/", "e" * 150, "f" * 260])
KINDS = st.sampled_from([tarfile.REGTYPE, tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE])


@st.composite
def archives(draw):
    """What tarfile writes, with headers changed, moved, doubled or dropped, their checksums right again."""
    form = draw(st.sampled_from(sorted(FORMATS)))
    entries = []
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(KINDS)
        name = draw(NAMES)
        what = draw(st.sampled_from([b"", b"x", b"y" * 513])) if kind == tarfile.REGTYPE else draw(NAMES)
        if form == "ustar":
            name, what = name[:90], what[:90]
        entries.append((name, kind, what))
    data = packed(entries, form)
    blocks = [data[at : at + BLOCK_BYTES] for at in range(0, len(data.rstrip(b"\0")), BLOCK_BYTES)]
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(blocks) - 1))
        field, values = draw(
            st.sampled_from(
                [
                    (156, [b"0", b"\0", b"5", b"1", b"2", b"x", b"g", b"L", b"K", b"S", b"7"]),
                    (124, [b"\0" * 12, b"00000000001\0", b"\x80" + b"\0" * 11, b"\xff" * 12, b"1 2"]),
                    (257, [USTAR, GNU, V7]),
                    (345, [b"junk", b"\0" * 155]),
                    (0, [b"", b"z\0", b"z/\0"]),
                    (508, [b"tar\0"]),
                    (draw(st.integers(0, 511)), [draw(st.binary(min_size=1, max_size=1))]),
                ]
            )
        )
        value = draw(st.sampled_from(values))
        changed = summed((blocks[at][:field] + value + blocks[at][field + len(value) :])[:BLOCK_BYTES])
        match draw(st.sampled_from(["change", "change", "insert", "drop", "double"])):
            case "change":
                blocks[at] = changed
            case "insert":
                blocks.insert(at, changed)
            case "double":
                blocks.insert(at, blocks[at])
            case _ if len(blocks) > 1:
                del blocks[at]
    return b"".join(blocks) + draw(st.sampled_from([END, b"", b"\0" * 512, b"\0" * 10240]))


@given(archives())
@settings(deadline=None, max_examples=100)
def test_what_is_read_is_what_others_read(data):
    try:
        found = indexed(data)
    except ContentError:
        return
    files = [(name, at.offset, at.size) for name, at in found.files.items()]
    kinds = {True: tarfile.LNKTYPE, False: tarfile.SYMTYPE}
    links = [(name, target, kinds[name in found.hard]) for name, target in found.links.items()]
    seen = seen_by_tarfile(data)
    assert seen is not None
    assert seen[0] == sorted(files + links, key=repr)
    theirs = seen_by_gnu_tar(data) if GNU_TAR else None
    assert theirs is None or sorted({*theirs} - seen[1]) == sorted([*found.files, *found.links])
