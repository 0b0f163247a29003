"""Runs TinyTroupe's agents as workers of Nova, with Nova as their memory."""

from .client import NovaClient
from .errors import LeaseLost, LibraryMissing, NovaError, is_transient
from .library import Library
from .memory import semantic_memory
from .worker import Bridge, BridgeOptions

__all__ = [
    "Bridge",
    "BridgeOptions",
    "LeaseLost",
    "Library",
    "LibraryMissing",
    "NovaClient",
    "NovaError",
    "is_transient",
    "semantic_memory",
]
