/** Events of the calls that the measured pods make. */
import { events, type TrigonEvent } from "../../e2e/stories/cluster-view.ts";
import { FIRST_CALL } from "./objects.ts";

interface Process {
  pid: number;
  start_time: string;
  pod?: { name: string; container: { name?: string; image?: { name?: string } } };
}

/** One call that a policy has reported. */
export interface Hit {
  node: string;
  time: string;
  argument: number;
  process: Process;
}

/** All that a policy has reported. */
export async function hitsOf(policy: string): Promise<Hit[]> {
  return (await events()).flatMap((event) => {
    const kprobe = event.process_kprobe as
      | { policy_name: string; process: Process; args: { uint_arg?: number }[] }
      | undefined;
    if (kprobe?.policy_name !== policy) return [];
    const { args, process } = kprobe;
    return [{ node: event.node_name, time: event.time, argument: args[0]?.uint_arg ?? 0, process }];
  });
}

/** Whether the event names the container and its image. */
export function namesContainer({ process: { pod } }: Hit): boolean {
  return Boolean(pod?.container.name && pod.container.image?.name);
}

/** The first numbered call of a pod that was reported: how many are missing before it, and when its process made it. */
export async function firstCall(
  policy: string,
  pod: string,
): Promise<{ missed: number; afterSeconds: number } | undefined> {
  const calls = (await hitsOf(policy)).filter(
    ({ process, argument }) => process.pod?.name === pod && argument >= FIRST_CALL,
  );
  const [first] = calls.sort((a, b) => a.argument - b.argument);
  if (first === undefined) return undefined;
  return {
    missed: first.argument - FIRST_CALL,
    afterSeconds: secondsBetween(first.process.start_time, first.time),
  };
}

/** Of each process that called, the seconds from its first instruction to its end. */
export async function livesOf(hits: readonly Hit[]): Promise<number[]> {
  const ends = new Map((await events()).flatMap(endOf));
  return hits.flatMap(({ node, process }) => {
    const end = ends.get(`${node}/${process.pid}`);
    return end === undefined ? [] : [secondsBetween(process.start_time, end)];
  });
}

function endOf({ node_name, time, process_exit }: TrigonEvent): [process: string, time: string][] {
  const exit = process_exit as { process: Process } | undefined;
  return exit ? [[`${node_name}/${exit.process.pid}`, time]] : [];
}

function secondsBetween(from: string, to: string): number {
  return (Date.parse(to) - Date.parse(from)) / 1000;
}
