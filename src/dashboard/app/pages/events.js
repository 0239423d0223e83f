// @ts-check
// The journal: filters, kinds as chips, pause, and a download of what is shown.
import { html, useState } from "../lib.js";
import { get, withQuery } from "../api.js";
import { asOf, here, route, setQuery } from "../router.js";
import { recent } from "../live.js";
import { useQuery } from "../store.js";
import { EventTable } from "../eventlist.js";
import { Histogram } from "../histogram.js";
import { Chips, FilterField, NothingFound, active, valuesOf } from "../filters.js";
import { EmptyState, Panel } from "../ui/index.js";
import { count } from "../format.js";

const NAMES = ["kind", "plugin", "from", "to"];
const KINDS = {
  Findings: ["finding.raised", "finding.cleared", "finding.acknowledged", "finding.unacknowledged"],
  Holdings: ["plugin.pids_changed", "plugin.container_changed", "remote_resource.changed", "remote_resource.status_changed", "resource.left_behind", "resource.ended", "resource.released", "resource.expiry_set", "resource.expires_soon"],
  Plugins: ["plugin.registered", "plugin.updated", "plugin.removed", "category.named"], Seen: ["resource.observed"], Configurations: ["config.saved", "config.deleted"],
  Leases: ["lease.granted", "lease.expired", "lease.revived", "lease.released", "lease.forgotten"], Budgets: ["budget.saved", "budget.removed", "budget.threshold_reached", "budget.breach_projected", "budget.burn_exceeded", "budget.burn_recovered"],
};

/** Chips of groups of kinds; the address has the kinds. */
function KindChips() {
  const chosen = valuesOf("kind");
  return html`<p class="chips" role="group" aria-label="Kinds of events">${Object.entries(KINDS).map(([name, kinds]) => {
    const on = kinds.every((kind) => chosen.includes(kind));
    return html`<a class="chip" aria-current=${on ? "true" : undefined} href=${here({ kind: on ? chosen.filter((kind) => !kinds.includes(kind)).join(",") || null : [...chosen, ...kinds], cursor: null, page: null })}>${name}</a>`;
  })}</p>`;
}

/** @param {any} event @param {Record<string, string>} query */
const matches = (event, query) => (!query.kind || query.kind.split(",").includes(event.type)) && (!query.plugin || query.plugin.split(",").includes(event.subject)) && !query.to && (!query.from || event.time >= query.from);

/** What is filtered, as NDJSON. @param {Record<string, any>} params */
async function download(params) {
  const page = await get(withQuery("/events", { ...params, order: "desc", limit: 10_000 }));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([page.items.map((/** @type {any} */ event) => JSON.stringify(event) + "\n").join("")], { type: "application/x-ndjson" }));
  link.download = "events.ndjson";
  link.click();
  URL.revokeObjectURL(link.href);
}

/** @param {{route: import("../router.js").Route}} props */
export default function View({ route: { query } }) {
  const [paused, setPaused] = useState(/** @type {string | null} */ (null));
  const limit = Math.min(10_000, Math.max(100, Number(query.limit) || 100));
  const until = asOf.value && !/^\d+$/.test(asOf.value) ? asOf.value : null;
  const params = { kind: query.kind ? query.kind.split(",") : null, plugin: query.plugin ? [query.plugin] : null, from: query.from, to: query.to ?? until, until: asOf.value && !until ? asOf.value : null };
  const list = useQuery(withQuery("/events", { ...params, order: "desc", limit }), { now: true });
  const stored = list.data?.items ?? [];
  const newest = Number(stored[0]?.id ?? 0);
  const all = asOf.value ? [] : recent.value.filter((event) => Number(event.id) > newest && matches(event, query));
  const fresh = paused === null ? all : all.filter((event) => Number(event.id) <= Number(paused));
  const held = all.length - fresh.length;
  const rows = [...fresh, ...stored];
  return html`<div class="pagehead"><h1>Events <small>what changed, newest first</small></h1><p class="acts">
      <button type="button" aria-pressed=${paused !== null} onClick=${() => setPaused(paused === null ? String(rows[0]?.id ?? newest) : null)}>${paused === null ? "Pause" : held ? `Go on (${count(held)} new)` : "Go on"}</button>
      <button type="button" onClick=${() => download(params)}>Download</button></p></div>
    <div class="filters"><${FilterField} name="plugin" label="Plugin" placeholder="unique id" main /><${When} name="from" label="From" /><${When} name="to" label="To" /></div>
    <${KindChips} /><${Chips} names=${NAMES} />
    <${Histogram} query=${query} />
    <${Panel} query=${list}>${() => html`<${EventTable} events=${rows} all caption="Events, newest first" empty=${active(NAMES).length ? html`<${NothingFound} names=${NAMES} />` : html`<${EmptyState} title="Nothing has happened yet." />`} />
      ${stored.length >= limit && limit < 10_000 ? html`<p class="pages"><a href=${here({ limit: limit + 400 })}>Older events</a></p>` : list.data?.compact_revision > 0 ? html`<p class="pages soft">The journal begins after revision ${count(list.data.compact_revision)}.</p>` : ""}`}<//>`;
}

/** A time in the address, as a field of this place's time. @param {{name: string, label: string}} props */
function When({ name, label }) {
  const at = new Date(route.value.query[name] ?? NaN);
  const value = Number.isNaN(at.getTime()) ? "" : new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
  return html`<label>${label}<input type="datetime-local" value=${value} onChange=${(/** @type {any} */ event) => { const to = new Date(event.target.value); setQuery({ [name]: Number.isNaN(to.getTime()) ? null : to.toISOString() }); }} /></label>`;
}
