// @ts-check
// What of JSON Schema the form draws, and how. What it does not know becomes a field for JSON, so that nothing is lost.

/**
 * @typedef {any} Schema
 * @typedef {"object" | "array" | "union" | "choice" | "constant" | "secret" | "text" | "number" | "boolean" | "json"} Kind
 */

/** Keywords whose rules no form can show; the server checks them. */
const HARD = ["if", "then", "else", "not", "allOf", "patternProperties", "unevaluatedProperties", "unevaluatedItems", "dependentSchemas", "dependentRequired", "prefixItems", "propertyNames", "contains", "$dynamicRef"];
const DEEPEST = 12;

/** A schema with its local references followed; `$ref` to elsewhere stays. @param {Schema} schema @param {Schema} root @returns {Schema} */
export function resolved(schema, root, depth = 0) {
  if (!schema || typeof schema !== "object" || typeof schema.$ref !== "string" || depth > DEEPEST) return schema ?? true;
  if (schema.$ref !== "#" && !schema.$ref.startsWith("#/")) return schema;
  const parts = schema.$ref.split("/").slice(1).map((/** @type {string} */ part) => decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~"));
  const found = parts.reduce((/** @type {any} */ at, /** @type {string} */ part) => (at && Object.hasOwn(at, part) ? at[part] : undefined), root);
  if (found === undefined) return schema;
  const { $ref: _, ...beside } = schema;
  return { ...resolved(found, root, depth + 1), ...beside };
}

/** The types of a schema but null. @param {Schema} schema @returns {string[]} */
function typesOf(schema) {
  const types = Array.isArray(schema.type) ? schema.type : schema.type ? [schema.type] : schema.properties ? ["object"] : schema.items ? ["array"] : [];
  return types.filter((/** @type {string} */ type) => type !== "null");
}

/** The variants of a union that a person can tell apart: each has a title, or a constant that no other has. @param {Schema} schema @param {Schema} root @returns {{title: string, schema: Schema, of: [string, any] | null}[] | null} */
export function variantsOf(schema, root) {
  const list = schema.oneOf ?? schema.anyOf;
  if (!Array.isArray(list)) return null;
  const all = list.map((one) => resolved(one, root)).filter((one) => one?.type !== "null");
  const variants = all.map((one) => {
    const constant = Object.entries(one?.properties ?? {}).find(([, part]) => /** @type {any} */ (part)?.const !== undefined);
    return { title: String(one?.title ?? /** @type {any} */ (constant?.[1])?.const ?? ""), schema: one, of: constant ? /** @type {[string, any]} */ ([constant[0], /** @type {any} */ (constant[1]).const]) : null };
  });
  return variants.every(({ title }, at) => title && variants.findIndex((other) => other.title === title) === at) ? variants : null;
}

/** How a resolved schema is drawn. @param {Schema} schema @param {Schema} root @returns {Kind} */
export function kindOf(schema, root, depth = 0) {
  if (!schema || typeof schema !== "object" || depth > DEEPEST || HARD.some((word) => word in schema)) return "json";
  if (schema.writeOnly === true || schema.format === "password") return typesOf(schema).every((type) => type === "string") ? "secret" : "json";
  if (schema.const !== undefined) return "constant";
  if (Array.isArray(schema.enum)) return "choice";
  if (schema.oneOf ?? schema.anyOf) return variantsOf(schema, root) && !schema.properties ? "union" : "json";
  const [type, ...others] = typesOf(schema);
  if (others.length) return "json";
  if (type === "object") return schema.properties && Object.keys(schema.properties).length ? "object" : "json";
  if (type === "array") return schema.items && typeof schema.items === "object" ? "array" : "json";
  return type === "string" ? "text" : type === "number" || type === "integer" ? "number" : type === "boolean" ? "boolean" : "json";
}

/** Which variant a value is of. @param {{schema: Schema, of: [string, any] | null}[]} variants @param {any} value */
export function variantOf(variants, value) {
  if (value === undefined || value === null) return -1;
  const isOf = (/** @type {any} */ one) => (one.of ? value?.[one.of[0]] === one.of[1] : fits(one.schema, value));
  return variants.findIndex(isOf);
}

/** A rough guess. @param {Schema} schema @param {any} value */
function fits(schema, value) {
  const type = Array.isArray(value) ? "array" : typeof value;
  const wanted = typesOf(schema).map((one) => (one === "integer" ? "number" : one));
  if (wanted.length && !wanted.includes(type)) return false;
  return type !== "object" || (schema.required ?? []).every((/** @type {string} */ name) => name in value);
}

/** What a new value begins with: constants and what is required, never a default, which the application knows. @param {Schema} given @param {Schema} root @returns {any} */
export function emptyOf(given, root, depth = 0) {
  const schema = resolved(given, root);
  const kind = kindOf(schema, root);
  if (kind === "constant") return schema.const;
  if (kind === "object" && depth < DEEPEST) {
    const made = Object.entries(schema.properties).filter(([name, part]) => resolved(part, root)?.const !== undefined || (schema.required ?? []).includes(name))
      .map(([name, part]) => [name, emptyOf(part, root, depth + 1)]).filter(([, value]) => value !== undefined);
    return Object.fromEntries(made);
  }
  return kind === "array" ? [] : kind === "text" ? "" : undefined;
}

/** A JSON Pointer with one part more. @param {string} pointer @param {string | number} part */
export const below = (pointer, part) => `${pointer}/${String(part).replaceAll("~", "~0").replaceAll("/", "~1")}`;

/** A copy with a member set, or without it for undefined. @param {any} object @param {string} name @param {any} value */
export function withMember(object, name, value) {
  const { [name]: _, ...rest } = object && typeof object === "object" && !Array.isArray(object) ? object : /** @type {any} */ ({});
  if (value === undefined) return rest;
  // The order of the members stays as it was.
  return object && Object.hasOwn(object, name) ? Object.fromEntries(Object.entries(object).map(([key, old]) => [key, key === name ? value : old])) : { ...rest, [name]: value };
}
