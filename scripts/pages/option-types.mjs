/**
 * The types of the library's options, from the schemas that the run parses them with: what an editor shows of an option is what
 * help says of it. Made from dist/; `test/project/option-types.test.ts` proves that they are the schemas' own types.
 */
import { z } from "zod";
import { flags } from "../../dist/cli/help/flags.js";
import { exportResultSchema } from "../../dist/run/options/commands/export-result-options.js";
import { pushSchema } from "../../dist/run/options/commands/push-options.js";
import { verifySchema } from "../../dist/run/options/commands/verify-options.js";
import { readersText } from "../../dist/run/options/option-use.js";
import { runOptionsSchema } from "../../dist/run/options/options.js";
import { otherDefaults } from "../../dist/run/options/other-defaults.js";

const WIDTH = 118;
/** Options whose type is narrower than the schema can say. */
const NAMED_TYPES = { scheme: "SchemeName" };
/** What the command line takes as an argument. */
const ARGUMENTS = new Set(["model", "result", "repository"]);

/** @typedef {{ name: string, about: string, schema: z.ZodType, isRun: boolean }} Source */

/** @type {readonly (Source & { file: string })[]} */
const sources = [
  {
    file: "quantize-options.ts",
    name: "QuantizeOptions",
    about: "Options of `quantize`: those of the command line by the same names, and a signal that stops it.",
    schema: runOptionsSchema,
    isRun: true,
  },
  {
    file: "export-result-input.ts",
    name: "ExportResultInput",
    about: "Options of `exportResult`: those of the command line by the same names, and a signal that stops it.",
    schema: exportResultSchema,
    isRun: false,
  },
  {
    file: "verify-input.ts",
    name: "VerifyInput",
    about: "Options of `verifyResult`: those of the command line by the same names, and a signal that stops it.",
    schema: verifySchema,
    isRun: false,
  },
  {
    file: "push-input.ts",
    name: "PushInput",
    about: "Options of `pushResult`: those of the command line by the same names, and a signal that stops it.",
    schema: pushSchema,
    isRun: false,
  },
];

/** @returns {Map<string, string>} the files, by their paths in the repository */
export function optionTypes() {
  return new Map(sources.map(({ file, ...source }) => [`src/api/generated/${file}`, typesOf(source)]));
}

/** @param {Source} source */
function typesOf({ name, about, schema, isRun }) {
  /** @type {string[]} */
  const interfaces = [];
  const context = { isRun, interfaces };
  const body = fields(/** @type {z.ZodObject} */ (schema), "", context);
  const signal = [
    ...comment(["Stops the work: the iteration throws the signal's reason, and nothing half-written is left."]),
    "readonly signal?: AbortSignal | undefined;",
  ];
  const main = interfaceOf(name, [about], [...body, ...signal]);
  const imports = [main, ...interfaces].some((text) => text.includes("SchemeName"))
    ? ['import type { SchemeName } from "../../quant/scheme.js";', ""]
    : [];
  return [
    "// Written by `npm run pages` from the schemas of the options; change those, and run it again.",
    ...imports,
    [main, ...interfaces].join("\n\n"),
    "",
  ].join("\n");
}

/** @param {string} name @param {string[]} about @param {string[]} lines */
function interfaceOf(name, about, lines) {
  return [...comment(about), `export interface ${name} {`, ...lines.map((line) => `  ${line}`), "}"].join("\n");
}

/**
 * @param {z.ZodObject} object @param {string} prefix @param {{ isRun: boolean, interfaces: string[] }} context
 * @returns {string[]}
 */
function fields(object, prefix, context) {
  return Object.entries(object.shape).flatMap(([key, child]) => {
    const schema = /** @type {z.ZodType} */ (child);
    const name = prefix === "" ? key : `${prefix}.${key}`;
    const isOptional = schema.safeParse(undefined).success;
    const type = typeOf(schema, name, context);
    return [
      ...comment(facts(schema, name, context)),
      `readonly ${key}${isOptional ? "?" : ""}: ${type}${isOptional ? " | undefined" : ""};`,
    ];
  });
}

/** @param {z.ZodType} schema @param {string} name @param {{ isRun: boolean }} context @returns {string[]} */
function facts(schema, name, { isRun }) {
  const value = schema.safeParse(undefined);
  const isGroup = unwrapped(schema) instanceof z.ZodObject;
  const help = schema.description;
  const range = rangeOf(schema);
  const isElement = name.includes("[]");
  const readers = isRun && !isElement ? readersText(name) : null;
  const sentences = [
    help !== undefined && flags[name]?.flag.startsWith("--no-")
      ? sentence(`false: ${help}`)
      : help === undefined
        ? isGroup
          ? `Settings of \`${name}\`.`
          : ""
        : sentence(help),
    range,
    readers === null || isGroup ? "" : `Read by ${readers.startsWith("with ") ? `every recipe ${readers}` : readers}.`,
  ];
  const flag = flags[name]?.flag;
  const ways = ARGUMENTS.has(name)
    ? `Command line: the argument \`${name}\`.`
    : flag !== undefined
      ? `Command line: \`${flag}\`.`
      : isRun && !isGroup && !isElement
        ? `Command line: \`--set ${name}=...\`.`
        : "";
  const text = [sentences.filter((part) => part !== "").join(" "), ways].filter((part) => part !== "");
  if (isGroup || !value.success || value.data === undefined) return text;
  const own = JSON.stringify(value.data);
  return [...text, `@default ${[own, ...(isRun ? otherDefaults(name, own) : [])].join("; ")}`];
}

/** @param {string} help */
function sentence(help) {
  const text = help.replaceAll("*/", "*\\/");
  // What begins with a value that one types stays as it is typed.
  const begun = /^(cpu|null|true|false)\b/.test(text) ? text : `${(text[0] ?? "").toUpperCase()}${text.slice(1)}`;
  return /[.?!]$/.test(begun) ? begun : `${begun}.`;
}

/** What numbers fit, in words. @param {z.ZodType} schema */
function rangeOf(schema) {
  const inner = unwrapped(schema);
  if (!(inner instanceof z.ZodNumber)) return "";
  const json = /** @type {Record<string, unknown>} */ (z.toJSONSchema(inner));
  const what = json["type"] === "integer" ? "An integer" : "A number";
  const { minimum: least, exclusiveMinimum: above, maximum: most } = json;
  const bounded = typeof most === "number" && most < Number.MAX_SAFE_INTEGER;
  if (typeof above === "number") return `${what} above ${above}${bounded ? `, at most ${most}` : ""}.`;
  if (typeof least === "number" && least > Number.MIN_SAFE_INTEGER)
    return bounded ? `${what} from ${least} to ${most}.` : `${what} of at least ${least}.`;
  return `${what}.`;
}

/**
 * @param {z.ZodType} schema @param {string} name @param {{ isRun: boolean, interfaces: string[] }} context
 * @returns {string} what a caller may write
 */
function typeOf(schema, name, context) {
  const named = NAMED_TYPES[/** @type {keyof typeof NAMED_TYPES} */ (name)];
  if (named !== undefined) return named;
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional)
    return typeOf(/** @type {z.ZodType} */ (schema.unwrap()), name, context);
  if (schema instanceof z.ZodNullable)
    return `${typeOf(/** @type {z.ZodType} */ (schema.unwrap()), name, context)} | null`;
  if (schema instanceof z.ZodReadonly) return typeOf(/** @type {z.ZodType} */ (schema.unwrap()), name, context);
  if (schema instanceof z.ZodPipe) return typeOf(/** @type {z.ZodType} */ (schema.in), name, context);
  if (schema instanceof z.ZodUnion) {
    const types = schema.options.map((option) => typeOf(/** @type {z.ZodType} */ (option), name, context));
    // A text that has a meaning of its own is a text for the type.
    const wide = types.includes("string") ? types.filter((type) => !/^"[^"]*"$/.test(type)) : types;
    return [...new Set(wide)].reverse().join(" | ");
  }
  if (schema instanceof z.ZodTuple) {
    const items = /** @type {readonly z.ZodType[]} */ (schema.def.items);
    return `readonly [${items.map((item) => typeOf(item, name, context)).join(", ")}]`;
  }
  if (schema instanceof z.ZodArray) {
    const element = typeOf(/** @type {z.ZodType} */ (schema.element), `${name}[]`, context);
    return `readonly ${element.includes("|") ? `(${element})` : element}[]`;
  }
  if (schema instanceof z.ZodObject) {
    const own = interfaceName(name);
    const about = `Settings of \`${name.replace("[]", "")}\`${schema.description === undefined ? "" : `: ${schema.description}`}.`;
    context.interfaces.push(interfaceOf(own, [about], fields(schema, name, context)));
    return own;
  }
  if (schema instanceof z.ZodEnum) return schema.options.map((option) => JSON.stringify(option)).join(" | ");
  if (schema instanceof z.ZodLiteral) return [...schema.values].map((value) => JSON.stringify(value)).join(" | ");
  if (schema instanceof z.ZodBoolean) return "boolean";
  if (schema instanceof z.ZodNumber) return "number";
  if (schema instanceof z.ZodString) return "string";
  throw new TypeError(`option-types.mjs has no type for the option "${name}": add it to typeOf`);
}

/** `window.loss` is `WindowLossOptions`. @param {string} name */
function interfaceName(name) {
  const words = name.replaceAll("[]", "").split(".");
  const single = name.endsWith("[]") ? [...words.slice(0, -1), (words.at(-1) ?? "").replace(/s$/, "")] : words;
  return `${single.map((word) => (word[0] ?? "").toUpperCase() + word.slice(1)).join("")}Options`;
}

/** @param {z.ZodType} schema @returns {z.ZodType} */
function unwrapped(schema) {
  let at = schema;
  while (
    at instanceof z.ZodDefault ||
    at instanceof z.ZodPrefault ||
    at instanceof z.ZodNullable ||
    at instanceof z.ZodOptional
  )
    at = /** @type {z.ZodType} */ (at.unwrap());
  return at;
}

/** @param {string[]} paragraphs @returns {string[]} the lines of a doc comment */
function comment(paragraphs) {
  const lines = paragraphs.flatMap((text, i) => [
    ...(i > 0 && /^(@|Command line)/.test(text) ? [""] : []),
    ...wrapped(text),
  ]);
  const [only] = lines;
  if (lines.length === 1) return [`/** ${only} */`];
  return ["/**", ...lines.map((line) => (line === "" ? " *" : ` * ${line}`)), " */"];
}

/** @param {string} text @returns {string[]} */
function wrapped(text) {
  /** @type {string[]} */
  const lines = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= WIDTH - 8) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
