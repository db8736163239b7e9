/** `npm test`: runs all suites, or those that are named, and ends with `N passed, N failed`. */
import { availableParallelism, totalmem } from "node:os";
import { cacheDirectory } from "./cache.mjs";
import { ConsoleReport } from "./runner/console-report.ts";
import type { Suite, SuiteContext } from "./runner/suite.ts";
import { SUITES } from "./suites.ts";

const ALL_KERNELS = "--all-kernels";

const USAGE = `npm test -- [--all-kernels] [NAME…]

Runs the suites whose group or name is given, or all of them:
${SUITES.map(({ group, name }) => `  ${group.padEnd(8)} ${name}`).join("\n")}

  --all-kernels  run each test file on every kernel, also one that names fewer (see e2e/guest/README.md);
                 \`npm run test:kernel\` does so
`;

process.exitCode = await main(process.argv.slice(2));

async function main(args: string[]): Promise<number> {
  if (args.includes("--help")) {
    process.stderr.write(USAGE);
    return 0;
  }
  const words = args.filter((word) => word !== ALL_KERNELS);
  const unknown = words.filter((word) => !SUITES.some((suite) => isNamed(suite, word)));
  if (unknown.length > 0) {
    process.stderr.write(`no suite is called ${unknown.join(", ")}\n\n${USAGE}`);
    return 2;
  }
  // Without this, the tests could run what was built from older sources.
  const names = words.length > 0 ? ["build", ...words] : [];
  const chosen = SUITES.filter((suite) => names.length === 0 || names.some((word) => isNamed(suite, word)));
  return runSuites(chosen, args.includes(ALL_KERNELS));
}

function isNamed({ group, name }: Suite, word: string): boolean {
  return word === group || word === name;
}

async function runSuites(suites: Suite[], allKernels: boolean): Promise<number> {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => stop.abort());
  const report = new ConsoleReport((line) => process.stdout.write(`${line}\n`));
  const start = async (suite: Suite, label: string) => {
    if (stop.signal.aborted) return;
    const mine = report.startSuite(suite.name, label);
    await runSuite(suite, {
      report: (test) => mine.add(test),
      leaveOut: (files) => report.leaveOut(suite.name, files),
      log: (line) => mine.log(line),
      progress: (line) => mine.note(line),
      signal: stop.signal,
      allKernels,
      environment: process.env,
      cacheDir: cacheDirectory(process.env),
    });
    mine.end();
  };
  for (const group of inGroups(suites)) await runGroup(group, start);
  report.finish();
  return report.failed > 0 || stop.signal.aborted ? 1 : 0;
}

/** How many guests this machine can run at once: each needs about one processor and at most 4 GiB. */
function sideBySide(): number {
  return Math.max(1, Math.min(4, availableParallelism(), Math.floor(totalmem() / 2 ** 32)));
}

/** Puts neighbouring suites that may run at the same time into one group; each other suite is its own group. */
function inGroups(suites: Suite[]): Suite[][] {
  const groups: Suite[][] = [];
  for (const suite of suites) {
    const last = groups.at(-1);
    if (suite.besides && last?.[0]?.besides) last.push(suite);
    else groups.push([suite]);
  }
  return groups;
}

/**
 * Runs as many suites at once as the machine can; when one ends, the next one starts. Suites that need little run
 * beside these, one after the other.
 */
async function runGroup(group: Suite[], start: (suite: Suite, label: string) => Promise<void>) {
  const runLane = async (waiting: Suite[]) => {
    for (let suite = waiting.shift(); suite; suite = waiting.shift())
      await start(suite, group.length > 1 ? `${suite.name.padEnd(13)} | ` : "");
  };
  const busy = group.filter((suite) => suite.besides !== "little");
  const light = group.filter((suite) => suite.besides === "little");
  await Promise.all([...Array.from({ length: sideBySide() }, () => runLane(busy)), runLane(light)]);
}

async function runSuite(suite: Suite, context: SuiteContext): Promise<void> {
  const missing = suite.needs
    .map((need) => need(context.environment))
    .filter((answer) => answer !== undefined);
  const whole = { file: suite.name, name: "the whole suite", ms: 0 };
  if (missing.length > 0) return context.report({ ...whole, state: "skipped", detail: missing.join("; ") });
  try {
    await suite.run(context);
  } catch (error) {
    context.report({ ...whole, state: "failed", detail: (error as Error).message });
  }
}
