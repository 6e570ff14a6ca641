import argparse
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.cli.arguments import Parser, boolean, count, count_or_none, duration, pair, rate
from plimsoll.errors import UsageError


def parser():
    made = Parser(prog="plimsoll test", description="a test")
    made.add_argument("images", nargs="*")
    made.add_boolean("--flag", "-f", help="a flag")
    made.add_boolean("--maybe", help="a flag that can be unset", default=None)
    made.add_argument("--name")
    made.add_argument("-j", "--jobs", type=count)
    return made


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], {"flag": False, "maybe": None, "images": []}),
        (["--flag"], {"flag": True}),
        (["-f"], {"flag": True}),
        (["--flag=true"], {"flag": True}),
        (["--flag=false"], {"flag": False}),
        (["--flag=0"], {"flag": False}),
        (["--flag", "--flag=false"], {"flag": False}),
        (["--maybe=false"], {"maybe": False}),
        (["--maybe"], {"maybe": True}),
        # A bare boolean never takes the next word.
        (["--flag", "false"], {"flag": True, "images": ["false"]}),
        (["--flag", "image"], {"flag": True, "images": ["image"]}),
        (["a", "--name", "x", "b", "--flag", "c", "--name=y"], {"images": ["a", "b", "c"], "name": "y", "flag": True}),
        (["-j", "3"], {"jobs": 3}),
        (["-j3"], {"jobs": 3}),
        (["--jobs=3"], {"jobs": 3}),
        (["--name="], {"name": ""}),
        (["a", "--", "b"], {"images": ["a", "b"]}),
    ],
)
def test_a_command_line_is_read_as_pflag_does(words, expected):
    found = vars(parser().read(words))
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize(
    "words",
    [
        ["--unknown"],
        ["--nam=x"],
        ["--fla"],
        ["--name"],
        ["--flag=maybe"],
        ["--flag="],
        ["-j"],
        ["-j0"],
        ["-j-1"],
        ["-j", "x"],
        ["-x"],
    ],
)
def test_wrong_usage_is_an_error_and_never_an_exit(words, capsys):
    with pytest.raises(UsageError):
        parser().read(words)
    assert capsys.readouterr() == ("", "")


@given(st.lists(st.text(max_size=12), max_size=6))
def test_any_words_are_read_or_refused(words):
    with suppress(UsageError):
        if any(word.startswith("-") and "h" in word for word in words):
            with suppress(SystemExit):  # --help, which main() turns into its exit code
                parser().read(words)
        else:
            assert isinstance(parser().read(words), argparse.Namespace)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30.0),
        ("1m30s", 90.0),
        ("500ms", 0.5),
        ("1.5h", 5400.0),
        ("250us", 0.00025),
        ("250µs", 0.00025),
        ("1ns", 1e-9),
        ("1h1m1s1ms", 3661.001),
        ("2562047h", 2562047 * 3600.0),
    ],
)
def test_a_duration_is_gos(text, seconds):
    assert duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "30",
        "s",
        "-1s",
        "+1s",
        "1 s",
        "1S",
        "1d",
        "0s",
        "0h0m",
        "1s ",
        "٣s",
        ".s",
        "1..5s",
        "2562048h",
        f"{'9' * 400}h",
    ],
)
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError):
        duration(text)


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "٣", "1e3", " 1", "9999999999", "0x1"])
@pytest.mark.parametrize("read", [count, count_or_none])
def test_what_is_no_whole_number_is_refused(read, text):
    with pytest.raises(argparse.ArgumentTypeError):
        read(text)


def test_counts_begin_at_one_or_at_none():
    assert (count("1"), count_or_none("0"), count("999999999")) == (1, 0, 999_999_999)
    with pytest.raises(argparse.ArgumentTypeError):
        count("0")


@pytest.mark.parametrize(("text", "expected"), [("1", 1.0), ("0.5", 0.5), ("100", 100.0)])
def test_a_rate_is_a_number_above_zero(text, expected):
    assert rate(text) == expected


@pytest.mark.parametrize("text", ["", "0", "0.0", "-1", "nan", "inf", "1e3", "x"])
def test_what_is_no_rate_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError):
        rate(text)


@pytest.mark.parametrize(("text", "expected"), [("a=b", ("a", "b")), ("a=", ("a", "")), ("a=b=c", ("a", "b=c"))])
def test_a_pair_is_split_at_the_first_sign(text, expected):
    assert pair(text) == expected


@pytest.mark.parametrize("text", ["", "a", "=b", "="])
def test_what_is_no_pair_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError):
        pair(text)


@pytest.mark.parametrize("text", ["yes", "no", "", "tRue", "2", "on"])
def test_a_boolean_is_what_go_reads(text):
    with pytest.raises(argparse.ArgumentTypeError):
        boolean(text)
