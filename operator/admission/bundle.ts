/** What API servers trust: the certificates of the operators that may answer. Pure. */
import { X509Certificate } from "node:crypto";

/** One more than replicas of the operator that anybody runs, and their successors. */
const MAX_CERTIFICATES = 8;

/**
 * The bundle with one's own certificates in it. Those of other operators stay until they end; the newest are kept where
 * there are too many. Undefined: the bundle is right already.
 */
export function planBundle(
  current: string | undefined,
  own: readonly string[],
  nowMs: number,
): string | undefined {
  const found = certificatesIn(decode(current));
  const others = found.filter((pem) => !own.includes(pem) && isValid(pem, nowMs));
  const newestFirst = others.toSorted((a, b) => startMs(b) - startMs(a));
  const wanted = [...own, ...newestFirst].slice(0, MAX_CERTIFICATES).toSorted();
  const isRight = wanted.length === found.length && wanted.every((pem) => found.includes(pem));
  return isRight ? undefined : Buffer.from(wanted.join("")).toString("base64");
}

function decode(bundle: string | undefined): string {
  return Buffer.from(bundle ?? "", "base64").toString("utf8");
}

function certificatesIn(text: string): string[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => `${block}\n`);
}

function isValid(pem: string, nowMs: number): boolean {
  const parsed = parse(pem);
  return parsed !== undefined && Date.parse(parsed.validTo) > nowMs;
}

function startMs(pem: string): number {
  return Date.parse(parse(pem)?.validFrom ?? "");
}

function parse(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}
