// @ts-check
// Findings as sentences: what it is, whose, what it costs, since when; under each its evidence, the next step, and what can be done.
import { html } from "../lib.js";
import { CARE, rowKey, spent } from "../findings.js";
import { StopCommand, canAskToStop } from "../stopping.js";
import { ActButton, Age, Badge, Copy, Id, PluginLink, Prose, Time } from "../ui/index.js";
import { findingWords, resourceWords } from "../words.js";
import { count, plural, usd, usdRange } from "../format.js";
import { href, setQuery } from "../router.js";

/** @typedef {import("../findings.js").Row} Row */
const SHOWN = 100;
/** What can be done is loaded when it is done first. */
const actions = () => import("../actions.js");

/** The processes of one plugin with the same finding are one line. @param {Row[]} rows @returns {Row[][]} */
export function grouped(rows) {
  /** @type {Map<string, Row[]>} */
  const groups = new Map();
  for (const row of rows) {
    const key = row.kind === "process" ? [row.plugin, row.host, row.finding, row.claim, row.acknowledged?.reason].join("\n") : rowKey(row);
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  return [...groups.values()];
}

/** What it is, whose, and what is known of its holder. @param {{rows: Row[]}} props */
function What({ rows }) {
  const [row] = rows;
  const more = [row.claimed_by?.principal && row.claimed_by.principal !== "anonymous" ? html`claimed by <em>${row.claimed_by.principal}</em>` : null,
    row.lease && `lease ${row.lease.state}`, row.claim === "left_behind" && "left behind",
    row.acknowledged && html`acknowledged until <${Time} at=${row.acknowledged.until} />: “${row.acknowledged.reason}”`].filter(Boolean);
  return html`<div class="what"><p><strong>${rows.length > 1 ? plural(rows.length, "process", "processes") : resourceWords(row)}</strong> ${row.provider ?? ""} <${Id} id=${row.id} />${
      rows.length > 1 ? html` <small>and ${rows.length - 1} more</small>` : ""}</p>
    <p class="sub"><${PluginLink} id=${row.plugin} />${row.host ? html` · <a href=${href("/resources", { host: row.host })}>${row.host}</a>` : ""}${more.map((one) => html` · ${one}`)}</p></div>`;
}

/** Why, what to do next, and the buttons. @param {{rows: Row[]}} props */
function Evidence({ rows }) {
  const [row] = rows;
  const step = row.evidence?.next_step;
  return html`<div class="evidence">
    ${rows.slice(0, 5).map((one) => html`<p><${Prose} text=${one.evidence?.text ?? findingWords(one.finding).means} /></p>`)}${rows.length > 5 ? html`<p>and ${rows.length - 5} more</p>` : ""}
    ${step && html`<div class="next"><p>${step}</p><${Copy} text=${step} label="Copy step" /></div>`}
    <${StopCommand} rows=${rows} />
    <p class="acts"><${ActButton} kind="primary" mark="release" onClick=${async () => (await actions()).release(rows)}>Release…<//>
      ${canAskToStop() && html`<${ActButton} onClick=${async () => (await actions()).askToStop(row.plugin)}>Ask to stop…<//>`}
      ${row.acknowledged ? html`<${ActButton} onClick=${async () => (await actions()).unacknowledge(rows)}>Take back acknowledgement…<//>` : html`<${ActButton} onClick=${async () => (await actions()).acknowledge(rows)}>Acknowledge…<//>`}
      <${ActButton} onClick=${async () => (await actions()).keepUntil(rows)}>Keep until…<//></p></div>`;
}

/** @param {{rows: Row[], first: boolean, open: boolean}} props */
function Finding({ rows, first, open }) {
  const [row] = rows;
  const { word, shape, tone, means } = findingWords(row.finding);
  const cost = spent(row);
  const since = row.evidence?.since ?? row.left_at ?? row.held_since;
  const key = rowKey(row);
  const known = row.usd_per_hour !== null && row.usd_per_hour !== undefined;
  return html`<li class=${`f ${tone} ${first ? "first" : ""} ${row.acknowledged ? "acked" : ""}`} data-key=${key} data-copy=${row.id}>
    <div class="kind"><p><${Badge} tone=${tone} shape=${shape} title=${means}>${word}<//></p>
      <button type="button" class="fold" aria-expanded=${open} onClick=${() => setQuery({ open: open ? "none" : key }, true)}>${open ? "▾" : "▸"} Evidence<span class="vh"> and next step of ${key}</span></button></div>
    <${What} rows=${rows} />
    <p class="money price"><strong>${known ? usd(row.usd_per_hour) : "–"}</strong><small>${known ? "an hour" : row.kind === "remote" ? "price not known" : "no price"}</small></p>
    <p class="money spent"><strong>${cost ? usdRange(...cost) : "–"}</strong><small>${cost ? (row.spent_usd ? "spent" : "spent when found") : ""}</small></p>
    <p class="since"><strong><${Age} at=${since} /></strong><small>since <${Time} at=${since} /></small></p>
    ${open && html`<${Evidence} rows=${rows} />`}</li>`;
}

/** @param {{rows: Row[], open?: string, total: number, more: boolean}} props */
export function Findings({ rows, open, total, more }) {
  const groups = grouped(rows);
  const ghosts = rows.filter((row) => row.finding === "ghost" && !row.acknowledged).length;
  const cut = groups.length > SHOWN || more;
  return html`<ol class="findings">${groups.slice(0, SHOWN).map((group, i) => {
    const key = rowKey(group[0]);
    return html`<${Finding} key=${key} rows=${group} first=${i === 0} open=${open ? open === key : i === 0 && !group[0].acknowledged} />`;
  })}</ol>
  ${(cut || ghosts > 1) && html`<p class="acts">${cut ? html`<span>The first ${Math.min(SHOWN, groups.length)} of ${more ? "more than " : ""}${count(total)}. <a href=${href("/resources", { finding: CARE })}>All findings</a></span>` : ""}
    ${ghosts > 1 && html`<${ActButton} onClick=${async () => (await actions()).releaseGhosts()}>Release all ${count(ghosts)} ghosts…<//>`}</p>`}`;
}
