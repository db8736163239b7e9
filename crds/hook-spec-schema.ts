/** JSON Schema of the hook spec and the limits that an agent holds every spec to. */

/** What one policy may ask of a node; the compiler says so to the user, the agent refuses what exceeds it. */
export const HOOK_SPEC_LIMITS = {
  hooks: 512,
  args: 5,
  argIndex: 4,
  selectors: 5,
  /** Of one selector, and of all selectors of a hook. */
  filters: 32,
  hookFilters: 96,
  actions: 3,
  pids: 64,
  namespaces: 32,
  binaries: 64,
  /** Bytes of a binary's path, and of the end of a path. */
  pathBytes: 255,
  postfixBytes: 127,
  ranges: 64,
  /** Several masks of a filter are one: their bits together. */
  masks: 1,
  messageLength: 256,
  tags: 16,
  tagLength: 128,
  labelLength: 256,
  functionNameLength: 255,
  /** UTF-8 bytes of the whole spec. */
  textBytes: 4 * 1024 * 1024,
} as const;

const L = HOOK_SPEC_LIMITS;

const TEXT = { type: "string", maxLength: 1024 } as const;
const UNSIGNED32 = { type: "integer", minimum: 0, maximum: 4294967295 } as const;
const DECIMAL = { type: "string", pattern: "^(0|-?[1-9][0-9]{0,19})$" } as const;
const FLAG = { type: "boolean" } as const;

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

const NAMESPACE_FILTER = {
  type: "object",
  properties: {
    match: { const: "namespace" },
    negate: FLAG,
    namespace: {
      enum: [
        "Uts",
        "Ipc",
        "Mnt",
        "Pid",
        "PidForChildren",
        "Net",
        "Time",
        "TimeForChildren",
        "Cgroup",
        "User",
      ],
    },
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
  },
  required: ["match", "negate", "compare", "values"],
  additionalProperties: false,
} as const;

const ARG_POSITION = { type: "integer", minimum: 0, maximum: L.args - 1 } as const;

const RANGE_FILTER = {
  type: "object",
  properties: {
    match: { const: "arg" },
    arg: ARG_POSITION,
    negate: FLAG,
    compare: { const: "range" },
    ranges: {
      type: "array",
      items: { type: "array", items: [DECIMAL, DECIMAL], minItems: 2, maxItems: 2, additionalItems: false },
      minItems: 1,
      maxItems: L.ranges,
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
    masks: { type: "array", items: DECIMAL, minItems: 1, maxItems: L.masks },
  },
  required: ["match", "arg", "negate", "compare", "masks"],
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

const SELECTOR = {
  type: "object",
  properties: {
    label: { type: "string", maxLength: L.labelLength },
    filters: {
      type: "array",
      items: { anyOf: [PID_FILTER, NAMESPACE_FILTER, BINARY_FILTER, RANGE_FILTER, MASK_FILTER] },
      maxItems: L.filters,
    },
    actions: { type: "array", items: { anyOf: [POST, NO_POST] }, maxItems: L.actions },
  },
  required: ["filters", "actions"],
  additionalProperties: false,
} as const;

const ARG = {
  type: "object",
  properties: {
    index: { type: "integer", minimum: 0, maximum: L.argIndex },
    type: {
      enum: [
        "int",
        "sint8",
        "int8",
        "uint8",
        "sint16",
        "int16",
        "uint16",
        "uint32",
        "sint32",
        "int32",
        "ulong",
        "uint64",
        "size_t",
        "long",
        "sint64",
        "int64",
        "string",
        "cred",
        "user_namespace",
        "capability",
        "kernel_cap_t",
        "cap_inheritable",
        "cap_permitted",
        "cap_effective",
        "nop",
      ],
    },
    label: { type: "string", maxLength: L.labelLength },
  },
  required: ["index", "type"],
  additionalProperties: false,
} as const;

const HOOK = {
  type: "object",
  properties: {
    path: { ...TEXT, minLength: 1 },
    section: { enum: ["kprobes", "fentries", "tracepoints", "lsmhooks"] },
    call: { type: "string", minLength: 1, maxLength: L.functionNameLength },
    syscall: FLAG,
    ignoreCallNotFound: FLAG,
    args: { type: "array", items: ARG, maxItems: L.args },
    selectors: { type: "array", items: SELECTOR, maxItems: L.selectors },
    message: { type: "string", maxLength: L.messageLength },
    tags: { type: "array", items: { type: "string", maxLength: L.tagLength }, maxItems: L.tags },
  },
  required: ["path", "section", "call", "syscall", "ignoreCallNotFound", "args", "selectors"],
  additionalProperties: false,
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

/** Schema of a hook spec (ajv, draft 7); hook-spec.test.ts proves that the HookSpec type says the same. */
export const HOOK_SPEC_SCHEMA = {
  type: "object",
  properties: {
    version: { const: 1 },
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
    nodeSelector: LABEL_SELECTOR,
  },
  required: ["version", "policy", "hooks"],
  additionalProperties: false,
} as const;
