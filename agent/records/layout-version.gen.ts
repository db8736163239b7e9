// Generated from bpf/layouts.bpf.c by `npm run generate`; do not edit.

/** Changes with every struct, enum and limit that the programs share with the agent. */
export const LAYOUT_VERSION = "f7c6d787fc0b9c1c";

/** Digest of the C sources of the layouts, without comments and white space. */
export const LAYOUT_SOURCES = "2250497b20d791eb";
