import type { Answer, AnswerState, FleetRun } from '../nouns/fleet.ts'
import type { Tone } from './standing.ts'

export interface Group {
  key: string
  answers: Answer[]
}

const order: AnswerState[] = ['failed', 'lost', 'refused', 'running', 'waiting', 'cancelled', 'done']

/** Answers that say the same, together: what needs a person first, then the larger groups. */
export function groups(answers: Answer[]): Group[] {
  const found = new Map<string, Group>()
  for (const answer of answers) {
    const key = answer.digest ?? `${answer.state}: ${answer.message ?? ''}`
    const group = found.get(key)
    if (group) group.answers.push(answer)
    else found.set(key, { key, answers: [answer] })
  }
  const rank = (group: Group) => order.indexOf(group.answers[0]!.state)
  return [...found.values()].sort((a, b) => rank(a) - rank(b) || b.answers.length - a.answers.length)
}

/** "6 answered the same; 1 differs". */
export function summary(answers: Answer[]): string {
  const open = answers.filter((a) => a.state === 'waiting' || a.state === 'running').length
  if (open) return `${answers.length - open} of ${answers.length} have answered`
  const sizes = groups(answers).map((g) => g.answers.length).sort((a, b) => b - a)
  if (answers.length === 1) return '1 server has answered'
  if (sizes.length === 1 && answers.length === 2) return 'Both answered the same'
  if (sizes.length === 1) return `All ${answers.length} answered the same`
  if (sizes[0] === 1) return `${answers.length} servers, each with an answer of its own`
  const rest = answers.length - sizes[0]!
  return `${sizes[0]} answered the same; ${rest === 1 ? '1 differs' : `${rest} differ`}`
}

export const isBad = (answer: Answer): boolean => ['failed', 'lost', 'refused'].includes(answer.state)

const words: Record<AnswerState, string> = {
  waiting: 'waiting', running: 'running', done: 'done', failed: 'failed', lost: 'outcome unknown', cancelled: 'cancelled', refused: 'not run',
}
const tones: Record<AnswerState, Tone> = {
  waiting: 'idle', running: 'warn', done: 'ok', failed: 'bad', lost: 'bad', cancelled: 'idle', refused: 'bad',
}

export const verdict = (a: Answer): { tone: Tone; words: string } => ({
  tone: tones[a.state],
  words: a.state === 'failed' && a.exit_status !== null ? `failed, exit ${a.exit_status}` : words[a.state],
})

export function runVerdict(run: FleetRun): { tone: Tone; words: string } {
  const bad = (run.counts.failed ?? 0) + (run.counts.lost ?? 0) + (run.counts.refused ?? 0)
  if (run.state === 'running') return { tone: 'warn', words: 'running' }
  if (run.state === 'cancelled') return { tone: 'idle', words: 'cancelled' }
  if (run.state === 'interrupted') return { tone: 'bad', words: 'interrupted' }
  return bad ? { tone: 'bad', words: `${bad} went wrong` } : { tone: 'ok', words: 'all well' }
}

export const asText = (answers: Answer[]): string =>
  answers.map((a) => `## ${a.label}: ${verdict(a).words}\n${output(a)}`).join('\n')

const output = (a: Answer): string => [a.stdout, a.stderr, a.message ?? ''].filter(Boolean).map((t) => t.trimEnd() + '\n').join('')

export const asJson = (answers: Answer[]): string =>
  JSON.stringify(answers.map(({ label, state, exit_status, stdout, stderr, encoding, truncated, duration_ms, message }) => ({ label, state, exit_status, stdout, stderr, encoding, truncated, duration_ms, message })), null, 2)

export function asCsv(answers: Answer[]): string {
  const rows = answers.map((a) => [a.label, a.state, a.exit_status ?? '', a.duration_ms ?? '', a.stdout, a.stderr, a.message ?? ''])
  return [['server', 'state', 'exit', 'ms', 'stdout', 'stderr', 'message'], ...rows].map((row) => row.map(cell).join(',')).join('\r\n') + '\r\n'
}

/** RFC 4180; what a spreadsheet would take for a formula begins with an apostrophe. */
function cell(value: string | number): string {
  const text = typeof value === 'string' && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value)
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
