import { describe, expect, it } from "vitest";
import type { ChatMessage, Generated } from "../../../api/model.js";
import { CalibrationError } from "../../../errors.js";
import { ChatSession } from "./chat-session.js";

const generated: Generated = { chat: true, promptTokens: 1, tokens: 2, seconds: 1, ended: "end token", dropped: 0 };

/** A model that answers with the last message, and what a conversation with it leaves. */
function talk(outcome: Partial<Generated> = {}, system: string | null = null) {
  const asked: (readonly ChatMessage[])[] = [];
  const seen = { text: "", notes: [] as string[] };
  const session = new ChatSession(
    {
      async *answer(messages) {
        asked.push(messages);
        yield "re: ";
        yield messages.at(-1)?.content ?? "";
        return { ...generated, ...outcome };
      },
      write: (text) => {
        seen.text += text;
      },
      note: (line) => void seen.notes.push(line),
    },
    system,
  );
  return { session, asked, seen };
}

const contents = (messages: readonly ChatMessage[] | undefined): string[] =>
  (messages ?? []).map(({ role, content }) => `${role}: ${content}`);

describe("ChatSession", () => {
  it("asks with everything that was said, and writes the answers", async () => {
    const { session, asked, seen } = talk({}, "Be brief.");
    for (const line of ["a", "   ", "b"]) expect(await session.take(line)).toBe(true);
    expect(seen).toEqual({ text: "re: a\nre: b\n", notes: [] });
    expect(contents(asked[1])).toEqual(["system: Be brief.", "user: a", "assistant: re: a", "user: b"]);
  });

  it("begins anew, with another system message or none, and ends", async () => {
    const { session, asked, seen } = talk({}, "S");
    for (const line of ["a", "/reset", "b", "/system  Be a pirate. ", "c", "/system", "d"]) await session.take(line);
    expect(asked.map(contents)).toEqual([
      ["system: S", "user: a"],
      ["system: S", "user: b"],
      ["system: Be a pirate.", "user: c"],
      ["user: d"],
    ]);
    expect(seen.notes).toHaveLength(3);
    expect(await session.take("/what")).toBe(true);
    expect(seen.notes.slice(3).join("\n")).toMatch(/no command \/what[\s\S]*\/reset[\s\S]*\/system TEXT[\s\S]*\/exit/);
    expect(await session.take("/exit")).toBe(false);
    expect(asked).toHaveLength(4);
  });

  it("forgets what the model's context has no room for, and says so", async () => {
    const { session, asked, seen } = talk({ dropped: 2 });
    await session.take("a");
    expect(seen.notes).toEqual([expect.stringContaining("oldest 2 messages were left out")]);
    await session.take("b");
    expect(contents(asked[1])).toEqual(["assistant: re: a", "user: b"]);
  });

  it("says where an answer was cut", async () => {
    const cut = talk({ ended: "tokens" });
    await cut.session.take("a");
    expect(cut.seen.notes).toEqual(["(stopped after 2 tokens; --tokens gives more)"]);
    const full = talk({ ended: "context" });
    await full.session.take("a");
    expect(full.seen.notes).toEqual([expect.stringContaining("/reset begins a new conversation")]);
  });

  it("keeps of an answer that was stopped what was written, and nothing where nothing was", async () => {
    const asked: (readonly ChatMessage[])[] = [];
    const seen: string[] = [];
    let begun = (): void => {};
    const begins = (): Promise<void> =>
      new Promise((resolve) => {
        begun = resolve;
      });
    const session = new ChatSession(
      {
        async *answer(messages, signal) {
          asked.push(messages);
          if (messages.length > 1) yield "He";
          begun();
          await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
          return generated;
        },
        write: (text) => void seen.push(text),
        note: (line) => void seen.push(line),
      },
      "S",
    );
    expect(session.stop()).toBe(false);
    for (const line of ["a", "b"]) {
      const answering = begins();
      const taken = session.take(line);
      await answering;
      expect(session.stop()).toBe(true);
      // Once it was stopped there is nothing more to stop.
      expect(session.stop()).toBe(false);
      expect(await taken).toBe(true);
    }
    const last = begins();
    void session.take("c");
    await last;
    expect(seen.slice(0, 5)).toEqual(["He", "\n", "(stopped)", "He", "\n"]);
    expect(contents(asked.at(-1))).toEqual([
      "system: S",
      "user: a",
      "assistant: He",
      "user: b",
      "assistant: He",
      "user: c",
    ]);
  });

  it("goes on after a message that is too long, and fails where the model does", async () => {
    const notes: string[] = [];
    let thrown: Error = new CalibrationError({ what: "the message takes 9 tokens", next: "send a shorter one" });
    const session = new ChatSession(
      {
        // biome-ignore lint/correctness/useYield: it fails before its first piece
        async *answer() {
          throw thrown;
        },
        write: () => {},
        note: (line) => void notes.push(line),
      },
      null,
    );
    expect(await session.take("a")).toBe(true);
    expect(notes).toEqual(["(the message takes 9 tokens; next: send a shorter one)"]);
    thrown = new Error("broken");
    await expect(session.take("b")).rejects.toThrow("broken");
  });
});
