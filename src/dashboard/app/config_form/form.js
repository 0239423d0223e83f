// @ts-check
// The form of a JSON Schema. It holds no value of its own: `value` comes in, and each change goes out as a whole new value.
import { html, useId } from "../lib.js";
import { below, emptyOf, kindOf, resolved, variantOf, variantsOf, withMember } from "./schema.js";
import { ChoiceField, JsonField, NumberField, SecretField, TextField, Wrong, titleOf } from "./fields.js";

/**
 * @typedef {{pointer: string, detail: string}} FieldError
 * @typedef {{schema: any, root: any, name: string, pointer: string, value: any, required: boolean, errors: FieldError[], onChange: (value: any) => void}} PartProps
 */

/** @param {PartProps} props */
function Part(props) {
  const schema = resolved(props.schema, props.root);
  const own = props.errors.filter(({ pointer }) => pointer === props.pointer).map(({ detail }) => detail);
  const single = { schema, name: props.name, value: props.value, required: props.required, errors: own, onChange: props.onChange };
  switch (kindOf(schema, props.root)) {
    case "object": return html`<${ObjectPart} ...${props} schema=${schema} />`;
    case "array": return html`<${ArrayPart} ...${props} schema=${schema} />`;
    case "union": return html`<${UnionPart} ...${props} schema=${schema} />`;
    case "choice": return html`<${ChoiceField} ...${single} options=${schema.enum} />`;
    case "boolean": return html`<${ChoiceField} ...${single} options=${[true, false]} />`;
    case "constant": return html`<${ChoiceField} ...${single} options=${[schema.const]} />`;
    case "secret": return html`<${SecretField} ...${single} />`;
    case "text": return html`<${TextField} ...${single} />`;
    case "number": return html`<${NumberField} ...${single} />`;
    default: return html`<${JsonField} ...${single} />`;
  }
}

/** A part with a title around it; the whole form has none. @param {{of: PartProps, hint?: any, children?: any}} props */
function Group({ of, hint, children }) {
  const id = useId();
  const own = of.errors.filter(({ pointer }) => pointer === of.pointer).map(({ detail }) => detail);
  if (!of.pointer) return html`${hint && html`<p class="soft">${hint}</p>`}${children}<${Wrong} id=${id} errors=${own} />`;
  return html`<fieldset class="fieldset" aria-describedby=${own.length ? id : undefined}><legend>${titleOf(of.schema, of.name)}${of.required ? html`<span class="soft"> (needed)</span>` : ""}</legend>
    ${hint && html`<small>${hint}</small>`}${children}<${Wrong} id=${id} errors=${own} /></fieldset>`;
}

/** @param {PartProps} props */
function ObjectPart(props) {
  const { schema, root, pointer, value, required, errors, onChange } = props;
  if (value === undefined && !required && pointer) {
    return html`<${Group} of=${props} hint=${schema.description}><p class="acts"><button type="button" class="small" onClick=${() => onChange(emptyOf(schema, root) ?? {})}>Add ${titleOf(schema, props.name)}</button></p><//>`;
  }
  const names = Object.keys(schema.properties);
  const others = Object.keys(value ?? {}).filter((name) => !names.includes(name));
  return html`<${Group} of=${props} hint=${schema.description}>
    ${names.map((name) => html`<${Part} key=${name} schema=${schema.properties[name]} root=${root} name=${name} pointer=${below(pointer, name)} value=${value?.[name]} required=${(schema.required ?? []).includes(name)}
      errors=${errors} onChange=${(/** @type {any} */ next) => onChange(withMember(value, name, next))} />`)}
    ${others.length ? html`<p class="soft">Kept as they are: ${others.map((name) => html`<code>${name}</code> `)}. Change them as JSON.</p>` : ""}
    ${!required && pointer && html`<p class="acts"><button type="button" class="small" onClick=${() => onChange(undefined)}>Remove ${titleOf(schema, props.name)}</button></p>`}<//>`;
}

/** @param {PartProps} props */
function ArrayPart(props) {
  const { schema, root, pointer, value, errors, onChange } = props;
  const items = Array.isArray(value) ? value : [];
  const title = titleOf(schema, props.name);
  const put = (/** @type {any[]} */ next) => onChange(next.length || props.required ? next : undefined);
  const move = (/** @type {number} */ from, /** @type {number} */ to) => { const next = [...items]; next.splice(to, 0, ...next.splice(from, 1)); put(next); };
  return html`<${Group} of=${props} hint=${schema.description}><ol class="items">${items.map((item, at) => html`<li key=${at}>
      <${Part} schema=${schema.items} root=${root} name=${`${title} ${at + 1}`} pointer=${below(pointer, at)} value=${item} required errors=${errors} onChange=${(/** @type {any} */ next) => put(items.map((old, other) => (other === at ? next ?? null : old)))} />
      <span class="acts"><button type="button" class="small" disabled=${at === 0} aria-label=${`Move ${title} ${at + 1} up`} onClick=${() => move(at, at - 1)}>↑</button>
        <button type="button" class="small" disabled=${at === items.length - 1} aria-label=${`Move ${title} ${at + 1} down`} onClick=${() => move(at, at + 1)}>↓</button>
        <button type="button" class="small" aria-label=${`Remove ${title} ${at + 1}`} onClick=${() => put(items.filter((_, other) => other !== at))}>Remove</button></span></li>`)}</ol>
    <p class="acts"><button type="button" class="small" disabled=${items.length >= (schema.maxItems ?? Infinity)} onClick=${() => put([...items, emptyOf(schema.items, root) ?? null])}>Add to ${title}</button></p><//>`;
}

/** @param {PartProps} props */
function UnionPart(props) {
  const { schema, root, value, required, onChange } = props;
  const variants = variantsOf(schema, root) ?? [];
  const at = variantOf(variants, value);
  const id = useId();
  const choose = (/** @type {any} */ event) => onChange(event.target.value === "" ? undefined : emptyOf(variants[Number(event.target.value)].schema, root) ?? {});
  const chosen = variants[at];
  // The constant is what was chosen, so it is not drawn again.
  const inner = chosen?.of && chosen.schema.properties ? { ...chosen.schema, title: undefined, properties: Object.fromEntries(Object.entries(chosen.schema.properties).filter(([name]) => name !== chosen.of?.[0])) } : chosen?.schema;
  const fixed = (/** @type {any} */ next) => onChange(chosen.of ? { [chosen.of[0]]: chosen.of[1], ...next } : next);
  return html`<${Group} of=${props} hint=${schema.description}><p class="field"><label for=${id}>${titleOf(schema, props.name)}: which</label>
      <select id=${id} value=${at < 0 ? "" : String(at)} onChange=${choose}>${!required || at < 0 ? html`<option value="">${required ? "choose …" : "not set"}</option>` : ""}${variants.map(({ title }, number) => html`<option value=${String(number)}>${title}</option>`)}</select></p>
    ${inner && (inner.type !== "object" || Object.keys(inner.properties ?? {}).length > 0) && html`<${Part} key=${at} ...${props} schema=${inner} required onChange=${fixed} name=${chosen.title} errors=${props.errors.filter(({ pointer }) => pointer !== props.pointer)} />`}<//>`;
}

/** The form. `errors` are those of the server; what no field shows stays in the list that the page draws. @param {{schema: any, value: any, errors: FieldError[], onChange: (value: any) => void}} props */
export function ConfigForm({ schema, value, errors, onChange }) {
  return html`<div class="configform"><${Part} schema=${schema} root=${schema} name="Configuration" pointer="" value=${value ?? {}} required errors=${errors} onChange=${onChange} /></div>`;
}
