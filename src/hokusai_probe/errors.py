"""Everything that this package raises for its user derives from :class:`ProbeError`."""


class ProbeError(Exception):
    """Something the user can act on: the text says what was wrong, where, and what is allowed."""
