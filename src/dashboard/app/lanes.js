// @ts-check
// What a plugin held over the last day: a lane for each resource. Claimed is an outline, seen alive is filled, a finding is an edge below.
import { html } from "./lib.js";
import { has, withQuery } from "./api.js";
import { slow, useQuery } from "./store.js";
import { Panel } from "./ui/index.js";
import { findingWords, stateWords } from "./words.js";
import { plural, shortId, shortTime } from "./format.js";

const SHOWN = 30;
/** @param {string} state */
const seenClass = (state) => (state === "alive" ? "alive" : state === "gone" ? "gone" : "unsure");

/** @param {{lane: any, from: number, to: number}} props */
function Lane({ lane, from, to }) {
  const x = (/** @type {string | null} */ at) => (((at === null ? to : Math.max(from, Date.parse(at))) - from) / (to - from)) * 600;
  const bar = (/** @type {any} */ span, /** @type {string} */ name, /** @type {number} */ y, /** @type {number} */ height) => html`<rect class=${name} x=${x(span.from)} y=${y} width=${Math.max(1, x(span.to) - x(span.from))} height=${height} />`;
  return html`<svg viewBox="0 0 600 16" preserveAspectRatio="none" aria-hidden="true">${lane.seen.map((/** @type {any} */ span) => bar(span, seenClass(span.state), 3, 8))}
    ${lane.claims.map((/** @type {any} */ span) => bar(span, span.claim === "claimed" ? "claim" : "left", 2, 10))}${lane.findings.filter((/** @type {any} */ span) => span.finding !== "unverified").map((/** @type {any} */ span) => bar(span, "bad", 13, 3))}</svg>`;
}

/** The same in words. @param {any} lane @param {number} now */
function told(lane, now) {
  const span = (/** @type {any} */ one) => `${shortTime(one.from, now)} – ${one.to ? shortTime(one.to, now) : "now"}`;
  return [...lane.claims.map((/** @type {any} */ one) => [span(one), one.claim.replace("_", " ")]), ...lane.seen.map((/** @type {any} */ one) => [span(one), `seen ${stateWords(one.state).word}`]),
    ...lane.findings.map((/** @type {any} */ one) => [span(one), findingWords(one.finding).word.toLowerCase()])];
}

/** @param {{id: string}} props */
export function Lanes({ id }) {
  return has("GET /resources/spans") ? html`<${Drawn} id=${id} />` : null;
}

/** @param {{id: string}} props */
function Drawn({ id }) {
  const query = useQuery(withQuery("/resources/spans", { plugin: [id], limit: SHOWN }), { when: (event) => event.subject === id, now: true });
  return html`<${Panel} title="What it held, 24 hours" query=${query}>${(/** @type {any} */ data) => (data.items.length ? html`
    <p class="soft">${plural(data.items.length, "resource")}${data.is_cut ? " are shown; there were more" : ""}. An outline is claimed, a filled bar was seen alive, and a red edge is a finding.</p>
    <ul class="lanes">${data.items.map((/** @type {any} */ lane) => html`<li><span>${lane.kind} <code>${shortId(lane.id, 14)}</code></span><${Lane} lane=${lane} from=${Date.parse(data.from)} to=${Date.parse(data.to)} /></li>`)}</ul>
    <p class="axis" aria-hidden="true"><span>${shortTime(data.from, slow.value)}</span><span>${shortTime(data.to, slow.value)}</span></p>
    <details><summary>Show as table</summary><table><caption class="vh">What ${id} held</caption><thead><tr><th scope="col">What</th><th scope="col">When</th><th scope="col">State</th></tr></thead>
      <tbody>${data.items.flatMap((/** @type {any} */ lane) => told(lane, slow.value).map(([when, state]) => html`<tr><th scope="row">${lane.kind} <code>${shortId(lane.id, 14)}</code></th><td>${when}</td><td>${state}</td></tr>`))}</tbody></table></details>`
    : html`<p class="soft">It held nothing in the last 24 hours.</p>`)}<//>`;
}
