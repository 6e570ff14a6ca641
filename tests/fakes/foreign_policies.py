"""Foreign policies as tests write them: from YAML or values to sections, and converted ones read back."""

from __future__ import annotations

import textwrap
from pathlib import Path

import yaml

from plimsoll.cli.foreign_documents import read_documents
from plimsoll.policy.convert_cluster_image_policy import convert_cluster_image_policies
from plimsoll.policy.convert_kyverno import convert_kyverno
from plimsoll.policy.document_writing import write_document
from plimsoll.policy.foreign import Findings, Foreign, Section
from plimsoll.policy.plimsoll_document import parse_plimsoll

KEYS = Path(__file__).parents[1] / "vectors" / "cosign" / "keys"


def key(name):
    """A public key of the cosign lab, in PEM."""
    return (KEYS / f"{name}.pub").read_text(encoding="ascii")


def foreign(value, line=1):
    """Plain values as a source's."""
    match value:
        case dict():
            return Foreign(value={name: foreign(found) for name, found in value.items()}, line=line)
        case list():
            return Foreign(value=tuple(foreign(found) for found in value), line=line)
        case bool():
            return Foreign(value=str(value).lower(), plain=True, line=line)
        case int():
            return Foreign(value=str(value), plain=True, line=line)
        case None:
            return Foreign(value="null", plain=True, line=line)
        case _:
            return Foreign(value=value, plain=False, line=line)


def convert(kind, *documents, registries=(), root_given=False):
    """The conversion of documents given as values or as YAML."""
    findings = Findings()
    values = [yaml.safe_load(textwrap.dedent(found)) if isinstance(found, str) else found for found in documents]
    sections = [Section(foreign(value), "", findings) for value in values]
    converter = {"cip": convert_cluster_image_policies, "kyverno": convert_kyverno}[kind]
    return converter(sections, registries=tuple(registries), root_given=root_given, findings=findings)


def parsed(conversion):
    """The document written and read again by the parser that verification uses."""
    value = yaml.safe_load(write_document(conversion, source="a test"))
    return value, parse_plimsoll(value, folder="/policies", extended=None, digest="sha256:0", origin="a test")


def effects(conversion):
    """Place -> effect of every finding."""
    return {found.place: found.effect.value for found in conversion.findings}


def read_files(*paths):
    """Sections of files."""
    return read_documents([str(path) for path in paths], Findings())
