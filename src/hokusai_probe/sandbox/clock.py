"""The platform's clock: everything of the platform that says what time it is asks here.

A scenario may put the prober's clock ahead of the platform's; nobody can move the prober's clock, so the
platform's is put behind by as much.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from multidict import CIMultiDict, CIMultiDictProxy


@dataclass(frozen=True, slots=True)
class PlatformClock:
    """The time on the platform.

    Attributes:
        offset_s: How many real seconds the prober's clock is ahead of the platform's; negative: behind.

    """

    offset_s: float = 0.0

    def now(self) -> datetime:
        """The platform's time, in UTC."""
        return datetime.now(UTC) - timedelta(seconds=self.offset_s)

    def date_header(self) -> str:
        """The platform's time as a Date header has it (RFC 9110 section 5.6.7)."""
        return format_datetime(self.now(), usegmt=True)

    def dated(self, headers: Mapping[str, str]) -> CIMultiDictProxy[str]:
        """An answer's headers with the platform's time as their Date."""
        changed = CIMultiDict(headers)
        changed["Date"] = self.date_header()
        return CIMultiDictProxy(changed)


RIGHT = PlatformClock()
"""A clock that agrees with the prober's."""
