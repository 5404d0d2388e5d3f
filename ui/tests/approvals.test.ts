import assert from 'node:assert/strict'
import { test } from 'node:test'
import { choices, classWords, grave, heading, left, outcome, stoppedWords } from '../src/logic/approval-words.ts'
import { setUpAt, sorted, titleOf } from '../src/logic/conversation-words.ts'
import { arrived, empty, sending, written } from '../src/logic/outbox.ts'
import { visible, warning } from '../src/logic/visible.ts'
import type { Conversation } from '../src/nouns/conversations.ts'

const shown = (text: string) => visible(text).map(({ text, mark }) => (mark ? `<${mark}>${text}` : text)).join('')

test('a command shows what would deceive the eye', () => {
  const cases: [string, string][] = [
    ['ls -la /srv', 'ls -la /srv'],
    ['a\nb', 'a<↵>b'],
    ['a\tb\rc\x1b[2K', 'a<⇥>b<CR>c<ESC>[2K'],
    ['rm \u202egpj.sh', 'rm <U+202E>gpj.sh'],
    ['cat\u200b x\u00a0y', 'cat<ZWSP> x<NBSP>y'],
    ['cаt', 'c<U+0430>аt'],
    ['ls –la', 'ls <U+2013>–la'],
    ['echo größe 漢字 🙂', 'echo größe 漢字 🙂'],
    ['a\u{e0041}b', 'a<U+E0041>b'],
  ]
  for (const [text, expected] of cases) assert.equal(shown(text), expected)
  assert.equal(warning('ls'), '')
  assert.equal(warning('ls\nrm x', false), '')
  assert.equal(warning('ls\nrm x'), 'Look closely: 2 lines.')
  assert.equal(warning('cаt\u200b'), 'Look closely: characters that look like others and characters that cannot be seen.')
})

test('a long row of blanks hides nothing behind it', () => {
  const text = `ls${' '.repeat(2000)}; rm -rf ~`
  assert.equal(shown(text), 'ls<2000 blanks> ; rm -rf ~')
  assert.equal(warning(text), 'Look closely: long rows of blanks.')
  assert.equal(shown(`a${' '.repeat(20)}b`), `a${' '.repeat(20)}b`)
})

test('a code agent writes no heading of the box', () => {
  const asked = { kind: 'question', runtime: 'acp', title: 'Allowed by policy: only look', command: null } as const
  assert.equal(heading(asked), 'Use a tool of its own')
  assert.equal(heading({ ...asked, command: 'ls' }), 'Run a command')
  assert.equal(heading({ ...asked, kind: 'file', title: 'Write /etc/motd' }), 'Write /etc/motd')
})

test('what destroys or locks out takes two steps, and so does what cannot be undone', () => {
  const cases: [string, string | null, boolean][] = [
    ['read', null, false], ['change', null, false], ['privileged', null, false], ['destructive', null, true],
    ['lock_out', null, true], ['unknown', null, false], ['change', 'The files are gone.', true],
  ]
  for (const [klass, undone, expected] of cases) assert.equal(grave({ class: klass, cannot_be_undone: undone }), expected)
  assert.equal(classWords('lock_out')?.tone, 'bad')
  assert.equal(classWords('something_new')?.words, 'something new')
  assert.equal(classWords(null), null)
})

test('the buttons say what they do, whatever the agent calls them, and one of them always says no', () => {
  const said = (...options: [string, string][]) =>
    choices({ class: 'unknown', cannot_be_undone: null, options: options.map(([label, kind], i) => ({ id: `${i}`, label, kind })) })
      .map(({ answer, words, agents }) => [answer.decision, answer.option_id ?? null, words, agents])
  assert.deepEqual(said(['Deny', 'allow_once'], ['Allow', 'reject_once']), [['allow', '0', 'Allow', 'Deny'], ['deny', '1', 'Deny', 'Allow']])
  assert.deepEqual(said(['Allow', 'allow_once']), [['allow', '0', 'Allow', ''], ['deny', null, 'Deny', '']])
  assert.deepEqual(said(['No', 'allowed'], ['No', 'toString'], ['Never', 'reject_always']), [['deny', '2', 'Deny, also next time', 'Never']])
  assert.equal(choices({ class: 'destructive', cannot_be_undone: null, options: [{ id: 'a', label: 'Allow', kind: 'allow_once' }] })[0]?.words, 'Allow…')
})

test('an answer says by whom, and whether it was used', () => {
  const base = { state: 'allowed', answered_by: 'Pixel', used_at: null, kind: 'command', void_reason: null } as const
  assert.equal(outcome(base), 'Allowed on Pixel, not used yet')
  assert.equal(outcome({ ...base, used_at: '2026-06-01T12:00:00Z' }), 'Allowed on Pixel')
  assert.equal(outcome({ ...base, kind: 'question' }), 'Allowed on Pixel')
  assert.equal(outcome({ ...base, state: 'denied', answered_by: null }), 'Denied: it was not run')
})

test('a stop tells what it stopped', () => {
  assert.equal(stoppedWords({ turns: 2, approvals: 1, grants: 0 }), 'Stopped: 2 turns, 1 approval.')
  assert.equal(stoppedWords({ turns: 0, approvals: 0, grants: 0 }), 'Nothing was running.')
})

test('time left never falls below nothing', () => {
  const at = Date.parse('2026-06-01T12:00:00Z')
  assert.deepEqual([left('2026-06-01T12:01:30Z', at), left('2026-06-01T11:00:00Z', at)], [90, 0])
})

test('a message that is sent again after a lost answer is the same message', () => {
  const first = sending(written(empty(), 'disk'), 'k1', 7)
  assert.equal(sending(first, 'k2', 9), first)
  const other = written(first, 'disk full')
  assert.deepEqual([other.key, sending(other, 'k2', 9).key], ['', 'k2'])
  assert.equal(arrived(first, 'disk ', 8), true)
  assert.equal(arrived(first, 'disk', 7), false, 'an older turn with the same words is another one')
  assert.equal(arrived(other, 'disk full', 8), false)
})

test('conversations are listed by what runs, then by use', () => {
  const one = (id: string, last: string, running: string | null = null): Conversation =>
    ({ id, connection_id: 'c', title: null, runtime: 'model', runtime_options: {}, session_id: null, last_seq: 0, running_turn_id: running, waits_for: null, usage: { input_tokens: null, output_tokens: null, cost_usd: null }, created_at: last, last_used_at: last, archived_at: null })
  assert.deepEqual(sorted([one('a', '1'), one('b', '3'), one('c', '2', 't')]).map((c) => c.id), ['c', 'b', 'a'])
  assert.deepEqual([titleOf({ title: '', runtime: 'acp' }), titleOf({ title: 'Disk', runtime: 'acp' })], ['Code agent conversation', 'Disk'])
  assert.equal(setUpAt({ name: 'model' })?.path, '/settings/models')
  assert.equal(setUpAt({ name: 'openclaw' })?.path, '/settings/gateways')
  assert.equal(setUpAt({ name: 'acp' }), null)
})
