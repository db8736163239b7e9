import { expect, test } from "vitest";
import { toJavaScript } from "./strip-types.ts";

const cases: Record<string, { source: string; want: RegExp }> = {
  "types go, lines stay": {
    source: "interface A {}\nexport const a: number = 1;",
    want: /^\s*\nexport const a\s+= 1;$/,
  },
  "a local import names the JavaScript file": {
    source: 'import { a } from "./a.ts";',
    want: /from "\.\/a\.js"/,
  },
  "an import over several lines does too": {
    source: 'import {\n  a,\n} from "../b/a.ts";',
    want: /from "\.\.\/b\/a\.js"/,
  },
  "an export of another module does too": { source: 'export { a } from "./a.ts";', want: /from "\.\/a\.js"/ },
  "a dynamic import does too": { source: 'const a = await import("./a.ts");', want: /import\("\.\/a\.js"\)/ },
  "a side-effect import does too": { source: 'import "./a.ts";', want: /import "\.\/a\.js"/ },
  "a package is left alone": { source: 'import a from "x/a.ts";', want: /from "x\/a\.ts"/ },
  "a string is left alone": { source: 'const file = "./a.ts";', want: /= "\.\/a\.ts"/ },
};
test.each(Object.entries(cases))("%s", (_name, { source, want }) => {
  expect(toJavaScript(source)).toMatch(want);
});
