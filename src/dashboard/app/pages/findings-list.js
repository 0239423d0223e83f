// @ts-check
// Findings as sentences: what it is, whose, what it costs, since when; under each its evidence, the next step, and what can be done.
import { html } from "../lib.js";
import { spent } from "../findings.js";
import { acknowledge, askToStop, canAskToStop, keepUntil, release, releaseGhosts, rowKey, StopCommand, unacknowledge } from "../actions.js";
import { ActButton, Age, Badge, Copy, Id, PluginLink, Prose, Time } from "../ui/index.js";
import { findingWords, resourceWords } from "../words.js";
import { count, usd, usdRange } from "../format.js";
import { href, setQuery } from "../router.js";

const SHOWN = 100;

/** @param {{row: import("../findings.js").Row, first: boolean, open: boolean}} props */
function Finding({ row, first, open }) {
  const { word, shape, tone, means } = findingWords(row.finding);
  const cost = spent(row);
  const since = row.evidence?.since ?? row.left_at ?? row.held_since;
  const key = rowKey(row);
  const fold = (/** @type {any} */ event) => { if (event.currentTarget.open !== open) setQuery({ open: event.currentTarget.open ? key : first ? "none" : null }, true); };
  return html`<li class=${`f ${tone} ${first ? "first" : ""} ${row.acknowledged ? "acked" : ""}`} data-key=${key} data-copy=${row.id}>
    <p class="kind"><${Badge} tone=${tone} shape=${shape} title=${means}>${word}<//></p>
    <div class="what"><p><strong>${resourceWords(row)}</strong> ${row.provider ?? ""} <${Id} id=${row.id} /></p>
      <p class="sub"><${PluginLink} id=${row.plugin} />${row.host ? html` · <a href=${href("/resources", { host: row.host })}>${row.host}</a>` : ""}${row.claimed_by?.principal ? html` · claimed by <em>${row.claimed_by.principal}</em>` : ""}${
        row.lease ? html` · lease ${row.lease.state}` : ""}${row.claim === "left_behind" ? " · left behind" : ""}${row.acknowledged ? html` · acknowledged until <${Time} at=${row.acknowledged.until} />: “${row.acknowledged.reason}”` : ""}</p></div>
    <p class="money price"><strong>${usd(row.usd_per_hour)}</strong><small>${row.usd_per_hour === null || row.usd_per_hour === undefined ? (row.kind === "remote" ? "price not known" : "no price") : "an hour"}</small></p>
    <p class="money spent"><strong>${cost ? usdRange(...cost) : "–"}</strong><small>${cost ? "spent" : ""}</small></p>
    <p class="since"><strong><${Age} at=${since} /></strong><small>since <${Time} at=${since} /></small></p>
    <details open=${open} onToggle=${fold}><summary>Evidence and next step</summary><div class="evidence">
      <p><${Prose} text=${row.evidence?.text ?? means} /></p>
      ${row.evidence?.next_step && html`<div class="next"><p>${row.evidence.next_step}</p><${Copy} text=${row.evidence.next_step} label="Copy step" /></div>`}
      <${StopCommand} row=${row} />
      <p class="acts"><${ActButton} kind="primary" mark="release" onClick=${() => release([row])}>Release…<//>
        ${canAskToStop() && html`<${ActButton} onClick=${() => askToStop(row.plugin)}>Ask to stop…<//>`}
        ${row.acknowledged ? html`<${ActButton} onClick=${() => unacknowledge(row)}>Take back acknowledgement…<//>` : html`<${ActButton} onClick=${() => acknowledge(row)}>Acknowledge…<//>`}
        <${ActButton} onClick=${() => keepUntil(row)}>Keep until…<//></p>
    </div></details></li>`;
}

/** @param {{rows: import("../findings.js").Row[], open?: string, total: number, more: boolean}} props */
export function Findings({ rows, open, total, more }) {
  const ghosts = rows.filter((row) => row.finding === "ghost" && !row.acknowledged).length;
  return html`<ol class="findings">${rows.slice(0, SHOWN).map((row, i) => {
    const key = rowKey(row);
    return html`<${Finding} key=${key} row=${row} first=${i === 0} open=${open ? open === key : i === 0 && !row.acknowledged} />`;
  })}</ol>
  ${(rows.length > SHOWN || more || ghosts > 1) && html`<p class="acts">${rows.length > SHOWN || more ? html`<span>The first ${Math.min(SHOWN, rows.length)} of ${more ? "more than " : ""}${count(total)}. <a href=${href("/resources", { finding: "orphan,overdue,reused,ghost" })}>All findings</a></span>` : ""}
    ${ghosts > 1 && html`<${ActButton} onClick=${releaseGhosts}>Release all ${count(ghosts)} ghosts…<//>`}</p>`}`;
}
