/**
 * The declarations of the package in one file: what `dist/index.d.ts` exports, and what these lead to. What tsc wrote for
 * internals is removed, so that an editor offers none of it.
 */
import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve, sep } from "node:path";
import ts from "typescript-5.9";

/** @param {string} folder what tsc wrote, where it lies when users see it @param {string} entry the package's declarations in it */
export function bundleTypes(folder, entry) {
  const root = resolve(folder) + sep;
  const options = {
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    target: ts.ScriptTarget.ES2022,
    lib: ["lib.es2023.d.ts", "lib.esnext.disposable.d.ts"],
    types: ["node"],
    skipLibCheck: true,
    strict: true,
  };
  const file = join(root, entry);
  const program = ts.createProgram([file], options);
  const checker = program.getTypeChecker();
  const source = program.getSourceFile(file);
  const module = source && checker.getSymbolAtLocation(source);
  if (source === undefined || module === undefined) throw new Error(`${file} exports nothing`);

  const exported = checker.getExportsOfModule(module).map((symbol) => ({
    name: symbol.name,
    symbol: target(checker, symbol),
    isType: isTypeOnly(symbol),
  }));
  const statements = reachable(
    checker,
    exported.map(({ symbol }) => symbol),
    (name) => name.startsWith(root),
  );
  const lines = [
    /^\/\/\/ <reference lib[^\n]*\n/m.exec(source.text)?.[0].replace(/ preserve="true"/, "") ?? "",
    /\/\*\*[\s\S]*?\*\/\n/.exec(source.text)?.[0] ?? "",
    ...[...statements].sort(byPlace).map((statement) => declaration(checker, statement)),
    exportList(exported),
  ];
  for (const name of readdirSync(root, { recursive: true }).map(String))
    if (name.endsWith(".d.ts")) rmSync(join(root, name));
  writeFileSync(file, `${lines.filter((line) => line !== "").join("\n")}\n`);
}

/** @param {ts.TypeChecker} checker @param {ts.Symbol} symbol @returns {ts.Symbol} what it stands for */
function target(checker, symbol) {
  return (symbol.flags & ts.SymbolFlags.Alias) === 0 ? symbol : checker.getAliasedSymbol(symbol);
}

/**
 * @param {ts.TypeChecker} checker @param {readonly ts.Symbol[]} symbols @param {(file: string) => boolean} isOwn
 * @returns {Set<ts.Statement>} the declarations of these, and of all that they name
 */
function reachable(checker, symbols, isOwn) {
  /** @type {Set<ts.Statement>} */
  const found = new Set();
  /** @type {Map<string, ts.Statement>} */
  const names = new Map();
  /** @param {ts.Symbol} symbol */
  const add = (symbol) => {
    for (const node of symbol.declarations ?? []) {
      const statement = statementOf(node);
      const { fileName } = node.getSourceFile();
      if (statement === null || found.has(statement)) continue;
      if (!isOwn(fileName)) {
        if (/node_modules\/(?!@types\/node|typescript)/.test(fileName))
          throw new Error(
            `the package's types lead to ${fileName}, by ${symbol.name}: state that type in a file of its own`,
          );
        continue;
      }
      const other = names.get(symbol.name);
      if (other !== undefined && other.getSourceFile() !== statement.getSourceFile())
        throw new Error(
          `two public types are called ${symbol.name}: ${other.getSourceFile().fileName} and ${fileName}`,
        );
      names.set(symbol.name, statement);
      found.add(statement);
      // A union of names is written out: it may be made from what stands nowhere else in the types.
      if (literalUnion(checker, statement) === null) visit(statement);
    }
  };
  /** @param {ts.Node} node */
  const visit = (node) => {
    if (ts.isIdentifier(node)) {
      const symbol = checker.getSymbolAtLocation(node);
      if (symbol !== undefined) add(target(checker, symbol));
    }
    ts.forEachChild(node, visit);
  };
  symbols.forEach(add);
  return found;
}

/** @param {ts.Node} node @returns {ts.Statement | null} the statement of a file that declares it; null for a part of one */
function statementOf(node) {
  const holder = ts.isVariableDeclaration(node) ? node.parent.parent : node;
  return ts.isSourceFile(holder.parent ?? holder) && ts.isStatement(holder) ? holder : null;
}

/** @param {ts.TypeChecker} checker @param {ts.Statement} statement @returns {string | null} `"a" | "b"` for an alias of that */
function literalUnion(checker, statement) {
  if (!ts.isTypeAliasDeclaration(statement)) return null;
  const type = checker.getTypeAtLocation(statement);
  const types = type.isUnion() ? type.types : [type];
  if (!types.every((each) => each.isStringLiteral())) return null;
  return types.map((each) => JSON.stringify(/** @type {ts.StringLiteralType} */ (each).value)).join(" | ");
}

/** @param {ts.TypeChecker} checker @param {ts.Statement} statement @returns {string} */
function declaration(checker, statement) {
  const source = statement.getSourceFile();
  // Only what belongs to the statement: the first one also has the comment of the whole file before it.
  const [comment] = (ts.getLeadingCommentRanges(source.text, statement.getFullStart()) ?? [])
    .slice(-1)
    .map(({ pos, end }) => source.text.slice(pos, end))
    .filter((text) => text.startsWith("/**"));
  const union = literalUnion(checker, statement);
  const text =
    union !== null && ts.isTypeAliasDeclaration(statement)
      ? `type ${statement.name.text} = ${union};`
      : source.text.slice(statement.getStart(source), statement.getEnd()).replace(/^export (default )?/, "");
  const declared = /^(declare|interface|type) /.test(text) ? text : `declare ${text}`;
  return `${comment === undefined ? "" : `${comment}\n`}${declared}`;
}

/** @param {ts.Symbol} symbol @returns {boolean} whether `export { type Model }` lets go of the value of a class */
function isTypeOnly(symbol) {
  return (symbol.declarations ?? []).some(
    (node) => ts.isExportSpecifier(node) && (node.isTypeOnly || node.parent.parent.isTypeOnly),
  );
}

/** @param {readonly { name: string, symbol: ts.Symbol, isType: boolean }[]} exported */
function exportList(exported) {
  const entries = exported.map(({ name, symbol, isType }) => {
    const only = isType || (symbol.flags & ts.SymbolFlags.Value) === 0;
    return `${only ? "type " : ""}${symbol.name === name ? name : `${symbol.name} as ${name}`}`;
  });
  return `export { ${entries.sort().join(", ")} };`;
}

/** By file, and in it from the first to the last. @param {ts.Statement} a @param {ts.Statement} b */
function byPlace(a, b) {
  const [file, other] = [a.getSourceFile().fileName, b.getSourceFile().fileName];
  return file === other ? a.pos - b.pos : file < other ? -1 : 1;
}
