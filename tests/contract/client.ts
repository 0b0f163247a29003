// A day of a client whose every request and answer is typed by the OpenAPI document alone.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

type Plan = components["schemas"]["Plan"];

const api = createClient<paths>({
  baseUrl: process.env.NOVA_URL!,
  headers: { "X-API-Key": process.env.NOVA_API_KEY! },
});

for (const speed of [1, 2]) {
  const { data, error, response } = await api.POST("/api/orchestration/agents", {
    body: { agent_id: `builder-${speed}`, speed, capabilities: ["rust"], metadata: { team: "core" } },
  });
  assert.ok(data, JSON.stringify(error));
  assert.equal(response.status, 201);
  assert.equal(data.orchestration.agent_id, `builder-${speed}`);
}

const flow = await api.POST("/api/orchestration/flows", {
  body: {
    flow_id: "release",
    name: "Release",
    tasks: [
      { key: "build", type: "compile", estimate: { duration_s: 10 }, parameters: { crate: "nova" } },
      { key: "test", type: "test", depends_on: ["build"], estimate: { duration_s: 4 } },
    ],
  },
});
assert.ok(flow.data, JSON.stringify(flow.error));

const optimized = await api.POST("/api/orchestration/flows/{flow_id}/optimize", {
  params: { path: { flow_id: "release" } },
  body: { parameters: { target: "performance" }, apply: true },
});
assert.ok(optimized.data, JSON.stringify(optimized.error));
const plan: Plan = optimized.data.plan;
assert.equal(plan.assignments.length, 2);
assert.equal(plan.makespan_s, 7); // both on the agent of speed 2

const list = await api.GET("/api/orchestration/tasks", {
  params: { query: { flow_id: "release", agent_id: "builder-2", limit: 1 } },
});
assert.ok(list.data, JSON.stringify(list.error));
assert.equal(list.data.items.length, 1);

const stored = await api.POST("/api/orchestration/memory/store", {
  body: { content: "The release needs a green build.", importance: 0.7, agent_id: "builder-1" },
});
assert.ok(stored.data, JSON.stringify(stored.error));
const found = await api.POST("/api/orchestration/memory/search", {
  body: { query: "green build", limit: 3 },
});
assert.ok(found.data, JSON.stringify(found.error));
assert.equal(found.data.matches[0]!.memory_id, stored.data.memory_id);

// An error has its one shape, typed too.
const refused = await api.GET("/api/orchestration/tasks/{task_id}", {
  params: { path: { task_id: "019c13a4-8f0a-7c3e-9a41-5b1c2d3e4f50" } },
});
assert.equal(refused.response.status, 404);
assert.equal(refused.error!.error.code, "RESOURCE_NOT_FOUND");

console.log("the generated client works");
