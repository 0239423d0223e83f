// @ts-check
// The page that the route names, and what the title and the icon say on every page.
import { html, useEffect, useState } from "./lib.js";
import { route } from "./router.js";
import { pageOf } from "./pages/index.js";

/** What the title says before the page's name: what needs care. */
let alarm = "";

/** The title and the icon tell what needs care, on every page. @param {string} text "" for nothing */
export function setAlarm(text) {
  alarm = text;
  retitle();
  const icon = /** @type {HTMLLinkElement | null} */ (document.getElementById("icon"));
  if (icon) icon.href = icon.href.replace(/icon(-bad)?\.svg$/, text ? "icon-bad.svg" : "icon.svg");
}

function retitle() {
  document.title = [alarm, pageOf(route.peek().parts)?.name, "plugin-registry"].filter(Boolean).join(" · ");
}

/** @type {Map<string, any>} */
const loaded = new Map();

export function View() {
  const { parts, path } = route.value;
  const page = pageOf(parts);
  const id = page?.id ?? "";
  const [, redraw] = useState(0);
  const [failed, setFailed] = useState("");
  useEffect(retitle, [path]);
  useEffect(() => {
    setFailed("");
    if (!page || loaded.has(id)) return;
    page.load().then((module) => { loaded.set(id, module.default); redraw((n) => n + 1); }, () => setFailed(path));
  }, [path]);
  if (!page) return html`<h1>No such page</h1><p><a href="#/">Go to Now</a></p>`;
  if (failed === path) return html`<h1>${page.name}</h1><p>This page could not be loaded. Perhaps the registry was upgraded. <button type="button" onClick=${() => location.reload()}>Reload</button></p>`;
  const Page = loaded.get(id);
  return Page ? html`<${Page} key=${id} route=${route.value} />` : html`<p class="soft loading">Loading …</p>`;
}
