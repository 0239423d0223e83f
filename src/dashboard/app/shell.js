// @ts-check
// What every page stands in: navigation, the bar above, outcomes of actions, the page, and the dialogs.
import { html, useEffect, useState } from "./lib.js";
import { featuresKnown, loginNeeded, tokenIgnored } from "./api.js";
import { asOf, href, route } from "./router.js";
import { findings, useFindings } from "./findings.js";
import { findingWords } from "./words.js";
import { stale, useQuery } from "./store.js";
import { streamNote } from "./live.js";
import { DialogHost, Guard, Later, Note } from "./ui/index.js";
import { shellDialog } from "./keys.js";
import { count, usd } from "./format.js";
import { Connection } from "./connection.js";
import { TimeBar, PastBanner } from "./timebar.js";
import { Outcomes } from "./outcomes.js";
import { WhoIs } from "./who.js";
import { View, setAlarm } from "./view.js";
import { PAGES } from "./pages/index.js";

/** The numbers beside the names of pages. @returns {Record<string, string | null>} */
function useCounts() {
  useFindings();
  const stats = useQuery("/stats", { when: (event) => /^plugin\.(registered|removed)/.test(event.type) });
  const data = findings.value?.data;
  const open = data?.items.filter((row) => !row.acknowledged) ?? [];
  const [dearest] = open;
  const price = dearest?.usd_per_hour ? `${usd(dearest.usd_per_hour)}/h ` : "";
  const alarm = dearest && !asOf.value ? `(${count(open.length)}) ${price}${findingWords(dearest.finding).word.toLowerCase()}` : "";
  useEffect(() => setAlarm(alarm), [alarm]);
  return { "": open.length ? count(open.length) + (data?.more ? "+" : "") : null, plugins: stats.data?.total ? count(stats.data.total) : null };
}

function Nav() {
  const counts = useCounts();
  const here = route.value.parts[0] ?? "";
  return html`<nav class="side" aria-label="Pages">
    <a class="brand" href=${href("/")}><svg viewBox="0 0 20 20" aria-hidden="true"><path d="M10 1 18 5.5v9L10 19l-8-4.5v-9z" /><circle cx="10" cy="10" r="3" /></svg><span>plugin-registry</span></a>
    <ul>${PAGES.map(({ path, sign, name }) => html`<li><a href=${href("/" + path)} aria-current=${here === path ? "page" : undefined}>
      <i aria-hidden="true">${sign}</i>${name}${counts[path] ? html`<b class=${`badge ${path ? "" : "bad"}`}>${counts[path]}<span class="vh">${path === "" ? " findings" : " in all"}</span></b>` : ""}</a></li>`)}</ul>
    <${WhoIs} />
  </nav>`;
}

/** Below 640 px, the pages that have no place in the bar below. */
function More() {
  const [open, setOpen] = useState(false);
  useEffect(() => setOpen(false), [route.value.path]);
  return html`<div class="more"><button type="button" aria-expanded=${open} onClick=${() => setOpen(!open)}><i aria-hidden="true">⋯</i>More</button>
    ${open && html`<ul>${PAGES.slice(4).map(({ path, sign, name }) => html`<li><a href=${href("/" + path)}><i aria-hidden="true">${sign}</i>${name}</a></li>`)}
      <li><${WhoIs} /></li></ul>`}</div>`;
}

function Top() {
  return html`<header class="top"><${Connection} />
    <button type="button" class="find" onClick=${() => { shellDialog.value = "find"; }}><span>pid, container, instance, URL, plugin …</span><kbd>Ctrl K</kbd></button>
    <${TimeBar} /></header>`;
}

export function Shell() {
  const past = Boolean(route.value.query.as_of);
  useEffect(() => { document.body.classList.toggle("stale", stale.value); }, [stale.value]);
  useEffect(() => { document.body.classList.toggle("past", past); }, [past]);
  return html`<a class="skip" href="#main" onClick=${skip}>Skip to content</a>
    <${Nav} /><${More} /><${Top} />
    <main id="main" tabindex="-1">
      <${PastBanner} />
      ${streamNote.value && html`<div class="banner"><p role="status">${streamNote.value}</p><button type="button" onClick=${() => { streamNote.value = null; }}>Dismiss</button></div>`}
      ${tokenIgnored.value && html`<${Note} tone="warn">This registry has no tokens: it ignores the one that was sent, and every client may do everything.<//>`}
      <${Outcomes} />
      <${Guard} of=${route.value.path}>${featuresKnown.value || !route.value.parts.length ? html`<${View} />` : html`<p class="soft loading">Loading …</p>`}<//>
    </main>
    <${DialogHost} />
    ${shellDialog.value === "find" && html`<${Later} name="find" load=${() => import("./find.js")} onClose=${() => { shellDialog.value = null; }} />`}
    ${shellDialog.value === "help" && html`<${Later} name="help" load=${() => import("./help.js")} onClose=${() => { shellDialog.value = null; }} />`}
    ${loginNeeded.value && html`<${Later} name="login" load=${() => import("./login.js")} problem=${loginNeeded.value} />`}`;
}

/** The address is the page's state, so the link may not change it. @param {Event} event */
function skip(event) {
  event.preventDefault();
  /** @type {HTMLElement | null} */ (document.getElementById("main"))?.focus();
}
