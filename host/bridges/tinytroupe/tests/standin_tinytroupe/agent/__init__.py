"""A person that asks a chat completions endpoint what to do, as TinyTroupe's does."""

from __future__ import annotations

import json
import os
from typing import Any

import httpx

from .memory import EpisodicMemory, SemanticMemory


class APIStatusError(Exception):
    """As openai's: carries the status."""

    def __init__(self, status_code: int):
        super().__init__(f"status {status_code}")
        self.status_code = status_code


class TinyPerson:
    all_agents: dict[str, TinyPerson] = {}

    def __init__(self, name: str) -> None:
        if name in TinyPerson.all_agents:
            raise ValueError(f"Agent name {name} is already in use.")
        TinyPerson.all_agents[name] = self
        self.name = name
        self.persona: dict[str, Any] = {}
        self.episodic_memory = EpisodicMemory()
        self.semantic_memory: Any = SemanticMemory()
        self.environment: Any = None
        self._actions_buffer: list[Any] = []

    @staticmethod
    def load_specification(path_or_dict: dict[str, Any]) -> TinyPerson:
        assert path_or_dict["type"] == "TinyPerson"
        # The real library ends in an error when such an item is used later.
        assert "episodic_memory" not in path_or_dict, "TinyTroupe cannot load its own memories"
        person = TinyPerson(path_or_dict["persona"]["name"])
        person.persona = path_or_dict["persona"]
        return person

    def listen(self, speech: str, source: Any = None) -> TinyPerson:
        stimulus = {"type": "CONVERSATION", "content": speech, "source": getattr(source, "name", "")}
        self._live("user", "stimulus", {"stimuli": [stimulus]})
        return self

    def listen_and_act(self, speech: str, return_actions: bool = False) -> list[Any] | None:
        self.listen(speech)
        done: list[Any] = []
        for _ in range(15):
            content = self._ask(speech)
            for action in content["actions"]:
                entry = {"action": action, "cognitive_state": content["cognitive_state"]}
                self._live("assistant", "action", entry)
                self._actions_buffer.append(action)
                done.append(entry)
            if content["actions"][-1]["type"] == "DONE":
                break
        return done if return_actions else None

    def pop_latest_actions(self) -> list[Any]:
        actions, self._actions_buffer = self._actions_buffer, []
        return actions

    def _live(self, role: str, kind: str, content: Any) -> None:
        item = {"role": role, "content": content, "type": kind, "simulation_timestamp": None}
        self.episodic_memory.store(item)

    def _ask(self, speech: str) -> dict[str, Any]:
        try:
            recalled = self.semantic_memory.retrieve_relevant(speech, 3)
        except NotImplementedError:
            recalled = []
        system = f"You are {self.name}. You remember: {recalled}"
        body = {
            "model": "fake",
            "messages": [{"role": "system", "content": system}, {"role": "user", "content": speech}],
            "response_format": {"type": "json_schema", "json_schema": {"name": "CognitiveActionsModel"}},
        }
        url = os.environ["OPENAI_BASE_URL"].rstrip("/") + "/chat/completions"
        key = {"Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"}
        response = httpx.post(url, json=body, headers=key, timeout=60)
        if not response.is_success:
            raise APIStatusError(response.status_code)
        content = response.json()["choices"][0]["message"]["content"]
        answer: dict[str, Any] = json.loads(content)
        return answer
