"""example: a flow optimizer. It says what it does here.

List scheduling: tasks in topological order, the longest way to the end first, each on the
agent that finishes it first. What it does not do it refuses as unsupported.
"""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.optimizer import Plan, Problem
from wit_world.imports.types import (
    Descriptor,
    StrategyError_Unsupported,
)

# JSON Schema (2020-12) of what can be set.
SETTINGS = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "cheaper": {
            "type": "boolean",
            "default": False,
            "description": "Of agents that finish a task at the same time, take the cheapest.",
        },
    },
}


class Metadata(exports.Metadata):
    def describe(self) -> Descriptor:
        return Descriptor(
            name="example",
            version="0.1.0",
            summary="List scheduling by the longest way to the end",
            confidence="lower bound / makespan: 1 means that no schedule is shorter",
        )


class Settings(exports.Settings):
    def schema(self) -> str:
        # The daemon holds [settings] of plugin.toml to it, and shows it.
        return json.dumps(SETTINGS)


class Optimizer(exports.Optimizer):
    def optimize(self, problem: Problem) -> Plan:
        refuse_what_is_not_done(problem)
        cheaper = json.loads(problem.settings).get("cheaper", False)
        works, speeds = problem.tasks.work_s, problem.agents.speed
        after = [[] for _ in works]
        before = [[] for _ in works]
        edges = problem.dependencies
        for source, target, data in zip(edges.from_, edges.to, edges.data_bytes):
            after[source].append(target)
            before[target].append((source, data))
        order = topological(after, before)
        fastest = max(speeds) if speeds else 1.0

        # The longest way from a task's start to the end, on the fastest agent.
        way = [0.0] * len(works)
        for task in reversed(order):
            way[task] = works[task] / fastest + max((way[t] for t in after[task]), default=0.0)

        place = order_by_way(order, way, before)
        agent, start, finish = [0] * len(works), [0.0] * len(works), [0.0] * len(works)
        blame = [None] * len(works)
        free, last = [0.0] * len(speeds), [None] * len(speeds)
        communication = problem.communication
        for task in place:
            best = None
            for a, speed in enumerate(speeds):
                ready, why = free[a], last[a]
                for source, data in before[task]:
                    arrives = finish[source]
                    if agent[source] != a:
                        arrives += communication.latency_s + data / communication.bandwidth_bytes_per_s
                    if arrives > ready:
                        ready, why = arrives, source
                end = ready + works[task] / speed
                key = (end, problem.agents.cost_per_s[a] if cheaper else 0.0)
                if best is None or key < best[0]:
                    best = (key, a, ready, why)
            (finish[task], _), agent[task], start[task], blame[task] = best
            free[agent[task]], last[agent[task]] = finish[task], task

        makespan = max(finish, default=0.0)
        bound = max(max(way, default=0.0), sum(works) / sum(speeds) if speeds else 0.0)
        path, task = [], finish.index(makespan) if finish else None
        while task is not None:
            path.append(task)
            task = blame[task]
        cost = sum((f - s) * problem.agents.cost_per_s[a] for f, s, a in zip(finish, start, agent))
        return Plan(
            task=list(range(len(works))),
            agent=agent,
            start_s=start,
            finish_s=finish,
            makespan_s=makespan,
            cost=cost,
            lower_bound_s=min(bound, makespan),
            critical_path=path[::-1],
            optimizations=[],
            iterations=0,
            confidence=min(1.0, bound / makespan) if makespan > 0 else 1.0,
        )


def topological(after, before):
    waits = [len(b) for b in before]
    order = [t for t, count in enumerate(waits) if count == 0]
    for task in order:
        for target in after[task]:
            waits[target] -= 1
            if waits[target] == 0:
                order.append(target)
    return order


def order_by_way(order, way, before):
    # Every predecessor has a longer way, but for tasks without work: those keep their order.
    position = {task: k for k, task in enumerate(order)}
    return sorted(order, key=lambda task: (-way[task], position[task]))


def refuse_what_is_not_done(problem: Problem):
    infinite = float("inf")
    bounds = problem.constraints
    simple = (
        not problem.requirements.task
        and not problem.demands.task
        and not problem.durations.duration_s
        and not problem.communication.pair_latency_s
        and not problem.agents.busy_agent
        and not any(r > 0 for r in problem.tasks.release_s)
        and not any(d < infinite for d in problem.tasks.deadline_s)
        and not any(a >= 0 for a in problem.tasks.fixed_agent)
        and bounds.max_latency_s == infinite
        and bounds.max_cost == infinite
        and bounds.deadline_s == infinite
        and bounds.min_throughput == 0
    )
    if not simple:
        raise Err(StrategyError_Unsupported("only works, speeds, dependencies and transfers are heeded"))
