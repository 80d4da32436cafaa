import type { ChatMessage, Generated } from "../../../api/model.js";
import { CalibrationError } from "../../../errors.js";

/** What a conversation needs around it. */
export interface ChatSurroundings {
  /** Answers the last message; yields pieces of the text. */
  readonly answer: (messages: readonly ChatMessage[], signal: AbortSignal) => AsyncGenerator<string, Generated>;
  /** Writes a part of an answer. */
  readonly write: (text: string) => void;
  /** Writes a line that is no part of the conversation. */
  readonly note: (line: string) => void;
}

const HELP = [
  "/reset        begin a new conversation",
  "/system TEXT  begin a new conversation with this system message; without a text, with none",
  "/exit         end, as do Ctrl-D, and Ctrl-C where nothing is being answered",
];

/** A conversation with a model, line by line. */
export class ChatSession {
  #system: ChatMessage | null;
  #turns: ChatMessage[] = [];
  #answering: AbortController | null = null;

  constructor(
    private readonly around: ChatSurroundings,
    system: string | null,
  ) {
    this.#system = messageOf("system", system);
  }

  /** Takes a line: a message or a command. Returns false where it ends the conversation. */
  async take(line: string): Promise<boolean> {
    const [command = "", rest = ""] = /^(\/\S*)\s*(.*)$/s.exec(line.trim())?.slice(1) ?? [];
    if (command === "/exit" || command === "/quit") return false;
    if (command === "/reset") {
      this.#turns = [];
      this.around.note("(a new conversation)");
    } else if (command === "/system") {
      this.#turns = [];
      this.#system = messageOf("system", rest);
      this.around.note(rest === "" ? "(a new conversation, without a system message)" : "(a new conversation)");
    } else if (command !== "") {
      if (command !== "/help") this.around.note(`(there is no command ${command})`);
      for (const text of HELP) this.around.note(text);
    } else if (line.trim() !== "") {
      await this.#say(line);
    }
    return true;
  }

  /** Stops the answer that is under way; false where there is none. */
  stop(): boolean {
    if (this.#answering === null || this.#answering.signal.aborted) return false;
    this.#answering.abort();
    return true;
  }

  async #say(content: string): Promise<void> {
    const { answer, write, note } = this.around;
    const stopping = new AbortController();
    this.#answering = stopping;
    const asked: ChatMessage[] = [...this.#turns, { role: "user", content }];
    let text = "";
    let generated: Generated | null = null;
    try {
      const pieces = answer(this.#system === null ? asked : [this.#system, ...asked], stopping.signal);
      while (generated === null) {
        const next = await pieces.next();
        if (next.done === true) generated = next.value;
        else {
          text += next.value;
          write(next.value);
        }
      }
    } catch (error) {
      if (error instanceof CalibrationError && text === "") {
        note(`(${error.what}; next: ${error.next})`);
        return;
      }
      if (!stopping.signal.aborted) throw error;
    } finally {
      this.#answering = null;
    }
    write("\n");
    if (generated === null) note("(stopped)");
    const dropped = generated?.dropped ?? 0;
    if (dropped > 0) {
      note(`(the context is full: the oldest ${dropped} messages were left out, and are forgotten from here on)`);
    }
    if (generated?.ended === "context") note("(the model's context is full; /reset begins a new conversation)");
    if (generated?.ended === "tokens") note(`(stopped after ${generated.tokens} tokens; --tokens gives more)`);
    // A question whose answer was stopped before its first word was not asked.
    if (generated !== null || text !== "") {
      this.#turns = [...asked.slice(dropped), { role: "assistant", content: text }];
    }
  }
}

function messageOf(role: ChatMessage["role"], content: string | null): ChatMessage | null {
  return content === null || content === "" ? null : { role, content };
}
