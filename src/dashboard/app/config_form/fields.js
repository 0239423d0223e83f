// @ts-check
// The fields for single values.
import { html, useEffect, useId, useState } from "../lib.js";
import { MASK } from "../secrets.js";

/**
 * @typedef {{schema: any, name: string, value: any, required: boolean, errors: string[], onChange: (value: any) => void}} FieldProps
 */

/** @param {any} value */
const words = (value) => (typeof value === "string" ? value : JSON.stringify(value));

/** @param {any} schema @param {string} name */
export const titleOf = (schema, name) => String(schema?.title ?? name);

/** A label, what it is for, the control, and what is wrong. @param {FieldProps & {id: string, children?: any}} props */
function Frame({ schema, name, required, errors, id, children }) {
  const examples = Array.isArray(schema.examples) ? schema.examples.slice(0, 3).map(words).join(", ") : "";
  const hint = [schema.description, schema.deprecated ? "Deprecated." : "", schema.default !== undefined ? `Default: ${words(schema.default)}` : "", examples && `For example ${examples}`].filter(Boolean).join(" ");
  return html`<div class=${`field ${errors.length ? "wrong" : ""}`}><label for=${id}>${titleOf(schema, name)}${required ? html`<span class="soft"> (needed)</span>` : ""}</label>
    ${children}${hint && html`<small id=${id + "h"}>${hint}</small>`}<${Wrong} id=${id + "e"} errors=${errors} /></div>`;
}

/** @param {{id: string, errors: string[]}} props */
export function Wrong({ id, errors }) {
  return errors.length ? html`<small id=${id} class="wrong">${errors.join("; ")}</small>` : null;
}

/** @param {FieldProps} props @param {string} id */
const described = ({ schema, errors }, id) => ({
  id, "aria-describedby": [(schema.description || schema.default !== undefined || schema.examples || schema.deprecated) && id + "h", errors.length && id + "e"].filter(Boolean).join(" ") || undefined,
  "aria-invalid": errors.length ? "true" : undefined,
});

/** @param {FieldProps} props */
export function TextField(props) {
  const { schema, value, onChange, required } = props;
  const id = useId();
  const type = /** @type {Record<string, string>} */ ({ date: "date", email: "email", uri: "url" })[schema.format] ?? "text";
  const shared = {
    ...described(props, id), value: typeof value === "string" ? value : "", maxlength: schema.maxLength, readonly: schema.readOnly, spellcheck: false, autocomplete: "off",
    placeholder: schema.default === undefined ? undefined : words(schema.default),
    onInput: (/** @type {any} */ event) => onChange(event.target.value === "" && !required ? undefined : event.target.value),
  };
  return html`<${Frame} ...${props} id=${id}>${schema.maxLength > 200 ? html`<textarea ...${shared} rows="3"></textarea>` : html`<input ...${shared} type=${type} />`}<//>`;
}

/** @param {FieldProps} props */
export function NumberField(props) {
  const { schema, value, onChange } = props;
  const id = useId();
  const { minimum: min, maximum: max } = schema;
  const step = schema.multipleOf ?? (schema.type === "integer" ? 1 : "any");
  const change = (/** @type {any} */ event) => onChange(event.target.value === "" ? undefined : Number(event.target.value));
  const shared = { min, max, step, disabled: schema.readOnly, onInput: change };
  return html`<${Frame} ...${props} id=${id}><span class="estimate">
    ${min !== undefined && max !== undefined && html`<input ...${shared} type="range" value=${typeof value === "number" ? value : schema.default ?? min} aria-label=${`${titleOf(schema, props.name)}, by slider`} />`}
    <input ...${shared} ...${described(props, id)} type="number" value=${typeof value === "number" ? value : ""} placeholder=${schema.default} /></span><//>`;
}

/** @param {FieldProps & {options: any[]}} props One of some values: buttons for few, a list for many. */
export function ChoiceField(props) {
  const { schema, name, options, value, required, errors, onChange } = props;
  const id = useId();
  const at = options.findIndex((one) => JSON.stringify(one) === JSON.stringify(value));
  const unset = required ? [] : [["", schema.default === undefined ? "not set" : `not set (${words(schema.default)})`]];
  const all = [...unset, ...options.map((one, number) => [String(number), words(one)])];
  const change = (/** @type {any} */ event) => onChange(event.target.value === "" ? undefined : options[Number(event.target.value)]);
  if (options.length > 7) return html`<${Frame} ...${props} id=${id}><select ...${described(props, id)} value=${at < 0 ? "" : String(at)} onChange=${change}>
    ${required && at < 0 && html`<option value="">choose …</option>`}${all.map(([key, text]) => html`<option value=${key}>${text}</option>`)}</select><//>`;
  return html`<fieldset class=${`fieldset ${errors.length ? "wrong" : ""}`} aria-describedby=${errors.length ? id + "e" : undefined}><legend>${titleOf(schema, name)}${required ? html`<span class="soft"> (needed)</span>` : ""}</legend>
    ${schema.description && html`<small>${schema.description}</small>`}
    <div class="acts">${all.map(([key, text]) => html`<label><input type="radio" name=${id} value=${key} checked=${key === (at < 0 ? "" : String(at))} onChange=${change} /> ${text}</label>`)}</div>
    <${Wrong} id=${id + "e"} errors=${errors} /></fieldset>`;
}

/** @param {FieldProps} props A secret: it can be set, replaced and cleared, and is never shown. */
export function SecretField(props) {
  const { value, onChange } = props;
  const id = useId();
  const [replacing, setReplacing] = useState(false);
  const saved = value === MASK && !replacing;
  return html`<${Frame} ...${props} id=${id}>${saved
    ? html`<span class="acts"><span id=${id}>A value is saved.</span><button type="button" class="small" onClick=${() => setReplacing(true)}>Replace</button><button type="button" class="small" onClick=${() => onChange(undefined)}>Clear</button></span>`
    : html`<span class="acts"><input ...${described(props, id)} type="password" autocomplete="new-password" value=${value === MASK ? "" : value ?? ""} onInput=${(/** @type {any} */ event) => onChange(event.target.value === "" ? undefined : event.target.value)} />
      ${replacing && html`<button type="button" class="small" onClick=${() => { setReplacing(false); onChange(MASK); }}>Keep the saved one</button>`}</span>`}<//>`;
}

/** @param {FieldProps} props A part that the form cannot draw, as JSON. */
export function JsonField(props) {
  const { value, onChange } = props;
  const id = useId();
  const [text, setText] = useState(() => (value === undefined ? "" : JSON.stringify(value, null, 2)));
  const [wrong, setWrong] = useState("");
  const whole = JSON.stringify(value);
  useEffect(() => {
    // A change from elsewhere, not the echo of what is typed here.
    let typed;
    try { typed = text.trim() ? JSON.stringify(JSON.parse(text)) : undefined; } catch { return; }
    if (typed !== whole) setText(value === undefined ? "" : JSON.stringify(value, null, 2));
  }, [whole]);
  const change = (/** @type {any} */ event) => {
    setText(event.target.value);
    try { onChange(event.target.value.trim() ? JSON.parse(event.target.value) : undefined); setWrong(""); } catch (error) { setWrong(`This is no JSON: ${/** @type {Error} */ (error).message}`); }
  };
  return html`<${Frame} ...${props} errors=${[...props.errors, ...(wrong ? [wrong] : [])]} id=${id}><textarea ...${described(props, id)} class="code" rows="4" spellcheck=${false} value=${text} onInput=${change}></textarea><small>The form cannot draw this part of the schema; write it as JSON.</small><//>`;
}
