import type { Problem } from '../api.ts'
import { asProblem } from './resource.svelte.ts'

/** One thing a person does: busy while it runs, and what went wrong when it failed. */
export class Act {
  busy = $state(false)
  problem = $state.raw<Problem | null>(null)

  /** Runs it unless it runs already. Undefined when it failed; the reason stands in `problem`. */
  async run<T>(what: () => Promise<T>): Promise<T | undefined> {
    if (this.busy) return undefined
    this.busy = true
    this.problem = null
    try {
      return await what()
    } catch (error) {
      this.problem = asProblem(error)
      return undefined
    } finally {
      this.busy = false
    }
  }
}
