"""The real library's interface, where it is installed: what the bridge uses is there."""

from __future__ import annotations

import importlib.util
import inspect

import pytest

from nova_tinytroupe import Library


def installed() -> bool:
    try:
        return importlib.util.find_spec("tinytroupe.agent") is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.skipif(not installed(), reason="TinyTroupe is not installed; only its stand-in was tested")
def test_the_real_library_has_what_is_used() -> None:
    library = Library.load()
    acts = inspect.signature(library.person.listen_and_act).parameters
    assert "return_actions" in acts
    assert "source" in inspect.signature(library.person.listen).parameters
    for name in ("load_specification", "pop_latest_actions"):
        assert callable(getattr(library.person, name))
    for name in ("add_agent", "make_everyone_accessible", "_handle_actions"):
        assert callable(getattr(library.world, name))
    for name in ("_store", "retrieve_relevant", "retrieve_all", "store_all"):
        assert callable(getattr(library.semantic_memory, name))
