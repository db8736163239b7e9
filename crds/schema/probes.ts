/** The kinds of probes that a policy can hold. */
import { ARGUMENT_TYPES } from "../argument-types.ts";
import { SELECTOR } from "./selectors.ts";
import { type CelRule, count, flag, list, object, type Structural, text, texts, word } from "./structural.ts";

const RETURN_RULE: CelRule = {
  rule: "!has(self.return) || (!self.return || has(self.returnArg))",
  message: "is missing: return: true needs it, for example {index: 0, type: int}",
  fieldPath: ".returnArg",
};

const ARGUMENT = object(
  "A value to read.",
  {
    btfType: text("Type to treat the value as before resolve."),
    btfTypeModule: text("Kernel module whose BTF has the type."),
    index: count("Parameter number, 0 for the first."),
    label: text("Name of the argument in events."),
    maxData: flag("Reads up to 16 KiB of a char_buf instead of 4.", false),
    resolve: text("Path of struct members from the value to what is wanted.", { default: "" }),
    returnCopy: flag("Reads the value when the function returns.", false),
    sizeArgIndex: count("Number of the parameter, from 1, that holds the size of a char_buf."),
    source: text("Where a data entry comes from: current_task or pt_regs."),
    type: word("How to read the value.", ARGUMENT_TYPES, { default: "auto" }),
  },
  ["index", "type"],
);

const COMMON: Record<string, Structural> = {
  args: list("Arguments to read, at most 5 with data.", ARGUMENT),
  message: text("Text shown with each event, at most 256 characters."),
  selectors: list("At most 5; the first that matches decides.", SELECTOR),
  tags: texts("Labels shown with each event.", { maxItems: 16 }),
};

const RETURN: Record<string, Structural> = {
  return: flag("Reports the return value.", false),
  returnArg: { ...ARGUMENT, description: "The return value." },
};

const DATA: Record<string, Structural> = {
  data: list("Values that are not arguments.", ARGUMENT),
};

/** A kernel function or system call; kprobes and fentries share it. */
export const FUNCTION_PROBE: Structural = object(
  "A kernel function or system call.",
  {
    ...COMMON,
    ...RETURN,
    ...DATA,
    call: text("Function name, sys_NAME for a system call, or list:NAME."),
    ignore: object("Conditions that are no failure.", {
      callNotFound: flag("Skips the hook where the kernel does not have the function."),
    }),
    returnArgAction: text("Action on the return value: TrackSock or UntrackSock."),
    syscall: flag("True: call is a system call and its prefix is added.", true),
  },
  ["call"],
  { "x-kubernetes-validations": [RETURN_RULE] },
);

/** A tracepoint of the kernel. */
export const TRACEPOINT: Structural = object(
  "A tracepoint.",
  {
    ...COMMON,
    event: text("Event name below the subsystem."),
    raw: flag("Reads the raw arguments of the tracepoint."),
    subsystem: text("Subsystem, the directory of the event in tracefs."),
  },
  ["event", "subsystem"],
);

/** A hook of the Linux Security Modules. */
export const LSM_HOOK: Structural = object(
  "A hook of the Linux Security Modules.",
  { ...COMMON, hook: text("Hook name, such as bprm_check_security.") },
  ["hook"],
);

/** A function of a user-space program. */
export const UPROBE: Structural = object(
  "A function of a user-space program.",
  {
    ...COMMON,
    ...RETURN,
    ...DATA,
    addrs: list("Addresses in the file.", { format: "int64", type: "integer" }),
    binaryDigests: texts("Digests that the file must have."),
    btfPath: text("File with the BTF of the program."),
    ignore: object("Conditions that are no failure.", {
      digestVerificationFailure: flag("Attaches although no digest fits."),
    }),
    offsets: list("Offsets in the file.", { format: "int64", type: "integer" }),
    path: text("File of the program or library."),
    refCtrOffsets: list("Offsets of reference counters.", { format: "int64", type: "integer" }),
    symbols: texts("Symbols in the file."),
  },
  ["path"],
  {
    "x-kubernetes-validations": [
      {
        rule:
          "!(has(self.symbols) && has(self.addrs)) && !(has(self.symbols) && has(self.offsets))" +
          " && !(has(self.addrs) && has(self.offsets))",
        message: "only one of symbols, offsets and addrs is allowed",
      },
      RETURN_RULE,
    ],
  },
);

/** A statically defined probe of a user-space program. */
export const USDT: Structural = object(
  "A statically defined probe of a user-space program.",
  {
    ...COMMON,
    btfPath: text("File with the BTF of the program."),
    name: text("Probe name."),
    path: text("File of the program or library."),
    provider: text("Provider name."),
  },
  ["name", "path", "provider"],
);
