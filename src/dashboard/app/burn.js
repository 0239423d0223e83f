// @ts-check
// What an hour costs now, by provider.
import { html } from "./lib.js";
import { href } from "./router.js";
import { useQuery } from "./store.js";
import { EmptyState, Panel } from "./ui/index.js";
import { count, usd } from "./format.js";

export function Burn() {
  const query = useQuery("/costs?group_by=provider", { when: (event) => /^(plugin|remote_resource|resource)\./.test(event.type) });
  return html`<${Panel} title="Burn by provider" query=${query} aside=${html`<a href=${href("/costs")}>Costs</a>`}>${(/** @type {any} */ data) => {
    const groups = data.groups.filter((/** @type {any} */ one) => one.billable > 0).sort((/** @type {any} */ a, /** @type {any} */ b) => b.burn_usd_per_hour - a.burn_usd_per_hour);
    if (!groups.length) return html`<${EmptyState} title="Nothing bills, as far as is claimed." />`;
    return html`<dl class="budgets">${groups.map((/** @type {any} */ one) => html`<div><dt>${one.key ?? "no provider"} <small>${count(one.billable)} ${one.billable === 1 ? "machine" : "machines"}${one.unpriced ? `, ${one.unpriced} without a price` : ""}</small></dt>
      <dd><meter min="0" max=${data.burn_usd_per_hour || 1} value=${one.burn_usd_per_hour} aria-label=${`${one.key ?? "no provider"}: ${usd(one.burn_usd_per_hour)} an hour`}></meter><span>${usd(one.burn_usd_per_hour)} an hour</span></dd></div>`)}</dl>`;
  }}<//>`;
}
