// @ts-check
// What runs costs now, what was spent in a time, by which group, and what some hours would cost.
import { html, useEffect, useId, useState } from "../lib.js";
import { withQuery } from "../api.js";
import { asOf, here, href, pluginHref, setQuery } from "../router.js";
import { slow, useQuery } from "../store.js";
import { Chips, active } from "../filters.js";
import { EmptyState, Note, Panel, Table } from "../ui/index.js";
import { count, plural, usd, usdRange } from "../format.js";
import { Plot } from "../charts/plot.js";
import { Sparkline } from "../charts/sparkline.js";
import { groupsOf, iso, stepOf, valuesOf } from "./costs-series.js";

/** The filters of GET /costs that a link may bring. */
const FILTERS = ["active", "billable", "category", "name", "execution_mode", "execution", "configured", "provider", "status", "status_class", "gpu_type", "host", "q", "finding", "verified"];
const GROUPS = [["provider", "provider"], ["category", "category"], ["plugin", "plugin"], ["gpu_type", "kind of GPU"], ["host", "host"], ["status_class", "status"]];
const HOUR = 3600;
const DAY = 24 * HOUR;
const DEAREST = 8;

/** The times to choose from, in seconds. @type {[string, string, (now: number) => number][]} */
const RANGES = [
  ["day", "24 hours", (now) => now - DAY], ["today", "today (UTC)", (now) => Math.floor(now / DAY) * DAY], ["week", "7 days", (now) => now - 7 * DAY],
  ["month", "this month (UTC)", (now) => Date.UTC(new Date(now * 1000).getUTCFullYear(), new Date(now * 1000).getUTCMonth(), 1) / 1000], ["30d", "30 days", (now) => now - 30 * DAY],
];

/** @param {Record<string, string>} query @param {number} now @returns {{range: string, from: number, to: number}} */
function timeOf(query, now) {
  const [from, to] = [Date.parse(query.from ?? "") / 1000, Date.parse(query.to ?? "") / 1000];
  if (from > 0) return { range: "", from, to: to > from ? to : now };
  const chosen = RANGES.find(([name]) => name === query.range) ?? RANGES[0];
  return { range: chosen[0], from: chosen[2](now), to: now };
}

/** Where a group leads. @param {string} by @param {string | null} key */
function groupHref(by, key) {
  if (key === null) return null;
  if (by === "plugin") return pluginHref(key, { tab: "cost" });
  return href("/plugins", { [by]: key });
}

/** A cell of a CSV file; one that a spreadsheet would run as a formula gets an apostrophe. @param {any} value */
export function csvCell(value) {
  const text = String(value ?? "");
  const safe = /^[=+\-@\t\r]/.test(text) && !/^-?\d/.test(text) ? "'" + text : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** @param {string} by @param {import("../api-types.js").CostGroup[]} groups */
function download(by, groups) {
  const rows = [[by, "burn_usd_per_hour", "billable", "unpriced", "low_usd", "high_usd", "estimated_usd"],
    ...groups.map((one) => [one.key, one.burn_usd_per_hour, one.billable, one.unpriced, one.accrued?.low_usd, one.accrued?.high_usd, one.estimated_usd])];
  const file = URL.createObjectURL(new Blob([rows.map((row) => row.map(csvCell).join(",")).join("\r\n") + "\r\n"], { type: "text/csv" }));
  const link = Object.assign(document.createElement("a"), { href: file, download: `costs-by-${by.replace(/[^\w.-]/g, "_")}.csv` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(file), 1000);
}

/** What is grouped by, and over which time. @param {{by: string, range: string, from: number, to: number}} props */
function Controls({ by, range, from, to }) {
  const label = by.startsWith("label.") ? by.slice(6) : null;
  const local = (/** @type {number} */ at) => new Date(at * 1000 - new Date(at * 1000).getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
  const set = (/** @type {string} */ name) => (/** @type {any} */ event) => {
    const at = new Date(event.target.value);
    if (!Number.isNaN(at.getTime())) setQuery({ range: null, from: iso(from), [name]: at.toISOString().slice(0, 19) + "Z" });
  };
  return html`<form class="filters" onSubmit=${(/** @type {Event} */ event) => event.preventDefault()}>
    <label>Group by<select value=${label === null ? by : "label"} onChange=${(/** @type {any} */ event) => setQuery({ group_by: event.target.value === "label" ? "label.team" : event.target.value, sort: null })}>
      ${GROUPS.map(([name, words]) => html`<option value=${name}>${words}</option>`)}<option value="label">label …</option></select></label>
    ${label !== null && html`<label>Label<input value=${label} maxlength="63" onChange=${(/** @type {any} */ event) => setQuery({ group_by: "label." + (event.target.value.trim() || "team") })} /></label>`}
    <label>Time<select value=${range} onChange=${(/** @type {any} */ event) => setQuery(event.target.value ? { range: event.target.value, from: null, to: null } : { range: null, from: iso(from), to: iso(to) })}>
      ${RANGES.map(([name, words]) => html`<option value=${name}>${words}</option>`)}<option value="">from … to …</option></select></label>
    ${!range && html`<label>From<input type="datetime-local" data-filter="" value=${local(from)} onChange=${set("from")} /></label><label>To<input type="datetime-local" value=${local(to)} onChange=${set("to")} /></label>`}
  </form>`;
}

/** The estimate for some hours: a slider, a field, and buttons. @param {{hours: number, usd_: number | null | undefined}} props */
function Estimate({ hours, usd_ }) {
  const [drag, setDrag] = useState(/** @type {number | null} */ (null));
  const id = useId();
  useEffect(() => setDrag(null), [hours]);
  const set = (/** @type {any} */ event) => setQuery({ hours: Math.min(8760, Math.max(1, Math.round(Number(event.target.value)) || 24)) }, true);
  return html`<p class="estimate"><label for=${id}>The next hours, if what runs goes on</label>
    <input type="range" min="1" max="720" value=${drag ?? Math.min(720, hours)} aria-label="Hours, by slider" onInput=${(/** @type {any} */ event) => setDrag(Number(event.target.value))} onChange=${set} />
    <input id=${id} class="short" type="number" min="1" max="8760" value=${drag ?? hours} onChange=${set} /> <span>hours cost <strong>${usd(usd_)}</strong></span></p>`;
}

/** @param {{data: import("../api-types.js").Costs, step: number}} props */
function OverTime({ data, step }) {
  if (!data.series.length) return html`<${EmptyState} title="There is no plot of this time."><p>It is older than what the journal keeps, or longer than 500 days.</p><//>`;
  const zoom = (/** @type {number} */ first, /** @type {number} */ last) => setQuery({ range: null, from: iso(first), to: iso(last) });
  return html`<${Plot} title="Spent over time" times=${data.series.map((one) => Date.parse(one.from) / 1000)} step=${step} series=${groupsOf(data, DEAREST)} zoom=${zoom} />`;
}

/** @param {{data: import("../api-types.js").Costs, by: string, sort: string, step: number}} props */
function Groups({ data, by, sort, step }) {
  const times = (data.series ?? []).map((one) => Date.parse(one.from) / 1000);
  const unpricedFirst = [...data.groups].sort((one, other) => Math.sign(other.unpriced) - Math.sign(one.unpriced));
  const words = GROUPS.find(([name]) => name === by)?.[1] ?? by.replace(/^label\./, "label ");
  /** @type {import("../ui/table.js").Column<import("../api-types.js").CostGroup>[]} */
  const columns = [
    { key: "key", title: words, head: true, wide: true, sort: (one) => one.key, cell: (one) => (groupHref(by, one.key) ? html`<a href=${groupHref(by, one.key)}>${one.key}</a>` : html`<span class="soft">without ${words}</span>`), foot: "All" },
    { key: "burn", title: "$/h now", num: true, sort: (one) => one.burn_usd_per_hour, cell: (one) => usd(one.burn_usd_per_hour), foot: usd(data.burn_usd_per_hour) },
    { key: "spent", title: "Spent", num: true, sort: (one) => one.accrued?.high_usd ?? null, cell: (one) => usdRange(one.accrued?.low_usd, one.accrued?.high_usd), foot: usdRange(data.accrued?.low_usd, data.accrued?.high_usd) },
    ...(times.length ? [{ key: "course", title: "Over time", cell: (/** @type {import("../api-types.js").CostGroup} */ one) => html`<${Sparkline} values=${valuesOf(data, one)} times=${times} step=${step} />` }] : []),
    { key: "estimate", title: "Estimate", num: true, sort: (one) => one.estimated_usd, cell: (one) => usd(one.estimated_usd), foot: usd(data.estimate?.usd) },
    { key: "billable", title: "Machines", num: true, sort: (one) => one.billable, cell: (one) => count(one.billable), foot: count(data.billable) },
    { key: "unpriced", title: "No price", num: true, sort: (one) => one.unpriced, cell: (one) => (one.unpriced ? html`<span class="state warn">${count(one.unpriced)}</span>` : html`<span class="soft">–</span>`), foot: count(data.unpriced) },
  ];
  return html`<${Table} caption=${`Costs by ${words}`} columns=${columns} rows=${unpricedFirst} id=${(/** @type {any} */ one) => String(one.key)} sort=${sort} sortHere foot />`;
}

/** @param {{route: import("../router.js").Route}} props */
export default function View({ route }) {
  const { query } = route;
  const now = Math.floor(slow.value / 1000);
  const by = query.group_by ?? "provider";
  const hours = Math.min(8760, Math.max(1, Math.round(Number(query.hours)) || 24));
  const { range, from, to } = timeOf(query, now);
  const filters = Object.fromEntries(active(FILTERS));
  const past = asOf.value;
  const step = past ? null : stepOf(from, to);
  // A time that moves begins with a whole step, so that bars stay where they are, and the address of the question with them.
  const begin = range && step ? Math.floor(from / step.length) * step.length : from;
  const time = past ? {} : { from: iso(begin), to: range || !query.to ? null : iso(to), step: step?.name };
  const costs = useQuery(withQuery("/costs", { ...filters, group_by: by, hours, ...time }), { when: (event) => /^(plugin|remote_resource|resource)\./.test(event.type), every: 15_000 });
  return html`<div class="pagehead"><h1>Costs <small>by declared prices</small></h1></div>
    <${Controls} by=${by} range=${range} from=${from} to=${to} /><${Chips} names=${FILTERS} />
    ${past && html`<${Note}>What was spent is not kept for the past; this shows what an hour cost then.<//>`}
    <${Panel} title="Now" query=${costs}>${(/** @type {import("../api-types.js").Costs} */ data) => html`<p><strong>${usd(data.burn_usd_per_hour)}</strong> an hour for ${plural(data.billable, "machine")}${data.accrued ? html`; <strong>${usdRange(data.accrued.low_usd, data.accrued.high_usd)}</strong> spent in this time` : ""}.</p>
      ${data.unpriced ? html`<${Note} tone="warn">${plural(data.unpriced, "machine")} without a price ${data.unpriced === 1 ? "counts" : "count"} as free. <a href=${href("/resources", { billable: true, sort: "usd_per_hour" })}>Look at what bills</a><//>` : ""}
      <${Estimate} hours=${hours} usd_=${data.estimate?.usd} />`}<//>
    ${!past && html`<${Panel} query=${costs}>${(/** @type {import("../api-types.js").Costs} */ data) => html`<${OverTime} data=${data} step=${step?.length ?? 86_400} />`}<//>`}
    <${Panel} title="By group" query=${costs} aside=${costs.data?.groups.length ? html`<button type="button" class="small" onClick=${() => download(by, costs.data.groups)}>CSV</button>` : ""}>${(/** @type {import("../api-types.js").Costs} */ data) => (data.groups.length
      ? html`<${Groups} data=${data} by=${by} sort=${query.sort ?? "-spent"} step=${step?.length ?? 86_400} /><p class="soft">${data.note}</p>`
      : html`<${EmptyState} title="Nothing has cost anything, as far as is declared."><p>Only machines have a price: <code>estimated_cost_per_hour</code> of a remote resource. ${active(FILTERS).length ? html`<a href=${here(Object.fromEntries(active(FILTERS).map(([name]) => [name, null])))}>Clear filters</a>` : ""}</p><//>`)}<//>`;
}
