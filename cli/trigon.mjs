#!/usr/bin/env node
// The command `trigon`. Any Node can start it; the TypeScript behind it needs the project's own (24 or newer).
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

const OLDEST = 24;
const main = join(import.meta.dirname ?? new URL(".", import.meta.url).pathname, "main.ts");

if (Number(process.versions.node.split(".")[0]) >= OLDEST) await import(main);
else runWithProjectNode();

function runWithProjectNode() {
  const node = join(main, "../../node_modules/.bin/node");
  if (!existsSync(node)) {
    console.error(
      `trigon: needs Node ${OLDEST}, this is ${process.versions.node}: run \`npm ci\` in the project first`,
    );
    process.exit(2);
  }
  const child = spawn(node, [main, ...process.argv.slice(2)], { stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("exit", (code, signal) => {
    if (signal) process.kill(process.pid, signal);
    process.exitCode = code ?? 1;
  });
}
