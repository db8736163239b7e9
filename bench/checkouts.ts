/** What is compared: this checkout, and another revision of it, each built and in the form of the image. */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";

const PROJECT = resolve(import.meta.dirname, "..");
const REVISIONS = join(PROJECT, "build/bench/revisions");

/** A built checkout. */
export interface Checkout {
  name: string;
  directory: string;
  /** Its image's root directory. */
  image: string;
  /** What the image adds to the environment, `NAME=VALUE`; not PATH. */
  variables: string[];
}

/** The command by which a script of bench/guest measures a checkout's image. */
export function imageCommand(script: string): (checkout: Checkout) => string[] {
  return ({ image, variables }) => ["node", `${PROJECT}/bench/guest/${script}`, image, ...variables];
}

/** This checkout, uncommitted changes included. */
export function thisCheckout(): Checkout {
  return build("this", PROJECT);
}

/** Another revision, in a worktree of its own that stays for the next time. Throws if git does not know it. */
export function checkOut(revision: string): Checkout {
  const commit = git("rev-parse", "--verify", "--short=12", `${revision}^{commit}`);
  const directory = join(REVISIONS, commit);
  if (!existsSync(join(directory, "package.json"))) {
    git("worktree", "prune");
    git("worktree", "add", "--force", "--detach", directory, commit);
  }
  return build(revision, directory);
}

function git(...args: string[]): string {
  return execFileSync("git", args, { cwd: PROJECT, encoding: "utf8", stdio: ["ignore", "pipe", 2] }).trim();
}

/** Each revision installs, builds and makes its image by its own rules. */
function build(name: string, directory: string): Checkout {
  run("node", ["e2e/bootstrap.mjs", "build"], directory);
  const image = join(directory, "build/bench/image");
  rmSync(image, { recursive: true, force: true });
  run("node_modules/.bin/node", ["--no-warnings", "e2e/image/assemble.ts", directory, image], directory);
  return { name, directory, image, variables: variablesOf(directory) };
}

/** Of the last stage of the Dockerfile. */
function variablesOf(directory: string): string[] {
  const stage =
    readFileSync(join(directory, "Dockerfile"), "utf8")
      .split(/^FROM /m)
      .at(-1) ?? "";
  const pairs = [...stage.matchAll(/^ENV (.*)$/gm)].flatMap(([, line = ""]) => line.split(" "));
  return pairs.filter((pair) => !pair.startsWith("PATH="));
}

function run(program: string, args: string[], cwd: string): void {
  const { status, error } = spawnSync(program, args, { cwd, stdio: ["ignore", 2, 2] });
  if (status !== 0) throw new Error(`${program} ${args.join(" ")} in ${cwd} failed`, { cause: error });
}
