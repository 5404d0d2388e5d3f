import type { Problem } from '../api.ts'
import { onStepUp } from '../api.ts'

/** What the box asked for, until its person proved to be there or gave up. */
interface Asked {
  means: string[]
  done: (proved: boolean) => void
}
const asked = $state<{ now: Asked | null }>({ now: null })

export const stepUpAsked = (): Asked | null => asked.now

export function endStepUp(proved: boolean): void {
  const was = asked.now
  asked.now = null
  was?.done(proved)
}

let waiting: Promise<boolean> | null = null

/** One sheet, however many requests wait for it. */
function stepUp(problem: Problem): Promise<boolean> {
  waiting ??= new Promise<boolean>((done) => {
    asked.now = { means: (problem.data.means ?? []) as string[], done }
  }).finally(() => (waiting = null))
  return waiting
}

onStepUp(stepUp)
