/**
 * Loaded into an agent by NODE_OPTIONS: measures the turns of its event loop, in CPU of the main thread, by an immediate
 * that sets itself again. On SIGUSR2 the turns since the last one go to the file TURNS_FILE: a JSON array of milliseconds,
 * the longest first.
 */
import { writeFileSync } from "node:fs";

/** Shorter turns are of no interest. */
const SHORTEST_MS = 5;

/** @type {number[]} */
let turns = [];
let before = usedMs();

function usedMs() {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

function endTurn() {
  const now = usedMs();
  if (now - before >= SHORTEST_MS) turns.push(now - before);
  before = now;
  setImmediate(endTurn).unref();
}

setImmediate(endTurn).unref();
process.on("SIGUSR2", () => {
  writeFileSync(process.env.TURNS_FILE ?? "", JSON.stringify(turns.sort((a, b) => b - a)));
  turns = [];
});
