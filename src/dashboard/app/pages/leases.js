// @ts-check
// Leases: who holds one, when it was renewed, how much is left, and what hangs on it.
import { html } from "../lib.js";
import { path, withQuery } from "../api.js";
import { act } from "../act.js";
import { href } from "../router.js";
import { clock, useQuery } from "../store.js";
import { Chips, FilterSelect, NothingFound, active } from "../filters.js";
import { ActButton, Age, Badge, EmptyState, Id, PAGE, Panel, PluginLink, Pages, Table, Time, ask } from "../ui/index.js";
import { stateWords } from "../words.js";
import { plural, span } from "../format.js";

const NAMES = ["state", "host", "lease"];

/** What is left of it, as a ring; the words beside it say the same. @param {{lease: any}} props */
function Left({ lease }) {
  if (lease.state !== "active") return html`<span class="soft">ended <${Age} at=${lease.expires_at} ago /></span>`;
  const left = (Date.parse(lease.expires_at) - clock.value) / 1000;
  const share = Math.max(0, Math.min(1, left / lease.ttl_seconds));
  return html`<svg class=${`ring ${share < 0.34 ? "lost" : ""}`} viewBox="0 0 22 22" aria-hidden="true"><circle cx="11" cy="11" r="8" /><circle class="left" cx="11" cy="11" r="8" stroke-dasharray=${`${share * 50.3} 50.3`} transform="rotate(-90 11 11)" /></svg>${
    left > 0 ? span(left) : "not renewed in time"}<small>of ${span(lease.ttl_seconds)}${lease.brake ? `. Not lost yet: ${lease.brake}` : ""}</small>`;
}

/** @param {any} lease */
const end = (lease) => ask({
  title: `End the lease of ${lease.holder}?`, text: html`<p>Its application can no longer renew it. What ${plural(lease.plugins.length, "plugin")} ${lease.plugins.length === 1 ? "holds" : "hold"} under it is then probed, and may become an orphan.</p>`, confirm: "End the lease", danger: true, typed: lease.plugins.length ? lease.holder : null,
  run: () => act({ label: `Ended the lease of ${lease.holder}`, method: "DELETE", path: path`/leases/${lease.lease_id}` }),
});

/** @type {import("../ui/table.js").Column<any>[]} */
const COLUMNS = [
  { key: "holder", title: "Holder", head: true, sort: (row) => row.holder, cell: (row) => html`${row.holder}<small><${Id} id=${row.lease_id} /></small>` },
  { key: "host", title: "Host", sort: (row) => row.host, cell: (row) => (row.host ? html`<a href=${href("/resources", { host: row.host })}>${row.host}</a>` : html`<span class="soft">–</span>`) },
  { key: "state", title: "State", sort: (row) => row.state, cell: (row) => html`<${Badge} tone=${stateWords(row.state).tone} shape=${stateWords(row.state).shape}>${row.state}<//>` },
  { key: "renewed", title: "Renewed", sort: (row) => row.renewed_at, cell: (row) => html`<${Age} at=${row.renewed_at} ago />` },
  { key: "left", title: "Left", sort: (row) => row.expires_at, cell: (row) => html`<${Left} lease=${row} />` },
  { key: "plugins", title: "What hangs on it", wide: true, cell: (row) => html`${row.plugins.slice(0, 4).map((/** @type {string} */ id, /** @type {number} */ i) => html`${i ? ", " : ""}<${PluginLink} id=${id} query=${{ tab: "holds" }} />`)}${row.plugins.length > 4 ? html` and <a href=${href("/plugins", { lease_id: row.lease_id })}>${row.plugins.length - 4} more</a>` : ""}${row.plugins.length ? "" : html`<span class="soft">nothing</span>`}` },
  { key: "by", title: "Taken by", cell: (row) => html`${row.principal ?? html`<span class="soft">–</span>`}<small><${Time} at=${row.granted_at} /></small>` },
  { key: "act", title: "Action", cell: (row) => (row.state === "released" ? "" : html`<${ActButton} kind="small" mark="release" onClick=${() => end(row)}>End…<//>`) },
];

/** @param {{route: import("../router.js").Route}} props */
export default function View({ route: { query } }) {
  const list = useQuery(withQuery("/leases", { state: query.state ? query.state.split(",") : null, host: query.host ? [query.host] : null, limit: PAGE, cursor: query.cursor }), { every: 5_000, now: true, when: (event) => event.type.startsWith("lease."), gap: 1_000 });
  const one = useQuery(query.lease ? path`/leases/${query.lease}` : null, { every: 5_000, now: true });
  const shown = query.lease ? one : list;
  const rows = query.lease ? (one.data ? [one.data] : []) : list.data?.items ?? [];
  return html`<h1>Leases <small>who says that an application lives</small></h1>
    <div class="filters"><${FilterSelect} name="state" label="State" options=${[["", "all"], ["active", "active"], ["lost", "lost"], ["released", "released"]]} /></div><${Chips} names=${NAMES} />
    <${Panel} query=${shown}>${() => (rows.length ? html`<${Table} caption="Leases" columns=${COLUMNS} rows=${rows} id=${(/** @type {any} */ row) => row.lease_id} sort=${query.sort ?? "state"} sortHere />${!query.lease && html`<${Pages} shown=${rows.length} next=${list.data?.next_cursor} />`}`
      : active(NAMES).length ? html`<${NothingFound} names=${NAMES} />` : html`<${EmptyState} title="There is no lease."><p>An application takes one and renews it, so that the registry notices when it dies. <code>plugin-registry exec</code> does so by itself.</p><//>`)}<//>`;
}
