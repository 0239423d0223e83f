// @ts-check
// What a plugin costs: now, today, this month, ever, and what some hours would cost.
import { html } from "../lib.js";
import { withQuery } from "../api.js";
import { asOf, href, route, setQuery } from "../router.js";
import { slow, useQuery } from "../store.js";
import { EmptyState, Note, Panel } from "../ui/index.js";
import { usd, usdRange } from "../format.js";

/** The filters that name one plugin: its category and its name. @param {any} plugin */
const filters = (plugin) => ({ category: [plugin.category], name: [plugin.name] });

/** @param {{title: string, plugin: any, from: string | null}} props */
function Spent({ title, plugin, from }) {
  const query = useQuery(withQuery("/costs", { ...filters(plugin), from }), { every: 15_000, when: (event) => event.subject === plugin.unique_id });
  const accrued = query.data?.accrued;
  return html`<tr><th scope="row">${title}</th><td class="num">${query.error ? query.error.problem.title : accrued ? usdRange(accrued.low_usd, accrued.high_usd) : "…"}</td></tr>`;
}

/** @param {{id: string, plugin: any}} props */
export default function Tab({ id, plugin }) {
  const hours = Math.min(8760, Math.max(1, Number(route.value.query.hours) || 24));
  const query = useQuery(withQuery("/costs", { ...filters(plugin), hours }), { every: 15_000, when: (event) => event.subject === id });
  const now = new Date(slow.value);
  const day = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate())).toISOString();
  const month = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 1)).toISOString();
  return html`<${Panel} title="Cost" query=${query} aside=${html`<a href=${href("/costs", { group_by: "plugin" })}>All costs</a>`}>${(/** @type {any} */ data) => html`
    ${data.billable || data.accrued?.high_usd ? "" : html`<${EmptyState} title="It has cost nothing, as far as is declared."><p>Only machines have a price: <code>estimated_cost_per_hour</code> of the remote resource.</p><//>`}
    ${data.unpriced ? html`<${Note} tone="warn">It holds a machine without a price, which counts as free.<//>` : ""}
    <table class="narrow"><caption class="vh">Costs of ${id}</caption><thead class="vh"><tr><th scope="col">When</th><th scope="col">Cost</th></tr></thead><tbody>
      <tr><th scope="row">An hour, now</th><td class="num">${usd(data.burn_usd_per_hour)}</td></tr>
      ${!asOf.value && html`<${Spent} title="Today, since 00:00 UTC" plugin=${plugin} from=${day} /><${Spent} title="This month (UTC)" plugin=${plugin} from=${month} /><${Spent} title="Ever" plugin=${plugin} from=${null} />`}
      <tr><th scope="row"><label>The next <input class="short" type="number" min="1" max="8760" value=${hours} onChange=${(/** @type {any} */ event) => setQuery({ hours: event.target.value }, true)} /> hours, if it stays so</label></th><td class="num">${usd(data.estimate?.usd)}</td></tr></tbody></table>
    <p class="soft">${data.note}</p>`}<//>`;
}
