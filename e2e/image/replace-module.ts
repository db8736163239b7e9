/** Modules of a checkout that joined programs have in another form. */
import { resolve } from "node:path";
import type { Plugin } from "rolldown";

/** Replaces a module, named by its path in the checkout, by JavaScript with the same exports. */
export function replaceModule(checkout: string, module: string, makeText: () => string): Plugin {
  const path = resolve(checkout, module);
  return {
    name: module,
    load: (id) => (id === path ? { code: makeText(), moduleType: "js" } : null),
  };
}
