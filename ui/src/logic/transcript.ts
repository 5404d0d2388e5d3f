import { fromBase64 } from './bytes.ts'
import type { Asked, CardRow, Command, Entry, Plan, RevertNote, Spent, Status, Step, Tool, You } from './entries.ts'
import { screenText, write } from './screen-text.ts'

export interface ConversationEvent {
  seq: number
  turn_id: string | null
  type: string
  payload: Record<string, unknown>
  created_at: string
}
export interface Suggestion {
  text: string
  label: string
}
/** What a running turn waits for, other than the agent itself. */
export interface Wait {
  for: 'approval' | 'session'
  approval: string
}
export interface Transcript {
  last: number
  entries: Entry[]
  running: string | null
  startedAt: string | null
  waits: Wait | null
  spent: Spent | null
  suggestions: Suggestion[]
}

export const transcript = (): Transcript =>
  ({ last: 0, entries: [], running: null, startedAt: null, waits: null, spent: null, suggestions: [] })

/** True when `event` leaves a hole behind the last one taken. */
export const leavesHole = (t: Transcript, event: ConversationEvent): boolean => event.seq > t.last + 1

/** Takes one event. Known ones are passed over, so a resend changes nothing; a hole is marked, never hidden. */
export function take(t: Transcript, event: ConversationEvent): void {
  if (event.seq <= t.last) return
  if (leavesHole(t, event)) t.entries.push({ kind: 'gap', key: `gap${event.seq}`, from: t.last + 1, to: event.seq - 1 })
  t.last = event.seq
  if (event.type !== 'thought') thoughtEnds(t, event)
  if (fromTheAgent.has(event.type)) delivered(t, event.turn_id)
  takes[event.type]?.(t, event, event.payload)
}

type Payload = Record<string, unknown>
type Take = (t: Transcript, event: ConversationEvent, p: Payload) => void
const text = (value: unknown): string => (typeof value === 'string' ? value : '')
const number = (value: unknown): number | null => (typeof value === 'number' ? value : null)
/** Who speaks has heard, also where no runtime says so. */
const fromTheAgent = new Set(['turn.delivered', 'text', 'thought', 'plan', 'tool', 'command.started', 'card'])

const takes: Record<string, Take> = {
  'turn.started': (t, e, p) => {
    t.running = e.turn_id
    t.startedAt = e.created_at
    t.waits = t.spent = null
    t.suggestions = []
    t.entries.push({ kind: 'you', key: `${e.seq}`, text: text(p.text), at: e.created_at, turn: e.turn_id, delivered: false })
  },
  'turn.waiting': (t, _e, p) => {
    t.waits = { for: p.for === 'session' ? 'session' : 'approval', approval: text(p.approval_id) }
  },
  'turn.resumed': (t) => {
    t.waits = null
  },
  'turn.finished': (t, e, p) => {
    if (t.spent) t.entries.push({ kind: 'usage', key: `u${e.seq}`, ...t.spent })
    t.running = t.startedAt = t.waits = t.spent = null
    const state = text(p.state)
    if (state !== 'done') t.entries.push({ kind: 'outcome', key: `${e.seq}`, state, error: text(p.error) })
  },
  text: (t, e, p) => {
    const last = t.entries.at(-1)
    if (last?.kind === 'text' && last.turn === e.turn_id) last.text += text(p.text)
    else t.entries.push({ kind: 'text', key: `${e.seq}`, text: text(p.text), turn: e.turn_id })
  },
  thought: (t, e, p) => {
    const last = t.entries.at(-1)
    if (last?.kind === 'thought' && last.turn === e.turn_id) last.text += text(p.text)
    else t.entries.push({ kind: 'thought', key: `${e.seq}`, text: text(p.text), turn: e.turn_id, at: e.created_at, ms: null })
  },
  plan: (t, e, p) => {
    const steps = (p.steps ?? []) as Step[]
    const known = find<Plan>(t, 'plan', `plan-${e.turn_id}`)
    if (known) known.steps = steps
    else t.entries.push({ kind: 'plan', key: `plan-${e.turn_id}`, steps })
  },
  tool: (t, e, p) => {
    const key = `tool-${e.turn_id}-${text(p.call_id)}`
    const told = { title: text(p.title), tool: text(p.kind), status: text(p.status), detail: text(p.detail) }
    const known = find<Tool>(t, 'tool', key)
    if (known) Object.assign(known, told)
    else t.entries.push({ kind: 'tool', key, ...told })
  },
  usage: (t, _e, p) => {
    t.spent = { input: number(p.input_tokens), output: number(p.output_tokens), cost: number(p.cost_usd) }
  },
  'command.started': (t, e, p) => {
    t.waits = null
    t.entries.push({
      kind: 'command', key: text(p.command_id), command: text(p.command), title: text(p.title), reason: text(p.reason),
      class: text(p.class), outputs: [], state: 'running', exit: null, ms: 0, truncated: false, at: e.created_at,
    })
  },
  'command.output': (t, _e, p) => {
    const command = find<Command>(t, 'command', text(p.command_id))
    if (command) output(command, p)
  },
  'command.finished': (t, _e, p) => {
    const command = find<Command>(t, 'command', text(p.command_id))
    if (!command) return
    command.state = (text(p.state) || 'done') as Command['state']
    command.exit = number(p.exit_status)
    command.ms = Number(p.duration_ms ?? 0)
    command.truncated = p.truncated === true
  },
  'command.refused': (t, e, p) => {
    t.entries.push({ kind: 'refused', key: `${e.seq}`, title: text(p.title), command: text(p.command), class: text(p.class), why: text(p.why) })
  },
  'approval.requested': (t, _e, p) => {
    const key = text(p.approval_id)
    t.waits = { for: 'approval', approval: key }
    if (find<Asked>(t, 'approval', key)) return
    t.entries.push({
      kind: 'approval', key, about: text(p.kind), title: text(p.title), command: text(p.command), class: text(p.class),
      expires: text(p.expires_at) || null, state: 'pending', by: '',
    })
  },
  'approval.answered': (t, _e, p) => {
    if (t.waits?.approval === text(p.approval_id)) t.waits = null
    const asked = find<Asked>(t, 'approval', text(p.approval_id))
    if (!asked) return
    asked.state = (text(p.state) || 'void') as Asked['state']
    asked.by = text(p.by)
  },
  revert: (t, _e, p) => {
    const key = text(p.revert_id)
    const told = { what: text(p.what), state: text(p.state), due: text(p.due_at) || null }
    const known = find<RevertNote>(t, 'revert', key)
    if (known) Object.assign(known, told)
    else t.entries.push({ kind: 'revert', key, ...told })
  },
  'agents.stopped': (t, e) => {
    t.entries.push({ kind: 'stopped', key: `${e.seq}`, at: e.created_at })
  },
  card: (t, e, p) => {
    const rows = (p.rows ?? []) as CardRow[]
    t.entries.push({
      kind: 'card', key: `${e.seq}`, title: text(p.title), status: (text(p.status) || 'info') as Status,
      summary: text(p.summary), rows,
    })
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

function find<E extends Entry>(t: Transcript, kind: E['kind'], key: string): E | undefined {
  return t.entries.findLast((entry) => entry.kind === kind && entry.key === key) as E | undefined
}

function thoughtEnds(t: Transcript, event: ConversationEvent): void {
  const last = t.entries.at(-1)
  if (last?.kind === 'thought' && last.ms === null) last.ms = Math.max(0, Date.parse(event.created_at) - Date.parse(last.at))
}

function delivered(t: Transcript, turn: string | null): void {
  const you = t.entries.findLast((entry): entry is You => entry.kind === 'you')
  if (you && you.turn === turn) you.delivered = true
}

function output(command: Command, p: Payload): void {
  const stream = p.stream === 'stderr' ? 'stderr' : 'stdout'
  let last = command.outputs.at(-1)
  if (last?.stream !== stream) {
    command.outputs.push({ stream, screen: screenText(), binary: [] })
    last = command.outputs.at(-1)!
  }
  if (p.encoding === 'base64') last.binary.push(fromBase64(text(p.data)))
  else write(last.screen, text(p.data))
}
