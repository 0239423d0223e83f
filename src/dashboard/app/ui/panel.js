// @ts-check
// A part of a page with its own error boundary: one null, one 500 takes this part and not the page.
import { Component, html } from "../lib.js";
import { shortTime } from "../format.js";
import { clock } from "../store.js";
import { Copy } from "./basic.js";

/** A problem as the server says it, with its request id. @param {{error: import("../api.js").ApiError, again?: (() => void) | null}} props */
export function Trouble({ error, again }) {
  const { title, detail, errors, request_id: id } = error.problem;
  return html`<div class="trouble" role="alert">
    <p><strong>${title}</strong> ${detail}</p>
    ${errors?.length ? html`<ul>${errors.map((one) => html`<li><code>${one.pointer || "/"}</code> ${one.detail}</li>`)}</ul>` : null}
    <p class="acts">${again && html`<button type="button" onClick=${again}>Try again</button>`}
      ${id && html`<span class="soft">Request <code>${id}</code></span><${Copy} text=${id} />`}</p>
  </div>`;
}

/** Catches what a part throws while it is drawn. */
export class Guard extends Component {
  /** @param {any} props */
  constructor(props) {
    super(props);
    this.state = { error: null, of: props.of };
  }
  /** @param {any} error */
  static getDerivedStateFromError(error) { return { error }; }
  /** @param {any} error */
  componentDidCatch(error) { console.warn("A part of the page could not be drawn:", error); }
  /** A new page or new data gets a new chance. @param {any} next */
  componentWillReceiveProps(next) { if (next.of !== this.props.of) this.setState({ error: null }); }
  /** @param {any} props @param {any} state */
  render({ children }, { error }) {
    if (!error) return children;
    return html`<div class="trouble" role="alert"><p><strong>This part could not be drawn.</strong> ${String(error?.message ?? error)}</p>
      <p class="acts"><button type="button" onClick=${() => this.setState({ error: null })}>Try again</button></p></div>`;
  }
}

/**
 * A titled part. With `query`, it shows the query's error (and old data stay), and "Loading" before the first answer.
 * @param {{title?: any, aside?: any, query?: import("../store.js").Query<any>, class?: string, level?: 2 | 3, bare?: boolean, children?: any}} props
 *   `children`: nodes, or a function of the data.
 */
export function Panel({ title, aside, query, class: name = "", level = 2, bare, children }) {
  const body = typeof children === "function" ? query?.data !== null && query?.data !== undefined ? html`<${Drawn} draw=${children} data=${query.data} />` : null : children;
  const heading = title && (level === 2 ? html`<h2>${title}</h2>` : html`<h3>${title}</h3>`);
  return html`<section class=${`${bare ? "part" : "panel"} ${name}`}>
    ${(heading || aside) && html`<header class="phead">${heading}${aside && html`<div class="aside">${aside}</div>`}</header>`}
    ${query?.error && html`<${Trouble} error=${query.error} again=${query.reload} />
      ${query.data && query.at && html`<p class="soft">What follows is as of ${shortTime(new Date(query.at).toISOString(), clock.value, true)}.</p>`}`}
    <${Guard} of=${query?.data}>${body ?? (query?.loading ? html`<p class="soft loading">Loading …</p>` : null)}<//>
  </section>`;
}

/** Calls the function within the boundary. @param {{draw: (data: any) => any, data: any}} props */
function Drawn({ draw, data }) {
  return draw(data);
}
