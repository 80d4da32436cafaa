import { describe, expect, it } from "vitest";
import { documentBounds } from "./document-bounds.js";

const chatMl = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}";
const llama =
  "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>{{ m.content }}<|eot_id|>{% endfor %}";

function bounds(
  tokens: Readonly<Record<string, number>>,
  start: string | null,
  ends: string[],
  template: string | null,
) {
  const texts = new Map(Object.entries(tokens).map(([text, id]) => [id, text]));
  const { start: first, ends: last } = documentBounds({
    startToken: start === null ? null : (tokens[start] ?? -1),
    eosTokens: ends.map((text) => tokens[text] ?? -1),
    specialTokens: new Map(Object.entries(tokens)),
    tokenText: (id) => texts.get(id) ?? null,
    chatTemplate: template,
    toolTemplate: null,
    roleTokens: new Map(start === null ? [] : [["bos_token", start]]),
  });
  return { start: first, ends: [...last].sort() };
}

describe("the tokens around a document of the training data", () => {
  const smol = { "<|endoftext|>": 0, "<|im_start|>": 1, "<|im_end|>": 2 };
  const llama3 = { "<|begin_of_text|>": 10, "<|end_of_text|>": 11, "<|eot_id|>": 12, "<|start_header_id|>": 13 };

  it("are the separator where instruction tuning gave the start token to turns", () => {
    expect(bounds(smol, "<|im_start|>", ["<|im_end|>"], chatMl)).toEqual({ start: 0, ends: [0, 2] });
  });

  it("are the start token where the template writes it once, and where there is no template", () => {
    expect(bounds(llama3, "<|begin_of_text|>", ["<|eot_id|>"], llama)).toEqual({ start: 10, ends: [11, 12] });
    expect(bounds({ "<s>": 1, "</s>": 2 }, "<s>", ["</s>"], null)).toEqual({ start: 1, ends: [2] });
    expect(bounds({ "</s>": 2 }, "</s>", ["</s>"], null)).toEqual({ start: 2, ends: [2] });
  });

  it("are the separator where the tokenizer names no start token", () => {
    const qwen = { "<|endoftext|>": 100, "<|im_start|>": 101, "<|im_end|>": 102 };
    expect(bounds(qwen, null, ["<|im_end|>", "<|endoftext|>"], chatMl)).toEqual({ start: 100, ends: [100, 102] });
  });

  it("are what the tokenizer says where no separator is known, or the template can't be followed", () => {
    expect(bounds({ "<a>": 3, "<b>": 4 }, "<a>", ["<b>"], null)).toEqual({ start: 3, ends: [4] });
    expect(bounds({ "<b>": 4 }, null, ["<b>"], null)).toEqual({ start: null, ends: [4] });
    expect(bounds(smol, "<|im_start|>", ["<|im_end|>"], "{% include 'x' %}")).toEqual({ start: 1, ends: [0, 2] });
  });
});
