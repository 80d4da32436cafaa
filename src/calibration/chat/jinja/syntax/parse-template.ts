import { UnsupportedConstruct } from "../template-error.js";
import {
  parseArguments,
  parseExpression,
  parseFilterStep,
  parseOr,
  parsePostfix,
  parseTuple,
} from "./parse-expression.js";
import type { Body, Branch, Expression, FilterStep, Parameter, Statement, Target } from "./syntax-tree.js";
import { TokenReader } from "./token-reader.js";
import { tokenize } from "./tokenize.js";

/**
 * The syntax tree of a template, by the grammar of Python's Jinja with loop controls and transformers' `generation`.
 *
 * @throws TemplateError for what Python refuses as well; UnsupportedConstruct for blocks that only files can have.
 */
export function parseTemplate(template: string): Body {
  const tokens = new TokenReader(tokenize(template));
  const parser = new StatementParser(tokens);
  const body = parser.body([]);
  if (!tokens.isDone) throw tokens.error("unexpected tag");
  return body;
}

/** What Jinja knows beyond this: several templates, or escaping for web pages. */
const unsupported = ["block", "extends", "include", "import", "from", "autoescape"];

class StatementParser {
  readonly #tokens: TokenReader;
  /** Loops around the current place that a `break` can leave. */
  #loops = 0;

  constructor(tokens: TokenReader) {
    this.#tokens = tokens;
  }

  /** The statements up to one of the tags `ends`, whose name is left to be read; to the end of the template for none. */
  body(ends: readonly string[]): Body {
    const body: Statement[] = [];
    const tokens = this.#tokens;
    while (!tokens.isDone) {
      if (tokens.is("text")) body.push({ type: "text", text: tokens.take().value });
      else if (tokens.skip("begin", "{{")) {
        body.push({ type: "output", value: parseTuple(tokens) });
        tokens.expect("end", "}}");
      } else {
        tokens.expect("begin", "{%");
        if (tokens.is("name", ...ends) && ends.length > 0) return body;
        body.push(this.#statement());
      }
    }
    if (ends.length > 0) throw tokens.error(`expected ${ends.map((name) => `{% ${name} %}`).join(" or ")}`);
    return body;
  }

  /** The rest of a tag, and the statements up to one of `ends`. */
  #block(...ends: readonly string[]): Body {
    this.#tokens.skip("operator", ":");
    this.#tokens.expect("end", "%}");
    return this.body(ends);
  }

  /** As `#block`, with the closing tag. */
  #wholeBlock(end: string): Body {
    const body = this.#block(end);
    this.#closeWith(end);
    return body;
  }

  #closeWith(end: string): void {
    this.#tokens.expect("name", end);
    this.#tokens.expect("end", "%}");
  }

  /** A block that Jinja makes a function of, which no `break` inside can leave. */
  #function(end: string): Body {
    const outer = this.#loops;
    this.#loops = 0;
    const body = this.#wholeBlock(end);
    this.#loops = outer;
    return body;
  }

  #statement(): Statement {
    const tokens = this.#tokens;
    const name = tokens.expect("name").value;
    switch (name) {
      case "if":
        return this.#if();
      case "for":
        return this.#loop();
      case "set":
        return this.#set();
      case "with":
        return this.#with();
      case "macro": {
        const macro = tokens.expect("name").value;
        const parameters = this.#parameters();
        return { type: "macro", name: macro, parameters, body: this.#function("endmacro") };
      }
      case "call":
        return this.#callBlock();
      case "filter": {
        const filters = this.#filters();
        return { type: "filter block", filters, body: this.#wholeBlock("endfilter") };
      }
      case "generation":
        return { type: "generation", body: this.#function("endgeneration") };
      case "print": {
        const value = parseTuple(tokens);
        tokens.expect("end", "%}");
        return { type: "output", value };
      }
      case "break":
      case "continue":
        if (this.#loops === 0) throw tokens.error(`{% ${name} %} outside of a loop`);
        tokens.expect("end", "%}");
        return { type: name };
      default:
        if (unsupported.includes(name)) throw new UnsupportedConstruct(`the block {% ${name} %}`);
        throw tokens.error(`unknown tag '${name}'`);
    }
  }

  #if(): Statement {
    const branches: Branch[] = [];
    let otherwise: Body = [];
    do {
      const test = parseTuple(this.#tokens, parseOr);
      branches.push({ test, body: this.#block("elif", "else", "endif") });
    } while (this.#tokens.skip("name", "elif"));
    if (this.#tokens.skip("name", "else")) otherwise = this.#block("endif");
    this.#closeWith("endif");
    return { type: "if", branches, otherwise };
  }

  #loop(): Statement {
    const tokens = this.#tokens;
    const target = this.#target("in");
    tokens.expect("name", "in");
    const items = parseTuple(tokens, parseOr, false, "recursive");
    const test = tokens.skip("name", "if") ? parseExpression(tokens) : null;
    const isRecursive = tokens.skip("name", "recursive");
    this.#loops++;
    const body = this.#block("endfor", "else");
    this.#loops--;
    const otherwise = tokens.skip("name", "else") ? this.#block("endfor") : [];
    this.#closeWith("endfor");
    return { type: "loop", target, items, test, isRecursive, body, otherwise };
  }

  #set(): Statement {
    const tokens = this.#tokens;
    const target = this.#target();
    if (tokens.skip("operator", "=")) {
      const value = parseTuple(tokens);
      tokens.expect("end", "%}");
      return { type: "set", target, value };
    }
    const filters = tokens.skip("operator", "|") ? this.#filters() : [];
    return { type: "set block", target, filters, body: this.#wholeBlock("endset") };
  }

  #with(): Statement {
    const tokens = this.#tokens;
    const values: [Target, Expression][] = [];
    while (!tokens.is("end")) {
      if (values.length > 0) tokens.expect("operator", ",");
      const target = this.#oneTarget();
      tokens.expect("operator", "=");
      values.push([target, parseExpression(tokens)]);
    }
    return { type: "with", values, body: this.#wholeBlock("endwith") };
  }

  #callBlock(): Statement {
    const tokens = this.#tokens;
    const parameters = tokens.is("operator", "(") ? this.#parameters() : [];
    let call = parsePostfix(tokens, { type: "name", name: tokens.expect("name").value });
    if (tokens.is("operator", "(")) call = { type: "call", callee: call, args: parseArguments(tokens) };
    if (call.type !== "call") throw tokens.error("expected a call");
    return { type: "call block", call, parameters, body: this.#function("endcall") };
  }

  #filters(): FilterStep[] {
    const steps = [parseFilterStep(this.#tokens)];
    while (this.#tokens.skip("operator", "|")) steps.push(parseFilterStep(this.#tokens));
    return steps;
  }

  #parameters(): Parameter[] {
    const tokens = this.#tokens;
    const parameters: Parameter[] = [];
    tokens.expect("operator", "(");
    while (!tokens.is("operator", ")")) {
      if (parameters.length > 0) tokens.expect("operator", ",");
      const name = tokens.expect("name").value;
      const fallback = tokens.skip("operator", "=") ? parseExpression(tokens) : null;
      if (fallback === null && parameters.at(-1)?.fallback) throw tokens.error("expected a default value");
      parameters.push({ name, fallback });
    }
    tokens.take();
    return parameters;
  }

  #target(stop?: string): Target {
    const tokens = this.#tokens;
    const first = this.#oneTarget();
    if (!tokens.is("operator", ",")) return first;
    const items = [first];
    while (tokens.skip("operator", ",")) {
      if (tokens.is("operator", "=") || tokens.is("end") || (stop !== undefined && tokens.is("name", stop))) break;
      items.push(this.#oneTarget());
    }
    return { type: "targets", items };
  }

  #oneTarget(): Target {
    const tokens = this.#tokens;
    if (tokens.skip("operator", "(")) {
      const inner = this.#target();
      tokens.expect("operator", ")");
      return inner;
    }
    const name = tokens.expect("name").value;
    if (tokens.skip("operator", ".")) return { type: "namespace", object: name, name: tokens.expect("name").value };
    return { type: "variable", name };
  }
}
