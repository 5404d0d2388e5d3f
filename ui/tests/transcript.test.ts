import assert from 'node:assert/strict'
import { test } from 'node:test'
import { screenText, write } from '../src/logic/screen-text.ts'
import type { Asked, Command, Plan, Thought, Tool, You } from '../src/logic/entries.ts'
import { take, transcript } from '../src/logic/transcript.ts'
import { doing, elapsed, planProgress, spentWords } from '../src/logic/turn-words.ts'

const event = (seq: number, type: string, payload: Record<string, unknown> = {}, second = 0) =>
  ({ seq, type, payload, turn_id: 't', created_at: `2026-06-01T12:00:${String(second).padStart(2, '0')}Z` })
const told = (...events: [string, Record<string, unknown>?, number?][]) => {
  const t = transcript()
  events.forEach(([type, payload, second], i) => take(t, event(i + 1, type, payload, second)))
  return t
}
const shown = (...chunks: string[]) => {
  const screen = screenText()
  for (const chunk of chunks) write(screen, chunk)
  return screen.text
}

test('a turn with one command becomes a question, an answer, output and its end', () => {
  const t = transcript()
  const events = [
    event(1, 'turn.started', { text: 'disk' }), event(2, 'text', { text: 'Looking' }), event(3, 'text', { text: ' now.' }),
    event(4, 'command.started', { command_id: 'c', command: 'df', title: 'Disk' }),
    event(5, 'command.output', { command_id: 'c', stream: 'stdout', data: 'a\n', encoding: 'utf-8' }),
    event(6, 'command.output', { command_id: 'c', stream: 'stderr', data: 'no', encoding: 'utf-8' }),
    event(7, 'command.finished', { command_id: 'c', exit_status: 1, duration_ms: 12, state: 'done' }),
  ]
  for (const e of events) take(t, e)
  assert.deepEqual(t.entries.map((e) => e.kind), ['you', 'text', 'command'])
  const command = t.entries[2] as Command
  assert.deepEqual(command.outputs.map((o) => [o.stream, o.screen.text]), [['stdout', 'a\n'], ['stderr', 'no']])
  assert.deepEqual([command.state, command.exit], ['done', 1])
  assert.equal(t.running, 't')
  take(t, event(8, 'turn.finished', { state: 'done', error: null }))
  assert.equal(t.running, null)
})

test('events that come twice change nothing, a hole is marked', () => {
  const t = transcript()
  take(t, event(1, 'turn.started', { text: 'a' }))
  take(t, event(1, 'turn.started', { text: 'a' }))
  take(t, event(5, 'text', { text: 'b' }))
  assert.deepEqual(t.entries.map((e) => e.kind), ['you', 'gap', 'text'])
  assert.deepEqual(t.entries[1], { kind: 'gap', key: 'gap5', from: 2, to: 4 })
})

test('bytes that are no text are counted and never drawn', () => {
  const t = transcript()
  take(t, event(1, 'command.started', { command_id: 'c', command: 'x', title: 'x' }))
  take(t, event(2, 'command.output', { command_id: 'c', stream: 'stdout', data: 'AAEC/w==', encoding: 'base64' }))
  const [output] = (t.entries[0] as Command).outputs
  assert.equal(output!.screen.text, '')
  assert.deepEqual([...output!.binary[0]!], [0, 1, 2, 255])
})

test('an unknown kind of event is passed over', () => {
  const t = transcript()
  take(t, event(1, 'something.new', {}))
  assert.deepEqual([t.entries.length, t.last], [0, 1])
})

test('escape sequences leave no trace, also when a chunk ends inside one', () => {
  assert.equal(shown('\x1b[1;31mred\x1b[0m'), 'red')
  assert.equal(shown('a\x1b[3', '1mb\x1b', '[0mc'), 'abc')
  assert.equal(shown('\x1b]0;title\x07x\x1b]52;c;ZXZpbA==\x1b\\y'), 'xy')
  assert.equal(shown('a\x1b(Bb\x1b=c'), 'abc')
  assert.equal(shown('\u202eevil\x00'), 'evil')
})

test('progress lines end as their last state', () => {
  assert.equal(shown('10%\r50%\r100%\ndone'), '100%\ndone')
  assert.equal(shown('10%\r', '50%\r', '99%'), '99%')
  assert.equal(shown('downloading\r\x1b[Kok'), 'ok')
  assert.equal(shown('a\r', '\nb'), 'a\nb')
  assert.equal(shown('abc\b\bX'), 'aXc')
})

test('a flood keeps its end', () => {
  const screen = screenText()
  for (let i = 0; i < 300; i++) write(screen, `${'x'.repeat(999)}\n`)
  assert.ok(screen.text.length < 250_000)
  assert.equal(screen.text.length + screen.dropped, 300_000)
})


test('a message is sent first and delivered when the agent has it, or speaks', () => {
  const you = (t: ReturnType<typeof told>) => (t.entries[0] as You).delivered
  assert.equal(you(told(['turn.started', { text: 'a' }])), false)
  assert.equal(you(told(['turn.started', { text: 'a' }], ['turn.delivered'])), true)
  assert.equal(you(told(['turn.started', { text: 'a' }], ['thought', { text: 'hm' }])), true)
  assert.equal(you(told(['turn.started', { text: 'a' }], ['usage', {}])), false)
})

test('a thought is folded and knows how long it took', () => {
  const t = told(['turn.started', { text: 'a' }], ['thought', { text: 'One, ' }, 1], ['thought', { text: 'two.' }, 3], ['text', { text: 'So' }, 5])
  const thought = t.entries[1] as Thought
  assert.deepEqual([thought.text, thought.ms], ['One, two.', 4000])
})

test('plans and tools change where they stand', () => {
  const t = told(
    ['turn.started', { text: 'a' }], ['plan', { steps: [{ text: 'look', status: 'in_progress' }, { text: 'mend', status: 'pending' }] }],
    ['tool', { call_id: '1', title: 'Read nginx.conf', kind: 'read', status: 'in_progress' }], ['text', { text: 'x' }],
    ['plan', { steps: [{ text: 'look', status: 'completed' }, { text: 'mend', status: 'in_progress' }] }],
    ['tool', { call_id: '1', title: 'Read nginx.conf', kind: 'read', status: 'completed', detail: '40 lines' }],
  )
  assert.deepEqual(t.entries.map((e) => e.kind), ['you', 'plan', 'tool', 'text'])
  assert.equal((t.entries[1] as Plan).steps[0]!.status, 'completed')
  assert.deepEqual([(t.entries[2] as Tool).status, (t.entries[2] as Tool).detail], ['completed', '40 lines'])
  assert.equal(planProgress(t), 'Step 2 of 2')
})

test('an approval is asked, waited for, answered, and the command follows it', () => {
  const asked: [string, Record<string, unknown>][] = [
    ['turn.started', { text: 'a' }], ['approval.requested', { approval_id: 'p', kind: 'command', title: 'Restart', command: 'x', class: 'change' }],
  ]
  assert.deepEqual(doing(told(...asked)), { words: 'Waits for your answer', what: '', since: '2026-06-01T12:00:00Z', waits: true })
  const t = told(...asked, ['approval.answered', { approval_id: 'p', state: 'allowed', by: 'person' }], ['command.started', { command_id: 'c', command: 'x', class: 'change', reason: 'because' }, 7])
  assert.deepEqual(t.entries.map((e) => e.kind), ['you', 'approval', 'command'])
  assert.equal((t.entries[1] as Asked).state, 'allowed')
  assert.equal((t.entries[2] as Command).reason, 'because')
  assert.deepEqual(doing(t), { words: 'Runs', what: 'x', since: '2026-06-01T12:00:07Z', waits: false })
  take(t, event(6, 'approval.requested', { approval_id: 'p', kind: 'command' }))
  assert.equal(t.entries.filter((e) => e.kind === 'approval').length, 1)
})

test('what a turn is at is said honestly', () => {
  assert.equal(doing(transcript()), null)
  assert.equal(doing(told(['turn.started', { text: 'a' }]))?.words, 'Sent, not delivered yet')
  assert.equal(doing(told(['turn.started', { text: 'a' }], ['turn.delivered']))?.words, 'Works')
  assert.equal(doing(told(['turn.started', { text: 'a' }], ['text', { text: 'x' }]))?.words, 'Writes')
  assert.equal(doing(told(['turn.started', { text: 'a' }], ['turn.waiting', { for: 'session' }]))?.waits, true)
  assert.equal(doing(told(['turn.started', { text: 'a' }], ['turn.waiting', { for: 'session' }], ['turn.resumed', {}]))?.waits, false)
  assert.equal(doing(told(['turn.started', { text: 'a' }], ['turn.finished', { state: 'done' }])), null)
})

test('a turn that spent something says so at its end, once', () => {
  const t = told(['turn.started', { text: 'a' }], ['usage', { input_tokens: 900, output_tokens: 50 }], ['usage', { input_tokens: 12_000, output_tokens: 400, cost_usd: 0.0312 }], ['turn.finished', { state: 'done' }])
  assert.deepEqual(t.entries.map((e) => e.kind), ['you', 'usage'])
  assert.equal(spentWords(t.entries[1] as never), '12k tokens · $0.031')
  assert.deepEqual([spentWords({ input: 900, output: 50, cost: null }), spentWords({ input: 4000, output: 0, cost: 0.0001 })], ['950 tokens', '4.0k tokens · under $0.001'])
})

test('a refused command and a stop stay in sight', () => {
  const t = told(['turn.started', { text: 'a' }], ['command.refused', { command: 'rm -rf /', class: 'destructive', why: 'Denied.' }], ['agents.stopped'], ['turn.finished', { state: 'cancelled', error: null }])
  assert.deepEqual(t.entries.map((e) => e.kind), ['you', 'refused', 'stopped', 'outcome'])
})

test('a change that is undone by itself is one line, whose state changes', () => {
  const t = told(['revert', { revert_id: 'r', what: 'the firewall', state: 'armed', due_at: '2026-06-01T12:03:00Z' }], ['text', { text: 'x' }], ['revert', { revert_id: 'r', what: 'the firewall', state: 'confirmed', due_at: null }])
  assert.deepEqual(t.entries.map((e) => e.kind), ['revert', 'text'])
  assert.deepEqual(t.entries[0], { kind: 'revert', key: 'r', what: 'the firewall', state: 'confirmed', due: null })
})

test('time goes on in minutes and hours', () => {
  const at = Date.parse('2026-06-01T12:00:00Z')
  assert.deepEqual([-2, 12, 75, 3727].map((s) => elapsed('2026-06-01T12:00:00Z', at + s * 1000)), ['0:00', '0:12', '1:15', '1:02:07'])
})
