import { expect, test } from "vitest";
import { splitByTemplate } from "./generate-manifests.ts";

test("objects of one template go into one file, with their comments", () => {
  const rendered = [
    "---\n# Source: trigon/templates/a.yaml\n# first\nkind: A\n",
    "---\n# Source: trigon/templates/b.yaml\nkind: B\n\n",
    "---\n# Source: trigon/templates/a.yaml\n# second\nkind: C\n",
  ].join("");
  expect(Object.fromEntries(splitByTemplate(rendered))).toEqual({
    "a.yaml": "# first\nkind: A\n---\n# second\nkind: C\n",
    "b.yaml": "kind: B\n",
  });
});

test("a document without its template is an error", () => {
  expect(() => splitByTemplate("---\nkind: A\n")).toThrow("no template is named by");
});
