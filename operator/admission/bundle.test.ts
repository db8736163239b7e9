import { X509Certificate } from "node:crypto";
import { beforeAll, expect, test } from "vitest";
import { planBundle } from "./bundle.ts";
import { type Certificate, DAY_MS, makeCertificate, renewalMs } from "./certificate.ts";

const NOW = Date.parse("2026-11-29T00:00:00Z");
let made: Certificate[];
beforeAll(async () => {
  // the last is the newest; the first has ended
  const days = [-100, -5, -4, -3, -2, -1, 0, 0, 0, 0];
  made = await Promise.all(days.map((day, i) => makeCertificate(["a.svc"], NOW + day * DAY_MS + i * 1_000)));
}, 60_000);

const pem = (...indexes: number[]) => indexes.map((index) => (made[index] as Certificate).cert);
const encode = (...texts: string[]) => Buffer.from(texts.join("")).toString("base64");
const plan = (current: string | undefined, ...own: number[]) => {
  const bundle = planBundle(current, pem(...own), NOW);
  if (bundle === undefined) return undefined;
  const text = Buffer.from(bundle, "base64").toString();
  return made.flatMap(({ cert }, index) => (text.includes(cert) ? [index] : []));
};

test("the certificate is for its names, made now and renewed after two thirds of its time", () => {
  const [first] = made.slice(6) as [Certificate];
  const parsed = new X509Certificate(first.cert);
  expect(parsed.subjectAltName).toBe("DNS:a.svc");
  expect(parsed.verify(parsed.publicKey)).toBe(true);
  expect(renewalMs(first) - first.fromMs).toBe(60 * DAY_MS);
  expect(Date.parse(parsed.validTo)).toBe(Math.floor(first.untilMs / 1_000) * 1_000);
});

test("an address is one", async () => {
  const { cert } = await makeCertificate(["127.0.0.1"], NOW);
  expect(new X509Certificate(cert).subjectAltName).toBe("IP Address:127.0.0.1");
});

test("an empty bundle gets one's own", () => {
  expect(plan(undefined, 6)).toEqual([6]);
  expect(plan("", 6)).toEqual([6]);
});

test("a bundle that is right stays as it is", () => {
  expect(plan(encode(...pem(6)), 6)).toBeUndefined();
  expect(plan(encode(...pem(7, 6)), 6)).toBeUndefined();
});

test("those of other operators stay, those that have ended go", () => {
  expect(plan(encode(...pem(0, 5)), 6)).toEqual([5, 6]);
});

test("of too many the newest stay, and one's own", () => {
  expect(plan(encode(...pem(2, 3, 4, 5, 6, 7, 8, 9)), 1)).toEqual([1, 3, 4, 5, 6, 7, 8, 9]);
});

test("what is no certificate goes", () => {
  expect(
    plan(encode("garbage", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), 6),
  ).toEqual([6]);
  expect(plan("%%%", 6)).toEqual([6]);
});
