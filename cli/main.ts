/** The command line: runs the command, ends with its exit status. */
import packageJson from "../package.json" with { type: "json" };
import { runCommand } from "./program.ts";
import { processStreams } from "./streams.ts";

/** `trigon events | head` closes the pipe early: that is no failure of ours. */
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(process.exitCode ?? 0);
});

const ended = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => ended.abort());

process.exitCode = await runCommand(process.argv.slice(2), packageJson.version, processStreams(ended.signal));
