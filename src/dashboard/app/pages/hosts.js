// @ts-check
// A tile for each host and each provider: who looks at it, what cannot be seen there, what is held and what it costs. Hosts that nothing looks at are first.
import { html } from "../lib.js";
import { has } from "../api.js";
import { href } from "../router.js";
import { ready, useQuery } from "../store.js";
import { Age, Badge, EmptyState, Note, Panel } from "../ui/index.js";
import { count, plural, usd } from "../format.js";

/**
 * @typedef {{host: string | null, is_own?: boolean, looked_at: boolean | null, probe?: string | null, agent?: string | null, heard_at?: string | null,
 *   sight: {what: string, visible: boolean, detail: string, advice: string | null}[], processes: number, containers: number, remotes: number, findings: number,
 *   findings_by_kind?: Record<string, number>, usd_per_hour?: number | null, plugins?: number}} Host
 */

/** Hosts as far as the rows of holdings tell, for a server without GET /hosts. @param {any[]} rows @returns {Host[]} */
export function hostsOf(rows) {
  /** @type {Map<string, Host>} */
  const hosts = new Map();
  for (const row of rows) {
    if (row.kind === "remote") continue;
    const name = row.host ?? "";
    /** @type {Host} */
    const host = hosts.get(name) ?? { host: row.host, looked_at: null, sight: [], processes: 0, containers: 0, remotes: 0, findings: 0 };
    if (row.kind === "process") host.processes++;
    else host.containers++;
    if (row.finding && row.finding !== "unverified" && !row.acknowledged) host.findings++;
    if (row.observed?.at > (host.heard_at ?? "")) Object.assign(host, { heard_at: row.observed.at, agent: row.observed.by });
    hosts.set(name, host);
  }
  return [...hosts.values()].sort((a, b) => Number(Boolean(a.heard_at)) - Number(Boolean(b.heard_at)) || String(a.host).localeCompare(String(b.host)));
}

/** The parts of a whole as a bar; the words beside it say the same. @param {{host: Host}} props */
function Bar({ host }) {
  const parts = /** @type {[string, number][]} */ ([["process", host.processes], ["container", host.containers], ["remote", host.remotes]]);
  const sum = parts.reduce((all, [, n]) => all + n, 0);
  return sum ? html`<svg class="share" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">${parts.reduce((/** @type {any[]} */ drawn, [kind, n]) => {
    const x = drawn.reduce((all, one) => all + one.props.width, 0);
    return [...drawn, html`<rect class=${kind} x=${x} width=${(n / sum) * 100} height="8" />`];
  }, [])}</svg>` : null;
}

/** @param {{host: Host}} props */
function Looked({ host }) {
  if (host.looked_at === false) return html`<${Badge} tone="bad" shape="▲">nothing looks at it<//>`;
  if (host.looked_at) return html`<${Badge} tone="ok" shape="●">${host.probe === "registry" || (host.is_own && !host.agent) ? "the registry looks at it" : `agent ${(host.agent ?? "").replace(/^agent /, "")}`}<//>`;
  return host.heard_at ? html`<${Badge} tone="ok" shape="●">seen by ${host.agent}<//>` : html`<${Badge} tone="bad" shape="▲">nothing has looked at it<//>`;
}

/** @param {{host: Host}} props */
function Tile({ host }) {
  const blind = host.sight.filter((point) => !point.visible);
  const bad = (host.looked_at === false || (host.looked_at === null && !host.heard_at)) && host.processes + host.containers > 0;
  const kinds = Object.entries(host.findings_by_kind ?? { orphan: 1, overdue: 1, reused: 1, ghost: 1 }).filter(([, n]) => n).map(([kind]) => kind);
  const number = (/** @type {number} */ n, /** @type {any} */ query) => (host.host && n ? html`<a href=${href("/resources", { host: host.host, ...query })}>${count(n)}</a>` : count(n));
  return html`<li class=${`tile ${bad ? "bad" : blind.length ? "warn" : ""}`} data-key=${"host " + host.host}>
    <h3>${host.host ? html`<a href=${href("/resources", { host: host.host })}>${host.host}</a>` : "plugins that name no host"}${host.is_own ? html` <small>the registry's own</small>` : ""}</h3>
    <p><${Looked} host=${host} />${host.heard_at ? html` <small>heard <${Age} at=${host.heard_at} ago /></small>` : ""}</p><${Bar} host=${host} />
    <dl><dt>Processes</dt><dd>${number(host.processes, { kind: "process" })}</dd><dt>Containers</dt><dd>${number(host.containers, { kind: "container" })}</dd>
      ${host.remotes ? html`<dt>Machines of its plugins</dt><dd>${count(host.remotes)}</dd>` : ""}<dt>Findings</dt><dd>${number(host.findings, { finding: kinds, acknowledged: false })}</dd>
      ${host.usd_per_hour ? html`<dt>Burn</dt><dd>${usd(host.usd_per_hour)} an hour</dd>` : ""}</dl>
    ${blind.map((point) => html`<p><${Badge} tone="warn" shape="?">cannot see ${point.what}<//><small> ${point.detail}${point.advice ? `. ${point.advice}` : ""}</small></p>`)}
    ${bad && host.host ? html`<p class="soft">On this host: <code>plugin-registry agent --host ${host.host}</code></p>` : ""}</li>`;
}

/** @param {{group: any}} props */
function Provider({ group }) {
  return html`<li class="tile" data-key=${"provider " + group.key}><h3><a href=${href("/plugins", { provider: group.key ?? "" })}>${group.key ?? "no provider"}</a></h3>
    <dl><dt>Machines that may bill</dt><dd><a href=${href("/plugins", { provider: group.key ?? "", billable: true })}>${count(group.billable)}</a></dd><dt>Without a price</dt><dd>${count(group.unpriced)}</dd><dt>Burn</dt><dd>${usd(group.burn_usd_per_hour)} an hour</dd></dl></li>`;
}

export default function View() {
  const own = has("GET /hosts");
  const hosts = useQuery(own ? "/hosts?limit=1000" : "/resources?limit=10000", { every: 10_000, now: true });
  const providers = useQuery("/costs?group_by=provider", { every: 10_000, now: true });
  const list = /** @type {Host[]} */ (own ? hosts.data?.items ?? [] : hostsOf(hosts.data?.items ?? []));
  const sight = (ready.value?.sight ?? []).filter((/** @type {any} */ point) => !point.visible);
  return html`<h1>Hosts <small>those that nothing looks at are first</small></h1>
    ${!own && sight.length ? html`<${Note} tone="warn">On its own host, the registry cannot see ${sight.map((/** @type {any} */ point) => point.what).join(", ")}: ${sight[0].detail}.<//>` : ""}
    <${Panel} bare title="Hosts" query=${hosts}>${(/** @type {any} */ data) => (list.length ? html`<ul class="tiles">${list.map((host) => html`<${Tile} key=${host.host} host=${host} />`)}</ul>
        ${own && data.next_cursor ? html`<p class="soft">The first ${plural(list.length, "host")} of ${count(data.total ?? list.length)}.</p>` : ""}`
      : html`<${EmptyState} title="No plugin names a host, and no agent has reported."><p>An agent looks at a host: <code>plugin-registry agent</code></p><//>`)}<//>
    <${Panel} bare title="Providers" query=${providers}>${(/** @type {any} */ data) => { const some = data.groups.filter((/** @type {any} */ one) => one.key !== null && one.billable > 0);
      return some.length ? html`<ul class="tiles">${some.map((/** @type {any} */ one) => html`<${Provider} key=${one.key} group=${one} />`)}</ul>` : html`<p class="soft">No machine of a provider may bill.</p>`; }}<//>`;
}
