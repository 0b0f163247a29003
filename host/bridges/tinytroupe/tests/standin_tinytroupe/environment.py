"""A world whose agents hear what is said to them."""

from __future__ import annotations

from typing import Any


class TinyWorld:
    def __init__(self, name: str, agents: list[Any] | None = None) -> None:
        self.name = name
        self.agents: list[Any] = []
        for agent in agents or []:
            self.add_agent(agent)

    def add_agent(self, agent: Any) -> None:
        agent.environment = self
        self.agents.append(agent)

    def make_everyone_accessible(self) -> None:
        pass

    def _handle_actions(self, source: Any, actions: list[Any]) -> None:
        for action in actions:
            if action["type"] != "TALK":
                continue
            for agent in self.agents:
                if agent is not source and action["target"] in ("", agent.name):
                    agent.listen(action["content"], source=source)
