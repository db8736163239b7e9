/** Options of a guest. */
import type { Readable, Writable } from "node:stream";
import type { Progress } from "../progress.ts";
import type { KernelName } from "./kernels.ts";

/** A host directory that the guest mounts at `guestPath`, writable unless `readOnly`. */
export interface Share {
  hostPath: string;
  guestPath: string;
  readOnly?: boolean;
}

/** A network card of the guest (eth0, eth1 …) on a tap device that exists where QEMU runs. */
export interface Tap {
  name: string;
  mac: string;
}

/** Kernel, command and devices of a guest. */
export interface GuestOptions {
  kernel: KernelName;
  /** Where kernels are kept between runs: `cacheDirectory()` of e2e/cache.ts. */
  cacheDir: string;
  command: string[];
  /** Working directory of the command; the project's directory by default. */
  cwd?: string;
  /** Added to a small fresh environment; the host's is not passed on. */
  env?: Record<string, string>;
  /** Lines of sh that run before the command, on the console, as process 1; if the last one fails the guest ends with status 125. */
  setup?: string[];
  /** No stdin by default. */
  stdin?: Readable;
  stdout: Writable;
  stderr: Writable;
  /** Kernel modules to load before the setup. */
  modules?: string[];
  hostname?: string;
  /** Directories that get an empty tmpfs. */
  tmpfs?: string[];
  shares?: Share[];
  /** Host paths below /tmp or /run that stay visible; everything else there is fresh. */
  keep?: string[];
  taps?: Tap[];
  cpus?: number;
  memoryMb?: number;
  /** Appended to the kernel's command line; later words win. */
  kernelArgs?: string[];
  /** QEMU's -accel; TCG with a thread per processor by default. */
  accelerator?: string;
  /** Further arguments of QEMU. */
  qemuArgs?: string[];
  /** Program and arguments that QEMU is started through, e.g. into a network namespace. */
  launcher?: string[];
  /** Ends the guest after this time. */
  timeoutMs?: number;
  progress?: Progress;
}
