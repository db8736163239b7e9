/** Errors and warnings of the compiler about a policy, each with its place. */
import { quoteVisibly } from "./suggest.ts";

/** An error or a warning: `path` is what is wrong, `message` describes the problem and the fix. */
export interface PolicyError {
  /** Field path from the policy's root, such as `spec.kprobes[0].args[1].type`; empty for the whole document. */
  path: string;
  message: string;
  /** From 1; known for policies that came as text. */
  line?: number;
  /** From 1. */
  column?: number;
  /** Of a warning: the recorded kernels that refuse the hook, a bit each. Absent where it is no matter of kernels. */
  kernels?: number;
}

/** Collects errors and warnings while a policy is compiled. */
export class Problems {
  readonly errors: PolicyError[] = [];
  readonly warnings: PolicyError[] = [];

  /** Records an error; the policy will not compile. */
  error(path: string, message: string): void {
    this.errors.push({ path, message });
  }

  /** Records something that the user should know; the policy compiles. */
  warn(path: string, message: string): void {
    this.warnings.push({ path, message });
  }

  /** Records what some of the recorded kernels, a bit each, refuse or what all of them lack; the policy compiles. */
  warnOfKernels(kernels: number, path: string, message: string): void {
    this.warnings.push({ path, message, kernels });
  }
}

/** Path of a member: `a.b`, `a[0]`, or `a["x.y"]` for a key that is no plain word. */
export function child(path: string, key: string | number): string {
  if (typeof key === "number") return `${path}[${key}]`;
  if (!/^[\w-]+$/.test(key)) return `${path}[${quoteVisibly(key)}]`;
  return path === "" ? key : `${path}.${key}`;
}

/** Path of what stands at `rest` below `path`: `items[0]` and `spec.kprobes` are `items[0].spec.kprobes`. */
export function below(path: string, rest: string): string {
  return rest === "" || rest.startsWith("[") ? `${path}${rest}` : `${path}.${rest}`;
}

/** Path of the object or list that a path is a member of; undefined for the root. */
export function parent(path: string): string | undefined {
  if (path === "") return undefined;
  return /^(.*?)(?:\[(?:\d+|"(?:[^"\\]|\\.)*")\]|\.?[\w-]+)$/s.exec(path)?.[1] ?? "";
}
