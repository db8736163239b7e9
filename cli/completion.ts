/** Completion of the command line in shells: what @bomb.sh/tab finds in the commands, with aliases and files besides. */
import tab, { ShellCompDirective } from "@bomb.sh/tab";
import addTab from "@bomb.sh/tab/commander";
import type { Command } from "commander";
import type { Streams } from "./streams.ts";

/**
 * The library's own script needs the package bash-completion, evaluates what has been typed, cannot be sourced twice, and
 * never offers files. bash takes --output=json for three words.
 */
const BASH = `# bash completion for trigon
_trigon() {
  local word words=() current=\${COMP_WORDS[COMP_CWORD]}
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD}"; do
    if [[ \${#words[@]} -gt 0 && ( $word == = || \${words[-1]} == --*= ) ]]; then
      words[-1]+=$word
    else
      words+=("$word")
    fi
  done
  [[ $current == = ]] && current=
  local flag= # where it does not: COMP_WORDBREAKS without =
  [[ $current == --*=* ]] && flag=\${current%%=*}= current=\${current#*=}
  COMPREPLY=()
  while IFS=$'\\t' read -r word _; do
    [[ $word == "$current"* && $word != :* ]] && COMPREPLY+=("$flag$word")
  done < <(trigon complete -- "\${words[@]}" 2>/dev/null)
}
complete -o default -F _trigon trigon`;

/** Adds the commands `completion SHELL`, which prints a script, and `complete`, which the scripts call; returns the first. */
export function addCompletion(program: Command, { out }: Streams): Command {
  addTab(program, { completionCommandName: "completion" });
  commandNamed(program, "complete").action((words: string[]) => {
    for (const line of candidates(program, words)) out(line);
  });
  return commandNamed(program, "completion").action((shell: string) => {
    out(shell === "bash" ? BASH : printed(() => tab.setup("trigon", "trigon", shell)).join("\n"));
  });
}

function commandNamed(program: Command, name: string): Command {
  const found = program.commands.find((command) => command.name() === name);
  if (!found) throw new Error(`there is no command ${name}`);
  return found;
}

/** What may stand in place of the last word, one per line, and a last line that says whether it may be a file. */
function candidates(program: Command, words: readonly string[]): string[] {
  const found = printed(() => tab.parse(canonical(program, words)));
  const isEmpty = found.every((line) => line.startsWith(":"));
  return isEmpty ? [`:${ShellCompDirective.ShellCompDirectiveDefault}`] : found;
}

/** The words with commands under their first names; the last is still being typed. */
function canonical(program: Command, words: readonly string[]): string[] {
  let within: Command | undefined = program;
  return words.map((word, index) => {
    if (word.startsWith("-") || index === words.length - 1) return word;
    within = within?.commands.find((command) => [command.name(), ...command.aliases()].includes(word));
    return within?.name() ?? word;
  });
}

/** The library prints with console.log. */
function printed(run: () => void): string[] {
  const lines: string[] = [];
  const { log } = console;
  console.log = (line: string) => lines.push(line);
  try {
    run();
  } finally {
    console.log = log;
  }
  return lines;
}
