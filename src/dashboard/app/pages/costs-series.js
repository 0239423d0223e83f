// @ts-check
// The steps of a time, and the dearest groups over them.

const HOUR = 3600;
const DAY = 24 * HOUR;
/** The steps that are easy to read, with what `step` calls them. @type {[number, string][]} */
const STEPS = [[300, "5m"], [900, "15m"], [HOUR, "1h"], [6 * HOUR, "6h"], [12 * HOUR, "12h"], [DAY, "1d"]];
/** More bars than this are too thin; the API refuses more than 500 steps. */
const MANY = 62;
const MOST = 500;

/** The step for a time; null if the time is too long for a plot. @param {number} from @param {number} to in seconds @returns {{length: number, name: string} | null} */
export function stepOf(from, to) {
  const [length, name] = STEPS.find(([one]) => (to - from) / one <= MANY) ?? STEPS[STEPS.length - 1];
  return (to - from) / length <= MOST ? { length, name } : null;
}

/** @param {number} at in seconds */
export const iso = (at) => new Date(at * 1000).toISOString().slice(0, 19) + "Z";

/** What a group cost in each step. @param {import("../api-types.js").Costs} costs @param {import("../api-types.js").CostGroup} group @returns {number[]} */
export function valuesOf(costs, group) {
  const known = new Map((group.series ?? []).map((one) => [one.from, one.high_usd]));
  return (costs.series ?? []).map(({ from }) => known.get(from) ?? 0);
}

/** The dearest groups, and the rest as one. @param {import("../api-types.js").Costs} costs @param {number} most @returns {{label: string, values: number[]}[]} */
export function groupsOf(costs, most) {
  const all = costs.groups.map((group) => ({ label: group.key ?? "without", values: valuesOf(costs, group) })).map((one) => ({ ...one, sum: one.values.reduce((sum, value) => sum + value, 0) }))
    .filter(({ sum }) => sum > 0).sort((one, other) => other.sum - one.sum);
  const rest = all.slice(most);
  const shown = all.slice(0, most).map(({ label, values: amounts }) => ({ label, values: amounts }));
  if (rest.length) shown.push({ label: `${rest.length} more`, values: costs.series.map((_, at) => rest.reduce((sum, one) => sum + one.values[at], 0)) });
  return shown;
}
