import { describe, expect, test } from "vitest";
import { derivedTypes, wireTypes } from "./generated-types.ts";

test("an enum becomes the union of its values, the rest stays", () => {
  const source =
    'export interface A {\n  b: B;\n}\n\n/** doc */\nexport enum B {\n  One = "one",\n  Two = "t,w\\"o",\n}\n';
  const result = wireTypes(source);
  expect(result).toContain('/** doc */\nexport type B = "one" | "t,w\\"o";\n');
  expect(result).toContain("export interface A {\n  b: B;\n}\n");
  expect(result).not.toContain("enum");
});

test("a date is a string, as in JSON", () => {
  expect(wireTypes("export interface A {\n  at: Date;\n  by?: Date;\n}\n")).toContain(
    "  at: string;\n  by?: string;\n",
  );
});

describe("types of a derived kind", () => {
  const source = (kind: string, rest = "  spec: Spec;") =>
    `/**\n * Watches ${kind}.\n */\nexport interface ${kind} {\n${rest}\n}\n`;
  test("refer to those of the other one", () => {
    const text = derivedTypes(source("B"), source("A"), "a.gen.ts");
    expect(text).toContain('import type { A } from "./a.gen.ts";');
    expect(text).toContain("/**\n * Watches B.\n */\nexport interface B extends A {}\n");
  });

  test("are refused when the kinds differ in more than name and description", () => {
    expect(() => derivedTypes(source("B", "  spec: Other;"), source("A"), "a.gen.ts")).toThrow(
      "the types of B and A differ in more than name and description",
    );
  });
});
