// @ts-check
// The document as the server sent it, and the command that gives it.
import { html } from "../lib.js";
import { base, path } from "../api.js";
import { asOf } from "../router.js";
import { Command, Copy, Panel } from "../ui/index.js";

/** @param {{id: string, plugin: any}} props */
export default function Tab({ id, plugin }) {
  const text = JSON.stringify(plugin, null, 2);
  const address = new URL(path`plugins/${id}` + (asOf.value ? `?as_of=${encodeURIComponent(asOf.value)}` : ""), base).href;
  return html`<${Panel} title="As the registry sends it" aside=${html`<${Copy} text=${text} />`}>
    <${Command}>${`curl -s '${address}'${"" /* the token is never shown */} -H "Authorization: Bearer $PLUGIN_REGISTRY_TOKEN"`}<//>
    <pre class="json" tabindex="0">${text}</pre><//>`;
}
