// @ts-check
// Secrets of a configuration (`writeOnly`, `format: password`) are never drawn: a mask stands for each, and the saved value goes back in its place.
export const MASK = "********";

/** The schemas that may hold for a member. @param {any} schema @param {string} key @param {any} root @param {number} depth @returns {any[]} */
function within(schema, key, root, depth = 0) {
  if (!schema || typeof schema !== "object" || depth > 8) return [];
  const ref = typeof schema.$ref === "string" && schema.$ref.startsWith("#/")
    ? schema.$ref.slice(2).split("/").reduce((/** @type {any} */ at, /** @type {string} */ part) => at?.[part.replaceAll("~1", "/").replaceAll("~0", "~")], root) : null;
  const parts = [ref, schema.if, schema.then, schema.else, ...(schema.allOf ?? []), ...(schema.anyOf ?? []), ...(schema.oneOf ?? [])].filter(Boolean);
  const here = [schema.properties?.[key], schema.prefixItems?.[key], schema.items, schema.additionalProperties, ...Object.entries(schema.patternProperties ?? {}).map(([, value]) => value)];
  return [...here.filter((one) => one && typeof one === "object"), ...parts.flatMap((part) => within(part, key, root, depth + 1))];
}

/** @param {any[]} schemas @param {any} root @param {number} depth @returns {boolean} */
const isSecret = (schemas, root, depth = 0) => depth < 8 && schemas.some((one) => one && typeof one === "object" && (one.writeOnly === true || one.format === "password"
  || isSecret([...(one.allOf ?? []), ...(one.anyOf ?? []), ...(one.oneOf ?? []), ...(typeof one.$ref === "string" && one.$ref.startsWith("#/") ? [one.$ref.slice(2).split("/").reduce((/** @type {any} */ at, /** @type {string} */ part) => at?.[part], root)] : [])], root, depth + 1)));

/** Walks a value with its schemas; `change` gets each secret. @param {any} value @param {any[]} schemas @param {any} root @param {any} other @param {(value: any, other: any) => any} change @returns {any} */
function walk(value, schemas, root, other, change) {
  if (value === null || typeof value !== "object") return value;
  const entries = Object.entries(value).map(([key, member]) => {
    const inner = schemas.flatMap((schema) => within(schema, key, root));
    return [key, isSecret(inner, root) ? change(member, other?.[key]) : walk(member, inner, root, other?.[key], change)];
  });
  return Array.isArray(value) ? entries.map(([, member]) => member) : Object.fromEntries(entries);
}

/** @param {any} value @param {any} schema */
export const hideSecrets = (value, schema) => walk(value, [schema], schema, null, (member) => (member === null || member === undefined ? member : MASK));
/** @param {any} value @param {any} schema @param {any} saved what the masks stand for */
export const restoreSecrets = (value, schema, saved) => walk(value, [schema], schema, saved, (member, old) => (member === MASK && old !== undefined ? old : member));
