/**
 * What ajv makes of the schemas of policies. Joined programs have what it makes as text instead
 * (e2e/image/validators.ts): ajv takes a second for it on an emulated processor.
 */
import { Ajv, type Options, type ValidateFunction } from "ajv";
import type { PolicyKind } from "../../crds/names.ts";
import { FORMATS } from "./formats.ts";
import { policiesSchema } from "./json-schema.ts";

let ajv: Ajv | undefined;

/** The check of a policy of this kind; after a check that fails, its `errors` tell why. */
export function validatorOf(kind: PolicyKind): ValidateFunction {
  ajv ??= makeAjv();
  return ajv.getSchema(referenceTo(kind)) as ValidateFunction;
}

/** An ajv that knows the schemas of policies; `code` says how it writes its functions. */
export function makeAjv(code: Options["code"] = {}): Ajv {
  const made = new Ajv({ allErrors: true, verbose: true, strict: true, code, formats: FORMATS });
  made.addKeyword("help");
  return made.addSchema(policiesSchema(), "policies");
}

/** By which the ajv of `makeAjv` finds the schema of a kind. */
export function referenceTo(kind: string): string {
  return `policies#/definitions/${kind}`;
}
