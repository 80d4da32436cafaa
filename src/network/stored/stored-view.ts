/**
 * How a tensor of the network, `[rows, columns]` or `[rows]`, is made of stored ones: Linears that are stored as one, experts that
 * are stored as one tensor or each on its own, matrices that are stored with their dimensions swapped. All leading dimensions of
 * a stored tensor count as rows; of every `period` of them it has `count` from `first` on. Rows of the stored tensors follow one
 * another.
 */
export interface StoredView {
  readonly shape: readonly number[];
  /** Names of the stored tensors, which have one shape. */
  readonly from: readonly string[];
  readonly storedShape: readonly number[];
  /** Each stored matrix is `[columns, rows]`. */
  readonly transposed: boolean;
  readonly period: number;
  readonly first: number;
  readonly count: number;
}

/** The tensors of a network that are not stored as they are, by full name. */
export type StoredViews = ReadonlyMap<string, StoredView>;

/** Which rows of a view lie where in a stored tensor. */
interface RowRun {
  /** Of the view. */
  readonly own: number;
  /** Of the stored tensor. */
  readonly stored: number;
  readonly rows: number;
}

/** The bytes of a view, from those of its stored tensors. */
export function readView(
  view: StoredView,
  elementSize: number,
  read: (name: string) => Uint8Array,
): Uint8Array<ArrayBuffer> {
  const rowBytes = columnsOf(view) * elementSize;
  const bytes = new Uint8Array((view.shape[0] ?? 0) * rowBytes);
  view.from.forEach((name, i) => {
    const stored = read(name);
    takeRows(view, i, view.transposed ? swapped(stored, view.storedShape, elementSize) : stored, rowBytes, bytes);
  });
  return bytes;
}

/**
 * The bytes of a stored tensor, from those of all views that it serves.
 *
 * @param name of the stored tensor
 * @param parts its views, which fill it, each with a reader of the view's bytes
 */
export function writeStored(
  name: string,
  parts: readonly { readonly view: StoredView; readonly read: () => Uint8Array }[],
  elementSize: number,
): Uint8Array<ArrayBuffer> {
  const [any] = parts;
  if (any === undefined) throw new TypeError(`no view of ${name}`);
  const { storedShape, transposed } = any.view;
  const bytes = joinRows(
    name,
    parts.map(({ view, read }) => ({ view, rows: read() })),
    columnsOf(any.view) * elementSize,
  );
  const [matrices, rows, columns] = matricesOf(storedShape);
  return transposed ? swapped(bytes, [matrices, columns, rows], elementSize) : bytes;
}

/** Rows of a stored tensor, `rowBytes` each, from the rows of its views: of codes, scales, or whatever belongs to a row. */
export function joinRows(
  name: string,
  parts: readonly { readonly view: StoredView; readonly rows: Uint8Array }[],
  rowBytes: number,
): Uint8Array<ArrayBuffer> {
  const total = parts.reduce((sum, { view }) => sum + rowsEach(view), 0);
  const bytes = new Uint8Array(total * rowBytes);
  for (const { view, rows } of parts) {
    for (const run of runsOf(view, view.from.indexOf(name))) {
      bytes.set(rows.subarray(run.own * rowBytes, (run.own + run.rows) * rowBytes), run.stored * rowBytes);
    }
  }
  return bytes;
}

/** Puts what a view has of one of its stored tensors, rows of `rowBytes` each, into the rows of the view. */
export function takeRows(
  view: StoredView,
  index: number,
  stored: Uint8Array,
  rowBytes: number,
  into: Uint8Array,
): void {
  for (const run of runsOf(view, index)) {
    into.set(stored.subarray(run.stored * rowBytes, (run.stored + run.rows) * rowBytes), run.own * rowBytes);
  }
}

/** Rows that a view has of each of its stored tensors. */
export function rowsEach({ shape, from }: StoredView): number {
  return (shape[0] ?? 0) / from.length;
}

function* runsOf(view: StoredView, index: number): Generator<RowRun> {
  const { period, first, count } = view;
  const rows = rowsEach(view);
  for (let done = 0; done < rows; done += count) {
    yield { own: index * rows + done, stored: (done / count) * period + first, rows: count };
  }
}

function columnsOf({ shape }: StoredView): number {
  return shape[1] ?? 1;
}

function matricesOf(shape: readonly number[]): readonly [matrices: number, rows: number, columns: number] {
  const [rows = 1, columns = 1] = shape.slice(-2);
  return [shape.slice(0, -2).reduce((product, size) => product * size, 1), rows, columns];
}

/** Every matrix of `shape [..., rows, columns]` with its dimensions swapped. */
function swapped(bytes: Uint8Array, shape: readonly number[], elementSize: number): Uint8Array<ArrayBuffer> {
  const [matrices, rows, columns] = matricesOf(shape);
  const to = new Uint8Array(bytes.length);
  const [source, target] = [elementsOf(bytes, elementSize), elementsOf(to, elementSize)];
  for (let m = 0; m < matrices; m++) {
    const base = m * rows * columns;
    // In squares, so that both sides stay in the cache.
    for (let r0 = 0; r0 < rows; r0 += TILE) {
      for (let c0 = 0; c0 < columns; c0 += TILE) {
        for (let r = r0; r < Math.min(rows, r0 + TILE); r++) {
          for (let c = c0; c < Math.min(columns, c0 + TILE); c++) {
            target[base + c * rows + r] = source[base + r * columns + c] ?? 0;
          }
        }
      }
    }
  }
  return to;
}

const TILE = 32;

function elementsOf(bytes: Uint8Array, size: number): Uint8Array | Uint16Array | Uint32Array | Float64Array {
  const { buffer, byteOffset, byteLength } = bytes.byteOffset % size === 0 ? bytes : bytes.slice();
  switch (size) {
    case 1:
      return new Uint8Array(buffer, byteOffset, byteLength);
    case 2:
      return new Uint16Array(buffer, byteOffset, byteLength / 2);
    case 4:
      return new Uint32Array(buffer, byteOffset, byteLength / 4);
    case 8:
      return new Float64Array(buffer, byteOffset, byteLength / 8);
    default:
      throw new TypeError(`no elements of ${size} bytes`);
  }
}
