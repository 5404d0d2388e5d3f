import { previewSnippet, type Preview, type Values, type Variable } from '../nouns/snippets.ts'

/** What a snippet would run, asked of the box a moment after the last keystroke. */
export class PreviewRun {
  found = $state.raw<Preview | null>(null)
  private soon: ReturnType<typeof setTimeout> | undefined
  private run = 0

  ask(command: string, variables: Variable[], values: Values): void {
    clearTimeout(this.soon)
    const run = ++this.run
    if (!command.trim()) {
      this.found = null
      return
    }
    this.soon = setTimeout(async () => {
      const found = await previewSnippet(command, variables, values).catch(() => null)
      if (run === this.run) this.found = found
    }, 250)
  }
}
