/** Compiles the .proto files into descriptors.binpb; part of `npm run generate`. */
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";

const buf = createRequire(import.meta.url).resolve("@bufbuild/buf/bin/buf");
const { status } = spawnSync(
  process.execPath,
  [buf, "build", "--exclude-source-info", "--output", "descriptors.binpb"],
  { cwd: import.meta.dirname, stdio: "inherit" },
);
process.exitCode = status ?? 1;
