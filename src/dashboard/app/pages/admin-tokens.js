// @ts-check
// Tokens: who may do what. The text of a token is shown once.
import { html } from "../lib.js";
import { path } from "../api.js";
import { act } from "../act.js";
import { useQuery, who } from "../store.js";
import { ActButton, Age, EmptyState, Note, Panel, Table, Time, ask } from "../ui/index.js";
import { setToken } from "../token.js";
import { isoOf, parseFilters } from "./admin-fields.js";
import { showOnce } from "./admin-webhooks.js";

/** @type {[string, string][]} */
const ROLES = [["viewer", "viewer: reads"], ["reporter", "reporter: an application"], ["agent", "agent: one on each host"], ["admin", "admin: everything"]];
const SCOPE_HINT = "One condition in a line: category=ocr, host=gpu-1, label.team=speech. Empty for all plugins. Only for reporters and agents.";

/** @param {string} text @returns {any} the scope that the lines name, or undefined for all plugins */
export function scopeOf(text) {
  const lines = Object.entries(parseFilters(text)).map(([key, value]) => /** @type {[string, string[]]} */ ([key, [value].flat()]));
  if (!lines.length) return undefined;
  const wrong = lines.find(([key]) => key !== "category" && key !== "host" && !key.startsWith("label."));
  if (wrong) throw new Error(`There is no condition “${wrong[0]}”. There are category, host and label.<key>.`);
  const of = (/** @type {string} */ name) => lines.find(([key]) => key === name)?.[1] ?? [];
  const labels = Object.fromEntries(lines.filter(([key]) => key.startsWith("label.")).map(([key, values]) => [key.slice(6), values]));
  return { ...(of("category").length && { categories: of("category") }), ...(of("host").length && { hosts: of("host") }), ...(Object.keys(labels).length && { labels }) };
}

/** @param {import("../api-types.js").Token["scope"]} scope */
function scopeWords(scope) {
  if (!scope) return "all plugins";
  const labels = Object.entries(scope.labels ?? {}).map(([key, values]) => `label.${key}=${[values].flat().join(" or ")}`);
  return [scope.categories?.length && `category=${scope.categories.join(" or ")}`, scope.hosts?.length && `host=${scope.hosts.join(" or ")}`, ...labels].filter(Boolean).join(", ") || "all plugins";
}

/** @param {boolean} first @param {() => void} reload */
async function create(first, reload) {
  const made = await ask({
    title: "New token",
    text: first && html`<${Note} tone="warn">This is the first token. From now on every request needs one, so it must be an admin's: keep its text.<//>`,
    fields: [
      { name: "name", label: "Name, which events will show", required: true, maxlength: 256, placeholder: "trainer" },
      { name: "role", label: "Role", options: ROLES, value: first ? "admin" : "reporter" },
      { name: "scope", label: "Plugins", type: "textarea", rows: 2, hint: SCOPE_HINT },
      { name: "until", label: "Valid until; empty for no end", type: "datetime-local" },
    ],
    confirm: "Create token",
    run: async (values) => {
      const reply = await act({ label: `Created the token ${values.name}`, need: "admin", method: "POST", path: "/tokens", plain: true, body: { name: values.name, role: values.role, scope: scopeOf(values.scope), expires_at: isoOf(values.until) } });
      // From now on this page needs a token, too; a question for one would hide the text of this one.
      if (first && reply.data?.token) setToken(reply.data.token, false);
      return reply;
    },
  });
  reload();
  const text = made?.result?.data?.token;
  if (text) await showOnce(`The token of ${made.name}`, text, first ? "Keep it. This page uses it until you close the tab." : "Give it to the application as PLUGIN_REGISTRY_TOKEN, or in a file.");
}

/** @param {import("../api-types.js").Token} token @param {() => void} reload */
const revoke = (token, reload) => ask({
  title: `Revoke the token ${token.name}?`, text: html`<p>Its requests are refused at once, and its streams end. ${token.id === /** @type {any} */ (who.value).id ? html`<strong>It is your own.</strong>` : ""}</p>`, confirm: "Revoke token", danger: true, typed: token.name,
  run: async () => { await act({ label: `Revoked the token ${token.name}`, need: "admin", method: "DELETE", path: path`/tokens/${token.id}`, plain: true }); reload(); },
});

/** @param {() => void} reload @returns {import("../ui/table.js").Column<import("../api-types.js").Token>[]} */
const columns = (reload) => [
  { key: "name", title: "Name", head: true, wide: true, cell: (one) => html`${one.name}<small><code>${one.id}</code></small>` },
  { key: "role", title: "Role", cell: (one) => one.role },
  { key: "scope", title: "Plugins", cell: (one) => scopeWords(one.scope) },
  { key: "expires", title: "Valid until", cell: (one) => html`<${Time} at=${one.expires_at} none="no end" />` },
  { key: "used", title: "Last used", cell: (one) => html`<${Age} at=${one.last_used_at} ago none="not known" />` },
  { key: "made", title: "Made by", cell: (one) => html`${one.created_by ?? "–"}<small>${one.source === "file" ? "in the token file" : html`<${Time} at=${one.created_at} />`}</small>` },
  { key: "do", title: "Actions", cell: (one) => (one.source === "file" ? html`<span class="soft">in the file</span>` : html`<${ActButton} kind="small" need="admin" onClick=${() => revoke(one, reload)}>Revoke<//>`) },
];

export function Tokens() {
  const query = useQuery("/tokens", { every: 10_000, now: true });
  const none = query.data?.items.length === 0;
  const add = html`<${ActButton} kind="small" need="admin" onClick=${() => create(none, query.reload)}>New token<//>`;
  return html`<${Panel} title="Tokens" query=${query} aside=${add}>${(/** @type {import("../api-types.js").TokenList} */ data) => (data.items.length
    ? html`<${Table} caption="Tokens" columns=${columns(query.reload)} rows=${data.items} id=${(/** @type {any} */ one) => one.id} />`
    : html`<${EmptyState} title="There is no token: every client may do everything."><p>The first token must be an admin's. From then on every request needs a token.</p><//>`)}<//>`;
}
