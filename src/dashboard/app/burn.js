// @ts-check
// What an hour cost over the last day, and what it costs now by provider.
import { html } from "./lib.js";
import { has, withQuery } from "./api.js";
import { asOf, href } from "./router.js";
import { slow, useQuery } from "./store.js";
import { EmptyState, Panel } from "./ui/index.js";
import { count, shortTime, usd } from "./format.js";

const money = (/** @type {import("./live.js").RegistryEvent} */ event) => /^(plugin|remote_resource|resource)\./.test(event.type);
const HOUR = 3_600_000;

/** The last 24 hours in steps of 30 minutes: an area, a sentence, and a table. */
function Day() {
  const from = new Date(Math.floor(slow.value / HOUR) * HOUR - 23 * HOUR).toISOString();
  const query = useQuery(withQuery("/costs", { step: "30m", from }), { every: 60_000, now: true });
  return html`<${Panel} title="Burn, 24 hours" query=${query} aside=${html`<a href=${href("/costs")}>Costs</a>`}>${(/** @type {any} */ data) => html`<${Area} steps=${data.series ?? []} now=${data.burn_usd_per_hour} />`}<//>`;
}

/** @param {{steps: {from: string, to: string, low_usd: number, high_usd: number, burn_usd_per_hour: number}[], now: number}} props */
function Area({ steps, now }) {
  const peak = steps.reduce((most, one) => (one.burn_usd_per_hour > most.burn_usd_per_hour ? one : most), steps[0]);
  if (!peak?.burn_usd_per_hour) return html`<${EmptyState} title="Nothing was spent in the last 24 hours, as far as is declared." />`;
  const at = (/** @type {number} */ i) => (i / steps.length) * 600;
  const up = (/** @type {number} */ value) => (120 - (value / peak.burn_usd_per_hour) * 110).toFixed(1);
  const line = steps.map((one, i) => `H${at(i)}V${up(one.burn_usd_per_hour)}H${at(i + 1)}`).join("");
  return html`<p class="soft">${now > peak.burn_usd_per_hour ? `${usd(now)} an hour now, more than in any half hour before.` : `Peak ${usd(peak.burn_usd_per_hour)} an hour at ${shortTime(peak.from, slow.value)}, now ${usd(now)}.`}</p>
    <svg class="day" viewBox="0 0 600 122" preserveAspectRatio="none" aria-hidden="true"><path class="area" d=${`M0 120${line}V120Z`} /><path class="line" d=${`M0 ${up(steps[0].burn_usd_per_hour)}${line}`} /></svg>
    <p class="axis" aria-hidden="true"><span>${shortTime(steps[0].from, slow.value)}</span><span>now</span></p>
    <details><summary>Show as table</summary><table><caption class="vh">Burn in steps of 30 minutes</caption><thead><tr><th scope="col">From</th><th scope="col" class="num">An hour</th><th scope="col" class="num">Spent</th></tr></thead>
      <tbody>${[...steps].reverse().map((one) => html`<tr><th scope="row">${shortTime(one.from, slow.value)}</th><td class="num">${usd(one.burn_usd_per_hour)}</td><td class="num">${usd(one.high_usd)}</td></tr>`)}</tbody></table></details>`;
}

function Providers() {
  const query = useQuery("/costs?group_by=provider", { when: money });
  return html`<${Panel} title="Burn by provider" query=${query} aside=${html`<a href=${href("/costs")}>Costs</a>`}>${(/** @type {any} */ data) => {
    const groups = data.groups.filter((/** @type {any} */ one) => one.billable > 0).sort((/** @type {any} */ a, /** @type {any} */ b) => b.burn_usd_per_hour - a.burn_usd_per_hour);
    if (!groups.length) return html`<${EmptyState} title="Nothing bills, as far as is claimed." />`;
    return html`<dl class="budgets">${groups.map((/** @type {any} */ one) => html`<div><dt>${one.key ?? "no provider"} <small>${count(one.billable)} ${one.billable === 1 ? "machine" : "machines"}${one.unpriced ? `, ${one.unpriced} without a price` : ""}</small></dt>
      <dd><meter min="0" max=${data.burn_usd_per_hour || 1} value=${one.burn_usd_per_hour} aria-label=${`${one.key ?? "no provider"}: ${usd(one.burn_usd_per_hour)} an hour`}></meter><span>${usd(one.burn_usd_per_hour)} an hour</span></dd></div>`)}</dl>`;
  }}<//>`;
}

/** The past has no series of its own day here: it shows the providers of then. */
export default function Burn() {
  return has("GET /costs", "step") && !asOf.value ? html`<${Day} />` : html`<${Providers} />`;
}
