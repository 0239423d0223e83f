// @ts-check
// Webhooks: where events are delivered to, how far each is, and what went wrong.
import { html } from "../lib.js";
import { path } from "../api.js";
import { act } from "../act.js";
import { useQuery } from "../store.js";
import { ActButton, Age, Badge, Command, EmptyState, Note, Panel, Table, ask } from "../ui/index.js";
import { count } from "../format.js";
import { FILTER_HINT, MERGE, filterLines, parseFilters, parseList, patchOf } from "./admin-fields.js";

/** @type {Record<string, {tone: "ok" | "warn" | "bad" | "soft", shape: string}>} */
const STATES = { delivering: { tone: "ok", shape: "●" }, waiting: { tone: "warn", shape: "◆" }, parked: { tone: "bad", shape: "▲" }, disabled: { tone: "soft", shape: "○" } };

/** @param {import("../api-types.js").Webhook} [hook] @returns {import("../ui/dialog.js").Field[]} */
const fields = (hook) => [
  { name: "url", label: "URL", type: "url", required: true, maxlength: 2048, value: hook?.url, placeholder: "https://example.com/hooks/registry" },
  { name: "description", label: "What it is for", maxlength: 1024, value: hook?.description ?? "" },
  { name: "kinds", label: "Kinds of events", value: (hook?.kinds ?? []).join(", "), placeholder: "finding.raised, budget.threshold_reached", hint: "Empty for all." },
  { name: "filters", label: "Plugins", type: "textarea", rows: 2, value: filterLines(hook?.filters), hint: FILTER_HINT },
];

/** @param {Record<string, any>} values */
const bodyOf = (values) => ({ url: values.url, description: values.description || null, kinds: parseList(values.kinds), filters: parseFilters(values.filters) });

/** A secret is shown once: the registry does not tell it again. @param {string} title @param {string} secret @param {string} text */
export const showOnce = (title, secret, text) => ask({
  title, confirm: "I have kept it", cancel: "Close",
  text: html`<div class="secret"><p>${text}</p><${Command}>${secret}<//><${Note} tone="warn">It is shown now and never again.<//></div>`,
});

/** @param {() => void} reload */
async function create(reload) {
  const made = await ask({
    title: "New webhook", fields: fields(), confirm: "Create webhook",
    run: (values) => act({ label: `Created the webhook to ${values.url}`, need: "admin", method: "POST", path: "/webhooks", body: bodyOf(values), plain: true }),
  });
  reload();
  const secret = made?.result?.data?.secret;
  if (secret) await showOnce("The webhook's secret", secret, "The receiver checks the signature of each delivery with it.");
}

/** @param {import("../api-types.js").Webhook} hook @param {() => void} reload */
const change = (hook, reload) => ask({
  title: "Webhook", fields: fields(hook), confirm: "Save webhook",
  run: async (values) => {
    const body = bodyOf(values);
    await act({ label: `Changed the webhook to ${values.url}`, need: "admin", method: "PATCH", path: path`/webhooks/${hook.id}`, type: MERGE, plain: true, body: { ...body, filters: patchOf(hook.filters, body.filters) } });
    reload();
  },
});

/** @param {import("../api-types.js").Webhook} hook @param {boolean} enabled @param {() => void} reload */
const enable = (hook, enabled, reload) => ask({
  title: `${enabled ? "Enable" : "Disable"} the webhook?`, text: html`<p><code>${hook.url}</code></p><p>${enabled ? "Deliveries go on where they stopped." : "Deliveries stop. They go on from there when it is enabled."}</p>`, confirm: enabled ? "Enable" : "Disable",
  run: async () => {
    await act({ label: `${enabled ? "Enabled" : "Disabled"} the webhook to ${hook.url}`, need: "admin", method: "PATCH", path: path`/webhooks/${hook.id}`, type: MERGE, plain: true, body: { enabled } });
    reload();
  },
});

/** @param {import("../api-types.js").Webhook} hook @param {() => void} reload */
const remove = (hook, reload) => ask({
  title: "Delete the webhook?", text: html`<p><code>${hook.url}</code></p><p>${hook.lag ? `${count(hook.lag)} changes are not delivered.` : "All changes are delivered."}</p>`, confirm: "Delete webhook", danger: true,
  run: async () => { await act({ label: `Deleted the webhook to ${hook.url}`, need: "admin", method: "DELETE", path: path`/webhooks/${hook.id}`, plain: true }); reload(); },
});

/** @param {import("../api-types.js").Webhook} hook @param {() => void} reload */
async function test(hook, reload) {
  const done = await ask({
    title: "Send a test?", text: html`<p>The registry sends one message of the kind <code>test</code> to <code>${hook.url}</code>.</p>`, confirm: "Send",
    run: () => act({ label: `Sent a test to ${hook.url}`, need: "admin", method: "POST", path: path`/webhooks/${hook.id}/test`, plain: true, quiet: true }),
  });
  reload();
  /** @type {import("../api-types.js").WebhookTest | undefined} */
  const outcome = done?.result?.data;
  if (outcome) await ask({
    title: outcome.delivered ? "The target took the message" : "The target did not take the message", confirm: "Close", cancel: "Back",
    text: html`<p>${outcome.status ? `It answered ${outcome.status}. ` : "It did not answer. "}${outcome.error ?? ""}</p>`,
  });
}

/** @param {() => void} reload @returns {import("../ui/table.js").Column<import("../api-types.js").Webhook>[]} */
const columns = (reload) => [
  { key: "url", title: "Webhook", head: true, wide: true, cell: (one) => html`<code>${one.url}</code><small>${[one.description, one.kinds.join(", ") || "all kinds", filterLines(one.filters).replaceAll("\n", ", ")].filter(Boolean).join(" · ")}</small>` },
  { key: "state", title: "State", cell: (one) => html`<${Badge} tone=${STATES[one.state]?.tone ?? "warn"} shape=${STATES[one.state]?.shape ?? "?"}>${one.state}<//>${one.next_attempt_at && html`<small>again <${Age} at=${one.next_attempt_at} /></small>`}` },
  { key: "lag", title: "Behind", num: true, cell: (one) => html`${count(one.lag)}<small>changes</small>` },
  { key: "last", title: "Delivered", cell: (one) => html`<${Age} at=${one.last_delivered_at} ago none="never" />` },
  { key: "error", title: "Last error", cell: (one) => (one.last_error ? html`<span class="failure">${one.last_status ?? ""} ${one.last_error}</span><small>${count(one.failures)} in a row</small>` : html`<span class="soft">none</span>`) },
  { key: "do", title: "Actions", cell: (one) => html`<span class="acts"><${ActButton} kind="small" need="admin" onClick=${() => test(one, reload)}>Test<//><${ActButton} kind="small" need="admin" onClick=${() => change(one, reload)}>Change<//>
    <${ActButton} kind="small" need="admin" onClick=${() => enable(one, !one.enabled || one.state === "parked", reload)}>${one.enabled && one.state !== "parked" ? "Disable" : "Enable"}<//><${ActButton} kind="small" need="admin" onClick=${() => remove(one, reload)}>Delete<//></span>` },
];

export function Webhooks() {
  const query = useQuery("/webhooks", { every: 10_000, now: true });
  const add = html`<${ActButton} kind="small" need="admin" onClick=${() => create(query.reload)}>New webhook<//>`;
  return html`<${Panel} title="Webhooks" query=${query} aside=${add}>${(/** @type {import("../api-types.js").WebhookList} */ data) => (data.items.length
    ? html`<${Table} caption="Webhooks" columns=${columns(query.reload)} rows=${data.items} id=${(/** @type {any} */ one) => one.id} />`
    : html`<${EmptyState} title="There is no webhook."><p>A webhook delivers events to a URL, such as findings to a chat.</p><//>`)}<//>`;
}
