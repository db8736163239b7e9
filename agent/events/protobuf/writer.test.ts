import protobuf from "protobufjs";
import { describe, expect, test } from "vitest";
import { bytesKey, ProtoWriter, varintKey } from "./writer.ts";

function written(write: (out: ProtoWriter) => void): Uint8Array {
  const out = new ProtoWriter();
  write(out);
  return out.take();
}

describe("integers", () => {
  test.each([0, 1, 127, 128, 16_383, 16_384, 2 ** 21, 2 ** 28 - 1, 2 ** 28, 2 ** 31, 2 ** 32 - 1])(
    "%d",
    (value) => {
      const reader = new protobuf.Reader(written((out) => out.varint(value)));
      expect(reader.uint32()).toBe(value);
      expect(reader.pos).toBe(reader.len);
    },
  );

  test.each([0n, 127n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 35n, 2n ** 63n, 2n ** 64n - 1n])(
    "64 bits: %d",
    (value) => {
      const words = [Number(value & 0xffff_ffffn), Number(value >> 32n)] as const;
      const reader = new protobuf.Reader(written((out) => out.varint64(...words)));
      expect(String(reader.uint64())).toBe(String(value));
      expect(reader.pos).toBe(reader.len);
    },
  );

  test.each([0, 1, -1, 2 ** 31 - 1, -(2 ** 31)])("signed: %d", (value) => {
    const reader = new protobuf.Reader(written((out) => out.int32(value)));
    expect(reader.int32()).toBe(value);
    expect(reader.pos).toBe(reader.len);
  });
});

describe("strings", () => {
  test.each([
    "",
    "su",
    "a".repeat(127),
    "a".repeat(128),
    "é",
    `${"a".repeat(126)}é`,
    "日本語",
    `${"x".repeat(40_000)}😀`,
    "\u0000",
  ])("%#", (text) => {
    const reader = new protobuf.Reader(written((out) => out.stringField(bytesKey(3), text)));
    expect(reader.uint32()).toBe(bytesKey(3));
    expect(reader.string()).toBe(text);
    expect(reader.pos).toBe(reader.len);
  });

  test("a lone surrogate becomes U+FFFD", () => {
    const reader = new protobuf.Reader(written((out) => out.stringField(bytesKey(3), "a\ud800")));
    reader.uint32();
    expect(reader.string()).toBe("a\ufffd");
  });
});

describe("messages", () => {
  test.each([0, 1, 127, 128, 16_383, 16_384, 100_000, 2 ** 21, 2 ** 21 + 1])(
    "of %d bytes have their length before them",
    (size) => {
      const content = new Uint8Array(size).fill(7);
      const bytes = written((out) => {
        const outer = out.begin(bytesKey(1));
        const inner = out.begin(bytesKey(2));
        out.bytes(content);
        out.end(inner);
        out.end(outer);
        out.varint(varintKey(3));
        out.varint(5);
      });
      const reader = new protobuf.Reader(bytes);
      expect(reader.uint32()).toBe(10);
      const outer = new protobuf.Reader(reader.bytes());
      expect(outer.uint32()).toBe(18);
      expect(Buffer.compare(outer.bytes(), content)).toBe(0);
      expect([reader.uint32(), reader.uint32(), reader.pos]).toEqual([24, 5, bytes.length]);
    },
  );

  test("the content of a text is valid UTF-8", () => {
    const bytes = written((out) => out.textField(bytesKey(1), Uint8Array.of(0x61, 0xff, 0xc3, 0xbc)));
    const reader = new protobuf.Reader(bytes);
    reader.uint32();
    expect(reader.string()).toBe("a\ufffdü");
  });

  test("take() leaves an empty writer, and its bytes stay", () => {
    const out = new ProtoWriter();
    out.varint(300);
    const first = out.take();
    out.varint(1);
    expect([...first]).toEqual([0xac, 2]);
    expect([...out.take()]).toEqual([1]);
  });
});
