// @ts-check
// How filters, lists and times stand in the fields of dialogs.

/** `key=value` in each line, as filters: more values of a key stand in more lines. @param {string} text @returns {Record<string, any>} */
export function parseFilters(text) {
  /** @type {Record<string, string[]>} */
  const all = {};
  for (const line of text.split("\n").map((one) => one.trim()).filter(Boolean)) {
    const at = line.indexOf("=");
    const [key, value] = at < 0 ? [line, ""] : [line.slice(0, at).trim(), line.slice(at + 1).trim()];
    (all[key] ??= []).push(value);
  }
  return Object.fromEntries(Object.entries(all).map(([key, values]) => [key, values.length === 1 ? values[0] : values]));
}

/** @param {Record<string, any> | undefined} filters @returns {string} */
export const filterLines = (filters) => Object.entries(filters ?? {}).flatMap(([key, value]) => (Array.isArray(value) ? value : [value]).map((one) => `${key}=${one}`)).join("\n");

/** Words or numbers with commas, spaces or lines between them. @param {string} text @returns {string[]} */
export const parseList = (text) => text.split(/[\s,]+/).filter(Boolean);

/** What a merge patch needs so that an object becomes another. @param {Record<string, any>} old @param {Record<string, any>} next */
export const patchOf = (old, next) => ({ ...Object.fromEntries(Object.keys(old ?? {}).filter((key) => !(key in next)).map((key) => [key, null])), ...next });

/** @param {string} local of a datetime-local field @returns {string | null} */
export const isoOf = (local) => (local ? new Date(local).toISOString() : null);

export const MERGE = "application/merge-patch+json";
export const FILTER_HINT = "One filter of GET /plugins in a line, such as label.team=speech; empty for all plugins.";
