/** What a policy does on a node, as one line of a TracingNode: what agents write and the operator reads. Pure. */

/** What a policy does on a node. */
export interface PolicyActivity {
  /** Pods of the node that the policy is about; absent if it is about no pods in particular. */
  pods?: number;
  /** Events in the last minute, those included that are only counted; one digit and zeros. */
  perMinute: number;
  /** Where most of them come from, the noisiest first. */
  namespaces: readonly string[];
  binaries: readonly string[];
}

/** Names that are shown of the noisiest. */
const SHOWN = 3;

/** The names with the largest counts, the largest first. */
export function noisiest(counts: Iterable<readonly [name: string, count: number]>): string[] {
  return [...counts]
    .sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))
    .slice(0, SHOWN)
    .map(([name]) => name);
}

/** `pods=3 perMinute=40 namespaces=shop,blog binaries=/usr/bin/su`; parts that are not there are left out. */
export function writeActivity({ pods, perMinute, namespaces, binaries }: PolicyActivity): string {
  const parts = [
    pods === undefined ? "" : `pods=${pods}`,
    `perMinute=${perMinute}`,
    namespaces.length > 0 ? `namespaces=${namespaces.map(encode).join(",")}` : "",
    binaries.length > 0 ? `binaries=${binaries.map(encode).join(",")}` : "",
  ];
  return parts.filter(Boolean).join(" ");
}

/** Reads the line; what it does not have counts as nothing. */
export function readActivity(line: string): PolicyActivity {
  const parts = new Map(line.split(" ").map((part) => part.split("=") as [string, string]));
  const names = (key: string) => parts.get(key)?.split(",").map(decodeURIComponent) ?? [];
  const pods = parts.get("pods");
  return {
    ...(pods !== undefined && { pods: Number(pods) }),
    perMinute: Number(parts.get("perMinute") ?? 0),
    namespaces: names("namespaces"),
    binaries: names("binaries"),
  };
}

/** Names of files may have blanks and commas. */
function encode(name: string): string {
  return name.replace(/[%\s,=]/g, encodeURIComponent);
}
