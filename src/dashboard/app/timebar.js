// @ts-check
// Time travel: a slider over revisions with buttons and a field, on every page. The address has `as_of`; Esc is now.
import { html, useEffect, useId, useState } from "./lib.js";
import { get } from "./api.js";
import { asOf, route, setQuery } from "./router.js";
import { revision } from "./live.js";
import { clock } from "./store.js";
import { timeSteps } from "./keys.js";
import { count, fullTime, shortTime } from "./format.js";
import { PAGES } from "./pages/index.js";
import { Later } from "./ui/index.js";

/** The time at which a revision was made. @param {string | null} at a revision or a time */
function useTimeOf(at) {
  const [time, setTime] = useState(/** @type {string | null} */ (null));
  useEffect(() => {
    if (!at || !/^\d+$/.test(at)) { setTime(at); return; }
    let ended = false;
    get(`/events?after=${Math.max(0, Number(at) - 1)}&until=${at}&limit=1`).then((page) => { if (!ended) setTime(page.items[0]?.time ?? null); }, () => { if (!ended) setTime(null); });
    return () => { ended = true; };
  }, [at]);
  return time;
}

/** The revision that a time stands for, for the slider. @param {string | null} at */
function useRevisionOf(at) {
  const [found, setFound] = useState(/** @type {number | null} */ (null));
  useEffect(() => {
    if (!at || /^\d+$/.test(at)) { setFound(at ? Number(at) : null); return; }
    let ended = false;
    get(`/events?to=${encodeURIComponent(at)}&order=desc&limit=1`).then((page) => { if (!ended) setFound(Number(page.items[0]?.id ?? page.compact_revision ?? 0)); }, () => { if (!ended) setFound(null); });
    return () => { ended = true; };
  }, [at]);
  return found;
}

/** The oldest revision that can be looked at. */
function useHorizon() {
  const [horizon, setHorizon] = useState(0);
  useEffect(() => { get("/events?limit=1").then((page) => setHorizon(page.compact_revision ?? page.horizon ?? 0), () => {}); }, []);
  return horizon;
}

export function TimeBar() {
  const at = useRevisionOf(asOf.value);
  const horizon = useHorizon();
  const newest = revision.value;
  const [drag, setDrag] = useState(/** @type {number | null} */ (null));
  const shown = drag ?? at ?? newest;
  const jump = (/** @type {number} */ to) => setQuery({ as_of: to >= newest ? null : Math.max(horizon, to), cursor: null, page: null });
  timeSteps.step = (by) => { if (asOf.value || by < 0) jump(shown + by); };
  return html`<div class="when" role="group" aria-label="Look back in time">
    <button type="button" aria-label="One event back" title="One event back ( [ )" disabled=${shown <= horizon} onClick=${() => timeSteps.step(-1)}>◀</button>
    <input type="range" aria-label="Revision to look at" min=${horizon} max=${newest} step="1" value=${shown} aria-valuetext=${at === null && drag === null ? "now" : `revision ${count(shown)}`}
      onInput=${(/** @type {any} */ event) => setDrag(Number(event.target.value))}
      onChange=${(/** @type {any} */ event) => { setDrag(null); jump(Number(event.target.value)); }} />
    <button type="button" aria-label="One event on" title="One event on ( ] )" disabled=${!asOf.value} onClick=${() => timeSteps.step(1)}>▶</button>
    <span class="at">${at === null && drag === null ? (asOf.value ? shortTime(asOf.value, clock.value) : "now") : `rev. ${count(shown)}`}</span></div>`;
}

/** @param {string} time in ISO form, as `datetime-local` wants it */
function local(time) {
  const at = new Date(time);
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** The amber bar that says which past the page shows. */
export function PastBanner() {
  const at = asOf.value;
  const time = useTimeOf(at);
  const id = useId();
  const [comparing, setComparing] = useState(false);
  if (!at) return null;
  const [first = ""] = route.value.parts;
  return html`<section class="pastbar" aria-label="Looking at the past">
    <p><strong>You look at ${time ? fullTime(time) : `revision ${at}`}</strong>${time && /^\d+$/.test(at) ? html`<small> revision ${count(Number(at))}</small>` : ""}
      ${PAGES.find(({ path }) => path === first)?.past ? "" : html`<small> This page always shows now.</small>`}</p>
    <p class="acts"><label class="vh" for=${id}>Another time</label><input id=${id} type="datetime-local" value=${time ? local(time) : ""}
        onChange=${(/** @type {any} */ event) => { const to = new Date(event.target.value); if (!Number.isNaN(to.getTime())) setQuery({ as_of: to.toISOString(), cursor: null, page: null }); }} />
      <button type="button" onClick=${() => setComparing(true)}>Compare with now</button>
      <button type="button" class="primary" onClick=${() => setQuery({ as_of: null, cursor: null, page: null })}>Back to now <kbd>Esc</kbd></button></p>
    ${comparing && html`<${Later} name="compare" load=${() => import("./compare.js")} at=${at} onClose=${() => setComparing(false)} />`}
  </section>`;
}
