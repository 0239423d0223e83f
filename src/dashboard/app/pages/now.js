// @ts-check
// The first page: what needs you, then five numbers, the burn, budgets, the newest events, and a line of health.
import { html } from "../lib.js";
import { base, has, withQuery } from "../api.js";
import { asOf, href } from "../router.js";
import { ready, slow, useQuery } from "../store.js";
import { CARE, findings } from "../findings.js";
import { EventTable } from "../eventlist.js";
import { Budgets } from "../budgets.js";
import { Command, EmptyState, Later, Panel } from "../ui/index.js";
import { count, plural, usd, usdRange } from "../format.js";
import { recent, revision } from "../live.js";
import { Findings } from "./findings-list.js";

const DAY = 86_400_000;
/** The start of this hour or day, so that the address of a query changes seldom. @param {number} now @param {number} step */
const floor = (now, step) => new Date(Math.floor(now / step) * step).toISOString().slice(0, 19) + "Z";
/** @param {import("../live.js").RegistryEvent} event */
const money = (event) => /^(plugin|remote_resource|resource)\./.test(event.type);

/** @param {{label: string, value: any, more: any, to: string}} props */
const Figure = ({ label, value, more, to }) => html`<a href=${to}><small>${label}</small><strong>${value}</strong><span>${more}</span></a>`;

function Numbers() {
  const today = floor(slow.value, DAY);
  const costs = useQuery(asOf.value ? "/costs" : withQuery("/costs", { from: today }), { when: money, every: 60_000 });
  const stats = useQuery("/stats", { when: money });
  const unseen = useQuery("/resources?finding=unverified&limit=1000", { when: (event) => /^(finding|resource|plugin)\./.test(event.type) });
  const { data } = costs;
  const found = findings.value?.data;
  const open = found?.items.filter((row) => !row.acknowledged).length ?? 0;
  const hosts = [...new Set((unseen.data?.items ?? []).map((/** @type {any} */ row) => row.host).filter(Boolean))];
  return html`<nav class="nums" aria-label="Figures">
    <${Figure} label="Burn" value=${usd(data?.burn_usd_per_hour)} more=${data ? `an hour${data.unpriced ? `, ${count(data.unpriced)} without a price` : ""}` : "an hour"} to=${href("/resources", { billable: true })} />
    <${Figure} label="Spent today" value=${data?.accrued ? usdRange(data.accrued.low_usd, data.accrued.high_usd) : "–"} more=${asOf.value ? "not kept for the past" : "since 00:00 UTC"} to=${href("/costs")} />
    <${Figure} label="Active plugins" value=${count(stats.data?.with_active_resources)} more=${`of ${count(stats.data?.total)}`} to=${href("/plugins", { active: true })} />
    <${Figure} label="Findings" value=${found ? count(open) + (found.more ? "+" : "") : "–"} more=${found ? `${count(found.items.length - open)} acknowledged` : ""} to=${href("/resources", { finding: CARE })} />
    <${Figure} label="Unseen" value=${unseen.data ? count(unseen.data.total ?? unseen.data.items.length) + (unseen.data.next_cursor ? "+" : "") : "–"}
      more=${hosts.length ? `on ${hosts.slice(0, 2).join(", ")}${hosts.length > 2 ? ` and ${hosts.length - 2} more` : ""}` : "what no probe has seen"} to=${href("/resources", { finding: "unverified" })} />
  </nav>`;
}

/** What the first day looks like. */
function Start() {
  const address = base.href.replace(/\/$/, "");
  return html`<${EmptyState} title="No plugin is registered yet.">
    <p>An application registers what it runs. Any of these begins:</p>
    <${Command}>${`curl -s ${address}/plugins -H 'Content-Type: application/json' -d '{"category":"demo","name":"worker","title":"Demo","config_schema":{},"execution_mode":"subprocess"}'`}<//>
    <${Command}>${`PLUGIN_REGISTRY_URL=${address} plugin-registry exec --category demo --name worker -- sleep 600`}<//>
    <p>The <a href=${new URL("docs/", base).href}>API browser</a> shows everything else.</p>
  <//>`;
}

/** Nothing needs care: said with what is not looked at, never as a bare tick. */
function Calm() {
  const stats = useQuery("/stats");
  const hosts = useQuery(has("GET /hosts") ? "/hosts?limit=1000" : null, { every: 10_000, now: true });
  if (stats.data?.total === 0) return html`<${Start} />`;
  const named = hosts.data?.items.filter((/** @type {any} */ one) => one.host && one.processes + one.containers > 0) ?? [];
  const seen = named.filter((/** @type {any} */ one) => one.looked_at).length;
  return html`<${EmptyState} title=${asOf.value ? "Nothing needed you then." : "Nothing needs you."}>
    <p>${hosts.data ? `${count(seen)} of ${plural(named.length, "host")} with processes or containers ${named.length === 1 ? "is" : "are"} looked at. ` : "As far as probes see: what nothing looks at is under Unseen. "}
      <a href=${href("/hosts")}>Hosts</a></p><//>`;
}

function Health() {
  const state = ready.value;
  const blind = (state?.sight ?? []).filter((/** @type {any} */ point) => !point.visible);
  return html`<p class="health"><span>revision ${count(revision.value)}</span><span>${state?.status === "ready" ? "store takes writes" : `store: ${state?.reason ?? "not known"}`}</span>
    ${blind.length ? html`<span>on its own host, the registry cannot see ${plural(blind.length, "thing")}: <a href=${href("/hosts")}>${blind[0].what}</a></span>` : ""}</p>`;
}

/** @param {{route: import("../router.js").Route}} props */
export default function View({ route }) {
  const query = findings.value;
  const newest = useQuery("/events?order=desc&limit=20", { now: true });
  const known = new Set();
  const events = asOf.value ? [] : [...recent.value, ...(newest.data?.items ?? [])].filter((event) => !known.has(event.id) && known.add(event.id)).slice(0, 20);
  return html`<h1>Needs you <small>dearest first</small></h1>
    <${Panel} bare query=${query ?? undefined}>${(/** @type {any} */ data) => (data.items.length ? html`<${Findings} rows=${data.items} open=${route.query.open} total=${data.total} more=${data.more} />` : html`<${Calm} />`)}<//>
    <${Numbers} />
    <div class="two"><${Later} name="burn" load=${() => import("../burn.js")} /><${Budgets} /></div>
    ${!asOf.value && html`<${Panel} title="Just now" query=${newest} aside=${html`<a href=${href("/events")}>All events</a>`}>${() => html`<${EventTable} events=${events} caption="The newest events" />`}<//>`}
    <${Health} />`;
}
