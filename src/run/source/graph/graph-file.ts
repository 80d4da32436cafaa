import { createHash } from "node:crypto";
import { closeSync, openSync, readSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileSystemError } from "../../../checkpoint/file-system/file-system-error.js";
import { OnnxContent } from "../../../checkpoint/onnx/onnx-content.js";
import { ModelError } from "../../../errors.js";
import { type Graph, readGraph } from "../../../network/index.js";

/** Bytes that are read at once. */
const PIECE = 16 * 2 ** 20;

/** An ONNX file with one output, open. */
export class GraphFile implements Disposable {
  private constructor(
    readonly path: string,
    readonly content: OnnxContent,
    readonly graph: Graph,
  ) {}

  /**
   * @throws FormatError for a file that is no sound ONNX file; ModelError for operators that are not computed, control flow, and
   *   a network with several outputs
   */
  static open(path: string): GraphFile {
    const content = OnnxContent.open(path);
    try {
      const graph = readGraph(content);
      requireOneOutput(graph);
      return new GraphFile(path, content, graph);
    } catch (error) {
      content.close();
      throw error;
    }
  }

  get folder(): string {
    return dirname(this.path);
  }

  /** The file's name without its end. */
  get name(): string {
    return basename(this.path).replace(/\.onnx$/i, "");
  }

  /** The file and its data files. */
  get files(): readonly string[] {
    const locations = [...this.content.tensors.values()].flatMap(({ location }) => location ?? []);
    return [this.path, ...new Set(locations.map((location) => join(this.folder, location)))];
  }

  get bytes(): number {
    return this.files.reduce((sum, file) => sum + statSync(file).size, 0);
  }

  /** Whether it holds weights as codes already. */
  get isQuantized(): boolean {
    return this.graph.nodes.some(({ operator }) => /^(De|Dynamic)?[Qq]uantizeLinear/.test(operator));
  }

  /** SHA-256 of all its bytes; `poll` is called several times a second. */
  hash(poll: () => void): string {
    const hash = createHash("sha256");
    for (const file of this.files) {
      hash.update(`${basename(file)}\n`);
      for (const piece of pieces(file)) {
        poll();
        hash.update(piece);
      }
    }
    return hash.digest("hex");
  }

  [Symbol.dispose](): void {
    this.content.close();
  }
}

function* pieces(file: string): Generator<Uint8Array> {
  const descriptor = openSync(file, "r");
  try {
    const piece = new Uint8Array(PIECE);
    for (;;) {
      const read = readSync(descriptor, piece, 0, PIECE, null);
      if (read === 0) return;
      yield piece.subarray(0, read);
    }
  } catch (error) {
    throw fileSystemError(error, "the ONNX file can't be read", file);
  } finally {
    closeSync(descriptor);
  }
}

function requireOneOutput({ file, outputs }: Graph): void {
  if (outputs.length === 1) return;
  throw new ModelError({
    what: `it has ${outputs.length} outputs, and one is expected`,
    where: file,
    why: outputs.map(({ name }) => `"${name}"`).join(", "),
    next: "export it with the one that counts (output_names), or cut it there: onnx.utils.extract_model(FILE, NEW, [INPUT], [OUTPUT])",
  });
}
