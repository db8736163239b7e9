/** System calls that raw_syscalls/sys_enter has reported, by name and process. */
import { arch } from "node:os";
import { nameSyscall } from "../../crds/syscall-abis.ts";
import type { Labels } from "../../lib/scraped-metrics.ts";
import type { Image } from "../process/image.ts";
import { SeriesCounter } from "./series.ts";

const ARCHITECTURE = arch() === "arm64" ? "arm64" : "x64";
/** There are hundreds of calls, so each has room for fewer series than the other counters have. */
const MAX_SERIES = 200;

interface Call {
  labels: Labels;
  series: SeriesCounter;
}

/** Calls of one name are counted together, whatever their ABI. Programs may use numbers that no call has: these share a name. */
export class SyscallSeries {
  readonly #byNumber = new Map<number, Call>();
  readonly #byName = new Map<string, Call>();
  readonly #processLabels: readonly string[];

  constructor(processLabels: readonly string[]) {
    this.#processLabels = processLabels;
  }

  add(number: number, image: Image): void {
    (this.#byNumber.get(number) ?? this.#find(number)).series.add(image);
  }

  calls(): Iterable<Call> {
    return this.#byName.values();
  }

  #find(number: number): Call {
    const { name } = nameSyscall(number, ARCHITECTURE);
    const syscall = name ?? "unknown";
    const made = { labels: { syscall }, series: new SeriesCounter(this.#processLabels, MAX_SERIES) };
    const call = this.#byName.get(syscall) ?? made;
    this.#byName.set(syscall, call);
    if (name !== undefined) this.#byNumber.set(number, call);
    return call;
  }
}
