/** The compiler of policies, which an agent loads once a file needs it. */
import { setImmediate as nextTurn } from "node:timers/promises";

/** Parts of the compiler, and what they stand on first. */
const PARTS = [
  () => import("@bufbuild/protobuf/wire"),
  () => import("@bufbuild/protobuf/reflect"),
  () => import("../../../policy/expressions/descriptors.ts"),
  () => import("@bufbuild/protobuf"),
  () => import("../../../policy/expressions/syntax.ts"),
  () => import("../../../policy/schema/environment.ts"),
  () => import("../../../policy/schema/rules.ts"),
  () => import("../../../policy/yaml/yaml.ts"),
  parseFirst,
  () => import("../../../policy/schema/validators.ts"),
  () => import("../../../policy/schema/check.ts"),
  () => import("../../../policy/parse.ts"),
  () => import("ajv"),
  () => import("../../../crds/spec-config-map.ts"),
  () => import("../../../policy/probes/prototypes.ts"),
  () => import("../../../policy/probes/hooks.ts"),
  () => import("../../../policy/compile.ts"),
];

/** V8 compiles the parser when it parses first. */
async function parseFirst() {
  const { readYaml } = await import("../../../policy/yaml/yaml.ts");
  readYaml("kind: TracingPolicy");
}

let loaded: Promise<typeof import("./compile-file.ts")> | undefined;

/** Loads a part in each turn of the event loop: all at once takes some 40 ms, and ten times as long under emulation. */
export function loadCompiler(): Promise<typeof import("./compile-file.ts")> {
  loaded ??= loadInTurns();
  return loaded;
}

async function loadInTurns() {
  for (const load of PARTS) {
    await load();
    await nextTurn();
  }
  const { prepareRules } = await import("../../../policy/schema/rules.ts");
  for (const _ of prepareRules()) await nextTurn();
  return import("./compile-file.ts");
}
