"""example: a resource allocator. It says what it does here.

First come, first served: claims by priority, then in their order, each as much as there is.
"""

import json
import math

from wit_world import exports
from wit_world.exports.allocator import Allocation, Problem, Unmet, UnmetReason
from wit_world.imports.types import Descriptor

# JSON Schema (2020-12) of what can be set.
SETTINGS = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "reverse": {
            "type": "boolean",
            "default": False,
            "description": "Serve the last claim first.",
        },
    },
}


class Metadata(exports.Metadata):
    def describe(self) -> Descriptor:
        return Descriptor(
            name="example",
            version="0.1.0",
            summary="First come, first served, by priority",
            confidence="the least fraction met of a claim's demands, and their mean",
        )


class Settings(exports.Settings):
    def schema(self) -> str:
        # The daemon holds [settings] of plugin.toml to it, and shows it.
        return json.dumps(SETTINGS)


class Allocator(exports.Allocator):
    def allocate(self, problem: Problem) -> Allocation:
        sign = -1 if json.loads(problem.settings).get("reverse", False) else 1
        resources, claims, demands = problem.resources, problem.claims, problem.demands
        free = [c - u for c, u in zip(resources.capacity, resources.in_use)]
        unit = [resources.cost_per_unit[r] for r in demands.resource]
        money = problem.max_cost
        amount = [0.0] * len(demands.requested)
        of_claim = [[] for _ in claims.weight]
        for d, claim in enumerate(demands.claim):
            if demands.requested[d] > 0:
                of_claim[claim].append(d)
        for claim in sorted(range(len(of_claim)), key=lambda c: (-claims.priority[c], sign * c)):
            own = of_claim[claim]
            cost = sum(demands.requested[d] * unit[d] for d in own)
            part = 1.0
            for d in own:
                room = min(free[demands.resource[d]], demands.max[d])
                part = min(part, room / demands.requested[d])
            if cost > 0:
                part = min(part, min(claims.max_cost[claim], money) / cost)
            bundles = claims.bundles[claim]
            if bundles > 0:
                part = math.floor(part * bundles + 1e-9) / bundles
            if any(demands.requested[d] * part < demands.min[d] for d in own):
                continue
            money = max(0.0, money - cost * part)
            for d in own:
                amount[d] = demands.requested[d] * part
                free[demands.resource[d]] = max(0.0, free[demands.resource[d]] - amount[d])
        return answer(problem, amount, unit)


def answer(problem: Problem, amount, unit) -> Allocation:
    resources, claims, demands = problem.resources, problem.claims, problem.demands
    given = list(resources.in_use)
    share, met = [0.0] * len(claims.weight), [1.0] * len(claims.weight)
    unmet = []
    for d, value in enumerate(amount):
        claim, resource, requested = demands.claim[d], demands.resource[d], demands.requested[d]
        given[resource] += value
        if resources.capacity[resource] > 0:
            share[claim] = max(share[claim], value / resources.capacity[resource])
        if requested > 0:
            met[claim] = min(met[claim], max(0.0, min(1.0, value / requested)))
        if requested - value > 1e-9 * requested:
            text = "{claim:%d} came too late for {resource:%d}" % (claim, resource)
            unmet.append(Unmet(demand=d, missing=requested - value, reason=UnmetReason.CAPACITY, description=text))
    return Allocation(
        amount=amount,
        dominant_share=share,
        utilization=[g / c if c > 0 else 0.0 for g, c in zip(given, resources.capacity)],
        unmet=unmet,
        cost=sum(value * price for value, price in zip(amount, unit)),
        claim_confidence=met,
        confidence=sum(met) / len(met) if met else 1.0,
    )
