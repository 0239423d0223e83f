// @ts-check
// Filters as they stand in the address: chips to take one away, facets with counts, and "Clear".
import { html, useState } from "./lib.js";
import { here, route, setQuery } from "./router.js";
import { count } from "./format.js";
import { EmptyState } from "./ui/index.js";

const RESET = { cursor: null, page: null };

/** The values of a filter: the address separates them by commas. @param {string} name @returns {string[]} */
export const valuesOf = (name) => (route.value.query[name] ?? "").split(",").filter(Boolean);

/** The changes that add or take away one value. @param {string} name @param {string} value */
function toggled(name, value) {
  const values = valuesOf(name);
  return { ...RESET, [name]: (values.includes(value) ? values.filter((one) => one !== value) : [...values, value]).join(",") || null };
}

/** @param {string[]} names of the filters of a page @returns {[string, string][]} those that are set */
export const active = (names) => Object.entries(route.value.query).filter(([name]) => names.includes(name) || name.startsWith("label."));

/** What is filtered, each with a cross. @param {{names: string[]}} props */
export function Chips({ names }) {
  const set = active(names);
  if (!set.length) return null;
  const none = Object.fromEntries(set.map(([name]) => [name, null]));
  return html`<p class="chips" role="group" aria-label="Filters">${set.map(([name, value]) => html`<a class="chip" href=${here({ ...RESET, [name]: null })} title="Take this filter away"><b>${name.replaceAll("_", " ")}</b> ${value.replaceAll(",", " or ")} <span aria-hidden="true">✕</span></a>`)}
    <a class="chip" href=${here({ ...RESET, ...none })}>Clear filters</a></p>`;
}

/** @param {{title: string, name: string, counts: Map<string, number>, words?: (value: string) => string}} props */
function Facet({ title, name, counts, words = (value) => value }) {
  const chosen = valuesOf(name);
  const values = [...new Set([...chosen, ...[...counts.entries()].sort((a, b) => b[1] - a[1]).map(([value]) => value)])].slice(0, 12);
  if (!values.length) return null;
  return html`<div><h2>${title}</h2><ul>${values.map((value) => html`<li><a href=${here(toggled(name, value))} aria-current=${chosen.includes(value) ? "true" : undefined}>
    <span>${words(value)}</span><span>${count(counts.get(value) ?? 0)}<span class="vh"> rows</span></span></a></li>`)}</ul></div>`;
}

/** How many rows have each value. @param {any[]} rows @param {(row: any) => any} by @returns {Map<string, number>} */
export function tally(rows, by) {
  const counts = new Map();
  for (const row of rows) {
    const value = by(row);
    if (value !== null && value !== undefined && value !== "") counts.set(String(value), (counts.get(String(value)) ?? 0) + 1);
  }
  return counts;
}

/** Facets at the left, each value a link; on narrow screens they are folded. @param {{rows: any[], facets: {title: string, name: string, by: (row: any) => any, words?: (value: string) => string}[]}} props */
export function Facets({ rows, facets }) {
  const [open] = useState(() => matchMedia("(min-width: 1001px)").matches);
  return html`<details class="facets" open=${open}><summary>Filter by …</summary><nav aria-label="Filter by">${facets.map(({ title, name, by, words }) => html`<${Facet} title=${title} name=${name} counts=${tally(rows, by)} words=${words} />`)}</nav></details>`;
}

/** A list that the filters have emptied. @param {{names: string[], hidden?: number | null}} props */
export function NothingFound({ names, hidden }) {
  const none = Object.fromEntries(active(names).map(([name]) => [name, null]));
  return html`<${EmptyState} title="Nothing matches the filters."><p><a href=${here({ ...RESET, ...none })}>Clear filters${hidden ? ` (${count(hidden)} hidden)` : ""}</a></p><//>`;
}

/** A field that changes one parameter of the address when it is left or Enter is pressed. @param {{name: string, label: string, placeholder?: string, type?: string, main?: boolean}} props */
export function FilterField({ name, label, placeholder, type = "search", main }) {
  return html`<label>${label}<input type=${type} data-filter=${main ? "" : undefined} placeholder=${placeholder} value=${route.value.query[name] ?? ""} spellcheck=${false}
    onChange=${(/** @type {any} */ event) => setQuery({ ...RESET, [name]: event.target.value.trim() })} /></label>`;
}

/** @param {{name: string, label: string, options: [string, string][]}} props */
export function FilterSelect({ name, label, options }) {
  return html`<label>${label}<select value=${route.value.query[name] ?? ""} onChange=${(/** @type {any} */ event) => setQuery({ ...RESET, [name]: event.target.value })}>
    ${options.map(([value, words]) => html`<option value=${value} selected=${value === (route.value.query[name] ?? "")}>${words}</option>`)}</select></label>`;
}
