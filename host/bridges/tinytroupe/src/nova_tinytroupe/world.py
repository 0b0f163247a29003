"""Worlds in which agents of one coordination hear each other."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .client import Json
from .library import Library, Person
from .prompt import action_of

#: Patterns that ask for interaction.
TOGETHER = frozenset({"mesh", "hierarchical"})
#: Coordinations whose worlds are kept at a time.
WORLDS_MAX = 100


class Worlds:
    """A world for each coordination; not for several threads at a time."""

    def __init__(self, library: Library):
        self._library = library
        self._worlds: OrderedDict[str, Any] = OrderedDict()

    @contextmanager
    def around(self, task: Json, person: Person, hosted: dict[str, Person]) -> Iterator[Any]:
        """The agent's world while it acts on a task; none where it acts for itself."""
        part = (task.get("parameters") or {}).get("coordination") or {}
        present = [hosted[a] for a in part.get("agents") or [] if a in hosted]
        if part.get("pattern") not in TOGETHER or len(present) < 2:
            yield None
            return
        world = self._world(str(part.get("coordination_id")), present)
        before = person.environment
        person.environment = world
        try:
            yield world
        finally:
            person.environment = before

    def tell(self, world: Any, person: Person, actions: list[Any] | None) -> None:
        """The others of a world hear what an agent said."""
        if world is None:
            return
        pop = getattr(person, "pop_latest_actions", None)
        handle = getattr(world, "_handle_actions", None)
        if pop is not None and handle is not None:
            handle(person, pop())
            return
        others = {other.name: other for other in world.agents if other is not person}
        for action in map(action_of, actions or []):
            if str(action.get("type")).upper() == "TALK" and action.get("content"):
                target = others.get(str(action.get("target")))
                for other in [target] if target is not None else list(others.values()):
                    other.listen(str(action["content"]), source=person)

    def _world(self, coordination_id: str, present: list[Person]) -> Any:
        world = self._worlds.get(coordination_id)
        if world is None:
            world = self._library.world(f"nova {coordination_id}", [])
            while len(self._worlds) >= WORLDS_MAX:
                self._worlds.popitem(last=False)
            self._worlds[coordination_id] = world
        self._worlds.move_to_end(coordination_id)
        names = {agent.name for agent in world.agents}
        for person in present:
            if person.name not in names:
                home = person.environment
                world.add_agent(person)
                person.environment = home
        if hasattr(world, "make_everyone_accessible"):
            world.make_everyone_accessible()
        return world
