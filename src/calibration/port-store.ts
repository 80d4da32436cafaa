import { freeOnError, numbersIn, scope, type Tensor } from "../tensor/index.js";
import {
  type ActivationStore,
  createStore,
  type Storage,
  type StorePlacement,
  storeBytes,
} from "./activation-store.js";

/** Tensors that pass from one unit of a network to the next, by name: `{ x }` in a decoder, `{ x, time, skip }` in a U-Net. */
export type Ports = Readonly<Record<string, Tensor>>;

export interface StreamShape {
  readonly sequences: number;
  /** Positions of a sequence: tokens; 1 where a sequence is an image. */
  readonly tokens: number;
  /** Shape of each port, of one sequence. */
  readonly ports: Readonly<Record<string, readonly number[]>>;
}

/** The calibration sequences at one place of the network: a store for every port that there is at this place. */
export interface PortStore {
  readonly shape: StreamShape;
  readonly stores: ReadonlyMap<string, ActivationStore>;
  /** The sequences at `indices`, on the compute device; `places` as in `ActivationStore.read`, `names` of the ports that are wanted: else all. */
  read(indices: readonly number[], places?: Tensor, names?: ReadonlySet<string>): Ports;
  /** Overwrites the sequences from `first` on; a port that is new gets a store. */
  write(first: number, ports: Ports): void;
  /** Frees the stores of all other ports: no later unit reads them. */
  retain(ports: readonly string[]): void;
  dispose(): void;
}

/** @throws EnvironmentError when a store on the disk can't be made */
export function createPortStore(shape: StreamShape, storage: Storage, placement: StorePlacement): PortStore {
  const stores = new Map<string, ActivationStore>();
  const dispose = (): void => {
    for (const store of stores.values()) store.dispose();
  };
  const add = (name: string, port: readonly number[]): void => {
    const dtype = portType(port, placement.dtype);
    stores.set(name, createStore({ sequences: shape.sequences, shape: port }, storage, { ...placement, dtype }));
  };
  freeOnError([{ dispose }], () => {
    for (const [name, port] of Object.entries(shape.ports)) add(name, port);
  });
  return {
    get shape() {
      return { ...shape, ports: Object.fromEntries([...stores].map(([name, store]) => [name, store.shape.shape])) };
    },
    stores,
    read: (indices, places, names) =>
      Object.fromEntries(
        [...stores]
          .filter(([name]) => names?.has(name) ?? true)
          .map(([name, store]) => [name, store.read(indices, places)]),
      ),
    write: (first, ports) => {
      // Where memory runs out nothing is written: what failed is done again from what is here.
      scope(() => {
        for (const [name, port] of Object.entries(ports)) if (!stores.has(name)) add(name, port.shape.slice(1));
        const ready = [...stores].flatMap(([name, store]) => {
          // A port that is not given is not read any more, and goes with `retain`.
          const values = ports[name];
          if (values === undefined) return [];
          return [[store, stores.size === 1 ? values : store.ready(values)] as const];
        });
        for (const [store, values] of ready) store.write(first, values);
      });
    },
    retain: (ports) => {
      for (const [name, store] of stores) {
        if (ports.includes(name)) continue;
        store.dispose();
        stores.delete(name);
      }
    },
    dispose,
  };
}

/** Bytes that a store for every port takes. */
export function streamBytes({ sequences, ports }: StreamShape, dtype: StorePlacement["dtype"]): number {
  return Object.values(ports).reduce((sum, shape) => sum + storeBytes({ sequences, shape }, portType(shape, dtype)), 0);
}

/** In which dtype a port is kept: single numbers in fp32, since bf16 can't tell the time steps 999 and 1000 apart. */
export function portType(shape: readonly number[], dtype: StorePlacement["dtype"]): StorePlacement["dtype"] {
  return numbersIn(shape) === 1 ? "float32" : dtype;
}

/** The tensor of a port. */
export function portOf(ports: Ports, name: string): Tensor {
  const tensor = ports[name];
  if (tensor === undefined) throw new TypeError(`there is no port "${name}" here`);
  return tensor;
}

/** Ports that are `change` of those given. */
export function mapPorts(ports: Ports, change: (tensor: Tensor, name: string) => Tensor): Ports {
  return Object.fromEntries(Object.entries(ports).map(([name, tensor]) => [name, change(tensor, name)]));
}
