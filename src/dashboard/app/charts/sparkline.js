// @ts-check
// A row's course in 80 × 16 pixels, with a sentence for those who do not see it. The plot above the rows has the numbers as a table.
import { html } from "../lib.js";
import { usd } from "../format.js";
import { timeWords } from "./times.js";

const WIDTH = 80;
const HEIGHT = 16;

/** @param {number[]} values @param {number[]} times of their beginnings, in seconds @param {number} step in seconds */
export function course(values, times, step) {
  const most = Math.max(...values);
  if (!(most > 0)) return "nothing in this time";
  const used = values.filter((value) => value > 0).length;
  return `in ${used} of ${values.length} steps; most from ${timeWords(times[values.indexOf(most)], step)}: ${usd(most)}; last ${usd(values[values.length - 1])}`;
}

/** Bars as one path, each in steps of whole pixels where they fit. @param {number[]} values */
function path(values) {
  const most = Math.max(...values);
  const wide = WIDTH / values.length;
  return values.map((value, at) => (value > 0 ? `M${(at * wide).toFixed(2)} ${HEIGHT}v${(-Math.max(1, (value / most) * HEIGHT)).toFixed(2)}h${Math.max(wide * 0.86, 0.8).toFixed(2)}V${HEIGHT}z` : "")).join("");
}

/** @param {{values: number[], times: number[], step: number}} props */
export function Sparkline({ values, times, step }) {
  if (!values.length) return html`<span class="soft">–</span>`;
  const words = course(values, times, step);
  return html`<span class="spark" title=${words}><svg viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} width=${WIDTH} height=${HEIGHT} aria-hidden="true"><path d=${path(values)} /></svg><span class="vh">${words}</span></span>`;
}
