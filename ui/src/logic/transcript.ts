import { fromBase64 } from './bytes.ts'
import { screenText, write, type ScreenText } from './screen-text.ts'

export interface ConversationEvent {
  seq: number
  turn_id: string | null
  type: string
  payload: Record<string, unknown>
  created_at: string
}
export type Status = 'ok' | 'warn' | 'bad' | 'info'
export interface CardRow {
  label: string
  value: string
  status: Status
  percent: number | null
}
export interface Output {
  stream: 'stdout' | 'stderr'
  screen: ScreenText
  /** Bytes that are no text. They are kept for a download and never drawn. */
  binary: Uint8Array<ArrayBuffer>[]
}
export interface Command {
  kind: 'command'
  key: string
  command: string
  title: string
  outputs: Output[]
  state: 'running' | 'done' | 'lost' | 'cancelled' | 'timed_out'
  exit: number | null
  ms: number
  truncated: boolean
}
export interface Card {
  kind: 'card'
  key: string
  title: string
  status: Status
  summary: string
  rows: CardRow[]
}
export type Entry =
  | { kind: 'you'; key: string; text: string; at: string }
  | { kind: 'text'; key: string; text: string; turn: string | null }
  | Command
  | Card
  | { kind: 'outcome'; key: string; state: string; error: string }
  | { kind: 'lease'; key: string; started: boolean; reason: string; detail: string; at: string }
  | { kind: 'gap'; key: string; from: number; to: number }
export interface Suggestion {
  text: string
  label: string
}
export interface Transcript {
  last: number
  entries: Entry[]
  running: string | null
  suggestions: Suggestion[]
}

export const transcript = (): Transcript => ({ last: 0, entries: [], running: null, suggestions: [] })

/** True when `event` leaves a hole behind the last one taken. */
export const leavesHole = (t: Transcript, event: ConversationEvent): boolean => event.seq > t.last + 1

/** Takes one event. Known ones are passed over, so a resend changes nothing; a hole is marked, never hidden. */
export function take(t: Transcript, event: ConversationEvent): void {
  if (event.seq <= t.last) return
  if (leavesHole(t, event)) t.entries.push({ kind: 'gap', key: `gap${event.seq}`, from: t.last + 1, to: event.seq - 1 })
  t.last = event.seq
  steps[event.type]?.(t, event, event.payload)
}

type Step = (t: Transcript, event: ConversationEvent, p: Record<string, unknown>) => void
const text = (value: unknown): string => (typeof value === 'string' ? value : '')

const steps: Record<string, Step> = {
  'turn.started': (t, e, p) => {
    t.running = e.turn_id
    t.suggestions = []
    t.entries.push({ kind: 'you', key: `${e.seq}`, text: text(p.text), at: e.created_at })
  },
  text: (t, e, p) => {
    const last = t.entries.at(-1)
    if (last?.kind === 'text' && last.turn === e.turn_id) last.text += text(p.text)
    else t.entries.push({ kind: 'text', key: `${e.seq}`, text: text(p.text), turn: e.turn_id })
  },
  'command.started': (t, _e, p) => {
    t.entries.push({
      kind: 'command', key: text(p.command_id), command: text(p.command), title: text(p.title),
      outputs: [], state: 'running', exit: null, ms: 0, truncated: false,
    })
  },
  'command.output': (t, _e, p) => {
    const command = find(t, text(p.command_id))
    if (command) output(command, p)
  },
  'command.finished': (t, _e, p) => {
    const command = find(t, text(p.command_id))
    if (!command) return
    command.state = (text(p.state) || 'done') as Command['state']
    command.exit = typeof p.exit_status === 'number' ? p.exit_status : null
    command.ms = Number(p.duration_ms ?? 0)
    command.truncated = p.truncated === true
  },
  card: (t, e, p) => {
    const rows = (p.rows ?? []) as CardRow[]
    t.entries.push({
      kind: 'card', key: `${e.seq}`, title: text(p.title), status: (text(p.status) || 'info') as Status,
      summary: text(p.summary), rows,
    })
  },
  'turn.finished': (t, e, p) => {
    t.running = null
    const state = text(p.state)
    if (state !== 'done') t.entries.push({ kind: 'outcome', key: `${e.seq}`, state, error: text(p.error) })
  },
  'lease.started': (t, e) => {
    t.entries.push({ kind: 'lease', key: `${e.seq}`, started: true, reason: '', detail: '', at: e.created_at })
  },
  'lease.ended': (t, e, p) => {
    const [reason, detail] = [text(p.close_reason), text(p.error_detail)]
    t.entries.push({ kind: 'lease', key: `${e.seq}`, started: false, reason, detail, at: e.created_at })
  },
  suggestions: (t, _e, p) => {
    t.suggestions = (p.items ?? []) as Suggestion[]
  },
}

function find(t: Transcript, id: string): Command | undefined {
  const found = t.entries.findLast((entry) => entry.kind === 'command' && entry.key === id)
  return found?.kind === 'command' ? found : undefined
}

function output(command: Command, p: Record<string, unknown>): void {
  const stream = p.stream === 'stderr' ? 'stderr' : 'stdout'
  let last = command.outputs.at(-1)
  if (last?.stream !== stream) {
    command.outputs.push({ stream, screen: screenText(), binary: [] })
    last = command.outputs.at(-1)!
  }
  if (p.encoding === 'base64') last.binary.push(fromBase64(text(p.data)))
  else write(last.screen, text(p.data))
}
