// @ts-check
// A real <table> whose state is in the address: sort by buttons, pages of 100, rows by keyboard; cards below 640 px by CSS.
import { html } from "../lib.js";
import { count } from "../format.js";
import { route, setQuery } from "../router.js";

export const PAGE = 100;

/**
 * @template T
 * @typedef {{key: string, title: string, cell: (row: T) => any, sort?: string | ((row: T) => any), num?: boolean, head?: boolean, wide?: boolean, loose?: boolean, foot?: any}} Column
 * `sort`: the server's field, or a function for lists that the page holds whole. `head`: the row's header cell. `wide`: takes what is left. `loose`: breaks long words where there is no space.
 */

/**
 * @param {{
 *   caption: string, columns: Column<any>[], rows: any[], id: (row: any) => string, sort?: string, sortHere?: boolean,
 *   total?: number, foot?: boolean, onOpen?: (row: any) => void, marked?: Set<string>, onMark?: (id: string, row: any) => void,
 *   rowClass?: (row: any) => string, empty?: any, param?: string, group?: ((row: any) => string) | null, groupLine?: (name: string, rows: any[]) => any
 * }} props
 *   `sort`: the present order, such as `-usd_per_hour` (from the address: `param`, "sort" unless said); `sortHere`: sorts the rows by the column's function.
 *   `group`: rows of the same name stand together under a line that `groupLine` draws.
 */
export function Table({ caption, columns, rows, id, sort = "", sortHere, foot, onOpen, marked, onMark, rowClass, empty, param = "sort", group, groupLine }) {
  const field = sort.replace(/^-/, "");
  const down = sort.startsWith("-");
  const shown = sortHere ? ordered(rows, columns.find((one) => one.key === field), down) : rows;
  const toggle = (/** @type {string} */ name) => setQuery({ [param]: field === name && !down ? "-" + name : name, cursor: null, page: null }, true);
  /** @type {[string, any[]][]} */
  const parts = group ? groups(shown, group) : [["", shown]];
  if (!rows.length && empty) return empty;
  return html`<div class="tablewrap"><table class="cards">
    <caption class="vh">${caption}</caption>
    <thead><tr>${onMark && html`<th scope="col" class="mark"><span class="vh">Marked</span></th>`}
      ${columns.map((one) => heading(one, field, down, toggle))}</tr></thead>
    ${parts.map(([name, members]) => html`<tbody key=${"g" + name}>
      ${group && html`<tr class="group"><th scope="rowgroup" colspan=${columns.length + (onMark ? 1 : 0)}>${groupLine?.(name, members) ?? name}</th></tr>`}${members.map((row) => {
      const key = id(row);
      return html`<tr key=${key} data-key=${key} class=${(rowClass?.(row) ?? "") + (marked?.has(key) ? " marked" : "")}
          onDblClick=${onOpen && (() => onOpen(row))}>
        ${onMark && html`<td class="mark"><input type="checkbox" aria-label=${`Mark ${key}`} checked=${marked?.has(key)} onChange=${() => onMark(key, row)} /></td>`}
        ${columns.map((one) => cell(one, row))}</tr>`;
    })}</tbody>`)}
    ${foot && html`<tfoot><tr>${onMark && html`<td></td>`}${columns.map((one) => html`<td class=${one.num ? "num" : ""} data-label=${one.title}>${one.foot ?? ""}</td>`)}</tr></tfoot>`}
  </table></div>`;
}

/** @param {any[]} rows @param {(row: any) => string} by @returns {[string, any[]][]} */
function groups(rows, by) {
  /** @type {Map<string, any[]>} */
  const all = new Map();
  for (const row of rows) {
    const members = all.get(by(row));
    if (members) members.push(row);
    else all.set(by(row), [row]);
  }
  return [...all];
}

/** @param {Column<any>} one @param {string} field @param {boolean} down @param {(name: string) => void} toggle */
function heading(one, field, down, toggle) {
  const name = typeof one.sort === "string" ? one.sort : one.sort ? one.key : null;
  const state = name && name === field ? (down ? "descending" : "ascending") : undefined;
  return html`<th scope="col" class=${one.num ? "num" : ""} aria-sort=${state}>${name
    ? html`<button type="button" class="sort" onClick=${() => toggle(name)}>${one.title}<span aria-hidden="true">${state ? (down ? " ↓" : " ↑") : ""}</span></button>`
    : one.title}</th>`;
}

/** @param {Column<any>} one @param {any} row */
function cell(one, row) {
  const name = `${one.num ? "num" : ""} ${one.wide ? "wide" : ""} ${one.loose ? "loose" : ""}`.trim();
  return one.head ? html`<th scope="row" class=${name} data-label=${one.title}>${one.cell(row)}</th>`
    : html`<td class=${name} data-label=${one.title}>${one.cell(row)}</td>`;
}

/** @param {any[]} rows @param {Column<any> | undefined} column @param {boolean} down */
function ordered(rows, column, down) {
  if (!column || typeof column.sort !== "function") return rows;
  const by = column.sort;
  const sign = down ? -1 : 1;
  return [...rows].sort((one, other) => {
    const [a, b] = [by(one), by(other)];
    if (a === b) return 0;
    if (a === null || a === undefined) return 1;
    if (b === null || b === undefined) return -1;
    return (a < b ? -1 : 1) * sign;
  });
}

/**
 * Pages by cursor: the cursors of earlier pages are in the address, so that reload and back keep the place.
 * @param {{total?: number | null, shown: number, next: string | null | undefined, limit?: number}} props
 */
export function Pages({ total, shown, next, limit = PAGE }) {
  const { cursor = "", page = "1" } = route.value.query;
  const number = Math.max(1, Number(page) || 1);
  if (!next && !cursor) return html`<p class="pages soft">${count(total ?? shown)} ${(total ?? shown) === 1 ? "row" : "rows"}</p>`;
  const first = (number - 1) * limit + 1;
  return html`<nav class="pages" aria-label="Pages of the list"><span role="status">${count(first)}–${count(first + shown - 1)}${total !== null && total !== undefined ? ` of ${count(total)}` : ""}</span>
    <button type="button" disabled=${!cursor} onClick=${() => history.back()}>Previous</button>
    <button type="button" disabled=${!cursor} onClick=${() => setQuery({ cursor: null, page: null })}>First</button>
    <button type="button" disabled=${!next} onClick=${() => setQuery({ cursor: next, page: number + 1 })}>Next</button></nav>`;
}

/** Pages of a list that the page holds whole. @param {any[]} rows @returns {{rows: any[], bar: any}} */
export function paged(rows) {
  const number = Math.max(1, Number(route.value.query.page) || 1);
  const last = Math.max(1, Math.ceil(rows.length / PAGE));
  const at = Math.min(number, last);
  const bar = last === 1 ? html`<p class="pages soft">${count(rows.length)} ${rows.length === 1 ? "row" : "rows"}</p>`
    : html`<nav class="pages" aria-label="Pages of the list"><span role="status">${count((at - 1) * PAGE + 1)}–${count(Math.min(at * PAGE, rows.length))} of ${count(rows.length)}</span>
      <button type="button" disabled=${at === 1} onClick=${() => setQuery({ page: at - 1 })}>Previous</button>
      <button type="button" disabled=${at === last} onClick=${() => setQuery({ page: at + 1 })}>Next</button></nav>`;
  return { rows: rows.slice((at - 1) * PAGE, at * PAGE), bar };
}
