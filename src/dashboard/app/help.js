// @ts-check
// The keys, and the switch that turns single keys off.
import { html } from "./lib.js";
import { HELP, keysOn, setKeys } from "./keys.js";
import { server } from "./live.js";
import { base } from "./api.js";
import { Dialog } from "./ui/index.js";

/** @param {{onClose: () => void}} props */
export default function Help({ onClose }) {
  return html`<${Dialog} title="Keys and help" onClose=${onClose}>
    <dl class="keys">${HELP.map(([keys, what]) => html`<div><dt>${keys.split(" ").map((key) => (key === "then" ? " then " : html`<kbd>${key}</kbd> `))}</dt><dd>${what}</dd></div>`)}</dl>
    <p class="field check"><label for="keyson">Single keys do something</label><input id="keyson" type="checkbox" checked=${keysOn.value}
      onChange=${(/** @type {any} */ event) => setKeys(event.target.checked)} /></p>
    <p class="soft">${server.value.version ? `plugin-registry ${server.value.version}. ` : ""}<a href=${new URL("docs/", base).href}>API browser</a> · <a href=${new URL("openapi.json", base).href}>Description of the API</a></p>
  <//>`;
}
