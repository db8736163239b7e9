// Generated from bpf/layouts.bpf.c by `npm run generate`; do not edit.

/** Changes with every struct, enum and limit that the programs share with the agent. */
export const LAYOUT_VERSION = "20b1a01b895666a0";

/** Digest of the C sources of the layouts, without comments and white space. */
export const LAYOUT_SOURCES = "0cce43385846ab2b";
