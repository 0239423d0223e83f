// @ts-check
// What a plugin is: identity, labels, description, where it runs, and what it holds in one line each.
import { html } from "../lib.js";
import { href } from "../router.js";
import { Age, Badge, Id, Panel, Time } from "../ui/index.js";
import { stateWords } from "../words.js";
import { plural, usd } from "../format.js";
import { Holds } from "./plugin-holds.js";

const none = html`<span class="soft">–</span>`;

/** @param {{title: string, facts: [string, any][]}} props */
const Facts = ({ title, facts }) => html`<${Panel} title=${title}><dl class="facts">${facts.map(([name, value]) => html`<dt>${name}</dt><dd>${value ?? none}</dd>`)}</dl><//>`;

/** @param {any} plugin @returns {[string, any][]} */
function machine({ remote_resource: one, status_class: status }) {
  return [["Provider", html`<a href=${href("/plugins", { provider: one.provider })}>${one.provider}</a>${one.region ? ` · ${one.region}` : ""}`],
    ["Status", html`<${Badge} tone=${stateWords(status).tone} shape=${stateWords(status).shape}>${one.status}<//>`],
    ["Instance", one.instance_id && html`<${Id} id=${one.instance_id} most=${60} />`], ["Job", one.job_id && html`<${Id} id=${one.job_id} most=${60} />`],
    ["Type", [one.gpu_count && `${one.gpu_count} × ${one.gpu_type ?? "GPU"}`, one.resource_type].filter(Boolean).join(" · ") || null],
    ["Price", one.estimated_cost_per_hour === null ? null : `${usd(one.estimated_cost_per_hour)} an hour, as declared`],
    ["Endpoint", one.endpoint_url && html`<code>${one.endpoint_url}</code>`], ["SSH", one.ssh_host && html`<code>${one.ssh_host}:${one.ssh_port}</code>`]];
}

/** @param {{id: string, plugin: any}} props */
export default function Tab({ id, plugin }) {
  const labels = Object.entries(plugin.labels ?? {});
  return html`<${Holds} id=${id} short />
    <div class="two even"><${Facts} title="What it is" facts=${[
      ["Description", plugin.description], ["Category", html`<a href=${href("/plugins", { category: plugin.category })}>${plugin.category}</a>`], ["Name", plugin.name], ["Version", plugin.version],
      ["Labels", labels.length ? html`<span class="tags">${labels.map(([key, value]) => html`<a class="tag" href=${href("/plugins", { ["label." + key]: value })}>${key}=${String(value)}</a>`)}</span>` : null],
      ["Configured", plugin.is_configured ? "yes" : "no"], ["Registered", html`<${Time} at=${plugin.created_at} />`], ["Changed", html`<${Age} at=${plugin.updated_at} ago />, revision ${plugin.revision}`],
    ]} />
    <div class="part"><${Facts} title="Where it runs" facts=${[
      ["Mode", `${plugin.execution_mode}, ${plugin.is_local_execution ? "local" : "cloud"}`], ["Host", plugin.host && html`<a href=${href("/resources", { host: plugin.host })}>${plugin.host}</a>`],
      ["Processes", plugin.spawned_pids?.length ? plural(plugin.spawned_pids.length, "process", "processes") : null], ["Container", plugin.container_id && html`<${Id} id=${plugin.container_id} most=${40} />`],
      ["Conda", plugin.conda_env_name], ["Lease", plugin.lease_id && html`<a href=${href("/leases", { lease: plugin.lease_id })}><${Id} id=${plugin.lease_id} /></a>`],
    ]} />${plugin.remote_resource && html`<${Facts} title="Its machine" facts=${machine(plugin)} />`}</div></div>`;
}
