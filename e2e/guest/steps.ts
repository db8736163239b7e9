/** Steps of programs/act.c by their names. */
import { ACT, NR } from "./test-engine.ts";

/** Flags of unshare(2) and clone(2). */
export const NEW = { uts: 0x0400_0000, user: 0x1000_0000, pid: 0x2000_0000 };

/** All capabilities of Linux 5.9 and later. */
export const ALL_CAPS = "0x1ffffffffff";

type Call = keyof typeof NR;

const call = (name: Call, args: readonly (number | string)[]) => [NR[name], ...args].join(":");

/** A system call that must succeed: otherwise `act` ends with its error. */
export const calls = (name: Call, ...args: (number | string)[]) => `errno ${call(name, args)}`;

/** A system call that may be refused. */
export const tries = (name: Call, ...args: (number | string)[]) => `call ${call(name, args)}`;

/** A system call of a thread other than the first. */
export const threadCalls = (name: Call, ...args: (number | string)[]) => `thread ${call(name, args)}`;

/** setgroups(2); each four characters are one group. */
export const setsGroups = (text: string) => calls("setgroups", text.length / 4, `@${text}`);

/** Goes on as an unprivileged user who cannot return to root. */
export const AS_USER = calls("setresuid", 1000, 1000, 1000);

/** Goes on as an unprivileged user who may return to root. */
export const FOR_A_WHILE = calls("setresuid", 1000, 1000, 0);

/** Goes on in a child that is the first process of a pid namespace, as in a container. */
export const IN_POD = `${calls("unshare", NEW.pid)} fork`;

/** Goes on as another program. */
export const execs = (file: string = ACT) => `exec ${file}`;
