"""The image registry: ECR repositories with one image for every behaviour that a task definition can name.

No layer exists; an image stands for what its program does. ``missing`` is a tag that was never pushed. All
others are single-platform OCI manifests whose configuration names the platform: linux/amd64, and linux/arm64
for ``wrong-architecture``. Digests follow from the seed, as tags do; the good images were pushed first.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from moto.ecr.models import ECRBackend, Image, ecr_backends

from hokusai_probe.sandbox.identity import REGION, SHORT, Identity

MEDIA_TYPE = "application/vnd.oci.image.manifest.v1+json"

_PUSHED_DAYS_AGO = {"good": 9, "crashes": 2, "wrong-architecture": 2, "hungry": 2}
_URI = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com/"
    r"(?P<repository>[^:@]+)(?::(?P<tag>[^@]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


@dataclass(frozen=True, slots=True)
class Found:
    """An image that can be pulled."""

    digest: str
    kind: str
    repository_arn: str


def create(identity: Identity) -> None:
    """Create the repositories and push the images, straight in the backend: fifteen calls less to wait on."""
    backend = ecr_backends[identity.account][REGION]
    for short in dict.fromkeys(SHORT.values()):
        backend.create_repository(f"hokusai-{short}", None, {"encryptionType": "AES256"}, None, "MUTABLE", [])
    now = datetime.now(UTC)
    for (service, kind), tag in identity.image_tags.items():
        if kind in _PUSHED_DAYS_AGO:
            image = _push(backend, f"hokusai-{SHORT[service]}", tag, kind)
            image.image_pushed_at = int((now - timedelta(days=_PUSHED_DAYS_AGO[kind])).timestamp())


def find(images: Mapping[str, str], uri: str) -> Found | None:
    """The image behind a URI, None when there is none to pull.

    Args:
        images: What kind of image each URI of the platform is.
        uri: What a task definition names: a repository with a tag, a digest or both; ``latest`` without.

    """
    parts = _URI.fullmatch(uri)
    if parts is None:
        return None
    backend = ecr_backends[parts["account"]][parts["region"]]
    repository = backend.repositories.get(parts["repository"])
    if repository is None:
        return None
    tag, digest = parts["tag"] or "latest", parts["digest"]
    for image in list(repository.images):
        if image.image_digest == digest or (digest is None and tag in image.image_tags):
            return Found(image.image_digest, _kind(images, uri, image), str(repository.arn))
    return None


def repository_arn(uri: str) -> str:
    """The ARN of the ECR repository in a URI; "" when the image is not in ECR."""
    parts = _URI.fullmatch(uri)
    if parts is None:
        return ""
    return f"arn:aws:ecr:{parts['region']}:{parts['account']}:repository/{parts['repository']}"


def _kind(images: Mapping[str, str], uri: str, image: Image) -> str:
    """What the image does; one that somebody pushed under a tag of his own is good."""
    stem = uri.partition("@")[0].rpartition(":")[0] or uri.partition("@")[0]
    known = (images.get(f"{stem}:{tag}") for tag in image.image_tags)
    return next((kind for kind in known if kind is not None), "good")


def _push(backend: ECRBackend, repository: str, tag: str, kind: str) -> Image:
    manifest = _manifest(repository, tag, "arm64" if kind == "wrong-architecture" else "amd64")
    digest = f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"
    return backend.put_image(repository, manifest, tag, MEDIA_TYPE, digest)


def _manifest(repository: str, tag: str, architecture: str) -> str:
    def digest(what: str) -> str:
        return f"sha256:{hashlib.sha256(f'{what} {repository} {tag}'.encode()).hexdigest()}"

    layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "size": 61_340_672}
    config = {
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "digest": digest("config"),
        "size": 7023,
        "platform": {"architecture": architecture, "os": "linux"},
    }
    content = {
        "schemaVersion": 2,
        "mediaType": MEDIA_TYPE,
        "config": config,
        "layers": [layer | {"digest": digest("layer")}],
    }
    return json.dumps(content)
