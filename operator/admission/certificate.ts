/** The certificate of the webhook: made in memory, never written down, trusted by its own bytes. */
import { generateKeyPair, randomBytes } from "node:crypto";
import { promisify } from "node:util";
import forge from "node-forge";

/** A key and its certificate, in PEM. */
export interface Certificate {
  key: string;
  cert: string;
  /** When it was made and when it ends, in milliseconds since the epoch. */
  fromMs: number;
  untilMs: number;
}

export const DAY_MS = 86_400_000;
const LIFETIME_MS = 90 * DAY_MS;
/** Clocks of API servers may be behind. */
const SKEW_MS = 3_600_000;
const generate = promisify(generateKeyPair);

/** A certificate for these host names and addresses, the first of which is its subject. */
export async function makeCertificate(names: readonly string[], nowMs: number): Promise<Certificate> {
  const { privateKey: key } = await generate("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs1", format: "pem" },
  });
  const signer = forge.pki.privateKeyFromPem(key);
  const cert = forge.pki.createCertificate();
  const untilMs = nowMs + LIFETIME_MS;
  cert.publicKey = forge.pki.setRsaPublicKey(signer.n, signer.e);
  cert.serialNumber = `01${randomBytes(15).toString("hex")}`;
  cert.validity.notBefore = new Date(nowMs - SKEW_MS);
  cert.validity.notAfter = new Date(untilMs);
  const name = [{ name: "commonName", value: names[0] }];
  cert.setSubject(name);
  cert.setIssuer(name);
  cert.setExtensions([
    { name: "basicConstraints", cA: true, pathLenConstraint: 0, critical: true },
    { name: "keyUsage", digitalSignature: true, keyEncipherment: true, keyCertSign: true, critical: true },
    { name: "extKeyUsage", serverAuth: true },
    { name: "subjectAltName", altNames: names.map(altName) },
  ]);
  cert.sign(signer, forge.md.sha256.create());
  return { key, cert: forge.pki.certificateToPem(cert).replaceAll("\r\n", "\n"), fromMs: nowMs, untilMs };
}

const DNS = 2;
const IP = 7;

function altName(name: string) {
  return /^[\d.]+$|:/.test(name) ? { type: IP, ip: name } : { type: DNS, value: name };
}

/** When a certificate is to be replaced: there is time for many failed attempts. */
export function renewalMs({ fromMs, untilMs }: Pick<Certificate, "fromMs" | "untilMs">): number {
  return fromMs + ((untilMs - fromMs) * 2) / 3;
}
