// example: a flow optimizer. It says what it does here.
//
// List scheduling: tasks by the longest way to the end, each on the agent that finishes it
// first. What it does not do it refuses as unsupported.

export const metadata = {
  describe() {
    return {
      name: "example",
      version: "0.1.0",
      summary: "List scheduling by the longest way to the end",
      confidence: "lower bound / makespan: 1 means that no schedule is shorter",
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
        cheaper: {
          type: "boolean",
          default: false,
          description: "Of agents that finish a task at the same time, take the cheapest.",
        },
      },
    });
  },
};

export const optimizer = {
  optimize(problem) {
    refuseWhatIsNotDone(problem);
    const { cheaper = false } = JSON.parse(problem.settings);
    const works = Array.from(problem.tasks.workS);
    const speeds = Array.from(problem.agents.speed);
    const after = works.map(() => []);
    const before = works.map(() => []);
    const edges = problem.dependencies;
    for (let e = 0; e < edges.to.length; e++) {
      after[edges.from[e]].push(edges.to[e]);
      before[edges.to[e]].push([edges.from[e], edges.dataBytes[e]]);
    }
    const order = topological(after, before);
    const fastest = speeds.reduce((a, b) => Math.max(a, b), 0);

    // The longest way from a task's start to the end, on the fastest agent.
    const way = works.map(() => 0);
    for (const task of [...order].reverse()) {
      const rest = after[task].reduce((most, t) => Math.max(most, way[t]), 0);
      way[task] = works[task] / fastest + rest;
    }
    // Every predecessor has a longer way, but for tasks without work: those keep their order.
    const place = [...order].sort((a, b) => way[b] - way[a]);

    const agent = works.map(() => 0);
    const start = works.map(() => 0);
    const finish = works.map(() => 0);
    const blame = works.map(() => -1);
    const free = speeds.map(() => 0);
    const last = speeds.map(() => -1);
    const { latencyS, bandwidthBytesPerS } = problem.communication;
    for (const task of place) {
      let best = null;
      for (let a = 0; a < speeds.length; a++) {
        let [ready, why] = [free[a], last[a]];
        for (const [source, data] of before[task]) {
          const travel = agent[source] === a ? 0 : latencyS + data / bandwidthBytesPerS;
          if (finish[source] + travel > ready) {
            [ready, why] = [finish[source] + travel, source];
          }
        }
        const end = ready + works[task] / speeds[a];
        const price = cheaper ? problem.agents.costPerS[a] : 0;
        if (best === null || end < best.end || (end === best.end && price < best.price)) {
          best = { end, price, a, ready, why };
        }
      }
      finish[task] = best.end;
      agent[task] = best.a;
      start[task] = best.ready;
      blame[task] = best.why;
      free[best.a] = best.end;
      last[best.a] = task;
    }

    const sum = (list) => list.reduce((a, b) => a + b, 0);
    const makespan = finish.reduce((a, b) => Math.max(a, b), 0);
    const longest = way.reduce((a, b) => Math.max(a, b), 0);
    const bound = Math.max(longest, speeds.length ? sum(works) / sum(speeds) : 0);
    const path = [];
    for (let task = finish.indexOf(makespan); task >= 0; task = blame[task]) path.unshift(task);
    const cost = sum(works.map((_, t) => (finish[t] - start[t]) * problem.agents.costPerS[agent[t]]));
    return {
      task: Uint32Array.from(works.keys()),
      agent: Uint32Array.from(agent),
      startS: Float64Array.from(start),
      finishS: Float64Array.from(finish),
      makespanS: makespan,
      cost,
      lowerBoundS: Math.min(bound, makespan),
      criticalPath: Uint32Array.from(path),
      optimizations: [],
      iterations: 0,
      confidence: makespan > 0 ? Math.min(1, bound / makespan) : 1,
    };
  },
};

function topological(after, before) {
  const waits = before.map((b) => b.length);
  const order = [...waits.keys()].filter((t) => waits[t] === 0);
  for (const task of order) {
    for (const target of after[task]) {
      waits[target] -= 1;
      if (waits[target] === 0) order.push(target);
    }
  }
  return order;
}

function refuseWhatIsNotDone(problem) {
  const some = (list, test) => Array.from(list).some(test);
  const bounds = problem.constraints;
  const simple =
    problem.requirements.task.length === 0 &&
    problem.demands.task.length === 0 &&
    problem.durations.durationS.length === 0 &&
    problem.communication.pairLatencyS.length === 0 &&
    problem.agents.busyAgent.length === 0 &&
    !some(problem.tasks.releaseS, (r) => r > 0) &&
    !some(problem.tasks.deadlineS, (d) => d < Infinity) &&
    !some(problem.tasks.fixedAgent, (a) => a >= 0) &&
    bounds.maxLatencyS === Infinity &&
    bounds.maxCost === Infinity &&
    bounds.deadlineS === Infinity &&
    bounds.minThroughput === 0;
  if (!simple) {
    const val = "only works, speeds, dependencies and transfers are heeded";
    throw { tag: "unsupported", val };
  }
}
