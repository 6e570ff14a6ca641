"""The pages say what is so: links lead somewhere, options are the command's, examples name what the library exports."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import plimsoll

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").glob("*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
OPTION = re.compile(r"(?<![\w-])--[a-z](?:[a-z.-]*[a-z])?")


def text(path):
    return (ROOT / path).read_text(encoding="utf-8")


def page_id(path):
    return path.relative_to(ROOT).as_posix()


def anchors(path):
    """What a heading is called in a link, as the usual renderers do it."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_link_into_the_tree_leads_somewhere(page):
    for target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.is_relative_to(ROOT / "docs") and there.suffix != ".md":
            continue  # code is not beside the pages where a wheel is tested
        assert there.exists(), f"{page_id(page)}: {target}"
        assert not anchor or anchor in anchors(there), f"{page_id(page)}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_page_is_reached_from_the_readme(page):
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        here = waiting.pop()
        if here in reached or not here.exists():
            continue
        reached.add(here)
        targets = (target.partition("#")[0] for target in LINK.findall(here.read_text(encoding="utf-8")))
        waiting += [(here.parent / target).resolve() for target in targets if target.endswith(".md")]
    assert page in reached


def test_every_page_that_the_code_names_is_there():
    for path in Path(plimsoll.__file__).parent.rglob("*.py"):
        for named in re.findall(r"docs/[\w/.-]+\.md", path.read_text(encoding="utf-8")):
            assert (ROOT / named).exists(), f"{path.name} names {named}"


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_no_page_names_a_folder_of_one_machine(page):
    assert re.findall(r"/(?:work|root|home)/\S*", page.read_text(encoding="utf-8")) == []


def shown_help():
    done = subprocess.run(
        [sys.executable, "-m", "plimsoll", "verify", "--help"], capture_output=True, text=True, timeout=30, check=True
    )
    return set(OPTION.findall(done.stdout))


def documented(title):
    """The options that stand in the first cells of the tables of one section."""
    section = text("docs/reference/verify.md").partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    cells = (line.split("|")[1] for line in section.splitlines() if line.startswith("| `"))
    return {option for cell in cells for option in OPTION.findall(cell)}


def test_the_reference_lists_exactly_the_options_that_there_are():
    assert documented("Options") == shown_help() - {"--help"}


def test_an_option_that_is_said_not_to_be_built_is_not_there():
    assert not documented("Not built yet") & shown_help()


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_python_examples_compile_and_name_what_is_exported(page):
    for language, block in FENCE.findall(page.read_text(encoding="utf-8")):
        if language != "python":
            continue
        tree = compile(block, page_id(page), "exec", flags=ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        used = {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "plimsoll"
        }
        assert used <= set(plimsoll.__all__), page_id(page)


def test_every_dependency_has_its_reason():
    project = tomllib.loads(text("pyproject.toml"))
    wanted = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    for extra in project["project"]["optional-dependencies"].values():
        wanted += extra
    record = text("docs/adr/0004-dependencies.md")
    for requirement in wanted:
        name = re.match(r"[\w-]+", requirement)[0]
        assert f"`{name}`" in record, name


def test_what_is_imported_is_declared():
    project = tomllib.loads(text("pyproject.toml"))["project"]
    extras = [
        named for extra, named in project["optional-dependencies"].items() if extra not in {"test", "bench", "check"}
    ]
    needed = [*project["dependencies"], *(requirement for named in extras for requirement in named)]
    declared = {re.match(r"[\w-]+", requirement)[0].lower() for requirement in needed}
    # multidict and yarl are the types of aiohttp's own signatures, and come with it.
    named_otherwise = {"yaml": "pyyaml", "multidict": "aiohttp", "yarl": "aiohttp", "nacl": "pynacl"}
    named_otherwise |= {"re2": "google-re2", "cel_expr_python": "cel-expr-python", "pkcs11": "python-pkcs11"}
    named_otherwise |= {"backports": "backports-zstd", "compression": "backports-zstd"}  # the latter from 3.14 on
    named_otherwise |= {"botocore": "boto3"}  # it is what boto3 is made of
    imported = set()
    for path in Path(plimsoll.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.partition(".")[0])
    foreign = {named_otherwise.get(name, name) for name in imported - sys.stdlib_module_names - {"plimsoll"}}
    assert foreign == declared
