const first = 500
const longest = 15_000

/** Milliseconds before attempt number `attempt` (from 1). `chance` in [0, 1) spreads many clients apart. */
export function backoff(attempt: number, chance: number): number {
  const ceiling = Math.min(longest, first * 2 ** Math.min(attempt - 1, 10))
  return Math.round(ceiling / 2 + (ceiling / 2) * chance)
}
