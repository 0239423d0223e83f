// @ts-check
// Holdings: every resource that a plugin holds or left behind, as claimed and as seen.
import { html, useState } from "../lib.js";
import { withQuery } from "../api.js";
import { asOf, go, href, pluginHref } from "../router.js";
import { useQuery } from "../store.js";
import { enriched, rowKey, rowsKnowPrices, usePrices } from "../findings.js";
import { release, releaseGhosts } from "../actions.js";
import { Chips, Facets, FilterField, FilterSelect, NothingFound, active, valuesOf } from "../filters.js";
import { ActButton, Age, Badge, EmptyState, Id, Note, Panel, PluginLink, Table, Time, paged } from "../ui/index.js";
import { findingWords, resourceWords, stateWords } from "../words.js";
import { count, plural, usd } from "../format.js";

/** @typedef {import("../findings.js").Row} Row */

/** The filters that the server applies; the others are applied here, to what it sent. */
const SERVER = ["kind", "host", "finding", "claim", "billable", "plugin", "lease_id", "acknowledged", "verified", "pid", "container_id", "instance_id", "endpoint", "provider"];
const HERE = ["seen", "lease", "q"];
const ALL = [...SERVER, ...HERE];
/** How many rows a request asks for, and how many are read at most: facets, filters and sums are made of all. */
const PART = 5_000;
const MOST = 50_000;

const FACETS = [
  { title: "Finding", name: "finding", by: (/** @type {Row} */ row) => row.finding, words: (/** @type {string} */ value) => findingWords(value).word },
  { title: "Kind", name: "kind", by: (/** @type {Row} */ row) => row.kind },
  { title: "Seen", name: "seen", by: (/** @type {Row} */ row) => row.observed?.state ?? "never", words: (/** @type {string} */ value) => (value === "never" ? "never" : stateWords(value).word) },
  { title: "Host", name: "host", by: (/** @type {Row} */ row) => row.host },
  { title: "Provider", name: "provider", by: (/** @type {Row} */ row) => row.provider },
  { title: "Claim", name: "claim", by: (/** @type {Row} */ row) => row.claim, words: (/** @type {string} */ value) => value.replace("_", " ") },
  { title: "Lease", name: "lease", by: (/** @type {Row} */ row) => row.lease?.state ?? "none" },
];
const GROUPS = /** @type {Record<string, (row: Row) => string>} */ ({ host: (row) => row.host ?? (row.kind === "remote" ? "machines of providers" : "no host"), plugin: (row) => row.plugin, provider: (row) => row.provider ?? "no provider" });

/** @param {Row} row @param {string} q */
const has = (row, q) => `${row.plugin} ${row.id} ${row.host ?? ""} ${row.title ?? ""} ${row.provider ?? ""}`.toLowerCase().includes(q.toLowerCase());

/** Most filters of the server take one value; of several, the rows are chosen here. @param {string} name @param {Record<string, string>} query */
const sent = (name, query) => (query[name] && (name === "finding" || name === "provider" || !query[name].includes(",")) ? valuesOf(name) : null);

/** Each row once: between two pages, a change may move a row from one to the next. @param {Row[]} rows */
const single = (rows) => [...new Map(rows.map((row) => [rowKey(row), row])).values()];

/** @param {Row[]} rows @param {Record<string, string>} query */
function chosen(rows, query) {
  const one = (/** @type {string} */ name, /** @type {any} */ value) => !query[name] || valuesOf(name).includes(String(value));
  return rows.filter((row) => one("provider", row.provider) && one("kind", row.kind) && one("claim", row.claim) && (!query.host?.includes(",") || one("host", row.host)) && one("seen", row.observed?.state ?? "never") && one("lease", row.lease?.state ?? "none") && (!query.q || has(row, query.q)));
}

/** @param {{row: Row}} props */
function Seen({ row }) {
  if (!row.observed) return html`<${Badge} tone="soft" shape="?">never<//>`;
  const { word, shape, tone } = stateWords(row.observed.state);
  return html`<${Badge} tone=${tone} shape=${shape} title=${`by ${row.observed.by}${row.observed.detail ? `: ${row.observed.detail}` : ""}`}>${word}<//><small><${Age} at=${row.observed.at} ago /></small>`;
}

/** @param {{row: Row}} props */
function FindingCell({ row }) {
  if (!row.finding) return html`<span class="soft">–</span>`;
  const { word, shape, tone, means } = findingWords(row.finding);
  return html`<${Badge} tone=${tone} shape=${shape} title=${row.evidence?.text ?? means}>${word}<//>${row.acknowledged ? html`<small>acknowledged</small>` : ""}`;
}

/** @param {number | null} sum @param {number} unpriced @returns {import("../ui/table.js").Column<Row>[]} */
const columns = (sum, unpriced) => [
  { key: "kind", title: "What", head: true, sort: (row) => row.kind, cell: (row) => html`<a href=${pluginHref(row.plugin, { tab: "holds", resource: row.id })}>${resourceWords(row)}</a><small><${Id} id=${row.id} most=${16} /></small>`, foot: html`Sum${unpriced ? html`<small>${unpriced} without a price</small>` : ""}` },
  { key: "plugin", title: "Plugin", loose: true, sort: (row) => row.plugin, cell: (row) => html`<${PluginLink} id=${row.plugin} />${row.title ? html`<small>${row.title}</small>` : ""}` },
  { key: "where", title: "Where", sort: (row) => row.host ?? row.provider ?? "", cell: (row) => (row.kind === "remote" ? row.provider ?? html`<span class="soft">–</span>` : row.host ?? html`<span class="soft">no host</span>`) },
  { key: "claimed", title: "Claimed", cell: (row) => html`${row.claimed}${row.claim === "left_behind" ? html`<small class="keep">left behind</small>` : ""}` },
  { key: "seen", title: "Seen", sort: (row) => row.observed?.state ?? "", cell: (row) => html`<${Seen} row=${row} />` },
  { key: "lease", title: "Lease", sort: (row) => row.lease?.state ?? "", cell: (row) => (row.lease ? html`<a href=${href("/leases", { lease: row.lease.lease_id })}><${Badge} tone=${stateWords(row.lease.state).tone} shape=${stateWords(row.lease.state).shape}>${row.lease.state}<//></a>` : html`<span class="soft">none</span>`) },
  { key: "finding", title: "Finding", sort: (row) => row.finding ?? "~", cell: (row) => html`<${FindingCell} row=${row} />` },
  { key: "usd_per_hour", title: "$/h", num: true, sort: rowsKnowPrices() ? "usd_per_hour" : (row) => row.usd_per_hour, cell: (row) => (row.usd_per_hour ? usd(row.usd_per_hour) : html`<span class="soft">${row.billable ? "no price" : "–"}</span>`), foot: usd(sum) },
  { key: "held_since", title: "Since", num: true, sort: (row) => row.held_since, cell: (row) => html`<${Time} at=${row.held_since} />` },
];

/** Nothing is held at all. */
function Nothing() {
  return html`<${EmptyState} title="Nothing runs or bills, as far as is claimed."><p>A plugin holds what it names: processes, a container, a machine. <a href=${href("/events", { kind: "resource.released,resource.ended" })}>What ended lately</a> · <a href=${href("/plugins")}>Plugins</a></p><//>`;
}

/** @param {{route: import("../router.js").Route}} props */
export default function View({ route }) {
  const { query } = route;
  const byServer = rowsKnowPrices();
  const sort = query.sort ?? "-usd_per_hour";
  const list = useQuery(withQuery("/resources", {
    ...Object.fromEntries(SERVER.map((name) => [name, sent(name, query)])),
    limit: PART, sort: byServer && /^-?usd_per_hour$/.test(sort) ? sort : null,
  }), { when: (event) => /^(finding|resource|plugin|remote_resource|lease)\./.test(event.type), gap: 1_000, most: MOST });
  const prices = usePrices();
  const [marked, setMarked] = useState(/** @type {Set<string>} */ (new Set()));
  const mark = (/** @type {string} */ key) => setMarked((old) => { const next = new Set(old); if (!next.delete(key)) next.add(key); return next; });
  const rows = /** @type {Row[]} */ (enriched(single(list.data?.items ?? []), prices.data?.items ?? []));
  const found = chosen(rows, query);
  const picked = found.filter((row) => marked.has(rowKey(row)));
  const ghosts = rows.filter((row) => row.finding === "ghost" && !row.acknowledged).length;
  return html`<div class="pagehead"><h1>Holdings <small>what plugins hold, as claimed and as seen</small></h1>
      <p class="acts">${picked.length ? html`<${ActButton} kind="primary" mark="release-marked" onClick=${async () => { if (await release(picked)) setMarked(new Set()); }}>Release ${count(picked.length)} marked…<//>` : ""}
        ${ghosts > 0 && !asOf.value ? html`<${ActButton} onClick=${releaseGhosts}>Release all ghosts…<//>` : ""}</p></div>
    <div class="faceted"><${Facets} rows=${rows} facets=${FACETS} />
      <div class="part"><div class="filters"><${FilterField} name="q" label="Filter" placeholder="id, plugin, host" main />
        <${FilterSelect} name="group" label="Group by" options=${[["", "nothing"], ["host", "host"], ["plugin", "plugin"], ["provider", "provider"]]} />
        <${FilterSelect} name="billable" label="Bills" options=${[["", "all"], ["true", "may bill"], ["false", "does not bill"]]} /></div>
        <${Chips} names=${ALL} />
        <${Panel} query=${list}>${() => html`<${List} rows=${found} hidden=${rows.length - found.length} more=${list.data?.next_cursor ? list.loading ? "reading" : "left" : ""} sort=${sort} group=${GROUPS[query.group ?? ""]} marked=${marked} mark=${mark} />`}<//></div></div>`;
}

/** @param {{rows: Row[], hidden: number, more: string, sort: string, group?: (row: Row) => string, marked: Set<string>, mark: (key: string) => void}} props */
function List({ rows, hidden, more, sort, group, marked, mark }) {
  if (!rows.length) return active(ALL).length ? html`<${NothingFound} names=${ALL} hidden=${hidden} />` : html`<${Nothing} />`;
  const cost = (/** @type {Row[]} */ some) => some.reduce((sum, row) => sum + (row.usd_per_hour ?? 0), 0);
  const unpriced = rows.filter((row) => row.billable && (row.usd_per_hour ?? null) === null).length;
  const ordered = group ? [...rows].sort((a, b) => group(a).localeCompare(group(b))) : rows;
  const table = columns(cost(rows), unpriced).map((one) => (typeof one.sort === "string" ? { ...one, sort: (/** @type {Row} */ row) => row.usd_per_hour } : one));
  const { rows: shown, bar } = paged(sorted(ordered, table, sort, group));
  return html`${more && html`<${Note} tone="warn">${more === "left" ? `Only the first ${count(MOST)} are read: counts and the sum are of these. A filter by finding, kind, host, provider or plugin reaches the others.` : "The rest of the list is being read. Counts and the sum are of what is here."}<//>`}
    <${Table} caption="What plugins hold" columns=${table} rows=${shown} id=${rowKey} sort=${sort} foot marked=${marked} onMark=${mark} rowClass=${(/** @type {Row} */ row) => (row.finding === "orphan" && !row.acknowledged ? "bad" : "")}
      onOpen=${(/** @type {Row} */ row) => go(pluginHref(row.plugin, { tab: "holds", resource: row.id }))}
      group=${group} groupLine=${(/** @type {string} */ name, /** @type {Row[]} */ some) => `${name}: ${plural(some.length, "resource")} on this page, ${usd(cost(some))} an hour`} />${bar}`;
}

/** Sorts the whole list, before it is cut into pages. @param {Row[]} rows @param {import("../ui/table.js").Column<Row>[]} table @param {string} sort @param {((row: Row) => string) | undefined} group */
function sorted(rows, table, sort, group) {
  const by = table.find((one) => one.key === sort.replace(/^-/, ""))?.sort;
  if (typeof by !== "function") return rows;
  const sign = sort.startsWith("-") ? -1 : 1;
  const value = (/** @type {Row} */ row) => by(row) ?? (sign < 0 ? -Infinity : Infinity);
  return [...rows].sort((a, b) => (group ? group(a).localeCompare(group(b)) : 0) || (value(a) < value(b) ? -sign : value(a) > value(b) ? sign : 0));
}
