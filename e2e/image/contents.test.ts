import { expect, test } from "vitest";
import { keepInImage, productionPackages, sharedLibraries } from "./contents.ts";

test("production packages are those that neither development nor an optional feature alone brings in", () => {
  const packages = {
    "": {},
    "node_modules/ajv": {},
    "node_modules/ajv/node_modules/inner": {},
    "node_modules/vitest": { dev: true },
    "node_modules/fsevents": { optional: true },
    "node_modules/tsx": { devOptional: true },
  };
  expect(productionPackages({ packages })).toEqual([
    "node_modules/ajv",
    "node_modules/ajv/node_modules/inner",
  ]);
});

const cases: Record<string, { path: string; root: string; want: boolean }> = {
  "keeps a package's code": { path: "dist/index.js", root: "node_modules/ajv", want: true },
  "keeps a package's licence": { path: "LICENSE", root: "node_modules/ajv", want: true },
  "drops type declarations": { path: "dist/index.d.ts", root: "node_modules/ajv", want: false },
  "drops source maps": { path: "dist/index.js.map", root: "node_modules/ajv", want: false },
  "drops nested packages, which are copied on their own": {
    path: "node_modules",
    root: "node_modules/ajv",
    want: false,
  },
  "drops a package's tests": { path: "test", root: "node_modules/ajv", want: false },
  "keeps a directory named test inside the code": {
    path: "dist/test",
    root: "node_modules/yaml",
    want: true,
  },
  "keeps a room's TypeScript": { path: "main.ts", root: "operator", want: true },
  "drops a room's tests": { path: "reconcile.test.ts", root: "operator", want: false },
  "drops a room's test data": { path: "hooks/testing/hooks.ts", root: "agent", want: false },
  "keeps the .proto files for those who write clients": { path: "trigon.proto", root: "proto", want: true },
  "keeps the messages that the agent reads": { path: "descriptors.binpb", root: "proto", want: true },
  "drops the addon's sources": { path: "native/src/objects/bpf_object.cc", root: "agent", want: false },
};
test.each(Object.entries(cases))("%s", (_name, { path, root, want }) => {
  expect(keepInImage(path, root)).toBe(want);
});

test("shared libraries are read from ldd's output without the vdso", () => {
  const output = `	linux-vdso.so.1 (0x00007ffd)
	libdl.so.2 => /lib/x86_64-linux-gnu/libdl.so.2 (0x00007f00)
	/lib64/ld-linux-x86-64.so.2 (0x00007f01)
`;
  expect(sharedLibraries(output)).toEqual([
    "/lib/x86_64-linux-gnu/libdl.so.2",
    "/lib64/ld-linux-x86-64.so.2",
  ]);
});
