import { cpus } from "node:os";

/** Processor time that has passed, in milliseconds: of this process, of everything, and of all processors, idle or not. */
interface Clock {
  readonly own: number;
  readonly busy: number;
  readonly all: number;
}

/** What other programs take of the processors, from now on until it is asked. */
export class ProcessorLoad {
  readonly #begun = clock();

  /** Share of all processors, 0 to 1; 0 where the system does not tell. */
  share(): number {
    const now = clock();
    const all = now.all - this.#begun.all;
    const others = now.busy - this.#begun.busy - (now.own - this.#begun.own);
    return all <= 0 ? 0 : Math.min(1, Math.max(0, others / all));
  }
}

function clock(): Clock {
  const { user, system } = process.cpuUsage();
  let [busy, all] = [0, 0];
  for (const { times } of cpus()) {
    const working = times.user + times.nice + times.sys + times.irq;
    busy += working;
    all += working + times.idle;
  }
  return { own: (user + system) / 1000, busy, all };
}
