// @ts-check
// How many events a step has: bars that zoom when one is chosen. Drawn only where the server counts them.
import { html } from "./lib.js";
import { has, withQuery } from "./api.js";
import { here } from "./router.js";
import { slow, useQuery } from "./store.js";
import { Panel } from "./ui/index.js";
import { count, plural, shortTime } from "./format.js";

const STEPS = /** @type {[string, number][]} */ ([["5m", 300], ["15m", 900], ["1h", 3600], ["6h", 21_600], ["1d", 86_400]]);
const BARS = 60;

/** @param {{query: Record<string, string>}} props */
export function Histogram({ query }) {
  if (!has("GET /events/counts")) return null;
  return html`<${Counted} query=${query} />`;
}

/** @param {{query: Record<string, string>}} props */
function Counted({ query }) {
  const to = query.to ? Date.parse(query.to) : slow.value;
  const from = query.from ? Date.parse(query.from) : to - 86_400_000;
  const [word, seconds] = STEPS.find(([, one]) => (to - from) / 1000 / one <= BARS) ?? STEPS[STEPS.length - 1];
  const floor = (/** @type {number} */ at) => new Date(Math.floor(at / seconds / 1000) * seconds * 1000).toISOString();
  const data = useQuery(withQuery("/events/counts", { step: word, from: floor(from), to: query.to ?? null, kind: query.kind ? query.kind.split(",") : null, plugin: query.plugin ? [query.plugin] : null }), { every: 15_000, now: true });
  return html`<${Panel} title="How many" query=${data}>${(/** @type {any} */ answer) => {
    const steps = answer.items.map((/** @type {any} */ one) => ({ from: one.from, to: one.to, n: one.total }));
    const most = Math.max(1, ...steps.map((/** @type {any} */ one) => one.n));
    const sum = steps.reduce((/** @type {number} */ all, /** @type {any} */ one) => all + one.n, 0);
    return html`<p class="soft">${plural(sum, "event")}, at most ${count(most)} in ${word}${answer.is_whole ? "" : ". The journal no longer has the oldest"}</p><ol class="histogram">${steps.map((/** @type {any} */ one) => html`<li><a href=${here({ from: one.from, to: one.to })} aria-label=${`${shortTime(one.from, slow.value)}: ${one.n}`}>
      <svg viewBox="0 0 10 60" preserveAspectRatio="none" aria-hidden="true"><rect x="1" y=${60 - (one.n / most) * 60} width="8" height=${(one.n / most) * 60} /></svg></a></li>`)}</ol>`;
  }}<//>`;
}
