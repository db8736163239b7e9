/** Identity of a process image across nodes and restarts. */

/** base64 of `NODE:KTIME_NS:PID`: unique as long as two images of a pid do not begin in the same nanosecond. */
export function execId(nodeName: string, ktimeNs: bigint, pid: number): string {
  return Buffer.from(`${nodeName}:${ktimeNs}:${pid}`, "utf8").toString("base64");
}
