// example: a resource allocator. It says what it does here.
//
// First come, first served: claims by priority, then in their order, each as much as there is.

export const metadata = {
  describe() {
    return {
      name: "example",
      version: "0.1.0",
      summary: "First come, first served, by priority",
      confidence: "the least fraction met of a claim's demands, and their mean",
    };
  },
};

export const settings = {
  // JSON Schema (2020-12): the daemon holds [settings] of plugin.toml to it, and shows it.
  schema() {
    return JSON.stringify({
      type: "object",
      additionalProperties: false,
      properties: {
        reverse: {
          type: "boolean",
          default: false,
          description: "Serve the last claim first.",
        },
      },
    });
  },
};

export const allocator = {
  allocate(problem) {
    const sign = JSON.parse(problem.settings).reverse ? -1 : 1;
    const { resources, claims, demands } = problem;
    const free = Array.from(resources.capacity, (c, r) => c - resources.inUse[r]);
    const unit = Array.from(demands.resource, (r) => resources.costPerUnit[r]);
    let money = problem.maxCost;
    const amount = Array.from(demands.requested, () => 0);
    const ofClaim = Array.from(claims.weight, () => []);
    demands.claim.forEach((claim, d) => {
      if (demands.requested[d] > 0) ofClaim[claim].push(d);
    });
    const order = [...ofClaim.keys()].sort((a, b) => claims.priority[b] - claims.priority[a] || sign * (a - b));
    for (const claim of order) {
      const own = ofClaim[claim];
      const cost = own.reduce((sum, d) => sum + demands.requested[d] * unit[d], 0);
      let part = 1;
      for (const d of own) {
        const room = Math.min(free[demands.resource[d]], demands.max[d]);
        part = Math.min(part, room / demands.requested[d]);
      }
      if (cost > 0) part = Math.min(part, Math.min(claims.maxCost[claim], money) / cost);
      const bundles = claims.bundles[claim];
      if (bundles > 0) part = Math.floor(part * bundles + 1e-9) / bundles;
      if (own.some((d) => demands.requested[d] * part < demands.min[d])) continue;
      money = Math.max(0, money - cost * part);
      for (const d of own) {
        amount[d] = demands.requested[d] * part;
        const r = demands.resource[d];
        free[r] = Math.max(0, free[r] - amount[d]);
      }
    }
    return answer(problem, amount, unit);
  },
};

function answer({ resources, claims, demands }, amount, unit) {
  const given = Array.from(resources.inUse);
  const share = Array.from(claims.weight, () => 0);
  const met = Array.from(claims.weight, () => 1);
  const unmet = [];
  amount.forEach((value, d) => {
    const [claim, r, requested] = [demands.claim[d], demands.resource[d], demands.requested[d]];
    given[r] += value;
    if (resources.capacity[r] > 0) share[claim] = Math.max(share[claim], value / resources.capacity[r]);
    if (requested > 0) met[claim] = Math.min(met[claim], Math.max(0, Math.min(1, value / requested)));
    if (requested - value > 1e-9 * requested) {
      const description = `{claim:${claim}} came too late for {resource:${r}}`;
      unmet.push({ demand: d, missing: requested - value, reason: "capacity", description });
    }
  });
  const utilization = given.map((g, r) => (resources.capacity[r] > 0 ? g / resources.capacity[r] : 0));
  return {
    amount: Float64Array.from(amount),
    dominantShare: Float64Array.from(share),
    utilization: Float64Array.from(utilization),
    unmet,
    cost: amount.reduce((sum, value, d) => sum + value * unit[d], 0),
    claimConfidence: Float64Array.from(met),
    confidence: met.length ? met.reduce((a, b) => a + b, 0) / met.length : 1,
  };
}
