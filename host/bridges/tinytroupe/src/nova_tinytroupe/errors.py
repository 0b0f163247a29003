"""What can go wrong, and whether another attempt may mend it."""

from __future__ import annotations

import httpx

#: Statuses of a service that may answer differently a little later.
TRANSIENT_STATUSES = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})

#: Names of exceptions of model services' clients, which this package does not import.
_TRANSIENT_NAMES = frozenset(
    {
        "APIConnectionError",
        "APITimeoutError",
        "InternalServerError",
        "RateLimitError",
        "ServiceUnavailableError",
    }
)


class NovaError(Exception):
    """Nova refused a request; carries its error as it came."""

    def __init__(self, status: int, code: str, message: str, details: dict[str, object] | None = None):
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.details = details or {}


class LeaseLost(Exception):
    """The task belongs to nobody or to another worker by now: its result is not wanted."""


class LibraryMissing(Exception):
    """TinyTroupe is not installed."""


def is_transient(error: BaseException) -> bool:
    """Whether the same work may succeed when it is tried again."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        status = getattr(cause, "status_code", None) or getattr(cause, "status", None)
        if isinstance(status, int):
            return status in TRANSIENT_STATUSES
        if isinstance(cause, (ConnectionError, TimeoutError, httpx.TransportError)):
            return True
        if any(kind.__name__ in _TRANSIENT_NAMES for kind in type(cause).__mro__):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
