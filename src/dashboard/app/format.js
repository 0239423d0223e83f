// @ts-check
// Numbers, money and times in words. Every function takes null and undefined and says "–".

const whole = new Intl.NumberFormat("en-US");
/** @param {number | null | undefined} n */
export const count = (n) => (n === null || n === undefined ? "–" : whole.format(n));

/** USD: cents below 1,000, then whole dollars. @param {number | null | undefined} n */
export function usd(n) {
  if (n === null || n === undefined || !Number.isFinite(n)) return "–";
  const digits = Math.abs(n) >= 1000 ? 0 : Math.abs(n) > 0 && Math.abs(n) < 0.01 ? 4 : 2;
  return "$" + n.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** A range stays a range: `$412–418`. @param {number | null | undefined} low @param {number | null | undefined} high */
export function usdRange(low, high) {
  if (low === null || low === undefined || high === null || high === undefined) return "–";
  const [a, b] = [usd(low), usd(high)];
  return a === b ? a : `${a}–${b.slice(1)}`;
}

/** @param {number} seconds how long, in one or two units: `2 h 14 min` */
export function span(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const full = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "long" });

/** @param {Date | number} at `14:02:31` */
export const clockTime = (at) => clock.format(at);
/** @param {Date | number | string} at everything, for titles */
export const fullTime = (at) => full.format(new Date(at));

/** `14:02` today, `3 Dec 14:02` before. @param {string | null | undefined} time @param {number} now @param {boolean} [seconds] */
export function shortTime(time, now, seconds = false) {
  const at = new Date(time ?? NaN);
  if (Number.isNaN(at.getTime())) return "–";
  const hm = seconds ? clock.format(at) : clock.format(at).slice(0, 5);
  return at.toDateString() === new Date(now).toDateString() ? hm : `${day.format(at)} ${hm}`;
}

/** @param {number} n @param {string} one @param {string} [many] */
export const plural = (n, one, many = one + "s") => `${count(n)} ${n === 1 ? one : many}`;

/** Ids longer than 20 characters are shortened in the middle; the whole id is in the title. @param {string | null | undefined} id @param {number} [most] */
export function shortId(id, most = 20) {
  if (!id) return "–";
  return id.length <= most ? id : `${id.slice(0, most - 7)}…${id.slice(-6)}`;
}
