"""What keeps things from being published, each with what can be done about it."""

from __future__ import annotations

from hokusai_probe.errors import ProbeError


class SetupError(ProbeError):
    """It cannot be done as it was asked for: nothing to publish, no such remote, or no git."""


class PublishError(ProbeError):
    """Something is not published; the text says why. Trying again later may help."""


class MovedError(PublishError):
    """Somebody else's push came first: fetch, build anew and push again."""


class RefusedError(PublishError):
    """The branch takes no pushes from us: it is protected, or a rule or a hook of the remote refuses them."""


class DeniedError(PublishError):
    """The remote cannot be used at all: no such repository, or no right to read or write there."""


class OutOfTimeError(PublishError):
    """The time for all of it is over."""


class LeakError(PublishError):
    """What was to be published holds what may be a secret. The text names places, never values."""
