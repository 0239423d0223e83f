// @ts-check
// Times as plots say them.

/** @param {number} time @param {number} step both in seconds */
export function timeWords(time, step) {
  const at = new Date(time * 1000);
  const day = at.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
  return step >= 86_400 ? day : `${day} ${at.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" })}`;
}
