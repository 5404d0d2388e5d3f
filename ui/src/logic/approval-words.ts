import type { Answer, Approval, ApprovalState } from '../nouns/approvals.ts'
import type { Tone } from './standing.ts'

interface ClassWords {
  words: string
  tone: Tone | 'info'
}

const classes: Record<string, ClassWords> = {
  read: { words: 'Reads', tone: 'ok' },
  change: { words: 'Changes something', tone: 'info' },
  privileged: { words: 'Privileged', tone: 'warn' },
  destructive: { words: 'Destroys', tone: 'bad' },
  lock_out: { words: 'Could lock you out', tone: 'bad' },
  unknown: { words: 'Not understood', tone: 'warn' },
}

/** What a command of this class does, in the words of its chip. */
export const classWords = (name: string | null): ClassWords | null =>
  name ? (classes[name] ?? { words: name.replaceAll('_', ' '), tone: 'info' }) : null

/** Whether allowing it takes a second, deliberate step. */
export const grave = (a: Pick<Approval, 'class' | 'cannot_be_undone'>): boolean =>
  !!a.cannot_be_undone || ['destructive', 'lock_out'].includes(a.class)

const states: Record<ApprovalState, { words: string; tone: Tone }> = {
  pending: { words: 'Waits for you', tone: 'live' },
  allowed: { words: 'Allowed', tone: 'ok' },
  denied: { words: 'Denied', tone: 'bad' },
  expired: { words: 'Expired – nobody answered', tone: 'idle' },
  void: { words: 'No longer needed', tone: 'idle' },
}
export const stateWords = (state: ApprovalState): { words: string; tone: Tone } => states[state] ?? states.void

/** What became of it, for the line that stays: by whom, and whether it was used. */
export function outcome(a: Pick<Approval, 'state' | 'answered_by' | 'used_at' | 'kind' | 'void_reason'>): string {
  const by = a.answered_by ? ` on ${a.answered_by}` : ''
  if (a.state === 'allowed') return `Allowed${by}${a.kind === 'question' || a.used_at ? '' : ', not used yet'}`
  if (a.state === 'denied') return `Denied${by}: it was not run`
  if (a.state === 'expired') return 'Nobody answered in time, so it was not run'
  return a.state === 'void' ? (a.void_reason ?? 'What asked has ended') : 'Waits for you'
}

/** What stands above a question. A code agent's own title is its words, and stands below as such. */
export function heading(a: Pick<Approval, 'kind' | 'runtime' | 'title' | 'command'>): string {
  if (a.kind !== 'question' || a.runtime !== 'acp') return a.title
  return a.command === null ? 'Use a tool of its own' : 'Run a command'
}

export interface Choice {
  answer: Answer
  words: string
  /** What the agent itself calls it, where that is something else: no fact, and never on the button. */
  agents: string
}
const answers: Record<string, [Answer['decision'], string]> = {
  allow_once: ['allow', 'Allow'],
  reject_once: ['deny', 'Deny'],
  reject_always: ['deny', 'Deny, also next time'],
}
/** The buttons under a question in the box's own words, by what each does. There is always one that says no. */
export function choices(a: Pick<Approval, 'options' | 'class' | 'cannot_be_undone'>): Choice[] {
  const found = a.options.filter((option) => Object.hasOwn(answers, option.kind)).map(({ id, label, kind }): Choice => {
    const [decision, words] = answers[kind]!
    return { answer: { decision, option_id: id }, words: decision === 'allow' && grave(a) ? `${words}…` : words, agents: label.trim() === words ? '' : label }
  })
  return found.some((one) => one.answer.decision === 'deny') ? found : [...found, { answer: { decision: 'deny' }, words: 'Deny', agents: '' }]
}

const runtimes: Record<string, string> = { runbook: 'Runbook', model: 'Model', acp: 'Code agent', openclaw: 'OpenClaw' }
export const runtimeWords = (name: string | null): string => (name ? (runtimes[name] ?? name) : 'Agent')

/** "2 turns, 1 approval", or what to say when nothing ran. */
export function stoppedWords(s: { turns: number; approvals: number; grants: number }): string {
  const parts = [count(s.turns, 'turn'), count(s.approvals, 'approval'), count(s.grants, 'standing permission')].filter(Boolean)
  return parts.length ? `Stopped: ${parts.join(', ')}.` : 'Nothing was running.'
}
const count = (n: number, what: string): string => (n ? `${n} ${what}${n === 1 ? '' : 's'}` : '')

/** Seconds left until `iso`. */
export const left = (iso: string, now: number): number =>
  Math.max(0, Math.ceil((Date.parse(iso) - now) / 1000))
