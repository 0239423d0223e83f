// @ts-check
// Colours for canvases: a canvas knows no variables of CSS, so each is resolved by an element, and again when the theme changes.
import { useEffect, useState } from "../lib.js";

/** @param {string} name of a variable, such as `--chart-1` @returns {string} */
export function colour(name) {
  const probe = document.createElement("span");
  probe.hidden = true;
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

/** A number that changes with the theme, so that plots are drawn anew. @returns {number} */
export function useThemeChanges() {
  const [changes, setChanges] = useState(0);
  useEffect(() => {
    const changed = () => setChanges((old) => old + 1);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const chosen = new MutationObserver(changed);
    dark.addEventListener("change", changed);
    chosen.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    return () => { dark.removeEventListener("change", changed); chosen.disconnect(); };
  }, []);
  return changes;
}
