import { expect, test } from "vitest";
import { ByteWriter, utf8 } from "./byte-writer.ts";

function written(write: (writer: ByteWriter) => void): string {
  const writer = new ByteWriter();
  write(writer);
  return new TextDecoder().decode(writer.take());
}

function words(value: bigint): [number, number] {
  const unsigned = BigInt.asUintN(64, value);
  return [Number(unsigned & 0xffffffffn), Number(unsigned >> 32n)];
}

const edges = [
  0n,
  1n,
  9n,
  10n,
  99n,
  100n,
  999n,
  1000n,
  9999n,
  10_000n,
  99_999_999n,
  100_000_000n,
  999_999_999n,
];
const unsigned32 = [...edges, 1_000_000_000n, 2_147_483_648n, 4_294_967_295n];
const unsigned64 = [
  ...unsigned32,
  4_294_967_296n,
  10_000_000_000n,
  999_999_999_999_999_999n,
  1_000_000_000_000_000_000n,
  2n ** 53n + 1n,
  2n ** 63n,
  2n ** 64n - 1n,
];

test.each(unsigned32)("uint32 prints %s", (value) => {
  expect(written((w) => w.uint32(Number(value)))).toBe(String(value));
});

test.each([0, -1, 1, -2, 2_147_483_647, -2_147_483_648, -65_534])("int32 prints %s", (value) => {
  expect(written((w) => w.int32(value))).toBe(String(value));
});

test.each(unsigned64)("uint64 prints %s", (value) => {
  expect(written((w) => w.uint64(...words(value)))).toBe(String(value));
});

test.each([0n, -1n, 1n, -4_294_967_296n, -4_294_967_297n, 2n ** 63n - 1n, -(2n ** 63n)])(
  "int64 prints %s",
  (value) => {
    expect(written((w) => w.int64(...words(value)))).toBe(String(value));
  },
);

test("hex64 prints 16 digits", () => {
  expect(written((w) => w.hex64(...words(0x1ff_ffff_ffffn)))).toBe("000001ffffffffff");
});

test("nineDigits keeps leading zeros", () => {
  expect(written((w) => w.nineDigits(4_030_160))).toBe("004030160");
  expect(written((w) => w.nineDigits(999_999_999))).toBe("999999999");
});

test("grows beyond its first size and keeps what was written", () => {
  const long = utf8("x".repeat(1000));
  const text = written((w) => {
    w.bytes(utf8("start"));
    for (let i = 0; i < 1000; i++) w.bytes(long);
    w.uint32(7);
  });
  expect(text).toBe(`start${"x".repeat(1_000_000)}7`);
});

test("a taken chunk does not change with later writes", () => {
  const writer = new ByteWriter();
  writer.bytes(utf8("first"));
  const chunk = writer.take();
  writer.bytes(utf8("other"));
  expect(new TextDecoder().decode(chunk)).toBe("first");
  expect(writer.length).toBe(5);
});

test.each([0, 1, 2, 3, 4, 5, 254])("base64 of %i bytes is padded", (length) => {
  const content = Uint8Array.from({ length }, (_, i) => (i * 83 + 7) & 0xff);
  expect(written((writer) => writer.base64(content))).toBe(Buffer.from(content).toString("base64"));
});
