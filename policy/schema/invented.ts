/** Spellings that other tools and people's memory suggest, and the form that is right here. */

/** Lists that are often written as one object or as texts, each with an entry. */
const LISTS: Readonly<Record<string, string>> = {
  kprobes: "{call: sys_setuid, syscall: true}",
  fentries: "{call: commit_creds, syscall: false}",
  tracepoints: "{subsystem: sched, event: sched_process_exec}",
  lsmhooks: "{hook: bprm_check_security}",
  args: "{index: 0, type: int}",
  selectors: "{matchArgs: [...]}",
  matchArgs: '{index: 0, operator: Equal, values: ["0"]}',
  matchData: '{index: 0, operator: Equal, values: ["0"]}',
  matchReturnArgs: '{index: 0, operator: Equal, values: ["0"]}',
  matchBinaries: "{operator: In, values: [/usr/bin/su]}",
  matchParentBinaries: "{operator: In, values: [/usr/bin/su]}",
  matchPIDs: "{operator: NotIn, values: [1]}",
  matchNamespaces: "{namespace: Pid, operator: NotIn, values: [host_ns]}",
  matchCapabilities: "{operator: In, values: [CAP_SYS_ADMIN]}",
  matchCurrentCred: '{field: euid, operator: Equal, values: ["0"]}',
  matchCredChanges: "{fields: [euid], change: Raised}",
  matchActions: "{action: Post, rateLimit: 1m}",
  matchReturnActions: "{action: Post}",
};

/** `matchArgs: [{index: 0, ...}]` for a list that is written as an object; undefined for the others. */
export function listExample(name: string): string | undefined {
  const entry = own(LISTS, name);
  return entry && `${name}: [${entry}]`;
}

/** `: write {index: 0, type: int}` for a text as an entry of such a list; empty for the others. */
export function entryInstead(list: string): string {
  const entry = own(LISTS, list);
  return entry ? `: write ${entry}` : "";
}

const EQUAL = ["Equal", "In"];
const NOT_EQUAL = ["NotEqual", "NotIn"];

/**
 * Operators of sets and of other languages, types of C, and actions, namespaces and fields by other names. Of several
 * words the first that is allowed is right.
 */
const WORDS: Readonly<Record<string, string | readonly string[]>> = {
  in: "Equal, which takes several values, or InMap for many",
  notin: "NotEqual, which takes several values, or NotInMap for many",
  equal: EQUAL,
  equals: EQUAL,
  "==": EQUAL,
  "=": EQUAL,
  notequal: NOT_EQUAL,
  "!=": NOT_EQUAL,
  uid: "uint32",
  gid: "uint32",
  uid_t: "uint32",
  gid_t: "uint32",
  kuid_t: "uint32",
  kgid_t: "uint32",
  u32: "uint32",
  u64: "uint64",
  pid: "int",
  pid_t: "int",
  bool: "int",
  "unsigned int": "uint32",
  "unsigned long": "uint64",
  "char *": "string",
  "const char *": "string",
  ">": "GT",
  "<": "LT",
  ">=": "InRange",
  "<=": "InRange",
  startswith: "Prefix",
  endswith: "Postfix",
  suffix: "Postfix",
  contains: "SubString",
  regex: "SubString, Prefix or Postfix: there are no patterns",
  matches: "SubString, Prefix or Postfix: there are no patterns",
  exists: "Mask or NotEqual",
  between: "InRange with min:max",
  kill: "Sigkill",
  deny: "Override with argError: -1",
  block: "Override with argError: -1",
  alert: "Post",
  log: "Post",
  ignore: "NoPost",
  mount: "Mnt",
  network: "Net",
  loginuid: "auid",
};

/** `: use Equal` for a word that others have, where one of the allowed words does the same. */
export function wordInstead(written: string, allowed: readonly string[]): string {
  const words = [own(WORDS, written.toLowerCase()) ?? []].flat();
  const instead = words.find((word) => allowed.includes(word.split(/[ ,:]/)[0] ?? ""));
  return instead === undefined ? "" : `: use ${instead}`;
}

/** Names for parts of a selector that people put beside the selectors or call otherwise. */
const PARTS: Readonly<Record<string, string>> = {
  actions: "matchActions",
  action: "matchActions",
  filters: "matchArgs",
  conditions: "matchArgs",
};

/** `: belongs into an entry of selectors, ...` for a part of a selector that stands beside them. */
export function partInstead(key: string, here: readonly string[], inSelector: readonly string[]): string {
  if (!here.includes("selectors")) return "";
  const part =
    inSelector.find((name) => name.toLowerCase() === key.toLowerCase()) ?? own(PARTS, key.toLowerCase());
  if (!part) return "";
  return `: it belongs into an entry of selectors, for example selectors: [{${listExample(part) ?? `${part}: ...`}}]`;
}

/** How a text is written that YAML reads as a number or a boolean; other words than true are read as true, too. */
export function textInstead(value: number | boolean): string {
  if (typeof value === "number") return `write it in quotes, "${value}"`;
  const words = value ? "on, y and yes" : "off, n and no";
  return `write it in quotes, "${value}" or the word that stands here: YAML reads ${words} as ${value}`;
}

/** Selectors of ids and users that are often asked for; part of the name in lower case. */
const OF_IDS = /^match(?:current)?(?:login)?(?:user|uid|gid|euid|egid|auid|group|cred|credential)s?$/;

/** `: use matchCurrentCred` for a selector by another name, where that is allowed. */
export function selectorInstead(key: string, here: readonly string[]): string {
  const isOne = OF_IDS.test(key.toLowerCase()) && here.includes("matchCurrentCred");
  return isOne ? `: write ${listExample("matchCurrentCred")}` : "";
}

/** `: write matchLabels: {app: ...}` for a label that stands directly in a selector of labels. */
export function labelInstead(key: string, here: readonly string[]): string {
  return here.includes("matchLabels") ? `: a label belongs into matchLabels: {${key}: ...}` : "";
}

/** Errors and signals by the names that C has for them, with their numbers on every architecture that Trigon knows. */
const NUMBERS: Readonly<Record<string, number>> = {
  ...{ EPERM: -1, ENOENT: -2, EAGAIN: -11, ENOMEM: -12, EACCES: -13, EBUSY: -16, EINVAL: -22, ENOSYS: -38 },
  ...{ SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGABRT: 6, SIGKILL: 9, SIGUSR1: 10, SIGSEGV: 11, SIGUSR2: 12 },
  ...{ SIGTERM: 15, SIGCONT: 18, SIGSTOP: 19 },
};

/** `: write 5 without quotes` or `: write -1` for a text where a number belongs; empty for any other. */
export function numberInstead(written: string): string {
  if (/^-?\d+$/.test(written)) return `: write ${written} without quotes`;
  const name = written.replace(/^-/, "");
  const number = Object.hasOwn(NUMBERS, name) ? NUMBERS[name] : undefined;
  return number === undefined ? "" : `: write ${number}`;
}

/** What users write may be the name of something that every object has. */
function own<T>(table: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}
