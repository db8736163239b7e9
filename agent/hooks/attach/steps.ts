/** Attaching as a sequence of steps, of which the slow ones run here and now, or in another thread. */

/** Something that takes the kernel milliseconds to seconds: to load a program, or to open a link. */
export interface SlowStep<T> {
  now(): T;
  inBackground(): Promise<T>;
}

/** Yields the slow steps one by one, and is resumed with the result of each, or with its error. */
export type Steps<T> = Generator<SlowStep<unknown>, T, unknown>;

/** Leaves a step to whatever runs the steps, and returns its result. */
export function* take<T>(step: SlowStep<T>): Steps<T> {
  return (yield step) as T;
}

/** Runs the steps to their end on the calling thread. */
export function runNow<T>(steps: Steps<T>): T {
  let step = steps.next();
  while (!step.done) {
    const { value } = step;
    step = resume(steps, () => value.now());
  }
  return step.value;
}

/** Runs the steps to their end, the slow ones in another thread, so that other work has its turn meanwhile. */
export async function runInBackground<T>(steps: Steps<T>): Promise<T> {
  let step = steps.next();
  while (!step.done) step = resume(steps, await settle(step.value.inBackground()));
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

function resume<T>(steps: Steps<T>, result: () => unknown): IteratorResult<SlowStep<unknown>, T> {
  let value: unknown;
  try {
    value = result();
  } catch (error) {
    return steps.throw(error);
  }
  return steps.next(value);
}
