// @ts-check
// The history of a plugin, newest first: what changed in words and by field, its caller and its request. A link opens the plugin as it was then.
import { html, useState } from "../lib.js";
import { path } from "../api.js";
import { asOf, pluginHref } from "../router.js";
import { recent } from "../live.js";
import { useQuery } from "../store.js";
import { EventText } from "../eventlist.js";
import { Lanes } from "../lanes.js";
import { EmptyState, Panel, Time } from "../ui/index.js";
import { changedFields } from "../words.js";

const PAGE = 100;

/** The events of one request within a minute stand together. @param {any[]} events @returns {any[][]} */
export function grouped(events) {
  /** @type {any[][]} */
  const groups = [];
  for (const event of events) {
    const last = groups[groups.length - 1]?.[0];
    const same = last && event.data?.request_id && last.data?.request_id === event.data.request_id && Math.abs(Date.parse(last.time) - Date.parse(event.time)) < 60_000;
    if (same) groups[groups.length - 1].push(event);
    else groups.push([event]);
  }
  return groups;
}

/** @param {any} value */
const shown = (value) => (value === null || value === undefined ? html`<span class="soft">none</span>` : typeof value === "object" ? JSON.stringify(value) : String(value));

/** Before and after by field; an object by its changed members. @param {any} event @returns {[string, any, any][]} */
function fields(event) {
  return changedFields(event).flatMap(([field, { before, after }]) => (before && after && typeof after === "object" && !Array.isArray(after)
    ? Object.keys({ ...before, ...after }).filter((key) => JSON.stringify(before[key]) !== JSON.stringify(after[key])).map((key) => /** @type {[string, any, any]} */ ([`${field}.${key}`, before[key], after[key]]))
    : [/** @type {[string, any, any]} */ ([field, before, after])]));
}

/** @param {{event: any}} props */
function Diff({ event }) {
  const rows = fields(event);
  if (!rows.length) return null;
  return html`<details><summary>${rows.length === 1 ? "1 field" : `${rows.length} fields`}</summary><table class="diff"><thead class="vh"><tr><th scope="col">Field</th><th scope="col">Before</th><th scope="col">After</th></tr></thead>
    <tbody>${rows.map(([name, before, after]) => html`<tr><th scope="row"><code>${name}</code></th><td><del>${shown(before)}</del></td><td><ins>${shown(after)}</ins></td></tr>`)}</tbody></table></details>`;
}

/** @param {{events: any[], id: string}} props */
function Entry({ events, id }) {
  const [first] = events;
  return html`<li data-key=${first.id}><div><p><${Time} at=${first.time} seconds /></p><small>${first.principal ?? "the registry"}</small></div>
    <div class="entry">${events.map((event) => html`<div><p><${EventText} event=${event} /></p><${Diff} event=${event} /></div>`)}
      <small>${first.data?.request_id ? html`request <code>${first.data.request_id}</code> · ` : ""}revision ${first.id} · <a href=${pluginHref(id, { as_of: first.id })}>Look at it then</a></small></div></li>`;
}

/** @param {{id: string}} props */
export default function Tab({ id }) {
  const [limit, setLimit] = useState(PAGE);
  const query = useQuery(path`/plugins/${id}/history` + `?order=desc&limit=${limit}`, { now: true });
  const stored = query.data?.items ?? [];
  const known = new Set(stored.map((/** @type {any} */ event) => event.id));
  const fresh = recent.value.filter((event) => event.subject === id && !known.has(event.id));
  const past = asOf.value && /^\d+$/.test(asOf.value) ? Number(asOf.value) : Infinity;
  const events = stored.filter((/** @type {any} */ event) => Number(event.id) <= past);
  return html`${!asOf.value && html`<${Lanes} id=${id} />`}<${Panel} query=${query}>${() => html`
    ${fresh.length > 0 && html`<p class="acts"><button type="button" class="newcount" onClick=${query.reload}>${fresh.length} new</button></p>`}
    ${events.length ? html`<ol class="timeline">${grouped(events).map((group) => html`<${Entry} key=${group[0].id} events=${group} id=${id} />`)}</ol>` : html`<${EmptyState} title="The journal has nothing of it."><p>Its history may be older than what the journal keeps.</p><//>`}
    ${query.data?.next_cursor && html`<p class="pages"><button type="button" onClick=${() => setLimit(Math.min(10_000, limit + PAGE))}>Older</button></p>`}`}<//>`;
}
