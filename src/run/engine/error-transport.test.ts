import { describe, expect, it } from "vitest";
import { CheckpointError, InputError } from "../../errors.js";
import { TensorError } from "../../tensor/tensor-error.js";
import { errorFromMessage, errorToMessage } from "./error-transport.js";

const across = (error: unknown): Error => errorFromMessage(structuredClone(errorToMessage(error)));

describe("errors across threads", () => {
  it("keeps class, message, fields, stack and cause", () => {
    const cause = new RangeError("deep");
    const error = new CheckpointError({ what: "ends early", where: "a.safetensors", next: "download it again", cause });
    const arrived = across(error);
    expect(arrived).toBeInstanceOf(CheckpointError);
    expect(arrived).toBeInstanceOf(InputError);
    expect(arrived).toMatchObject({ name: "CheckpointError", where: "a.safetensors", exitCode: 2, stack: error.stack });
    expect(arrived.message).toBe(error.message);
    expect(arrived.cause).toBeInstanceOf(RangeError);
  });

  it("keeps the fields that subclasses add", () => {
    const arrived = across(new TensorError("aten::mm", ["float32[2, 3]"], { message: "no", code: "OUT_OF_MEMORY" }));
    expect(arrived).toBeInstanceOf(TensorError);
    expect(arrived).toMatchObject({ operator: "aten::mm", shapes: ["float32[2, 3]"], code: "OUT_OF_MEMORY" });
  });

  it("sends an unknown subclass as its nearest known ancestor, and a thrown text as an error", () => {
    class NewError extends InputError {}
    expect(across(new NewError({ what: "w", next: "n" }))).toBeInstanceOf(InputError);
    expect(across("text")).toMatchObject({ message: "text" });
  });
});
