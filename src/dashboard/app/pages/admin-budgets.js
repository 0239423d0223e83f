// @ts-check
// Budgets: how much may be spent, on what, and what is spent.
import { html } from "../lib.js";
import { path } from "../api.js";
import { act } from "../act.js";
import { href } from "../router.js";
import { useQuery } from "../store.js";
import { ActButton, Badge, EmptyState, Panel, Table, Time, ask } from "../ui/index.js";
import { usd, usdRange } from "../format.js";
import { FILTER_HINT, MERGE, filterLines, parseFilters, parseList, patchOf } from "./admin-fields.js";

/** @type {[string, string][]} */
const PERIODS = [["day", "a day"], ["week", "a week"], ["month", "a month"], ["total", "in all"]];

/** @param {import("../api-types.js").Budget} [budget] @returns {import("../ui/dialog.js").Field[]} */
const fields = (budget) => [
  { name: "name", label: "Name", required: true, maxlength: 256, value: budget?.name, placeholder: "speech, monthly" },
  { name: "filters", label: "Plugins", type: "textarea", rows: 2, value: filterLines(budget?.filters), hint: FILTER_HINT },
  { name: "limit", label: "Limit, in USD", type: "number", required: true, min: "0.000001", value: budget?.limit_usd },
  { name: "hourly", label: "Limit of an hour, in USD", type: "number", min: "0.000001", value: budget?.limit_usd_per_hour ?? "", hint: "Empty for none. An event tells when an hour costs more." },
  { name: "period", label: "Period", options: PERIODS, value: budget?.period ?? "month", hint: "In UTC. Another period or other filters begin the count anew." },
  { name: "thresholds", label: "Events at, in percent", required: true, value: (budget?.threshold_percent ?? [50, 80, 100]).join(", ") },
];

/** @param {Record<string, any>} values */
const bodyOf = (values) => ({ name: values.name, filters: parseFilters(values.filters), limit_usd: Number(values.limit), limit_usd_per_hour: values.hourly === "" ? null : Number(values.hourly), period: values.period, threshold_percent: parseList(values.thresholds).map(Number) });

/** @param {() => void} reload */
const create = (reload) => ask({
  title: "New budget", text: html`<p>When spending reaches a threshold or will reach the limit, and when an hour costs too much, an event tells it. Nothing is stopped.</p>`, fields: fields(), confirm: "Create budget",
  run: async (values) => { await act({ label: `Created the budget ${values.name}`, need: "admin", method: "POST", path: "/budgets", body: bodyOf(values) }); reload(); },
});

/** @param {import("../api-types.js").Budget} budget @param {() => void} reload */
const change = (budget, reload) => ask({
  title: `Budget ${budget.name}`, fields: fields(budget), confirm: "Save budget",
  run: async (values) => {
    const body = bodyOf(values);
    await act({ label: `Changed the budget ${values.name}`, need: "admin", method: "PATCH", path: path`/budgets/${budget.id}`, type: MERGE, body: { ...body, filters: patchOf(budget.filters, body.filters) } });
    reload();
  },
});

/** @param {import("../api-types.js").Budget} budget @param {() => void} reload */
const remove = (budget, reload) => ask({
  title: `Delete the budget ${budget.name}?`, text: html`<p>What was spent stays known. A budget that is made again counts from then.</p>`, confirm: "Delete budget", danger: true,
  run: async () => { await act({ label: `Deleted the budget ${budget.name}`, need: "admin", method: "DELETE", path: path`/budgets/${budget.id}` }); reload(); },
});

/** @param {import("../api-types.js").Budget} budget */
function state(budget) {
  if (budget.spent_percent >= 100) return html`<${Badge} tone="bad" shape="▲">over<//>`;
  if (budget.over_limit_per_hour) return html`<${Badge} tone="bad" shape="▲">burn over<//>`;
  if (budget.projected_breach_at) return html`<${Badge} tone="warn" shape="◆">full <${Time} at=${budget.projected_breach_at} /><//>`;
  if (budget.reached_percent.length) return html`<${Badge} tone="warn" shape="◆">passed ${Math.max(...budget.reached_percent)} %<//>`;
  return html`<${Badge} tone="ok" shape="●">within<//>`;
}

/** @param {Record<string, any>} filters only those that the page of costs takes as they are */
const asQuery = (filters) => Object.fromEntries(Object.entries(filters ?? {}).map(([key, value]) => [key, Array.isArray(value) ? value.join(",") : String(value)]));

/** @param {() => void} reload @returns {import("../ui/table.js").Column<import("../api-types.js").Budget>[]} */
const columns = (reload) => [
  { key: "name", title: "Budget", head: true, wide: true, cell: (one) => html`${one.name}<small>${filterLines(one.filters).replaceAll("\n", ", ") || "all plugins"}</small>` },
  { key: "state", title: "State", cell: state },
  { key: "spent", title: "Spent", num: true, cell: (one) => html`<a href=${href("/costs", { ...asQuery(one.filters), from: one.period_start ?? one.counted_from })}>${usdRange(one.spent.low_usd, one.spent.high_usd)}</a><small>${one.spent_percent} %</small>` },
  { key: "limit", title: "Limit", num: true, cell: (one) => html`${usd(one.limit_usd)}<small>${PERIODS.find(([name]) => name === one.period)?.[1] ?? one.period}</small>` },
  { key: "burn", title: "$/h now", num: true, cell: (one) => html`${usd(one.burn_usd_per_hour)}${one.limit_usd_per_hour ? html`<small>of ${usd(one.limit_usd_per_hour)}</small>` : ""}` },
  { key: "ends", title: "Period ends", cell: (one) => html`<${Time} at=${one.period_end} none="never" />` },
  { key: "do", title: "Actions", cell: (one) => html`<span class="acts"><${ActButton} kind="small" need="admin" onClick=${() => change(one, reload)}>Change<//><${ActButton} kind="small" need="admin" onClick=${() => remove(one, reload)}>Delete<//></span>` },
];

export function Budgets() {
  const query = useQuery("/budgets", { every: 10_000, when: (event) => event.type.startsWith("budget."), now: true });
  const add = html`<${ActButton} kind="small" need="admin" onClick=${() => create(query.reload)}>New budget<//>`;
  return html`<${Panel} title="Budgets" query=${query} aside=${add}>${(/** @type {import("../api-types.js").BudgetList} */ data) => (data.items.length
    ? html`<${Table} caption="Budgets" columns=${columns(query.reload)} rows=${data.items} id=${(/** @type {any} */ one) => one.id} />`
    : html`<${EmptyState} title="There is no budget."><p>A budget raises an event when spending reaches a threshold.</p><//>`)}<//>`;
}
