// @ts-check
// What needs care, dearest first: read once for the navigation, the title and the first page; and what a row of /resources does not say by itself.
import { signal } from "./lib.js";
import { has, withQuery } from "./api.js";
import { useQuery } from "./store.js";

/** @typedef {import("openapi").components["schemas"]["Resource"] & {usd_per_hour?: number | null, spent_usd?: {low_usd: number, high_usd: number} | number | null,
 *   provider?: string | null, gpu_type?: string | null, gpu_count?: number | null, title?: string}} Row */

/** Those that need care. `unverified` is a number of its own: nothing is known to be wrong. */
export const CARE = "orphan,overdue,reused,ghost";
/** How many findings are read at most. A page that shows fewer than there are says so. */
const MOST = 500;

/** Findings without an acknowledgement come first; then the dearest. @type {import("./lib.js").Sig<import("./store.js").Query<{items: Row[], total: number, more: boolean}> | null>} */
export const findings = signal(null);

/** What a plugin's document knows of its machine. @param {Row} row @param {any} plugin */
function withPlugin(row, plugin) {
  if (!plugin) return row;
  const remote = plugin.remote_resource;
  const mine = row.kind === "remote" && row.claim === "claimed" && remote;
  return {
    title: plugin.title,
    ...(mine ? { provider: remote.provider, gpu_type: remote.gpu_type, gpu_count: remote.gpu_count, usd_per_hour: row.billable ? remote.estimated_cost_per_hour : 0 } : {}),
    ...row,
  };
}

/** @param {Row[]} rows @param {any[]} plugins */
export function enriched(rows, plugins) {
  const byId = new Map(plugins.map((plugin) => [plugin.unique_id, plugin]));
  return rows.map((row) => withPlugin(row, byId.get(row.plugin)));
}

/** What it has cost by now, as a range; null if it is not known. @param {Row} row @returns {[number, number] | null} */
export function spent(row) {
  const told = row.spent_usd;
  if (typeof told === "number") return [told, told];
  if (told) return [told.low_usd, told.high_usd];
  const [low, high] = row.evidence?.cost ?? [];
  return low === undefined || high === undefined || row.kind !== "remote" ? null : [low, high];
}

const ORDER = CARE.split(",");
/** @param {Row} a @param {Row} b */
function dearest(a, b) {
  return Number(Boolean(a.acknowledged)) - Number(Boolean(b.acknowledged)) || (b.usd_per_hour ?? 0) - (a.usd_per_hour ?? 0)
    || ORDER.indexOf(a.finding ?? "") - ORDER.indexOf(b.finding ?? "") || String(a.evidence?.since ?? "").localeCompare(String(b.evidence?.since ?? ""));
}

/** Whether the server's rows have prices and machines themselves. */
export const rowsKnowPrices = () => has("GET /resources", "sort");

const FIELDS = "unique_id,title,remote_resource";
/** All that is drawn; `spent_usd` is there only for those who name it. */
const ROW = "plugin,kind,host,id,claim,claimed,billable,held_since,claimed_by,left_at,left_by,expires_at,observed,finding,acknowledged,lease_id,lease,evidence,provider,gpu_type,gpu_count,usd_per_hour,spent_usd";
/** @param {import("./live.js").RegistryEvent} event */
const matters = (event) => /^(finding|resource|plugin|remote_resource|lease)\./.test(event.type);

/** A row as far as an event tells it; the list that is read next has the rest. @param {import("./live.js").RegistryEvent} event @param {any} one a resource of it @returns {any} */
function rowOf(event, one) {
  const plugin = event.data.plugin;
  const seen = plugin?.observed?.resources?.find((/** @type {any} */ other) => other.kind === one.kind && other.id === one.id);
  return {
    plugin: event.subject, kind: one.kind, id: one.id, host: one.host ?? (one.kind === "remote" ? null : plugin?.host ?? null), claim: seen?.claim ?? "claimed", finding: one.finding,
    billable: one.kind === "remote" && plugin?.billable, lease: null, acknowledged: null, held_since: one.since, observed: seen?.state ? { ...seen, at: one.since } : null,
    evidence: { since: one.since, text: one.evidence ?? seen?.finding?.evidence, next_step: seen?.finding?.next_step, cost: null },
  };
}

/** Findings that were raised are shown at once, and those that are over go. @param {any} page @param {import("./live.js").RegistryEvent[]} events */
export function patchFindings(page, events) {
  let items = page.items;
  const without = (/** @type {any} */ event, /** @type {any} */ one) => items.filter((/** @type {any} */ row) => !(row.plugin === event.subject && row.kind === one.kind && row.id === one.id));
  for (const event of events) {
    if (event.type === "plugin.removed") items = items.filter((/** @type {any} */ row) => row.plugin !== event.subject);
    if (/^(finding\.(raised|cleared)|resource\.(released|ended))$/.test(event.type)) {
      for (const one of event.data?.resources ?? []) {
        const is = event.type === "finding.raised" && CARE.split(",").includes(one.finding);
        const known = is && items.some((/** @type {any} */ row) => row.plugin === event.subject && row.kind === one.kind && row.id === one.id && row.finding === one.finding);
        if (!known) items = is ? [...without(event, one), rowOf(event, one)] : without(event, one);
      }
    }
  }
  return items === page.items ? page : { ...page, items };
}

/** The documents that events brought, for the prices. @param {any} page @param {import("./live.js").RegistryEvent[]} events */
function patchDocuments(page, events) {
  const news = new Map(events.filter((event) => event.type === "finding.raised" && event.data?.plugin).map((event) => [event.subject, event.data.plugin]));
  return news.size ? { ...page, items: [...page.items.filter((/** @type {any} */ one) => !news.has(one.unique_id)), ...news.values()] } : page;
}

/** Reads the findings; the navigation calls it, everyone else reads `findings`. */
export function useFindings() {
  const rows = useQuery(withQuery("/resources", { finding: CARE, limit: MOST, sort: rowsKnowPrices() ? "-usd_per_hour" : null, fields: rowsKnowPrices() ? ROW : null }), { when: matters, every: 60_000, gap: 1_000, patch: patchFindings });
  const plugins = useQuery(withQuery("/plugins", { finding: CARE, limit: MOST, fields: FIELDS }), { when: matters, gap: 1_000, patch: patchDocuments });
  const ready = rows.data && (plugins.data || plugins.error);
  const items = ready ? enriched(rows.data.items, plugins.data?.items ?? []).sort(dearest) : [];
  findings.value = {
    ...rows, data: ready ? { items, total: rows.data.total ?? items.length, more: Boolean(rows.data.next_cursor) } : null,
    reload: () => { rows.reload(); plugins.reload(); },
  };
}

/** The documents of the plugins that bill, for rows that do not know their prices. */
export function usePrices() {
  return useQuery(rowsKnowPrices() ? null : withQuery("/plugins", { billable: true, fields: FIELDS, limit: 10_000 }),
    { when: (event) => /^(plugin|remote_resource)\./.test(event.type) });
}

/** @param {Row} row what tells it from every other */
export const rowKey = (row) => [row.plugin, row.kind, row.id, row.host].join(" ");
