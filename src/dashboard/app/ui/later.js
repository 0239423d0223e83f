// @ts-check
// A part whose module is loaded when it is first drawn: the first page stays small.
import { html, useEffect, useState } from "../lib.js";

/** @type {Map<string, any>} */
const loaded = new Map();

/** @param {{name: string, load: () => Promise<{default: any}>, [prop: string]: any}} props `name`: says which module it is; all other properties go to its default export */
export function Later({ name, load, ...props }) {
  const [, redraw] = useState(0);
  const [failed, setFailed] = useState("");
  useEffect(() => {
    if (!loaded.has(name)) load().then((module) => { loaded.set(name, module.default); redraw((n) => n + 1); }, () => setFailed(name));
  }, [name]);
  const Part = loaded.get(name);
  if (Part) return html`<${Part} key=${name} ...${props} />`;
  return failed === name ? html`<p role="alert">This part could not be loaded. Perhaps the registry was upgraded. <button type="button" onClick=${() => location.reload()}>Reload</button></p>` : html`<p class="soft loading">Loading …</p>`;
}
