import { chmodSync, cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Tokenizer } from "../../src/checkpoint/tokenizer/tokenizer.js";
import type { ChatMessage, Generated } from "../../src/index.js";
import { crossblockHere, eventsHere } from "../fixtures/in-process/cli-in-process.js";
import { library } from "../fixtures/in-process/library.js";
import { startProgram } from "../fixtures/run-program.js";
import { bundledModel, type Workplace, workplace } from "../fixtures/sample-text.js";

/** As the template of a model that says nothing before its answers. */
const template =
  "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}";

let place: Workplace;
/** The bundled model with this template and a context of 256 tokens. */
let model = "";
let tokenizer: Tokenizer;

beforeAll(async () => {
  place = workplace(1);
  model = join(place.folder, "tiny");
  cpSync(bundledModel, model, { recursive: true });
  change("config.json", { max_position_embeddings: 256 });
  change("tokenizer_config.json", { chat_template: template });
  tokenizer = await Tokenizer.open(model);
});
afterAll(() => place[Symbol.dispose]());

function change(file: string, keys: object): void {
  const path = join(model, file);
  chmodSync(path, 0o644);
  writeFileSync(path, JSON.stringify({ ...(JSON.parse(readFileSync(path, "utf8")) as object), ...keys }));
}

interface Answer extends Generated {
  readonly text: string;
}

async function whole(pieces: AsyncGenerator<string, Generated>): Promise<Answer> {
  let text = "";
  for (;;) {
    const next = await pieces.next();
    if (next.done === true) return { text, ...next.value };
    text += next.value;
  }
}

/** What a model says to a prompt that is a text. */
async function answered(messages: readonly ChatMessage[], tokens: number): Promise<string> {
  await using loaded = await library.loadModel(model);
  const prompt = messages.map(({ role, content }) => `[${role}] ${content}\n`).join("");
  const ids = [...tokenizer.encode(`${prompt}[assistant]`)];
  const begin = ids.length;
  for (let i = 0; i < tokens; i++) {
    const { data, shape } = await loaded.logits([ids]);
    const last = data.subarray(-shape[2]);
    const next = last.indexOf(Math.max(...last));
    if (tokenizer.endTokens.includes(next)) break;
    ids.push(next);
  }
  return tokenizer.decode(ids.slice(begin), { skipSpecialTokens: true });
}

describe("Model.chat and Model.generate", () => {
  it("answer by the chat template what the model's logits give, and go on from there", async () => {
    await using loaded = await library.loadModel(model);
    expect(await loaded.hasChatTemplate()).toBe(true);
    const first = { role: "user", content: "The Congress" } as const;
    const expected = await answered([first], 6);
    const answer = await whole(loaded.chat([first], { tokens: 6 }));
    const promptTokens = tokenizer.encode("[user] The Congress\n[assistant]").length;
    expect(answer).toMatchObject({ text: expected, chat: true, promptTokens, tokens: 6, ended: "tokens", dropped: 0 });
    expect(await whole(loaded.generate("The Congress", { tokens: 6 }))).toMatchObject({ text: expected, chat: true });
    const talk = [first, { role: "assistant", content: expected }, { role: "user", content: "Why?" }] as const;
    expect((await whole(loaded.chat(talk, { tokens: 6 }))).text).toBe(await answered(talk, 6));
  });

  it("continue a text where it is asked for, end at a stop text, and where the context ends", async () => {
    await using loaded = await library.loadModel(model);
    const raw = await whole(loaded.generate("The Congress", { raw: true, tokens: 12 }));
    expect(raw).toMatchObject({ chat: false, promptTokens: 1 + tokenizer.encode("The Congress").length });
    const stop = raw.text.slice(3, 6);
    const stopped = await whole(loaded.generate("The Congress", { raw: true, tokens: 12, stop: ["never", stop] }));
    expect(stopped).toMatchObject({ text: raw.text.slice(0, raw.text.indexOf(stop)), ended: "stop text" });
    const long = await whole(loaded.chat([{ role: "user", content: "We" }]));
    expect(["context", "end token"]).toContain(long.ended);
    if (long.ended === "context") expect(long.promptTokens + long.tokens).toBe(256);
  });

  it("leave the oldest turns out where the context is full, and refuse a message that alone is too long", async () => {
    await using loaded = await library.loadModel(model);
    const turn = (role: ChatMessage["role"], times: number) => ({ role, content: "Congress ".repeat(times).trim() });
    const talk = [turn("user", 200), turn("assistant", 40), turn("user", 30)];
    const answer = await whole(loaded.chat(talk, { tokens: 4 }));
    expect(answer).toMatchObject({ dropped: 2, text: await answered(talk.slice(2), 4) });
    await expect(whole(loaded.chat([turn("user", 300)]))).rejects.toThrow(/the message takes \d+ tokens/);
  });

  it("stay loaded when an answer is stopped", async () => {
    await using loaded = await library.loadModel(model);
    const question = [{ role: "user", content: "The Congress" }] as const;
    const stopping = new AbortController();
    const pieces = loaded.chat(question, { signal: stopping.signal });
    await pieces.next();
    stopping.abort(new Error("enough"));
    await expect(whole(pieces)).rejects.toThrow("enough");
    expect((await whole(loaded.chat(question, { tokens: 6 }))).text).toBe(await answered(question, 6));
  });
});

describe("crossblock generate", () => {
  it("answers by the template without repeating the prompt, and says how it ended", async () => {
    const args = ["generate", model, "--prompt", "The Congress", "--tokens", "6"];
    const expected = await answered([{ role: "user", content: "The Congress" }], 6);
    const { code, stdout, stderr } = await crossblockHere(args);
    expect([code, stdout, stderr]).toEqual([0, `${expected}\n`, "(stopped after 6 tokens; --tokens gives more)\n"]);
    const raw = await crossblockHere([...args, "--raw"]);
    expect(raw.stdout.startsWith("The Congress")).toBe(true);
    // Its second token, as one of those that end a text.
    const [, second] = tokenizer.encode(expected);
    change("generation_config.json", { eos_token_id: [0, second] });
    const all = await crossblockHere(args.slice(0, -2));
    change("generation_config.json", { eos_token_id: 0 });
    const first = tokenizer.decode(tokenizer.encode(expected).slice(0, 1));
    expect([all.code, all.stdout, all.stderr]).toEqual([0, `${first}\n`, "(the model ended here)\n"]);
  });

  it("writes pieces and how it ended as JSON", async () => {
    const args = [
      "generate",
      model,
      "--prompt",
      "The Congress",
      "--tokens",
      "5",
      "--temperature",
      "1",
      "--top-p",
      "0.9",
    ];
    const { code, events } = await eventsHere([...args, "--top-k", "50", "--seed", "3"]);
    const pieces = events.filter(({ event }) => event === "text").map(({ text }) => text);
    expect([code, pieces.length > 0]).toEqual([0, true]);
    const last = { event: "generated", chat: true, tokens: 5, ended: "tokens", text: pieces.join("") };
    expect(events.at(-1)).toMatchObject(last);
  });

  it.each([
    [["--top-p", "2"], /--top-p: "2" is no probability.*next: give 0.95/s],
    [["--stop", ""], /--stop: .*next: give at least one character/s],
    [["--top-k", "4"], /topK: nothing is random at temperature 0/],
  ])("refuses %j", async (flags, message) => {
    const { code, stderr } = await crossblockHere(["generate", model, "--prompt", "a", ...flags]);
    expect([code, stderr]).toEqual([2, expect.stringMatching(message)]);
  });
});

describe("crossblock chat", () => {
  it("answers each line of a script, and what is no answer goes to standard error", async () => {
    const { child, ended } = startProgram(["chat", model, "--temperature", "0", "--tokens", "6"], { piped: true });
    child.stdin?.end(
      "The Congress\n\nWhy?\n/reset\nWe\n/system Be brief.\nThe Congress\n/nothing\n/exit\nnever read\n",
    );
    const { code, stdout, stderr } = await ended;
    const user = (content: string): ChatMessage => ({ role: "user", content });
    const one = await answered([user("The Congress")], 6);
    const answers = [
      one,
      await answered([user("The Congress"), { role: "assistant", content: one }, user("Why?")], 6),
      await answered([user("We")], 6),
      await answered([{ role: "system", content: "Be brief." }, user("The Congress")], 6),
    ];
    expect([code, stdout]).toEqual([0, answers.map((text) => `${text}\n`).join("")]);
    expect(stderr).toMatch(
      /\(stopped after 6 tokens[\s\S]*\(a new conversation\)[\s\S]*\(there is no command \/nothing\)/,
    );
  });

  it("stops an answer at Ctrl-C and goes on, and ends where there is none", async () => {
    const { child, ended, wrote } = startProgram(["chat", model, "--temperature", "0"], { piped: true });
    const write = child.stdin?.write.bind(child.stdin) ?? (() => {});
    // An answer has up to two hundred tokens; the first is on its way when the signal arrives.
    child.stdout?.once("data", () => child.kill("SIGINT"));
    write("The Congress of the United States\n");
    await wrote("stderr", "(stopped)\n");
    write("/nothing\n");
    await wrote("stderr", "there is no command /nothing");
    // Nothing is being answered.
    child.kill("SIGINT");
    expect((await ended).code).toBe(0);
  });

  it("refuses a model without a template, with what to do instead", async () => {
    const { code, stderr } = await crossblockHere(["chat", bundledModel]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/no chat template[\s\S]*next: continue one: crossblock generate .* --prompt/);
    const seed = await crossblockHere(["chat", model, "--temperature", "0", "--seed", "1"]);
    expect([seed.code, seed.stderr]).toEqual([2, expect.stringMatching(/seed: nothing is random/)]);
  });
});
