import { expect, test } from "vitest";
import { unionsForEnums } from "./generated-types.ts";

test("an enum becomes the union of its values, the rest stays", () => {
  const source =
    'export interface A {\n  b: B;\n}\n\n/** doc */\nexport enum B {\n  One = "one",\n  Two = "t,w\\"o",\n}\n';
  const result = unionsForEnums(source);
  expect(result).toContain('/** doc */\nexport type B = "one" | "t,w\\"o";\n');
  expect(result).toContain("export interface A {\n  b: B;\n}\n");
  expect(result).not.toContain("enum");
});
