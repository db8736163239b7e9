/** What expressions of the definitions' rules can use: CEL's own functions and no more. */
import { celEnv } from "@bufbuild/cel";

export const environment = celEnv();
