import type { Snippet, Variable } from '../nouns/snippets.ts'

const goWords = new Set(['end', 'else', 'break', 'continue', 'nil'])

/** The names in a command's places, each once, in their order. */
export function names(command: string): string[] {
  const found = [...command.matchAll(/\{\{\s*([A-Za-z_]\w*)\s*\}\}/g)].map((m) => m[1]!)
  return [...new Set(found)].filter((name) => !goWords.has(name))
}

/** What the command uses: known variables as they are, new ones as text. */
export function fitted(command: string, known: Variable[]): Variable[] {
  return names(command).map(
    (name) => known.find((v) => v.name === name) ?? { name, kind: 'text', description: '', default: null, choices: [] },
  )
}

export const defaults = (snippet: Snippet): Record<string, string> =>
  Object.fromEntries(snippet.variables.map((v) => [v.name, v.default ?? v.choices[0] ?? '']))
