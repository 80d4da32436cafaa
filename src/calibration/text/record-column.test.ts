import { describe, expect, it } from "vitest";
import { CalibrationError } from "../../errors.js";
import { ChatFormat } from "../chat/chat-format.js";
import { parseDict } from "./parse-record.js";
import { textOfRecord } from "./record-text.js";

const chat = new ChatFormat({
  chatTemplate: "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}",
  toolTemplate: null,
  roleTokens: new Map(),
});
const text = (record: unknown, column: string): string | null =>
  textOfRecord(parseDict(JSON.stringify(record), "d:1", "n"), chat, "d:1", column);

describe("the text in a named column", () => {
  it("is a string, messages or turns, whatever else the record has", () => {
    expect(text({ text: "no", body: "yes" }, "body")).toBe("yes");
    const turns = [{ role: "user", content: "Hi" }];
    expect(text({ text: "no", chosen: turns, messages: [{ role: "user", content: "no" }] }, "chosen")).toBe("<user>Hi");
    expect(text({ text: "no", dialog: [{ from: "human", value: "Hi" }] }, "dialog")).toBe("<user>Hi");
    expect([text({ body: null, text: "no" }, "body"), text({ body: "" }, "body")]).toEqual([null, null]);
  });

  it("is refused where it is not there, or in another form", () => {
    expect(() => text({ text: "no", id: 1 }, "body")).toThrow(
      /d:1.*no column "body".*the record has the keys "text", "id".*name the column/,
    );
    expect(() => text({ body: 7 }, "body")).toThrow(CalibrationError);
  });
});
