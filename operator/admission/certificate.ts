/** The certificate of the webhook: made in memory, never written down, trusted by its own bytes. */
import { generateKeyPair, randomBytes, sign } from "node:crypto";
import { isIP } from "node:net";
import { promisify } from "node:util";
import type { asn1 as Asn1Module } from "node-forge";
import asn1 from "node-forge/lib/asn1.js";
import util from "node-forge/lib/util.js";

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
  // An RSA key takes a hundred times as long to make, and to use.
  const { privateKey: key, publicKey } = await generate("ec", {
    namedCurve: "P-256",
    publicKeyEncoding: { type: "spki", format: "der" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
  const untilMs = nowMs + LIFETIME_MS;
  const toSign = tbsCertificate(names, publicKey, new Date(nowMs - SKEW_MS), new Date(untilMs));
  const signature = sign("sha256", derOf(toSign), key);
  const cert = derOf(sequence(toSign, ECDSA_WITH_SHA256, bits(signature)));
  return { key, cert: pem("CERTIFICATE", cert), fromMs: nowMs, untilMs };
}

type Node = Asn1Module.Asn1;

const { Class, Type } = asn1;
const primitive = (type: number, bytes: string) => asn1.create(Class.UNIVERSAL, type, false, bytes);
const sequence = (...parts: Node[]) => asn1.create(Class.UNIVERSAL, Type.SEQUENCE, true, parts);
const set = (...parts: Node[]) => asn1.create(Class.UNIVERSAL, Type.SET, true, parts);
const tagged = (tag: number, part: Node) => asn1.create(Class.CONTEXT_SPECIFIC, tag, true, [part]);
const integer = (value: number) => primitive(Type.INTEGER, asn1.integerToDer(value).getBytes());
const oid = (name: string) => primitive(Type.OID, asn1.oidToDer(name).getBytes());
const octets = (bytes: Buffer) => primitive(Type.OCTETSTRING, bytes.toString("latin1"));
const bits = (bytes: Buffer) => primitive(Type.BITSTRING, `\0${bytes.toString("latin1")}`);
const TRUE = primitive(Type.BOOLEAN, "\xff");

const derOf = (node: Node) => Buffer.from(asn1.toDer(node).getBytes(), "latin1");

// RFC 5280, and RFC 5758 for the signature.
const ECDSA_WITH_SHA256 = sequence(oid("1.2.840.10045.4.3.2"));
const COMMON_NAME = oid("2.5.4.3");
const SUBJECT_ALT_NAME = oid("2.5.29.17");
const BASIC_CONSTRAINTS = oid("2.5.29.19");
const KEY_USAGE = oid("2.5.29.15");
const EXTENDED_KEY_USAGE = oid("2.5.29.37");
const SERVER_AUTH = oid("1.3.6.1.5.5.7.3.1");
/** digitalSignature and keyCertSign: bits 0 and 5, of which the last two of the byte are not used. */
const SIGNS = primitive(Type.BITSTRING, "\x02\x84");

/** A certificate that signs itself, without the signature. */
function tbsCertificate(names: readonly string[], publicKey: Buffer, from: Date, until: Date): Node {
  const subject = sequence(set(sequence(COMMON_NAME, primitive(Type.UTF8, names[0] ?? ""))));
  const serialNumber = primitive(Type.INTEGER, `\x01${randomBytes(15).toString("latin1")}`);
  const extensions = sequence(
    extension(BASIC_CONSTRAINTS, sequence(TRUE, integer(0)), { critical: true }),
    extension(KEY_USAGE, SIGNS, { critical: true }),
    extension(EXTENDED_KEY_USAGE, sequence(SERVER_AUTH)),
    extension(SUBJECT_ALT_NAME, sequence(...names.map(altName))),
  );
  return sequence(
    tagged(0, integer(2)), // version 3
    serialNumber,
    ECDSA_WITH_SHA256,
    subject,
    sequence(utcTime(from), utcTime(until)),
    subject,
    asn1.fromDer(publicKey.toString("latin1")),
    tagged(3, extensions),
  );
}

const utcTime = (date: Date) => primitive(Type.UTCTIME, asn1.dateToUtcTime(date));

function extension(name: Node, value: Node, { critical = false } = {}): Node {
  return sequence(name, ...(critical ? [TRUE] : []), octets(derOf(value)));
}

const DNS = 2;
const IP = 7;

function altName(name: string): Node {
  const address = isIP(name) ? util.bytesFromIP(name) : null;
  return asn1.create(Class.CONTEXT_SPECIFIC, address ? IP : DNS, false, address ?? name);
}

function pem(label: string, der: Buffer): string {
  const lines = der.toString("base64").match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
}

/** When a certificate is to be replaced: there is time for many failed attempts. */
export function renewalMs({ fromMs, untilMs }: Pick<Certificate, "fromMs" | "untilMs">): number {
  return fromMs + ((untilMs - fromMs) * 2) / 3;
}
