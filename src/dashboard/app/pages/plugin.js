// @ts-check
// One plugin: its tabs, and what can be done with it as a whole.
import { html } from "../lib.js";
import { etagOf, path } from "../api.js";
import { asOf, here, href } from "../router.js";
import { useQuery } from "../store.js";
import { Later, Panel, Trouble } from "../ui/index.js";
import { StopState } from "../stopping.js";
import { PluginActions } from "./plugin-actions.js";

/** The tabs; each is loaded when it is first opened. @type {[string, string, () => Promise<{default: any}>][]} */
const TABS = [
  ["overview", "Overview", () => import("./plugin-overview.js")],
  ["holds", "Holds", () => import("./plugin-holds.js")],
  ["timeline", "Timeline", () => import("./plugin-timeline.js")],
  ["configuration", "Configuration", () => import("./plugin-configuration.js")],
  ["cost", "Cost", () => import("./plugin-cost.js")],
  ["json", "JSON", () => import("./plugin-json.js")],
];
/** Why there is no such plugin, and where it went. @param {{id: string, query: any}} props */
function Missing({ id, query }) {
  const history = useQuery(path`/plugins/${id}/history` + "?order=desc&limit=1", { now: true });
  const last = history.data?.items[0];
  return html`<${Trouble} error=${query.error} again=${query.reload} />
    ${last && html`<p>It was removed${last.principal ? html` by <em>${last.principal}</em>` : ""} at <time datetime=${last.time}>${new Date(last.time).toLocaleString()}</time>.
      <a href=${href(here({}).slice(1).split("?")[0], { as_of: Number(last.id) - 1 })}>Look at it before that</a> · <a href=${href("/events", { plugin: id })}>What happened</a></p>`}`;
}

/** @param {{route: import("../router.js").Route}} props */
export default function View({ route }) {
  const id = route.parts[1];
  const [tab, , load] = TABS.find(([name]) => name === route.query.tab) ?? TABS[0];
  const mine = (/** @type {import("../live.js").RegistryEvent} */ event) => event.subject === id;
  const query = useQuery(path`/plugins/${id}`, {
    when: mine, gap: 1_000, patch: (plugin, events) => events.filter(mine).reduce((old, event) => event.data?.plugin ?? old, plugin),
  });
  const plugin = query.data;
  return html`<div class="pagehead"><h1>${plugin?.title ?? id} <small><code>${id}</code></small></h1>${plugin && !asOf.value && html`<${PluginActions} plugin=${plugin} />`}</div>
    ${plugin && html`<${StopState} plugin=${plugin} />`}
    <nav class="tabs" aria-label="Parts of the plugin">${TABS.map(([name, title]) => html`<a href=${here({ tab: name === "overview" ? null : name, resource: null, cursor: null, page: null, open: null })} aria-current=${name === tab ? "page" : undefined}>${title}</a>`)}</nav>
    ${query.error?.status === 404 ? html`<${Missing} id=${id} query=${query} />` : html`<${Panel} bare query=${query}>${(/** @type {any} */ data) => html`<${Later} name=${"plugin " + tab} load=${load} id=${id} plugin=${data} etag=${etagOf(data)} query=${query} />`}<//>`}`;
}
