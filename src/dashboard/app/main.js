// @ts-check
/*
 * The dashboard: where it begins, and what the other modules may rely on.
 *
 *   lib.js      html`…`, Preact's hooks and signals. Nothing else imports from vendor/ (charts import vendor/uplot.js).
 *   api.js      request/get(path) → document or ApiError{problem, status, uncertain}; path`/plugins/${id}`; withQuery(path, params);
 *               has("GET /hosts"), has("GET /costs", "step"), takesReasons(): what this server offers.
 *   router.js   route.value{path, parts, query}; href(path, query), pluginHref(id, query); setQuery(changes), here(changes); asOf.value.
 *   store.js    useQuery(path, {when, gap, every, patch, now}) → {data, error, loading, at, reload}; it adds as_of by itself.
 *               who.value{name, role, scope, may}; ready.value (/readyz); clock.value, slow.value (server's ms); stale.value;
 *               setting(name, otherwise), keepSetting(name, value).
 *   live.js     connection, revision, recent (signals); onEvents(events => …) at most 4 times a second.
 *   act.js      act({label, method, path, body, etag, reason, need: "write" | "admin", plain, type, undo}): the one way of every write;
 *               refusal(need) → why not; hidden(need) → leave it out.
 *   ui/index.js Panel{title, aside, query, children: nodes or data => nodes}, Trouble{error}, Guard; Table{caption, columns, rows, id, sort,
 *               sortHere, foot, onOpen}, Pages, paged; Badge, Money, Age, Time, Id, PluginLink, Copy, Command, EmptyState, Note;
 *               Dialog, ask({title, text, fields, confirm, danger, typed, run}) → values or null; Input{field, value, onChange}; ActButton{need}.
 *   format.js   usd, usdRange, count, span, shortTime, fullTime, plural, shortId.
 *   words.js    what a finding, an event or a state is called, with shape and tone.
 *
 * A page is `pages/<name>.js`, listed in pages/index.js, and exports `default function View({ route })`; it draws its own <h1>. A plugin's tab is
 * `pages/plugin-<tab>.js` and exports `default function Tab({ id, plugin, etag, query })`: `query` is the query of the plugin.
 * Styles: classes of style/*.css; charts.css is for plots. No style attributes in markup (Preact sets `style={…}` by the CSSOM, which is allowed).
 */
import { html, render } from "./lib.js";
import { firstRevision, readFeatures } from "./api.js";
import { startToken } from "./token.js";
import { readReady, readWho } from "./store.js";
import { watch } from "./live.js";
import { startKeys } from "./keys.js";
import { startTheme } from "./theme.js";
import { Shell } from "./shell.js";

startTheme();
startToken();
addEventListener("hashchange", startToken);
startKeys();
const root = /** @type {HTMLElement} */ (document.getElementById("app"));
root.replaceChildren();
render(html`<${Shell} />`, root);

/** Who is asking, what the server offers, and how it is; then the stream begins after the oldest revision that any list was made from. */
async function start() {
  await Promise.all([readFeatures().then(readWho), readReady()]);
  watch(firstRevision());
}
start();
setInterval(() => { if (!document.hidden) readReady(); }, 10_000);
