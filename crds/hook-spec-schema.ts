/** JSON Schema of the hook spec and the limits that an agent holds every spec to. */
import { HOOK_ARGUMENT_TYPES } from "./argument-types.ts";
import { CURRENT_CAPABILITY_SETS, NAMESPACES } from "./linux.ts";
import { CRED_CHANGE_FIELDS, CRED_CHANGES, CURRENT_CRED_FIELDS } from "./schema/words.ts";

/** What one policy may ask of a node. The compiler reports what exceeds it to the user, and agents refuse it. */
export const HOOK_SPEC_LIMITS = {
  hooks: 512,
  args: 5,
  argIndex: 4,
  /** Position of the field in the format of a perf tracepoint, including the common fields. */
  fieldIndex: 63,
  selectors: 5,
  /** Filters of one selector, and of all selectors of a hook. */
  filters: 32,
  hookFilters: 96,
  actions: 3,
  /** The kernel's MAX_ERRNO: the largest number of an error. */
  error: 4095,
  pids: 64,
  namespaces: 32,
  binaries: 64,
  /** Bytes of a binary's path, and of the end of a path. */
  pathBytes: 255,
  postfixBytes: 127,
  ranges: 64,
  syscalls: 512,
  texts: 100,
  /** Bytes of a string that arguments are compared with as a whole or at their beginning. */
  textValueBytes: 4095,
  substringBytes: 99,
  /**
   * Filters of a hook on substrings and on strings longer than pathBytes, and the bytes of their tables. Of a hook that
   * asks for much beside, a kernel's verifier may take fewer.
   */
  substringFilters: 20,
  substringTables: 2 << 20,
  /** Steps of all expressions of a hook together, and values on the stack at once. */
  expressionSteps: 64,
  expressionDepth: 8,
  resolveLength: 255,
  /** Several masks of a filter are one: their bits together. */
  masks: 1,
  messageLength: 256,
  tags: 16,
  tagLength: 128,
  labelLength: 256,
  functionNameLength: 255,
  /** UTF-8 bytes of the spec's text, and of the text with every selector written out in each hook. */
  textBytes: 4 << 20,
  expandedBytes: 16 << 20,
} as const;

const L = HOOK_SPEC_LIMITS;

const TEXT = { type: "string", maxLength: 1024 } as const;
const UNSIGNED32 = { type: "integer", minimum: 0, maximum: 4294967295 } as const;
const DECIMAL = { type: "string", pattern: "^(0|-?[1-9][0-9]{0,19})$" } as const;
const FLAG = { type: "boolean" } as const;

const LABEL = { type: "string", maxLength: L.labelLength } as const;

const PID_FILTER = {
  type: "object",
  properties: {
    match: { const: "pid" },
    negate: FLAG,
    values: { type: "array", items: UNSIGNED32, minItems: 1, maxItems: L.pids },
    namespacePid: FLAG,
    followForks: FLAG,
  },
  required: ["match", "negate", "values", "namespacePid", "followForks"],
  additionalProperties: false,
} as const;

const NAMESPACE = { enum: NAMESPACES } as const;

const NAMESPACE_FILTER = {
  type: "object",
  properties: {
    match: { const: "namespace" },
    negate: FLAG,
    namespace: NAMESPACE,
    values: {
      type: "array",
      items: { anyOf: [UNSIGNED32, { const: "host_ns" }] },
      minItems: 1,
      maxItems: L.namespaces,
    },
  },
  required: ["match", "negate", "namespace", "values"],
  additionalProperties: false,
} as const;

const NAMESPACE_CHANGE_FILTER = {
  type: "object",
  properties: {
    match: { const: "namespaceChange" },
    negate: FLAG,
    namespaces: { type: "array", items: NAMESPACE, minItems: 1, maxItems: 10 },
  },
  required: ["match", "negate", "namespaces"],
  additionalProperties: false,
} as const;

const CAPABILITY_SET_PROPERTIES = {
  negate: FLAG,
  set: { enum: CURRENT_CAPABILITY_SETS },
  mask: DECIMAL,
  inNamespace: FLAG,
} as const;

const CAPABILITY_FILTER = {
  type: "object",
  properties: { match: { const: "capability" }, ...CAPABILITY_SET_PROPERTIES },
  required: ["match", "negate", "set", "mask", "inNamespace"],
  additionalProperties: false,
} as const;

const CAPABILITY_CHANGE_FILTER = {
  type: "object",
  properties: { match: { const: "capabilityChange" }, ...CAPABILITY_SET_PROPERTIES },
  required: ["match", "negate", "set", "mask", "inNamespace"],
  additionalProperties: false,
} as const;

const BINARY_FILTER = {
  type: "object",
  properties: {
    match: { const: "binary" },
    negate: FLAG,
    compare: { enum: ["equal", "prefix", "postfix"] },
    values: {
      type: "array",
      items: { type: "string", minLength: 1, maxLength: L.pathBytes },
      minItems: 1,
      maxItems: L.binaries,
    },
    of: { enum: ["self", "parent"] },
    followChildren: FLAG,
  },
  required: ["match", "negate", "compare", "values"],
  additionalProperties: false,
} as const;

const ARG_POSITION = { type: "integer", minimum: 0, maximum: L.args - 1 } as const;

const RANGES = {
  type: "array",
  items: { type: "array", items: [DECIMAL, DECIMAL], minItems: 2, maxItems: 2, additionalItems: false },
  minItems: 1,
  maxItems: L.ranges,
} as const;

const MASKS = { type: "array", items: DECIMAL, minItems: 1, maxItems: L.masks } as const;

const CURRENT_CRED_FILTER = {
  type: "object",
  properties: {
    match: { const: "currentCred" },
    negate: FLAG,
    field: { enum: CURRENT_CRED_FIELDS },
    ranges: RANGES,
  },
  required: ["match", "negate", "field", "ranges"],
  additionalProperties: false,
} as const;

const CRED_CHANGE_FILTER = {
  type: "object",
  properties: {
    match: { const: "credChange" },
    fields: {
      type: "array",
      items: { enum: CRED_CHANGE_FIELDS },
      minItems: 1,
      maxItems: CRED_CHANGE_FIELDS.length,
    },
    change: { enum: CRED_CHANGES },
  },
  required: ["match", "fields", "change"],
  additionalProperties: false,
} as const;

const RANGE_FILTER = {
  type: "object",
  properties: {
    match: { const: "arg" },
    arg: ARG_POSITION,
    negate: FLAG,
    compare: { const: "range" },
    ranges: { ...RANGES, minItems: 0 },
    syscalls: {
      type: "array",
      items: { type: "string", minLength: 1, maxLength: L.functionNameLength },
      minItems: 1,
      maxItems: L.syscalls,
    },
  },
  required: ["match", "arg", "negate", "compare", "ranges"],
  additionalProperties: false,
} as const;

const MASK_FILTER = {
  type: "object",
  properties: {
    match: { const: "arg" },
    arg: ARG_POSITION,
    negate: FLAG,
    compare: { const: "mask" },
    masks: MASKS,
  },
  required: ["match", "arg", "negate", "compare", "masks"],
  additionalProperties: false,
} as const;

const TEXT_FILTER = {
  type: "object",
  properties: {
    match: { const: "arg" },
    arg: ARG_POSITION,
    negate: FLAG,
    compare: { const: "text" },
    how: { enum: ["equal", "prefix", "postfix", "substring", "substringIgnoreCase"] },
    values: {
      type: "array",
      items: { type: "string", minLength: 1, maxLength: L.textValueBytes },
      minItems: 1,
      maxItems: L.texts,
    },
  },
  required: ["match", "arg", "negate", "compare", "how", "values"],
  additionalProperties: false,
} as const;

const GAINED_FILTER = {
  type: "object",
  properties: {
    match: { const: "arg" },
    arg: ARG_POSITION,
    newArg: ARG_POSITION,
    compare: { const: "gained" },
  },
  required: ["match", "arg", "newArg", "compare"],
  additionalProperties: false,
} as const;

const FILE_TYPE_FILTER = {
  type: "object",
  properties: {
    match: { const: "arg" },
    arg: ARG_POSITION,
    negate: FLAG,
    compare: { const: "fileType" },
    types: {
      type: "array",
      items: { enum: ["regular", "directory", "symlink", "socket", "fifo", "block", "character"] },
      minItems: 1,
      maxItems: 7,
    },
  },
  required: ["match", "arg", "negate", "compare", "types"],
  additionalProperties: false,
} as const;

const EXPRESSION_FILTER = {
  type: "object",
  properties: {
    match: { const: "expression" },
    steps: {
      type: "array",
      items: {
        anyOf: [
          {
            type: "object",
            properties: { op: { const: "const" }, value: DECIMAL },
            required: ["op", "value"],
            additionalProperties: false,
          },
          {
            type: "object",
            properties: { op: { const: "arg" }, arg: ARG_POSITION },
            required: ["op", "arg"],
            additionalProperties: false,
          },
          {
            type: "object",
            properties: { op: { enum: ["add", "sub", "mul", "div", "mod", "sdiv", "smod", "neg"] } },
            required: ["op"],
            additionalProperties: false,
          },
          {
            type: "object",
            properties: { op: { enum: ["eq", "lt", "le", "slt", "sle", "and", "or", "not"] } },
            required: ["op"],
            additionalProperties: false,
          },
        ],
      },
      minItems: 1,
      maxItems: L.expressionSteps,
    },
  },
  required: ["match", "steps"],
  additionalProperties: false,
} as const;

const RETURN_RANGE_FILTER = {
  type: "object",
  properties: { match: { const: "return" }, negate: FLAG, compare: { const: "range" }, ranges: RANGES },
  required: ["match", "negate", "compare", "ranges"],
  additionalProperties: false,
} as const;

const RETURN_MASK_FILTER = {
  type: "object",
  properties: { match: { const: "return" }, negate: FLAG, compare: { const: "mask" }, masks: MASKS },
  required: ["match", "negate", "compare", "masks"],
  additionalProperties: false,
} as const;

const RETURN_TEXT_FILTER = {
  type: "object",
  properties: {
    match: { const: "return" },
    negate: FLAG,
    compare: { const: "text" },
    how: TEXT_FILTER.properties.how,
    values: TEXT_FILTER.properties.values,
  },
  required: ["match", "negate", "compare", "how", "values"],
  additionalProperties: false,
} as const;

const POST = {
  type: "object",
  properties: {
    action: { const: "Post" },
    rateLimit: {
      type: "object",
      properties: {
        intervalMs: { type: "integer", minimum: 1, maximum: 4294967295 },
        scope: { enum: ["thread", "process", "global"] },
      },
      required: ["intervalMs", "scope"],
      additionalProperties: false,
    },
    kernelStackTrace: FLAG,
    userStackTrace: FLAG,
    imaHash: FLAG,
  },
  required: ["action"],
  additionalProperties: false,
} as const;

const NO_POST = {
  type: "object",
  properties: { action: { const: "NoPost" } },
  required: ["action"],
  additionalProperties: false,
} as const;

const SIGKILL = {
  type: "object",
  properties: { action: { const: "Sigkill" } },
  required: ["action"],
  additionalProperties: false,
} as const;

const SIGNAL = {
  type: "object",
  properties: { action: { const: "Signal" }, signal: { type: "integer", minimum: 1, maximum: 64 } },
  required: ["action", "signal"],
  additionalProperties: false,
} as const;

const OVERRIDE = {
  type: "object",
  properties: {
    action: { const: "Override" },
    error: { type: "integer", minimum: -HOOK_SPEC_LIMITS.error, maximum: HOOK_SPEC_LIMITS.error },
  },
  required: ["action", "error"],
  additionalProperties: false,
} as const;

const ACTIONS = {
  type: "array",
  items: { anyOf: [POST, NO_POST, SIGKILL, SIGNAL, OVERRIDE] },
  maxItems: L.actions,
} as const;

const LABEL_SELECTOR = {
  type: "object",
  properties: {
    matchLabels: { type: "object", additionalProperties: { type: "string" } },
    matchExpressions: {
      type: "array",
      items: {
        type: "object",
        properties: {
          key: { type: "string", minLength: 1 },
          operator: { enum: ["In", "NotIn", "Exists", "DoesNotExist"] },
          values: { type: "array", items: { type: "string" } },
        },
        required: ["key", "operator"],
        additionalProperties: false,
      },
    },
  },
  required: [],
  additionalProperties: false,
} as const;

const SCOPE = {
  type: "object",
  properties: {
    namespace: { type: "string", minLength: 1 },
    pods: LABEL_SELECTOR,
    containers: LABEL_SELECTOR,
    host: FLAG,
  },
  required: ["host"],
  additionalProperties: false,
} as const;

const SELECTOR = {
  type: "object",
  properties: {
    label: LABEL,
    scope: SCOPE,
    filters: {
      type: "array",
      items: {
        anyOf: [
          PID_FILTER,
          NAMESPACE_FILTER,
          NAMESPACE_CHANGE_FILTER,
          CAPABILITY_FILTER,
          CAPABILITY_CHANGE_FILTER,
          BINARY_FILTER,
          CURRENT_CRED_FILTER,
          CRED_CHANGE_FILTER,
          RANGE_FILTER,
          MASK_FILTER,
          TEXT_FILTER,
          GAINED_FILTER,
          FILE_TYPE_FILTER,
          EXPRESSION_FILTER,
        ],
      },
      maxItems: L.filters,
    },
    actions: ACTIONS,
    returnFilters: {
      type: "array",
      items: {
        anyOf: [
          RETURN_RANGE_FILTER,
          RETURN_MASK_FILTER,
          RETURN_TEXT_FILTER,
          NAMESPACE_CHANGE_FILTER,
          CAPABILITY_CHANGE_FILTER,
        ],
      },
      maxItems: L.filters,
    },
    returnActions: ACTIONS,
  },
  required: ["filters", "actions"],
  additionalProperties: false,
} as const;

const ARG_TYPE = { enum: HOOK_ARGUMENT_TYPES } as const;

const ARG = {
  type: "object",
  properties: {
    index: { type: "integer", minimum: 0, maximum: L.fieldIndex },
    type: ARG_TYPE,
    label: LABEL,
    source: { enum: ["current_task", "pt_regs"] },
    resolve: { type: "string", minLength: 1, maxLength: L.resolveLength },
    btfType: { type: "string", minLength: 1, maxLength: L.functionNameLength },
    btfTypeModule: { type: "string", minLength: 1, maxLength: L.functionNameLength },
    returnCopy: FLAG,
    maxData: FLAG,
    sizeArgIndex: { type: "integer", minimum: 1, maximum: 15 },
  },
  required: ["index", "type"],
  additionalProperties: false,
} as const;

const RETURN = {
  type: "object",
  properties: { type: ARG_TYPE, label: LABEL },
  required: ["type"],
  additionalProperties: false,
} as const;

const HOOK = {
  type: "object",
  properties: {
    path: { ...TEXT, minLength: 1 },
    section: { enum: ["kprobes", "fentries", "tracepoints", "lsmhooks"] },
    call: { type: "string", minLength: 1, maxLength: L.functionNameLength },
    tracepoint: {
      type: "object",
      properties: {
        subsystem: { type: "string", minLength: 1, maxLength: L.functionNameLength },
        event: { type: "string", minLength: 1, maxLength: L.functionNameLength },
        raw: FLAG,
      },
      required: ["subsystem", "event", "raw"],
      additionalProperties: false,
    },
    syscall: FLAG,
    ignoreCallNotFound: FLAG,
    returnArg: RETURN,
    args: { type: "array", items: ARG, maxItems: L.args },
    scope: SCOPE,
    selectors: { type: "array", items: SELECTOR, maxItems: L.selectors },
    drift: { const: true },
    message: { type: "string", maxLength: L.messageLength },
    tags: { type: "array", items: { type: "string", maxLength: L.tagLength }, maxItems: L.tags },
  },
  required: ["path", "section", "call", "syscall", "ignoreCallNotFound", "args", "selectors"],
  additionalProperties: false,
} as const;

/** Schema of a hook spec (ajv, draft 7); hook-spec.test.ts proves that the HookSpec type says the same. */
export const HOOK_SPEC_SCHEMA = {
  type: "object",
  properties: {
    version: { const: 2 },
    policy: {
      type: "object",
      properties: {
        kind: { enum: ["TracingPolicy", "TracingPolicyNamespaced"] },
        namespace: { type: "string", minLength: 1 },
        name: { type: "string", minLength: 1 },
      },
      required: ["kind", "name"],
      additionalProperties: false,
    },
    hooks: { type: "array", items: HOOK, minItems: 1, maxItems: L.hooks },
    mode: { enum: ["enforce", "monitor", "count"] },
    nodeSelector: LABEL_SELECTOR,
  },
  required: ["version", "policy", "hooks"],
  additionalProperties: false,
} as const;
