import type { Plan, Spent } from './entries.ts'
import type { Transcript } from './transcript.ts'

export interface Doing {
  words: string
  /** The very thing it is at, such as the command that runs. */
  what: string
  /** Since when it is at that. */
  since: string | null
  /** It goes on only when a person does something. */
  waits: boolean
}

/** What a running turn is at, honestly: whom it waits for, or what runs. Null when none runs. */
export function doing(t: Transcript): Doing | null {
  if (!t.running) return null
  const at = (words: string, what = '', since = t.startedAt): Doing => ({ words, what, since, waits: false })
  if (t.waits?.for === 'approval') return { ...at('Waits for your answer'), waits: true }
  if (t.waits?.for === 'session') return { ...at('The session ended: start one and it goes on'), waits: true }
  const last = t.entries.at(-1)
  if (last?.kind === 'you' && !last.delivered) return at('Sent, not delivered yet')
  if (last?.kind === 'command' && last.state === 'running') return at('Runs', last.command, last.at)
  if (last?.kind === 'thought') return at('Thinks', '', last.at)
  const tool = t.entries.findLast((e) => e.kind === 'tool' && ['pending', 'in_progress'].includes(e.status))
  if (tool?.kind === 'tool') return at('Uses a tool', tool.title)
  return at(last?.kind === 'text' ? 'Writes' : 'Works')
}

/** "Step 2 of 5", of the running turn's plan; empty without one. */
export function planProgress(t: Transcript): string {
  const plan = t.entries.find((e): e is Plan => e.kind === 'plan' && e.key === `plan-${t.running}`)
  if (!plan?.steps.length) return ''
  const done = plan.steps.filter((s) => s.status === 'completed').length
  return `Step ${Math.min(done + 1, plan.steps.length)} of ${plan.steps.length}`
}

/** "12.4k tokens · $0.031": only what the agent told. */
export function spentWords({ input, output, cost }: Spent): string {
  const tokens = (input ?? 0) + (output ?? 0)
  return [tokens ? `${short(tokens)} tokens` : '', cost ? money(cost) : ''].filter(Boolean).join(' · ')
}

const short = (n: number): string => (n < 1000 ? `${n}` : n < 10_000 ? `${(n / 1000).toFixed(1)}k` : n < 1_000_000 ? `${Math.round(n / 1000)}k` : `${(n / 1_000_000).toFixed(1)}M`)
const money = (usd: number): string => (usd < 0.001 ? 'under $0.001' : `$${usd.toFixed(usd < 0.1 ? 3 : 2)}`)

/** "0:12", "1:02:07": how long something goes on. */
export function elapsed(since: string | null, now: number): string {
  if (!since) return ''
  const s = Math.max(0, Math.floor((now - Date.parse(since)) / 1000))
  const pad = (n: number) => String(n).padStart(2, '0')
  return s < 3600 ? `${Math.floor(s / 60)}:${pad(s % 60)}` : `${Math.floor(s / 3600)}:${pad(Math.floor(s / 60) % 60)}:${pad(s % 60)}`
}
