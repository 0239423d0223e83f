// @ts-check
// One word that always says how new the page is.
import { html, useEffect, useRef, useState } from "./lib.js";
import { replicaAge, skew } from "./api.js";
import { asOf } from "./router.js";
import { connection, retryNow, revision } from "./live.js";
import { clock, ready, stale } from "./store.js";
import { clockTime, count, span } from "./format.js";

/** @returns {{word: string, tone: string, more: string}} */
function words() {
  if (asOf.value) return { word: "looking at the past", tone: "warn", more: "" };
  const { word, at, retryAt } = connection.value;
  const asOfText = at ? ` · as of ${clockTime(at)}` : "";
  if (word === "denied") return { word: "no access", tone: "bad", more: asOfText };
  if (word === "paused") return { word: "paused", tone: "soft", more: asOfText };
  if (word === "connecting") return { word: "connecting", tone: "soft", more: "" };
  if (word === "offline" || word === "reconnecting") {
    const left = retryAt ? Math.ceil((retryAt - (clock.value - skew.value)) / 1000) : 0;
    return { word: word === "offline" ? "offline" : `reconnecting${left > 0 ? ` (${left} s)` : ""}`, tone: "bad", more: asOfText };
  }
  if (replicaAge.value) return { word: `replica ${span(replicaAge.value)} behind`, tone: "warn", more: "" };
  if (ready.value?.status === "read_only") return { word: "read only", tone: "warn", more: ready.value.reason ? `: ${ready.value.reason}` : "" };
  return { word: "live", tone: "ok", more: "" };
}

export function Connection() {
  const { word, tone, more } = words();
  const said = useSlowly(word.replace(/ \(\d+ s\)/, "") + more);
  return html`<div class=${`live ${tone}`}><span class="dot" aria-hidden="true"></span><strong>${word}</strong><span class="more-state">${more}</span>
    ${tone === "ok" && html`<small>revision ${count(revision.value)}</small>`}
    ${(word === "offline" || word.startsWith("reconnecting")) && html`<button type="button" class="small" onClick=${retryNow}>Try now</button>`}
    <span class="vh" role="status">${said}${stale.value ? ". Values may be old." : ""}</span></div>`;
}

/** Follows a text at most every 5 s, for people who hear it. @param {string} text */
function useSlowly(text) {
  const [said, setSaid] = useState(text);
  const last = useRef(0);
  useEffect(() => {
    const timer = setTimeout(() => { last.current = Date.now(); setSaid(text); }, Math.max(0, last.current + 5000 - Date.now()));
    return () => clearTimeout(timer);
  }, [text]);
  return said;
}
