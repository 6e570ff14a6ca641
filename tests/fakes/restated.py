"""The rules of a policy.json said a second time, as tables: which list applies, and which signed names it takes.

Written from the rules as containers-policy.json(5) and containers/image's behaviour state them, with nothing of
plimsoll in it; the strategies make policies, images and signed names that meet often.
"""

from __future__ import annotations

import re

from hypothesis import strategies as st

DIGEST = "sha256:" + "1" * 64
OTHER_DIGEST = "sha256:" + "2" * 64

_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*(?::[0-9]+)?", re.ASCII)
_WORD = r"[a-z0-9]+(?:(?:[._]|__|-*)[a-z0-9]+)*"
_REST = re.compile(
    rf"(?P<path>{_WORD}(?:/{_WORD})*)(?::(?P<tag>[\w][\w.-]{{0,127}}))?(?:@(?P<digest>[^@]*))?", re.ASCII
)
_HEX = {"sha256": 64, "sha384": 96, "sha512": 128}


def read(text):
    """(domain, path, tag, digest) of a docker name, normalised; None where it is none."""
    if re.fullmatch("[0-9a-f]{64}", text):
        return None
    domain, slash, rest = text.partition("/")
    if not slash or not ("." in domain or ":" in domain or domain == "localhost"):
        domain, rest = "docker.io", text
    domain = "docker.io" if domain == "index.docker.io" else domain
    if domain == "docker.io" and "/" not in rest:
        rest = f"library/{rest}"
    found = _REST.fullmatch(rest)
    if found is None or _DOMAIN.fullmatch(domain) is None or len(f"{domain}/{found['path']}") > 255:
        return None
    digest = found["digest"]
    if digest is not None:
        algorithm, _, digits = digest.partition(":")
        if not re.fullmatch(f"[0-9a-f]{{{_HEX.get(algorithm, 0)}}}", digits) or algorithm not in _HEX:
            return None
    return domain, found["path"], found["tag"], digest


def written(name):
    domain, path, tag, digest = name
    return f"{domain}/{path}" + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")


def image_name(text):
    """What a policy sees of an image's reference: the digest or the tag, ``latest`` where there is neither."""
    domain, path, tag, digest = read(text)
    return (domain, path, None, digest) if digest else (domain, path, tag or "latest", None)


def scopes_of(transport, text):
    """All scopes that may hold the image's list, the first that is there counts."""
    if transport == "docker":
        name = image_name(text)
        domain, path = name[:2]
        pieces = path.split("/")
        below = [f"{domain}/{'/'.join(pieces[:count])}" for count in range(len(pieces), 0, -1)]
        labels = domain.split(":")[0].split(".")
        wild = ["*." + ".".join(labels[at:]) for at in range(1, len(labels))]
        return [written(name), *below, domain, *wild, ""]
    pieces = text.split("/")
    return [*["/".join(pieces[:count]) for count in range(len(pieces), 1, -1)], ""]


def applying(policy, transport, text):
    """The list of requirements that applies: the image's own scopes, else the default."""
    scopes = policy.get("transports", {}).get(transport, {})
    for scope in scopes_of(transport, text):
        if scope in scopes:
            return scopes[scope]
    return policy["default"]


def _same(image, signed, _):
    return _pinned(signed) and signed == image


def _pinned(name):
    return name is not None and (name[2] or name[3])


def _digest_or_same(image, signed, _):
    if not _pinned(signed):
        return False
    return signed == image if image[2] else signed[:2] == image[:2]


def _repository(image, signed, _):
    return signed[:2] == image[:2]


def _exact_reference(_, signed, fields):
    return _pinned(signed) and signed == read(fields["dockerReference"])


def _exact_repository(_, signed, fields):
    return signed[:2] == read(fields["dockerRepository"])[:2]


def _remapped(image, signed, fields):
    name, prefix = written(image), fields["prefix"]
    repository = f"{image[0]}/{image[1]}"
    if repository == prefix or repository.startswith(f"{prefix}/"):
        name = fields["signedPrefix"] + name[len(prefix) :]
    other = read(name)
    return other is not None and written(other) == name and _digest_or_same(other, signed, fields)


IDENTITIES = {
    "matchExact": (True, _same),
    "matchRepoDigestOrExact": (True, _digest_or_same),
    "matchRepository": (True, _repository),
    "exactReference": (False, _exact_reference),
    "exactRepository": (False, _exact_repository),
    "remapIdentity": (True, _remapped),
}
"""Of each kind: whether the image needs a docker name, and what it takes (image, signed, fields)."""


def takes(identity, image, signed):
    """Whether a signature for the name ``signed`` counts for ``image``, None for one without a docker name."""
    needs_name, rule = IDENTITIES[identity["type"]]
    name = read(signed)
    if name is None or (needs_name and image is None):
        return False
    return bool(rule(None if image is None else image_name(image), name, identity))


HOSTS = ("registry.example", "eu.registry.example", "registry.example:5000", "localhost:5000")
PATHS = ("team/app", "team", "team/app/deep", "library/app")
REPOSITORIES = st.builds("{}/{}".format, st.sampled_from(HOSTS), st.sampled_from(PATHS))
ENDS = st.sampled_from(["", ":v1", ":v2", f"@{DIGEST}"])
IMAGES = st.builds("{}{}".format, REPOSITORIES, ENDS)
SHORT_IMAGES = st.sampled_from(["app", "app:v1", "team/app:v1", "docker.io/app", "index.docker.io/team/app:v1"])
SIGNED_ENDS = st.sampled_from(["", ":v1", ":v2", ":latest", f"@{DIGEST}", f"@{OTHER_DIGEST}", f":v1@{DIGEST}"])
SIGNED = (
    st.builds("{}{}".format, REPOSITORIES, SIGNED_ENDS)
    | SHORT_IMAGES
    | st.sampled_from(["", "UPPER", "registry.example/Team/app:v1", "1" * 64, "registry.example/team/app@sha256:12"])
)


def signed_for(image):
    """Names that are the image's, or nearly."""
    name = image_name(image)
    near = st.builds("{}/{}{}".format, st.just(name[0]), st.just(name[1]), SIGNED_ENDS)
    return st.one_of(st.just(written(name)), near, near, SIGNED)


PREFIXES = st.sampled_from(
    [*HOSTS, "registry.example/team", "registry.example/team/app", "docker.io", "docker.io/library", "busybox"]
)


def identities_for(image):
    named = signed_for(image).filter(lambda text: read(text) is not None)
    pinned = named.filter(lambda text: _pinned(read(text)))
    return st.one_of(
        st.fixed_dictionaries({"type": st.sampled_from(["matchExact", "matchRepoDigestOrExact", "matchRepository"])}),
        st.fixed_dictionaries({"type": st.just("exactReference"), "dockerReference": pinned}),
        st.fixed_dictionaries({"type": st.just("exactRepository"), "dockerRepository": named}),
        st.fixed_dictionaries(
            {
                "type": st.just("remapIdentity"),
                "prefix": PREFIXES | st.sampled_from(prefixes_of(image)),
                "signedPrefix": PREFIXES | st.sampled_from(prefixes_of(image)),
            }
        ),
    )


def prefixes_of(image):
    return [scope for scope in scopes_of("docker", image)[1:-1] if not scope.startswith("*")]


def scopes_for(image):
    """Scopes of the image, and of others beside it."""
    foreign = ["registry.example", "eu.registry.example", "*.example", "*.registry.example", "registry.example/te"]
    return st.sampled_from(scopes_of("docker", image)) | st.sampled_from(foreign) | IMAGES
