// Generated from bpf/layouts.bpf.c by `npm run generate`; do not edit.

/** Changes with every struct, enum and limit that the programs share with the agent. */
export const LAYOUT_VERSION = "a87d11e0507cd243";

/** Digest of the C sources of the layouts, without comments and white space. */
export const LAYOUT_SOURCES = "07daf23d93fc0691";
