// @ts-check
// Stacked bars over time: drawn by uPlot, summed up in a sentence, and readable as a table and by arrow keys.
import { html, useEffect, useId, useRef, useState } from "../lib.js";
import uPlot from "../../vendor/uplot.js";
import { usd } from "../format.js";
import { colour, useThemeChanges } from "./colours.js";
import { timeWords } from "./times.js";

/**
 * @typedef {{label: string, values: (number | null)[]}} Series values by time; null where nothing is known
 * @typedef {{title: string, times: number[], step: number, series: Series[], zoom?: (from: number, to: number) => void}} PlotProps
 *   `times`: the beginnings of the bars in seconds; `step`: how long a bar is; `zoom`: called with what was dragged over, in seconds.
 */

/** How many colours style/charts.css has. */
export const COLOURS = 9;
const HEIGHT = 220;

/** Each series with all below it, so that drawing the highest first makes stacks. @param {Series[]} series @param {number} length */
export function stacked(series, length) {
  const below = new Array(length).fill(0);
  return series.map(({ values }) => below.map((_, at) => (below[at] += values[at] ?? 0)));
}

/** @param {Series[]} series @param {number} at */
const sum = (series, at) => series.reduce((all, { values }) => all + (values[at] ?? 0), 0);

/** A time under the plot: the hour, and the day where one begins. @param {number} tick @param {number} gap @param {number | null} before */
function tickWords(tick, gap, before) {
  const day = (/** @type {number} */ at) => new Date(at * 1000).toLocaleDateString("en-GB", { day: "numeric", month: "short" });
  const hour = new Date(tick * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  if (gap >= 86_400) return day(tick);
  return before === null || day(before) !== day(tick) ? `${hour}\n${day(tick)}` : hour;
}

/** What the plot says, in a sentence. @param {PlotProps} props */
export function summary({ times, step, series }) {
  const sums = times.map((_, at) => sum(series, at));
  const all = sums.reduce((one, other) => one + other, 0);
  if (!(all > 0)) return "Nothing was spent in this time.";
  const peak = sums.indexOf(Math.max(...sums));
  return `${usd(all)} in all; most from ${timeWords(times[peak], step)}: ${usd(sums[peak])}.`;
}

/** @param {PlotProps} props @param {HTMLElement} box @param {(at: number | null) => void} point @returns {uPlot} */
function draw({ times, step, series, zoom }, box, point) {
  const [ink, line] = [colour("--soft"), colour("--line")];
  const bars = uPlot.paths.bars?.({ size: [0.86, 60], align: 1 });
  const tops = stacked(series, times.length).reverse();
  const colours = series.map((_, at) => colour(`--chart-${(at % COLOURS) + 1}`)).reverse();
  const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 }, font: "12px system-ui" };
  return new uPlot({
    width: box.clientWidth || 600, height: HEIGHT, legend: { show: false },
    cursor: { y: false, points: { show: false }, drag: { x: Boolean(zoom), y: false, setScale: false } },
    scales: { x: { time: true, range: () => [times[0], times[times.length - 1] + step] }, y: { range: (_, __, most) => [0, most > 0 ? most * 1.08 : 1] } },
    axes: [{ ...axis, values: (_, ticks, __, ___, gap) => ticks.map((tick, at) => tickWords(tick, gap, at ? ticks[at - 1] : null)) }, { ...axis, size: 64, values: (_, ticks) => ticks.map((tick) => usd(tick)) }],
    series: [{}, ...tops.map((_, at) => ({ fill: colours[at], stroke: colours[at], width: 0, paths: bars, points: { show: false } }))],
    hooks: {
      setCursor: [(plot) => point(plot.cursor.idx ?? null)],
      setSelect: [(plot) => {
        if (!zoom || plot.select.width < 8) return;
        const [from, to] = [plot.select.left, plot.select.left + plot.select.width].map((at) => plot.posToVal(at, "x"));
        plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        zoom(Math.floor(from / step) * step, Math.ceil(to / step) * step);
      }],
    },
  }, [times, ...tops], box);
}

/** @param {PlotProps} props */
export function Plot(props) {
  const { title, times, step, series } = props;
  const box = useRef(/** @type {HTMLDivElement | null} */ (null));
  const plot = useRef(/** @type {uPlot | null} */ (null));
  const [at, setAt] = useState(/** @type {number | null} */ (null));
  const [asTable, setAsTable] = useState(false);
  const theme = useThemeChanges();
  const id = useId();
  const key = JSON.stringify([times, step, series]);
  useEffect(() => {
    const room = box.current;
    if (!room || asTable || !times.length) return;
    const drawn = plot.current = draw(props, room, setAt);
    const wider = new ResizeObserver(() => drawn.setSize({ width: room.clientWidth, height: HEIGHT }));
    wider.observe(room);
    return () => { wider.disconnect(); drawn.destroy(); plot.current = null; };
  }, [key, theme, asTable]);
  const step1 = (/** @type {KeyboardEvent} */ event) => {
    const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (!by || !plot.current) return;
    event.preventDefault();
    const next = Math.min(times.length - 1, Math.max(0, (at ?? (by > 0 ? -1 : times.length)) + by));
    plot.current.setCursor({ left: plot.current.valToPos(times[next] + step / 2, "x"), top: 10 });
    setAt(next);
  };
  const shown = at !== null && at < times.length ? at : null;
  return html`<figure class="plot" aria-labelledby=${id}>
    <figcaption id=${id}><strong>${title}</strong> <span class="soft">${summary(props)}</span>
      <button type="button" class="small" aria-pressed=${asTable} onClick=${() => setAsTable(!asTable)}>Show as ${asTable ? "plot" : "table"}</button></figcaption>
    ${asTable ? html`<${AsTable} ...${props} />` : html`<div class="canvas" ref=${box} tabindex="0" role="img" aria-label=${`${title}. ${summary(props)} Arrow keys read the bars.`} onKeyDown=${step1}></div>
      <p class="legend">${series.map(({ label }, number) => html`<span><i class=${`dot c${(number % COLOURS) + 1}`} aria-hidden="true"></i>${label}${shown === null ? "" : ` ${usd(series[number].values[shown])}`}</span>`)}</p>
      <p class="soft" role="status">${shown === null ? "" : `${timeWords(times[shown], step)}: ${usd(sum(series, shown))}`}</p>`}
  </figure>`;
}

/** @param {PlotProps} props */
function AsTable({ title, times, step, series }) {
  return html`<div class="tablewrap scroll" tabindex="0" role="region" aria-label=${title}><table><caption class="vh">${title}</caption>
    <thead><tr><th scope="col">From</th>${series.map(({ label }) => html`<th scope="col" class="num">${label}</th>`)}</tr></thead>
    <tbody>${times.map((time, at) => html`<tr><th scope="row">${timeWords(time, step)}</th>${series.map(({ values }) => html`<td class="num">${usd(values[at])}</td>`)}</tr>`)}</tbody></table></div>`;
}
