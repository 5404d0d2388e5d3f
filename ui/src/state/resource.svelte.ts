import { Problem } from '../api.ts'
import { onEvents } from './events.svelte.ts'

/** Something read from the box: loading, there, or a problem with a retry. Keeps what it has while it reloads. */
export class Resource<T> {
  data = $state.raw<T | null>(null)
  problem = $state.raw<Problem | null>(null)
  loading = $state(false)
  private run = 0
  private soon: ReturnType<typeof setTimeout> | undefined
  private readonly read: () => Promise<T>

  constructor(read: () => Promise<T>) {
    this.read = read
  }

  load = async (): Promise<void> => {
    const run = ++this.run
    this.loading = true
    try {
      const data = await this.read()
      if (run === this.run) this.set(data)
    } catch (error) {
      if (run === this.run) this.problem = asProblem(error)
    } finally {
      if (run === this.run) this.loading = false
    }
  }

  set(data: T): void {
    this.data = data
    this.problem = null
  }

  /** Loads now and again whenever events of these kinds pass. For `$effect`: answers how to stop. */
  follow(...prefixes: string[]): () => void {
    void this.load()
    return onEvents(prefixes, () => {
      clearTimeout(this.soon)
      this.soon = setTimeout(this.load, 120)
    })
  }
}

export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error
  return new Problem(0, 'page_fault', `This page failed: ${error instanceof Error ? error.message : String(error)}. Reload it.`)
}
