"""From a task to what an agent is told, and from its actions to a result."""

from __future__ import annotations

import json
from typing import Any

from .client import Json

#: Parameters that hold the words for the agent, in this order.
WORDS = ("prompt", "instruction", "instructions", "text")
#: Characters of one earlier answer that are put before the words.
EARLIER_MAX_CHARS = 4000


def prompt_of(task: Json, earlier: list[Json]) -> str:
    """What the agent is told: earlier answers, its part in a coordination, the task itself."""
    parts: list[str] = []
    for done in earlier:
        text = _answer_text(done)
        if text:
            parts.append(f"This was done before ({done.get('type')}):\n{text[:EARLIER_MAX_CHARS]}")
    parameters: Json = task.get("parameters") or {}
    part = parameters.get("coordination") or {}
    role, number = part.get("role"), part.get("round")
    if role:
        at = f", round {number}" if number else ""
        others = ", ".join(str(a) for a in part.get("agents") or [])
        parts.append(f"You work on this with others ({others}). Your role: {role}{at}.")
    words = next((str(parameters[k]) for k in WORDS if parameters.get(k)), None)
    if words is None:
        rest = {k: v for k, v in parameters.items() if k != "coordination"}
        words = f"Your task is: {task['type']}. " + (json.dumps(rest, ensure_ascii=False) if rest else "")
    parts.append(words)
    return "\n\n".join(parts)


def _answer_text(task: Json) -> str:
    result = task.get("result")
    if isinstance(result, dict) and isinstance(result.get("text"), str):
        return str(result["text"])
    return "" if result is None else json.dumps(result, ensure_ascii=False)


def action_of(entry: Any) -> Json:
    """The action in what ``listen_and_act`` gives: bare, or beside a cognitive state."""
    action = entry.get("action", entry) if isinstance(entry, dict) else {"content": entry}
    return action if isinstance(action, dict) else {"content": action}


def result_of(name: str, actions: list[Any] | None) -> Json:
    """The result of a task: all actions, and what was said in them."""
    plain = json.loads(json.dumps(actions or [], default=str))
    said = [action_of(entry) for entry in plain]
    text = "\n".join(
        str(action["content"])
        for action in said
        if action.get("content") and str(action.get("type", "TALK")).upper() in ("TALK", "REACH_OUT", "WRITE_DOCUMENT")
    )
    return {"agent": name, "text": text, "actions": plain}
