/** Puts what ajv makes of the schemas of policies into joined programs, so that they need not make it. */
import { _ } from "ajv";
import standalone from "ajv/dist/standalone/index.js";
import type { Plugin } from "rolldown";
import { POLICY_SCHEMAS } from "../../policy/schema/json-schema.ts";
import { makeAjv, referenceTo } from "../../policy/schema/validators.ts";
import { replaceModule } from "./replace-module.ts";

/** Replaces policy/schema/validators.ts of a checkout. */
export function readyValidators(checkout: string): Plugin {
  return replaceModule(checkout, "policy/schema/validators.ts", validatorsText);
}

/** A module of JavaScript with the `validatorOf` of policy/schema/validators.ts. */
function validatorsText(): string {
  const ajv = makeAjv({ source: true, esm: true, formats: _`FORMATS` });
  const kinds = Object.keys(POLICY_SCHEMAS);
  const references = Object.fromEntries(kinds.map((kind) => [kind, referenceTo(kind)]));
  return `
    import { FORMATS } from "./formats.ts";
    ${standalone.default(ajv, references)}
    const VALIDATORS = { ${kinds.join(", ")} };
    export function validatorOf(kind) {
      return VALIDATORS[kind];
    }
  `;
}
