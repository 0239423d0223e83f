// Compares two folders of modules: they mean the same if their syntax trees have the same nodes and texts.
//   node same.mjs TYPESCRIPT FOLDER FOLDER
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [typescript, one, other] = process.argv.slice(2);
const ts = createRequire(import.meta.url)(typescript);

/** The kinds of all nodes, with the texts of names and literals. */
function nodes(file) {
  const tree = ts.createSourceFile(file, readFileSync(file, "utf8"), ts.ScriptTarget.Latest, true, ts.ScriptKind.JS);
  const found = [];
  const visit = (node) => {
    found.push(`${ts.SyntaxKind[node.kind]} ${node.rawText ?? node.text ?? ""}`);
    ts.forEachChild(node, visit);
  };
  ts.forEachChild(tree, visit);
  return { found, broken: tree.parseDiagnostics.length > 0 };
}

const names = readdirSync(one, { recursive: true }).filter((name) => name.endsWith(".js"));
const wrong = names.filter((name) => {
  const [left, right] = [nodes(join(one, name)), nodes(join(other, name))];
  return left.broken || right.broken || left.found.join("\n") !== right.found.join("\n");
});
if (!names.length || wrong.length) {
  console.error(`differ: ${wrong.join(", ") || "no modules found"}`);
  process.exit(1);
}
console.log(`${names.length} modules mean the same`);
