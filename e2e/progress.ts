/** Progress lines for steps that take a while. */

/** Prints one line for people. */
export type Progress = (line: string) => void;

const REMINDER_MS = 20_000;

/** Runs a step; prints its start, a reminder every 20 seconds while it runs, and how long it took. */
export async function step<T>(progress: Progress, name: string, run: () => Promise<T>): Promise<T> {
  const start = Date.now();
  const seconds = () => ((Date.now() - start) / 1000).toFixed(1);
  progress(`${name} …`);
  const reminder = setInterval(() => progress(`${name}: still running (${seconds()} s)`), REMINDER_MS);
  try {
    const result = await run();
    progress(`${name}: done (${seconds()} s)`);
    return result;
  } catch (error) {
    progress(`${name}: failed (${seconds()} s)`);
    throw error;
  } finally {
    clearInterval(reminder);
  }
}
