import assert from 'node:assert/strict'
import { test } from 'node:test'
import { prose } from '../src/logic/prose.ts'
import { screenText, write } from '../src/logic/screen-text.ts'
import { take, transcript, type Command } from '../src/logic/transcript.ts'

const event = (seq: number, type: string, payload: Record<string, unknown> = {}) => ({ seq, type, payload, turn_id: 't', created_at: '2026-06-01T12:00:00Z' })
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

test('the little markdown of answers', () => {
  assert.deepEqual(prose('One **two** `three`\n\n- a\n- b'), [
    { kind: 'paragraph', lines: [[{ kind: 'plain', text: 'One ' }, { kind: 'strong', text: 'two' }, { kind: 'plain', text: ' ' }, { kind: 'code', text: 'three' }]] },
    { kind: 'list', items: [[{ kind: 'plain', text: 'a' }], [{ kind: 'plain', text: 'b' }]] },
  ])
  assert.deepEqual(prose('<script>'), [{ kind: 'paragraph', lines: [[{ kind: 'plain', text: '<script>' }]] }])
})
