import argparse
from contextlib import suppress
from importlib import import_module

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.cli.arguments import Parser, boolean, count, count_or_none, duration, pair, rate
from plimsoll.cli.main import _MODULES, COMMANDS
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
        (["--", "-x"], {"images": ["-x"]}),
        (["a", "--", "-x"], {"images": ["a", "-x"]}),
        (["--", "a", "-x", "b"], {"images": ["a", "-x", "b"]}),
        (["--flag", "--", "--flag=false", "--name", "-h"], {"flag": True, "images": ["--flag=false", "--name", "-h"]}),
        (["--", "--"], {"images": ["--"]}),
        (["a", "--", "--", "--"], {"images": ["a", "--", "--"]}),
        (["-j", "3", "--", "-j"], {"jobs": 3, "images": ["-j"]}),
        (["--"], {"images": []}),
        (["--", ""], {"images": [""]}),
        (["-"], {"images": ["-"]}),
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
        ["--name", "--"],
        ["--name", "--", "a"],
        ["-j", "--", "3"],
        ["-x", "--", "a"],
    ],
)
def test_wrong_usage_is_an_error_and_never_an_exit(words, capsys):
    with pytest.raises(UsageError):
        parser().read(words)
    assert capsys.readouterr() == ("", "")


def modules_of_commands():
    for name in COMMANDS:
        module = import_module(f"plimsoll.cli.{_MODULES.get(name, name.replace('-', '_'))}")
        actions = getattr(module, "ACTIONS", {})
        yield from [f"{name}_{action.replace('-', '_')}" for action in actions] or [module.__name__.rsplit(".")[-1]]


@pytest.mark.parametrize("command", list(modules_of_commands()))
def test_of_every_command_what_follows_two_dashes_is_no_option(command):
    made = Parser(prog="plimsoll test", description="a test")
    import_module(f"plimsoll.cli.{command}").add_arguments(made)
    positional = made._get_positional_actions()
    words = ["-a", "--", "--help", "-h", "-"][: len(positional) + 2 * any(one.nargs == "*" for one in positional)]
    required = [
        word for one in made._actions if one.option_strings and one.required for word in (one.option_strings[0], "x")
    ]
    found = vars(made.read([*required, "--", *words]))
    taken = [found[one.dest] for one in positional]
    assert [word for value in taken for word in (value if isinstance(value, list) else [value])] == words
    if not words:
        with pytest.raises(UsageError, match=r"unrecognized arguments: -a$"):
            made.read([*required, "--", "-a"])


@given(st.lists(st.sampled_from(["a", "-x", "--", "--flag", "-"]) | st.text(max_size=12), max_size=6))
def test_all_words_after_two_dashes_are_images(words):
    assert parser().read(["--", *words]).images == words


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
