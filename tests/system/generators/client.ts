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

// What an application does: it registers what it holds under a lease, keeps that true, and takes it back.
const active = async (): Promise<string[]> => {
    const query = { active: true, category: ["job"] };
    return data(await client.GET("/plugins", { params: { query } })).items.map((plugin) => plugin.unique_id);
};
const path = { id: "job_typed" };
const held = data(await client.POST("/leases", { body: { holder: "job", host: "gpu-1", ttl_seconds: 60 } }));
const created = await client.POST("/plugins", {
    body: { ...registration, category: "job", host: "gpu-1", lease_id: held.lease_id, remote_resource: null },
});
assert.deepEqual([created.response.status, created.response.headers.get("location")], [201, "/plugins/job_typed"]);
assert.deepEqual([data(created).has_active_resources, await active()], [false, []]);

const pids = (spawned_pids: number[]) => ({ params: { path }, body: { spawned_pids } });
data(await client.PUT("/plugins/{id}/spawned_pids", pids([41, 42])));
assert.deepEqual(await active(), ["job_typed"]);
data(await client.POST("/plugins/{id}/spawned_pids", pids([43])));
const fewer = data(await client.DELETE("/plugins/{id}/spawned_pids/{pid}", { params: { path: { ...path, pid: 41 } } }));
assert.deepEqual(fewer.spawned_pids, [42, 43]);
data(await client.PUT("/plugins/{id}/container_id", { params: { path }, body: { container_id: "f00dfeedbabe" } }));
const rented = data(await client.PUT("/plugins/{id}/remote_resource", {
    params: { path }, body: { provider: "aws", instance_id: "i-1", status: "provisioning" },
}));
assert.deepEqual([rented.billable, rented.remote_resource?.ssh_port], [true, 22]);
const running = data(await client.PATCH("/plugins/{id}/remote_resource", { params: { path }, body: { status: "running" } }));
assert.equal(running.remote_resource?.status, "running");

const tag = (await client.GET("/plugins/{id}", { params: { path } })).response.headers.get("etag");
assert(tag);
const change = { params: { path, header: { "If-Match": tag } }, body: { description: "busy" } };
assert.equal(data(await client.PATCH("/plugins/{id}", change)).description, "busy");
const outdated = await client.PATCH("/plugins/{id}", change);
assert.deepEqual([outdated.response.status, outdated.error?.status], [412, 412]);

const stillHeld = await client.DELETE("/plugins/{id}", { params: { path } });
assert.equal(stillHeld.response.status, 409);
const renewed = data(await client.PUT("/leases/{lease_id}", { params: { path: { lease_id: held.lease_id } } }));
assert.deepEqual(renewed.plugins, ["job_typed"]);
const removed = await client.DELETE("/plugins/{id}", { params: { path, query: { force: true } } });
assert.equal(removed.response.status, 204);
const released = await client.DELETE("/leases/{lease_id}", { params: { path: { lease_id: held.lease_id } } });
assert.equal(released.response.status, 204);
assert.deepEqual([(await client.GET("/plugins/{id}", { params: { path } })).response.status, await active()], [404, []]);

const refused = await client.POST("/plugins", { body: { ...registration, name: " " } });
assert.equal(refused.error?.errors?.[0]?.pointer, "/name");
console.log("the client of openapi-typescript and openapi-fetch works");
