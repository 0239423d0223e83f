// A client in TypeScript, from types that openapi-typescript has made: `tsc --strict` compiles it, and node runs it.

import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

type Plugin = components["schemas"]["Plugin"];
type Registration = components["schemas"]["PluginRegistration"];

const baseUrl = process.argv[2];
assert(baseUrl, "the address of the service is missing");
// Some replies can be had as lines, too: this client asks for JSON alone. Labels are sent as the description says
// (`style: form`, `explode: true`).
const client = createClient<paths, "application/json" | "application/problem+json">({
    baseUrl,
    querySerializer: { object: { style: "form", explode: true } },
});

/** The data of a reply, or an error that names the problem. */
function data<T>(reply: { data?: T; error?: unknown; response: Response }): T {
    if (reply.data === undefined) {
        throw new Error(`${reply.response.status} ${JSON.stringify(reply.error)}`);
    }
    return reply.data;
}

const registration: Registration = {
    name: "typed",
    category: "typescript",
    title: "A typed plugin",
    config_schema: { type: "object", properties: { device: { enum: ["cpu", "cuda"] } } },
    labels: { team: "speech" },
    execution_mode: "cloud_gpu",
    remote_resource: { provider: "aws", status: "running", metadata: { zone: "a", tags: ["x", 1, null] } },
};
// @ts-expect-error A field that the service refuses is refused by the compiler, too.
export const mistyped: Registration = { ...{ name: "n", category: "c", title: "T", config_schema: {} }, spawned_pid: [1] };

const registered: Plugin = data(await client.POST("/plugins", { body: registration }));
assert.equal(registered.unique_id, "typescript_typed");
assert.deepEqual(registered.config_schema["properties"], { device: { enum: ["cpu", "cuda"] } });
assert.deepEqual(registered.remote_resource?.metadata["tags"], ["x", 1, null]);

const page = data(await client.GET("/plugins", { params: { query: { category: ["typescript"], labels: { "label.team": "speech" } } } }));
const ids: string[] = page.items.map((plugin) => plugin.unique_id);
assert.deepEqual(ids, ["typescript_typed"]);
assert.equal(page.items[0]?.remote_resource?.provider, "aws");

const patched = data(await client.PATCH("/plugins/{id}", {
    params: { path: { id: registered.unique_id } },
    body: { description: "changed", labels: { team: null }, remote_resource: { status: "stopped" } },
}));
assert.deepEqual(patched.labels, {});
const saved = data(await client.PUT("/plugins/{id}/config", {
    params: { path: { id: registered.unique_id } }, body: { device: "cpu" },
}));
assert.equal(saved.is_configured, true);

const webhook = data(await client.POST("/webhooks", {
    body: {
        url: "http://127.0.0.1:9/hook",
        filters: { active: true, billable: "true", execution_mode: ["subprocess", "cloud_gpu"], "label.team": ["a", "b"] },
        kinds: ["plugin.registered"],
    },
}));
assert(webhook.secret?.startsWith("whsec_"));
assert.deepEqual(webhook.filters["label.team"], ["a", "b"]);
const webhooks = data(await client.GET("/webhooks"));
assert.deepEqual(webhooks.items.map((one) => one.state), ["delivering"]);
data(await client.PATCH("/webhooks/{webhook_id}", {
    params: { path: { webhook_id: webhook.id } }, body: { enabled: false, filters: { billable: null, "label.team": null } },
}));

const budget = data(await client.POST("/budgets", {
    body: { name: "typed", limit_usd: 12.5, period: "month", filters: { provider: "aws" } },
}));
assert.deepEqual(budget.threshold_percent, [50, 80, 100]);
const budgets = data(await client.GET("/budgets"));
assert.deepEqual(budgets.items.map((one) => one.name), ["typed"]);
data(await client.PATCH("/budgets/{budget_id}", { params: { path: { budget_id: budget.id } }, body: { filters: null } }));

const lease = data(await client.POST("/leases", { body: { holder: "typed" } }));
assert.equal(lease.ttl_seconds, 30);
data(await client.PUT("/leases/{lease_id}", { params: { path: { lease_id: lease.lease_id } } }));
const seen = data(await client.POST("/observations", {
    body: {
        by: "typed", observations: [
            { kind: "remote", plugin: registered.unique_id, id: "x", state: "alive", identity: { boot: 1 } },
        ],
    },
}));
assert.equal(seen.accepted + seen.ignored.length, 1);

for (const change of data(await client.GET("/events")).items) {
    assert.equal(typeof change.data.revision, "number");
}
data(await client.GET("/resources"));
data(await client.GET("/costs"));
data(await client.GET("/categories"));
data(await client.GET("/stats"));

const refused = await client.POST("/plugins", { body: { ...registration, name: " " } });
assert.equal(refused.error?.errors?.[0]?.pointer, "/name");
console.log("the client of openapi-typescript and openapi-fetch works");
