// @ts-check
// The page that the route names, and what the title and the icon say on every page.
import { html, useEffect } from "./lib.js";
import { route } from "./router.js";
import { pageOf } from "./pages/index.js";
import Now from "./pages/now.js";
import { Later } from "./ui/index.js";

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

export function View() {
  const { parts, path } = route.value;
  const page = pageOf(parts);
  useEffect(retitle, [path]);
  if (!page) return html`<h1>No such page</h1><p><a href="#/">Go to Now</a></p>`;
  return page.id === "" ? html`<${Now} route=${route.value} />` : html`<${Later} name=${"page " + page.id} load=${page.load} route=${route.value} />`;
}
