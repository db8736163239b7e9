/** Attaching as a sequence of steps, between which programs are loaded: here and now, or in another thread. */
import type { BpfProgram, CloneOptions } from "../../bpf/binding.ts";

/** A program to load. The verifier takes milliseconds to seconds for it; all other steps are short. */
export interface ProgramLoad {
  template: Pick<BpfProgram, "clone" | "cloneAsync">;
  options: CloneOptions;
}

/** Yields the programs to load one by one, and is resumed with each of them, or with the error of its load. */
export type LoadSteps<T> = Generator<ProgramLoad, T, BpfProgram>;

/** Runs the steps to their end and loads each program on the calling thread. */
export function loadNow<T>(steps: LoadSteps<T>): T {
  let step = steps.next();
  while (!step.done) {
    const { template, options } = step.value;
    step = resume(steps, () => template.clone(options));
  }
  return step.value;
}

/**
 * Runs the steps to their end and loads each program in another thread, so that other work has its turn meanwhile. No
 * other task runs between the last step and the continuation of the caller that awaits the result.
 */
export async function loadInBackground<T>(steps: LoadSteps<T>): Promise<T> {
  let step = steps.next();
  while (!step.done) {
    const { template, options } = step.value;
    const result = await settle(template.cloneAsync(options));
    step = resume(steps, result);
  }
  return step.value;
}

/** Resolves with a function that returns the value or throws the error. */
function settle<T>(promise: Promise<T>): Promise<() => T> {
  return promise.then(
    (value) => () => value,
    (error) => () => {
      throw error;
    },
  );
}

function resume<T>(steps: LoadSteps<T>, load: () => BpfProgram): IteratorResult<ProgramLoad, T> {
  let program: BpfProgram;
  try {
    program = load();
  } catch (error) {
    return steps.throw(error);
  }
  return steps.next(program);
}
