/**
 * Loads the image's programs once and keeps what V8 compiles meanwhile where Node looks for it (NODE_COMPILE_CACHE), so
 * that they start without parsing their code. Another Node, or one with other flags of V8, does not take it.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, globSync, readdirSync, statSync, symlinkSync } from "node:fs";
import { basename, join } from "node:path";

/** In the image. The Dockerfile sets NODE_COMPILE_CACHE to it. */
const DIRECTORY = "/app/code-cache";

/** What several programs share, or load late, in the image. */
const PARTS = "/app/shared";

/** Node has a directory for each user. The build and the agent are root, and this is the operator. */
const OPERATOR = "65532";

/**
 * Flags of V8 by which equal files give equal bytes. Strings are hashed from one seed. No garbage is collected: values have
 * gaps, which a cache has too, and in memory that is used again there are rests of earlier values in them.
 */
const FLAGS = [
  "--hash-seed=1",
  "--initial-heap-size=512",
  "--min-semi-space-size=64",
  "--max-semi-space-size=64",
];

/** A script. Those of the flags that a cache depends on are as usual again before Node looks at them. */
const load = (files: string) => `
import { enableCompileCache } from "node:module";
import { setFlagsFromString } from "node:v8";
setFlagsFromString("--hash-seed=0");
setFlagsFromString("--initial-heap-size=0");
enableCompileCache({ directory: "${DIRECTORY}", portable: true });
await ${files};
`;

/** Loads the program that the first argument names, and leaves the others to it. */
const LOAD_PROGRAM = load("import(process.argv[1])");
/** Loads every file that the arguments name. */
const LOAD_FILES = load("Promise.all(process.argv.slice(1).map((file) => import(file)))");

/** Makes the directory in an image's root directory; throws if a program cannot be loaded. */
export function writeCodeCache(image: string): void {
  run(image, LOAD_PROGRAM, ["/app/agent/main.js", "--version"]);
  run(image, LOAD_PROGRAM, ["/app/operator/main.js", "--help"]);
  run(image, LOAD_PROGRAM, ["/app/cli/main.js", "--version"]);
  const parts = readdirSync(join(image, PARTS)).map((file) => join(PARTS, file));
  run(image, LOAD_FILES, parts.sort());
  makeReadable(join(image, DIRECTORY));
}

/** In the image's own root directory, because a cache has the paths of its files in it. */
function run(image: string, script: string, args: string[]): void {
  const node = ["/usr/local/bin/node", ...FLAGS, "--input-type=module", "--eval", script, "--", ...args];
  const enter = process.getuid?.() === 0 ? ["chroot"] : ["unshare", "--map-root-user", "chroot"];
  const [program = "", ...rest] = [...enter, image, ...node];
  const { status, stderr, error } = spawnSync(program, rest, { encoding: "utf8" });
  if (status !== 0)
    throw new Error(`load ${args[0]} in ${image} for its code cache: ${stderr}`, { cause: error });
}

function makeReadable(directory: string): void {
  for (const path of globSync(`${directory}/**`))
    chmodSync(path, statSync(path).isDirectory() ? 0o755 : 0o644);
  const [ofRoot = ""] = globSync(`${directory}/*-0`);
  symlinkSync(basename(ofRoot), ofRoot.replace(/0$/, OPERATOR));
}
