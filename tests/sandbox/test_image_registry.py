"""Images and where they are found."""

from collections.abc import Iterator

import pytest
from moto.ecr.models import ecr_backends

from hokusai_probe.sandbox import image_registry
from hokusai_probe.sandbox.identity import REGION, SHORT, Identity
from hokusai_probe.sandbox.names import IMAGES, SERVICES

IDENTITY = Identity.of(21)


@pytest.fixture(autouse=True)
def _registry() -> Iterator[None]:
    """The platform's registry."""
    image_registry.create(IDENTITY)
    yield
    ecr_backends[IDENTITY.account][REGION].reset()


def test_every_image_but_the_missing_one_is_there() -> None:
    """Each under its own tag and digest, in the repository of its service."""
    images = IDENTITY.images()
    found = {
        (service, kind): image_registry.find(images, IDENTITY.image(service, kind))
        for service in SERVICES
        for kind in IMAGES
    }
    assert {key for key, image in found.items() if image is None} == {(s, "missing") for s in SERVICES}
    assert all(image is None or image.kind == kind for (_, kind), image in found.items())
    digests = [image.digest for image in found.values() if image is not None]
    assert len(set(digests)) == len(SERVICES) * (len(IMAGES) - 1)
    assert set(ecr_backends[IDENTITY.account][REGION].repositories) == {
        f"hokusai-{short}" for short in SHORT.values()
    }


def test_digests_follow_from_the_seed() -> None:
    """The same seed, the same digest; another seed, another one."""
    uri = IDENTITY.image("gateway", "good")
    first = image_registry.find(IDENTITY.images(), uri)
    ecr_backends[IDENTITY.account][REGION].reset()
    image_registry.create(IDENTITY)
    assert image_registry.find(IDENTITY.images(), uri) == first
    other = Identity.of(22)
    image_registry.create(other)
    elsewhere = image_registry.find(other.images(), other.image("gateway", "good"))
    assert first is not None
    assert elsewhere is not None
    assert elsewhere.digest != first.digest
    ecr_backends[other.account][REGION].reset()


def test_by_digest_by_both_and_by_another_tag() -> None:
    """What decides is the image, whatever name it is asked by."""
    images, uri = IDENTITY.images(), IDENTITY.image("gateway", "crashes")
    crashes = image_registry.find(images, uri)
    assert crashes is not None
    stem = uri.rpartition(":")[0]
    assert image_registry.find(images, f"{stem}@{crashes.digest}") == crashes
    assert image_registry.find(images, f"{uri}@{crashes.digest}") == crashes
    backend = ecr_backends[IDENTITY.account][REGION]
    image = next(
        one for one in backend.repositories["hokusai-api"].images if one.image_digest == crashes.digest
    )
    image.update_tag("latest")
    assert image_registry.find(images, stem) == crashes
    assert image_registry.find(images, f"{stem}:latest") == crashes


@pytest.mark.parametrize(
    "uri",
    [
        "docker.io/library/nginx:latest",
        f"{IDENTITY.account}.dkr.ecr.us-east-1.amazonaws.com/no-such-repository:1",
        f"{IDENTITY.account}.dkr.ecr.us-east-1.amazonaws.com/hokusai-api:no-such-tag",
        f"{IDENTITY.account}.dkr.ecr.eu-west-1.amazonaws.com/hokusai-api:latest",
    ],
)
def test_what_was_never_pushed_is_missing(uri: str) -> None:
    """Another registry, another region, another repository, another tag."""
    assert image_registry.find(IDENTITY.images(), uri) is None


def test_the_manifest_names_the_platform() -> None:
    """So that a reader can tell what an image was built for."""
    backend = ecr_backends[IDENTITY.account][REGION]
    built = {
        tag: '"architecture": "arm64"' in image.image_manifest
        for image in backend.repositories["hokusai-api"].images
        for tag in image.image_tags
    }
    assert built == {
        IDENTITY.image_tags["gateway", kind]: kind == "wrong-architecture"
        for kind in IMAGES
        if kind != "missing"
    }
