/** What is known of an address in a stack. */
import type { Image } from "../process/image.ts";

/** A place in code that has a name. */
export interface CodePlace {
  /** Bytes from the beginning of the symbol or, without one, of the module's file. */
  offset: number;
  symbol?: string;
  /** Kernel module, or path of the mapped file. */
  module?: string;
}

/** Names kernel addresses, given as two 32-bit words. */
export interface KernelCode {
  find(low: number, high: number): CodePlace | undefined;
}

/** Names addresses of a process. */
export interface UserCode {
  find(image: Image, low: number, high: number): CodePlace | undefined;
}

/** How stacks are shown. */
export interface StackOptions {
  kernel?: KernelCode;
  user?: UserCode;
  /** Kernel addresses show an attacker where the kernel is: left out unless a flag asks for them, as upstream does. */
  exposeAddresses?: boolean;
}
