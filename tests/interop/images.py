"""Images to sign, each with a digest of its own, and what a hostile registry would do with their signatures."""

from __future__ import annotations

import http.client
import json

from fakes.layouts import REF_NAME, LayoutWriter, fields
from plimsoll.model.descriptor import OCI_INDEX, OCI_MANIFEST

TIMEOUT_S = 20.0
ACCEPTED_TYPES = f"{OCI_MANIFEST}, {OCI_INDEX}"


def push_image(pusher, repository, text, *, folder):
    """Push an image that nobody else has; gives ``HOST/REPOSITORY@DIGEST``."""
    layout = LayoutWriter()
    image = layout.image(text, name="v1")
    pusher.push_layout(layout.write(folder), repository)
    return f"{pusher.address}/{repository}@{image.digest}"


def push_index(pusher, repository, text, *, folder):
    """Push an index of two images; gives the references of the index and of both."""
    layout = LayoutWriter()
    children = []
    for architecture in ("amd64", "arm64"):
        child = layout.image(json.dumps({"architecture": architecture, "os": "linux", "text": text}))
        children.append(fields(child) | {"platform": {"os": "linux", "architecture": architecture}})
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children}
    index = layout.blob(json.dumps(document).encode(), OCI_INDEX)
    layout.entries = [fields(index) | {"annotations": {REF_NAME: "v1"}}]
    pusher.push_layout(layout.write(folder), repository)
    return [f"{pusher.address}/{repository}@{each}" for each in (index.digest, *(c["digest"] for c in children))]


class Registry:
    """Reads and writes manifests of one repository, as its owner could."""

    def __init__(self, reference):
        named, _, self.digest = reference.partition("@")
        self.address, _, self.repository = named.partition("/")

    def _ask(self, method, reference, body=None, content_type=None):
        connection = http.client.HTTPConnection(self.address, timeout=TIMEOUT_S)
        try:
            headers = {"Accept": ACCEPTED_TYPES} | ({"Content-Type": content_type} if content_type else {})
            connection.request(method, f"/v2/{self.repository}/{reference}", body=body, headers=headers)
            reply = connection.getresponse()
            return reply.status, reply.read()
        finally:
            connection.close()

    def manifest(self, reference):
        """The parsed manifest, or None where there is none."""
        status, body = self._ask("GET", f"manifests/{reference}")
        assert status in (200, 404), body
        return json.loads(body) if status == 200 else None

    def push(self, reference, document):
        status, body = self._ask("PUT", f"manifests/{reference}", json.dumps(document).encode(), document["mediaType"])
        assert status == 201, body

    def referrers(self):
        """The descriptors of what refers to the image: by the API, else by the fallback tag."""
        status, body = self._ask("GET", f"referrers/{self.digest}")
        listed = json.loads(body) if status == 200 else self.manifest(self.digest.replace(":", "-"))
        return [] if listed is None else listed["manifests"]

    def speaks_referrers(self):
        return self._ask("GET", f"referrers/{self.digest}")[0] == 200


def give_signatures_to(image, other):
    """Attach to ``other`` whatever is attached to ``image``, in the same repository; gives how many there were."""
    registry, target = Registry(image), Registry(other)
    found = 0
    for suffix in (".sig", ".att"):
        kept = registry.manifest(registry.digest.replace(":", "-") + suffix)
        if kept is not None:
            registry.push(target.digest.replace(":", "-") + suffix, kept)
            found += 1
    subject = {"mediaType": OCI_MANIFEST, "digest": target.digest, "size": _size(target)}
    listed = []
    for descriptor in registry.referrers():
        forged = registry.manifest(descriptor["digest"]) | {"subject": subject}
        data = json.dumps(forged).encode()
        digest = LayoutWriter().blob(data, OCI_MANIFEST).digest
        registry.push(str(digest), forged)
        listed.append(descriptor | {"digest": str(digest), "size": len(data)})
    if listed and not registry.speaks_referrers():
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed}
        registry.push(target.digest.replace(":", "-"), index)
    return found + len(listed)


def _size(registry):
    status, body = registry._ask("GET", f"manifests/{registry.digest}")
    assert status == 200, body
    return len(body)
