/**
 * Runs in a guest whose clock counts instructions: `node event-loop.ts IMAGE VARIABLE…` measures for how long the agent of an
 * image's root directory keeps its event loop from other work. Prints one JSON object per line, {measure, value, unit}.
 */
import { mkdtempSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { SET_ID_CALLS } from "../../policy/testing/set-id-calls.ts";
import { imageOfArguments, putSetters, report, startImageAgent } from "./image-agent.ts";

/** So many of the longest turns are shown. */
const SHOWN = 5;

const turnsFile = join(mkdtempSync(join(tmpdir(), "turns-")), "turns");
const { directory, variables } = imageOfArguments();
const meter = [`NODE_OPTIONS=--import=${import.meta.dirname}/turn-meter.mjs`, `TURNS_FILE=${turnsFile}`];
const agent = await startImageAgent({ directory, variables: [...variables, ...meter] });
await agent.logged(/ ready /g, 1);
await delay(2_000); // what is read after the start
await showTurns("start");
await putSetters(agent, "first", ["setuid"]);
await showTurns("first policy");
await putSetters(agent, "eight", SET_ID_CALLS);
await showTurns("8 hooks");
for (const setter of SET_ID_CALLS.slice(1, 4)) await putSetters(agent, "first", [setter]);
await showTurns("3 edits");
await delay(8_000);
await showTurns("giving memory back");
await agent.stop();

async function showTurns(what: string): Promise<void> {
  await rm(turnsFile, { force: true });
  process.kill(agent.pid, "SIGUSR2");
  const turns = JSON.parse(await fileText()) as number[];
  for (const [place, ms] of turns.slice(0, SHOWN).entries())
    report(`turn ${place + 1} of the event loop, ${what}`, ms, "ms");
}

async function fileText(): Promise<string> {
  for (;;) {
    const text = await readFile(turnsFile, "utf8").catch(() => "");
    if (text !== "") return text;
    await delay(5);
  }
}
