// @ts-check
// All parts under one name.
export * from "./basic.js";
export * from "./panel.js";
export * from "./table.js";
export * from "./dialog.js";
export * from "./button.js";
export * from "./later.js";
