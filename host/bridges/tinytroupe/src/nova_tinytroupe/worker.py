"""The worker: one thread an agent for leasing, one more for each lease's heartbeats, and one agent acting at a time."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from .client import Json, NovaClient
from .errors import LeaseLost, NovaError, is_transient
from .library import Library, Person, episodes
from .memory import Recorder, item_of, record_of, semantic_memory
from .outbox import Outbox
from .prompt import prompt_of, result_of
from .world import Worlds

log = logging.getLogger("nova_tinytroupe")


@dataclass(frozen=True)
class BridgeOptions:
    """How a bridge works; times in seconds."""

    lease_s: float = 60.0
    wait_s: float = 20.0
    grace_s: float = 30.0
    #: Whether the agents' semantic memory is Nova's.
    nova_memory: bool = True
    #: Further capabilities of every agent, beside those of its persona.
    capabilities: tuple[str, ...] = ()
    #: Where memories that Nova cannot take are kept over a restart.
    spool: Path | None = None


@dataclass
class Hosted:
    """An agent that lives in this process."""

    agent_id: str
    person: Person
    recorder: Recorder


@dataclass
class Lease:
    """A task that an agent holds."""

    task: Json
    lease_id: str
    wanted: bool = True
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def task_id(self) -> str:
        return str(self.task["task_id"])


class Bridge:
    """Hosts agents and works for them until it is stopped."""

    def __init__(self, client: NovaClient, library: Library, options: BridgeOptions | None = None):
        self._client = client
        self._library = library
        self._options = options or BridgeOptions()
        self._outbox = Outbox(client, self._options.spool)
        self._hosted: dict[str, Hosted] = {}
        self._worlds = Worlds(library)
        self._acting = threading.Lock()
        self._stopping = threading.Event()
        self._held: dict[str, Lease] = {}
        self._held_lock = threading.Lock()

    # Hosting

    def host_file(self, spec: Json) -> str:
        """Registers an agent by its file, and hosts it."""
        answer = self._client.import_agent(spec)
        agent_id = str(answer["agent_id"])
        more = self._options.capabilities
        if more:
            have = set(answer["orchestration"]["capabilities"])
            answer = self._client.import_agent(spec, agent_id=agent_id, capabilities=sorted(have | set(more)))
        self._host(agent_id, spec)
        return agent_id

    def host_registered(self, agent_id: str) -> str:
        """Hosts an agent that Nova knows, with its latest episodes."""
        spec = self._client.export_agent(agent_id, memories=False)
        # A file has room for some thousands only, and an agent may remember more.
        latest = [item_of(memory) for memory in self._client.memories(agent_id, "episodic")]
        self._host(agent_id, {**spec, "nova_memory": {"episodic": latest}})
        return agent_id

    def _host(self, agent_id: str, spec: Json) -> None:
        person = self._library.person_from(spec)
        if self._options.nova_memory:
            person.semantic_memory = semantic_memory(
                self._library.semantic_memory, self._client, agent_id, self._outbox
            )
        self._hosted[agent_id] = Hosted(agent_id, person, Recorder(person.episodic_memory))
        log.info("hosting %s with %d episodes", agent_id, len(episodes(spec)))

    # Working

    def run(self) -> None:
        """Works until :meth:`stop`; returns when all work is handed in or given back."""
        threads = [
            threading.Thread(target=self._serve, args=(hosted,), name=hosted.agent_id, daemon=True)
            for hosted in self._hosted.values()
        ]
        for thread in threads:
            thread.start()
        while not self._stopping.wait(0.5):
            if not any(thread.is_alive() for thread in threads):
                raise RuntimeError("every agent's thread has ended; the log says why")
        deadline = time.monotonic() + self._options.grace_s
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._client.give_up_waiting()
        with self._held_lock:
            left = list(self._held.values())
        for lease in left:
            lease.wanted = False
            lease.over.set()
            self._give_back(lease, "the worker is shutting down", transient=True)
        self._outbox.send()
        if self._outbox:
            kept = "lost" if self._options.spool is None else f"kept in {self._options.spool}"
            log.error("%d memories that Nova could not take are %s", len(self._outbox), kept)

    def stop(self) -> None:
        """Takes no further work; running work may finish within the grace."""
        self._stopping.set()

    def _serve(self, hosted: Hosted) -> None:
        wait_ms = int(self._options.wait_s * 1000)
        while not self._stopping.is_set():
            try:
                taken = self._client.lease(hosted.agent_id, lease_s=self._options.lease_s, wait_ms=wait_ms)
            except (NovaError, httpx.TransportError) as error:
                if isinstance(error, NovaError) and not is_transient(error):
                    log.error("%s takes no work: %s", hosted.agent_id, error)
                    return
                log.warning("%s waits for Nova: %s", hosted.agent_id, error)
                self._stopping.wait(1.0)
                continue
            # Nova is there: it may take what it could not take before.
            self._outbox.send()
            for leased in taken:
                self._work(hosted, Lease(leased["task"], str(leased["lease_id"])))

    def _work(self, hosted: Hosted, lease: Lease) -> None:
        with self._held_lock:
            self._held[lease.lease_id] = lease
        heart = threading.Thread(target=self._beat, args=(lease,), daemon=True)
        heart.start()
        try:
            with self._acting:
                if self._stopping.is_set():
                    self._give_back(lease, "the worker is shutting down", transient=True)
                    return
                if not lease.wanted:
                    return
                result = self._act(hosted, lease.task)
            if lease.wanted:
                self._client.complete(lease.task_id, lease.lease_id, result)
                log.info("%s completed %s", hosted.agent_id, lease.task_id)
        except LeaseLost as error:
            log.warning("%s is no longer ours: %s", lease.task_id, error)
        except Exception as error:  # an agent's code may raise anything, and the worker must live on
            transient = is_transient(error)
            log.warning("%s failed %s (transient: %s): %r", hosted.agent_id, lease.task_id, transient, error)
            self._give_back(lease, f"{type(error).__name__}: {error}", transient=transient)
        finally:
            lease.over.set()
            with self._held_lock:
                self._held.pop(lease.lease_id, None)

    def _act(self, hosted: Hosted, task: Json) -> Json:
        person = hosted.person
        earlier = [self._client.task(str(t)) for t in task.get("dependencies") or []]
        prompt = prompt_of(task, earlier)
        persons = {agent_id: other.person for agent_id, other in self._hosted.items()}
        hosted.recorder.take()
        try:
            with self._worlds.around(task, person, persons) as world:
                actions = person.listen_and_act(prompt, return_actions=True)
                self._worlds.tell(world, person, actions)
        finally:
            # What was lived through is remembered even where the work failed.
            self._remember(task)
        return result_of(person.name, actions)

    def _remember(self, task: Json) -> None:
        # In a world others have heard something, too.
        for hosted in self._hosted.values():
            for item in hosted.recorder.take():
                record = record_of(item, hosted.agent_id, "episodic", task)
                if record is not None:
                    self._outbox.store(record)

    def _beat(self, lease: Lease) -> None:
        pause_s = max(self._options.lease_s / 3, 0.05)
        while not lease.over.wait(pause_s):
            try:
                if not self._client.heartbeat(lease.task_id, lease.lease_id):
                    log.info("%s was called off", lease.task_id)
                    lease.wanted = False
                    return
            except LeaseLost as error:
                log.warning("%s is no longer ours: %s", lease.task_id, error)
                lease.wanted = False
                return
            except (NovaError, httpx.TransportError) as error:
                log.warning("no heartbeat for %s: %s", lease.task_id, error)

    def _give_back(self, lease: Lease, reason: str, *, transient: bool) -> None:
        try:
            self._client.fail(lease.task_id, lease.lease_id, reason, transient=transient)
        except (LeaseLost, NovaError, httpx.TransportError) as error:
            log.warning("%s could not be given back: %s", lease.task_id, error)

    def hosted(self) -> dict[str, Any]:
        """The agents here by their ids."""
        return {agent_id: hosted.person for agent_id, hosted in self._hosted.items()}
