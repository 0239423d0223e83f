// @ts-check
// Budgets as bars with their thresholds.
import { html } from "./lib.js";
import { asOf, href } from "./router.js";
import { slow, useQuery } from "./store.js";
import { EmptyState, Panel } from "./ui/index.js";
import { count, shortTime, usd } from "./format.js";

/** When the limit is reached if the burn goes on; null if not in this period. @param {any} budget */
function fullAt(budget) {
  if (budget.projected_breach_at !== undefined) return budget.projected_breach_at;
  const left = budget.limit_usd - budget.spent.high_usd;
  if (left <= 0 || !(budget.burn_usd_per_hour > 0)) return null;
  const at = new Date(slow.value + (left / budget.burn_usd_per_hour) * 3_600_000);
  return Number.isNaN(at.getTime()) || (budget.period_end && at.toISOString() > budget.period_end) ? null : at.toISOString();
}

/** @param {{budget: any}} props */
function Bar({ budget }) {
  const { spent_percent: percent, limit_usd: limit, period, spent, threshold_percent: thresholds } = budget;
  const full = fullAt(budget);
  const { limit_usd_per_hour: hourly, over_limit_per_hour: fast, burn_usd_per_hour: burn } = budget;
  const [tone, word] = percent >= 100 ? ["over", "▲ over the limit"] : fast ? ["over", `▲ ${usd(burn)}/h, above ${usd(hourly)}/h`] : full ? ["near", `◆ full ${shortTime(full, slow.value)}`] : budget.reached_percent.length ? ["near", `◆ passed ${Math.max(...budget.reached_percent)} %`] : ["", ""];
  return html`<div><dt>${budget.name} <small>${usd(spent.high_usd)} of ${usd(limit)}, ${period === "total" ? "in all" : `this ${period}`}${hourly ? `, ${usd(hourly)}/h` : ""}</small></dt>
    <dd><meter min="0" max="100" value=${Math.min(100, percent)} high=${Math.min(99, Math.min(...(thresholds ?? []), 99))} optimum="0" aria-label=${`${budget.name}: ${percent} % spent`}></meter>
      <span class=${tone}>${count(percent)} %${word ? `, ${word}` : ""}</span></dd></div>`;
}

export function Budgets() {
  const query = useQuery("/budgets", { every: 15_000, when: (event) => event.type.startsWith("budget."), now: true });
  return html`<${Panel} title="Budgets" query=${query} aside=${html`${asOf.value ? html`<span class="soft">as they are now</span> ` : ""}<a href=${href("/admin")}>All budgets</a>`}>${(/** @type {any} */ data) => (data.items.length
    ? html`<dl class="budgets">${data.items.slice(0, 6).map((/** @type {any} */ one) => html`<${Bar} key=${one.id} budget=${one} />`)}</dl>`
    : html`<${EmptyState} title="There is no budget."><p>A budget raises an event when spending reaches a threshold. An admin sets it under <a href=${href("/admin")}>Admin</a>.</p><//>`)}<//>`;
}
