import { expect, test } from "vitest";
import { keepInImage, packagesOf, sharedLibraries } from "./contents.ts";

test("packages come with what they depend on, the nearest version of it", () => {
  const packages = {
    "": {},
    "node_modules/grpc": { dependencies: { loader: "1", long: "5" } },
    "node_modules/grpc/node_modules/long": { dependencies: { unlock: "1" } },
    "node_modules/loader": { dependencies: { grpc: "1", long: "4" } },
    "node_modules/long": {},
    "node_modules/unlock": {},
    "node_modules/yaml": {},
  };
  expect(packagesOf({ packages }, ["grpc"])).toEqual([
    "node_modules/grpc",
    "node_modules/grpc/node_modules/long",
    "node_modules/loader",
    "node_modules/long",
    "node_modules/unlock",
  ]);
  expect(() => packagesOf({ packages }, ["grpc-js"])).toThrow("package-lock.json has no package grpc-js");
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
  "drops code of ours, which is bundled": { path: "descriptors.ts", root: "proto", want: false },
  "keeps the .proto files for those who write clients": { path: "trigon.proto", root: "proto", want: true },
  "keeps the messages that the agent reads": { path: "descriptors.binpb", root: "proto", want: true },
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
