// @ts-check
// All plugins: the API's own filters with completion, columns to choose, views to keep.
import { html, useId, useMemo, useState } from "../lib.js";
import { base, withQuery } from "../api.js";
import { go, here, pluginHref, setQuery } from "../router.js";
import { keepSetting, patchPlugins, setting, useQuery } from "../store.js";
import { Chips, NothingFound, active, valuesOf } from "../filters.js";
import { Age, Badge, Command, EmptyState, Id, PAGE, Pages, Panel, PluginLink, Table, ask } from "../ui/index.js";
import { findingWords, stateWords } from "../words.js";
import { plural, usd } from "../format.js";

const YES_NO = ["true", "false"];
/** The filters of GET /plugins, with the values that are always the same. @type {Record<string, string[]>} */
const FILTERS = {
  active: YES_NO, billable: YES_NO, configured: YES_NO, verified: YES_NO, execution: ["local", "cloud"], finding: ["orphan", "overdue", "reused", "ghost", "unverified"],
  status_class: ["starting", "running", "stopping", "off", "unknown"], category: [], name: [], execution_mode: [], provider: [], status: [], gpu_type: [], host: [], lease_id: [], pid: [], container_id: [], q: [], updated_since: [],
};
const NAMES = Object.keys(FILTERS);

/** @param {any} plugin @returns {string[]} the kinds of findings, the worst first */
const findingsOf = (plugin) => [...new Set((plugin.observed?.resources ?? []).map((/** @type {any} */ one) => one.finding?.finding).filter(Boolean))].map(String)
  .sort((a, b) => Object.keys({ orphan: 1, overdue: 1, reused: 1, ghost: 1 }).indexOf(a) - Object.keys({ orphan: 1, overdue: 1, reused: 1, ghost: 1 }).indexOf(b));

/** @param {any} plugin */
function holds(plugin) {
  const parts = [];
  if (plugin.spawned_pids?.length) parts.push(plural(plugin.spawned_pids.length, "process", "processes"));
  if (plugin.container_id) parts.push("container");
  if (plugin.remote_resource) parts.push(plugin.remote_resource.gpu_type ? `${plugin.remote_resource.gpu_count ?? 1} × ${plugin.remote_resource.gpu_type}` : "machine");
  if (plugin.observed?.left_behind) parts.push(`${plugin.observed.left_behind} left behind`);
  return parts.length ? parts.join(", ") : html`<span class="soft">nothing</span>`;
}

/** @type {import("../ui/table.js").Column<any>[]} */
const COLUMNS = [
  { key: "title", title: "Plugin", sort: "title", head: true, wide: true, cell: (row) => html`<${PluginLink} id=${row.unique_id} title=${row.title} /><small><code>${row.unique_id}</code></small>` },
  { key: "category", title: "Category", sort: "category", cell: (row) => html`<a href=${here({ category: row.category, cursor: null, page: null })}>${row.category}</a>` },
  { key: "mode", title: "Mode", sort: "execution_mode", cell: (row) => row.execution_mode },
  { key: "holds", title: "Holds", cell: holds },
  { key: "finding", title: "Finding", cell: (row) => html`${findingsOf(row).map((kind) => html`<${Badge} tone=${findingWords(kind).tone} shape=${findingWords(kind).shape}>${findingWords(kind).word}<//> `)}${findingsOf(row).length ? "" : html`<span class="soft">–</span>`}` },
  { key: "status", title: "Status", cell: (row) => (row.remote_resource ? html`<${Badge} tone=${stateWords(row.status_class).tone} shape=${stateWords(row.status_class).shape}>${row.remote_resource.status}<//>` : html`<span class="soft">–</span>`) },
  { key: "configured", title: "Configured", sort: "is_configured", cell: (row) => (row.is_configured ? "yes" : html`<span class="soft">no</span>`) },
  { key: "host", title: "Host", sort: "host", cell: (row) => row.host ?? html`<span class="soft">–</span>` },
  { key: "labels", title: "Labels", cell: (row) => html`<span class="tags">${Object.entries(row.labels ?? {}).slice(0, 6).map(([key, value]) => html`<a class="tag" href=${here({ ["label." + key]: value, cursor: null, page: null })}>${key}=${String(value)}</a>`)}</span>` },
  { key: "version", title: "Version", sort: "version", cell: (row) => row.version ?? html`<span class="soft">–</span>` },
  { key: "lease", title: "Lease", cell: (row) => html`<${Id} id=${row.lease_id} most=${12} />` },
  { key: "price", title: "$/h", num: true, cell: (row) => (row.billable ? (row.remote_resource?.estimated_cost_per_hour ?? null) === null ? html`<span class="soft">no price</span>` : usd(row.remote_resource.estimated_cost_per_hour) : html`<span class="soft">–</span>`) },
  { key: "updated", title: "Changed", num: true, sort: "updated_at", cell: (row) => html`<${Age} at=${row.updated_at} ago />` },
];
const USUAL = ["title", "category", "mode", "holds", "finding", "configured", "labels", "price", "updated"];

/** Values to complete: from the counts of the server, and from the rows that are shown. @param {any[]} rows @param {any} stats */
function completions(rows, stats) {
  const some = (/** @type {(row: any) => any} */ by) => [...new Set(rows.map(by).filter(Boolean).map(String))].slice(0, 50);
  const values = {
    ...FILTERS, category: Object.keys(stats?.by_category ?? {}), execution_mode: Object.keys(stats?.by_execution_mode ?? {}), provider: Object.keys(stats?.by_provider ?? {}),
    status: some((row) => row.remote_resource?.status), gpu_type: some((row) => row.remote_resource?.gpu_type), host: some((row) => row.host), name: some((row) => row.name),
  };
  const labels = rows.flatMap((row) => Object.entries(row.labels ?? {}).map(([key, value]) => `label.${key}=${value}`));
  return [...Object.entries(values).flatMap(([name, all]) => (all.length ? all.map((value) => `${name}=${value}`) : [`${name}=`])), ...new Set(labels)].slice(0, 400);
}

/** One box for every filter: `name=value`, or words to look for. @param {{rows: any[], stats: any}} props */
function FilterBar({ rows, stats }) {
  const [text, setText] = useState("");
  const [wrong, setWrong] = useState("");
  const id = useId();
  const options = useMemo(() => completions(rows, stats), [rows, stats]);
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    const match = /^\s*([\w.-]+)\s*[=:]\s*(.+?)\s*$/.exec(text);
    const name = match?.[1] ?? "q";
    const value = match?.[2] ?? text.trim();
    if (!value) return;
    if (!NAMES.includes(name) && !name.startsWith("label.")) { setWrong(`There is no filter “${name}”. There are: ${NAMES.join(", ")}, label.<key>.`); return; }
    const old = name === "q" ? [] : valuesOf(name);
    setQuery({ [name]: [...new Set([...old, value])].join(","), cursor: null, page: null });
    setText("");
    setWrong("");
  };
  return html`<form class="filters" onSubmit=${submit}><label class="grow">Filter<input list=${id} data-filter="" value=${text} placeholder="words, or active=true, category=ocr, label.team=speech …" autocomplete="off" spellcheck=${false}
      onInput=${(/** @type {any} */ event) => setText(event.target.value)} /></label><datalist id=${id}>${options.map((one) => html`<option value=${one} />`)}</datalist><button>Filter</button>
    <${Views} />${wrong && html`<p role="alert" class="grow">${wrong}</p>`}</form>`;
}

/** Filters that are kept in this browser under a name. */
function Views() {
  const [views, setViews] = useState(() => setting("views", /** @type {Record<string, string>} */ ({})));
  const keep = (/** @type {Record<string, string>} */ next) => { setViews(next); keepSetting("views", next); };
  const choose = async (/** @type {any} */ event) => {
    const value = event.target.value;
    event.target.value = "";
    if (value === "+") await ask({ title: "Keep this view", text: html`<p>The filters, the order and the columns are kept in this browser under a name.</p>`, fields: [{ name: "name", label: "Name", required: true, maxlength: 60 }], confirm: "Keep",
      run: async ({ name }) => keep({ ...views, [name]: location.hash }) });
    else if (value === "-") await ask({ title: "Forget a view", fields: [{ name: "name", label: "View", options: Object.keys(views).map((name) => [name, name]), value: Object.keys(views)[0] }], confirm: "Forget",
      run: async ({ name }) => { const { [name]: _, ...rest } = views; keep(rest); } });
    else if (views[value]) go(views[value]);
  };
  return html`<label>Views<select onChange=${choose}><option value="">choose …</option>${Object.keys(views).map((name) => html`<option value=${name}>${name}</option>`)}
    <option value="+">Keep this one …</option>${Object.keys(views).length ? html`<option value="-">Forget one …</option>` : ""}</select></label>`;
}

/** Which columns are shown. @param {{shown: string[]}} props */
function Chooser({ shown }) {
  return html`<details class="chooser"><summary>Columns</summary><div class="chips">${COLUMNS.map(({ key, title, head }) => !head && html`<label class="chip"><input type="checkbox" checked=${shown.includes(key)}
    onChange=${() => setQuery({ columns: COLUMNS.map((one) => one.key).filter((one) => (one === key) !== shown.includes(one)) }, true)} /> ${title}</label>`)}</div></details>`;
}

/** @param {{route: import("../router.js").Route}} props */
export default function View({ route }) {
  const { query } = route;
  const filters = Object.fromEntries(active(NAMES).map(([name, value]) => [name, name === "q" ? [value] : value.split(",")]));
  const list = useQuery(withQuery("/plugins", { ...filters, limit: PAGE, cursor: query.cursor, sort: query.sort }), { when: (event) => /^(plugin|remote_resource|finding|resource|config)\./.test(event.type), patch: patchPlugins });
  const stats = useQuery("/stats", { when: (event) => /^plugin\.(registered|removed)$/.test(event.type) });
  const shown = query.columns ? query.columns.split(",") : USUAL;
  const columns = COLUMNS.filter(({ key, head }) => head || shown.includes(key));
  const rows = list.data?.items ?? [];
  const empty = () => (active(NAMES).length ? html`<${NothingFound} names=${NAMES} hidden=${stats.data?.total} />` : html`<${EmptyState} title="No plugin is registered yet."><p>An application registers what it runs:</p>
    <${Command}>${`curl -s ${base.href}plugins -H 'Content-Type: application/json' -d '{"category":"demo","name":"worker","title":"Demo","config_schema":{},"execution_mode":"subprocess"}'`}<//><//>`);
  return html`<div class="pagehead"><h1>Plugins${list.data ? html` <small>${plural(list.data.total ?? rows.length, "plugin")}</small>` : ""}</h1></div>
    <${FilterBar} rows=${rows} stats=${stats.data} /><${Chips} names=${NAMES} />
    <${Panel} query=${list} aside=${html`<${Chooser} shown=${shown} />`}>${(/** @type {any} */ data) => (rows.length ? html`<${Table} caption="Plugins" columns=${columns} rows=${rows} id=${(/** @type {any} */ row) => row.unique_id}
      sort=${query.sort ?? "unique_id"} onOpen=${(/** @type {any} */ row) => go(pluginHref(row.unique_id))} /><${Pages} total=${data.total} shown=${rows.length} next=${data.next_cursor} />` : empty())}<//>`;
}
