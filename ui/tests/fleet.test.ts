import assert from 'node:assert/strict'
import { test } from 'node:test'
import { asCsv, groups, summary } from '../src/logic/fleet.ts'
import { gib, uptime } from '../src/logic/server-words.ts'
import { fitted, names } from '../src/logic/snippet-places.ts'
import type { Answer } from '../src/nouns/fleet.ts'

const answer = (label: string, state: Answer['state'], digest: string | null, stdout = ''): Answer => ({
  id: label, connection_id: label, label, session_id: null, state, exit_status: state === 'done' ? 0 : null, stdout, stderr: '',
  encoding: 'utf-8', truncated: false, shortened: false, digest, duration_ms: 1, message: null, next_step: null,
})

test('equal answers are one group, and what failed stands first', () => {
  const all = [answer('a', 'done', 'x'), answer('b', 'failed', 'y'), answer('c', 'done', 'x')]
  assert.deepEqual(groups(all).map((g) => g.answers.map((a) => a.label)), [['b'], ['a', 'c']])
  assert.equal(summary(all), '2 answered the same; 1 differs')
  assert.equal(summary([answer('a', 'done', 'x'), answer('b', 'done', 'x')]), 'Both answered the same')
  assert.equal(summary([answer('a', 'done', 'x'), answer('b', 'running', null)]), '1 of 2 have answered')
})

test('a table for a spreadsheet holds no formula and loses no comma', () => {
  const csv = asCsv([answer('=cmd()', 'done', 'x', 'a,"b"\nc')])
  assert.equal(csv.split('\r\n')[1], `'=cmd(),done,0,1,"a,""b""\nc",,`)
})

test('places have their variables, known ones as they are', () => {
  assert.deepEqual(names('docker ps {{range}} {{end}} {{ a }} {{a}} {{.Name}}'), ['range', 'a'])
  const known = { name: 'a', kind: 'path' as const, description: 'A', default: null, choices: [] }
  assert.deepEqual(fitted('ls {{b}} {{a}}', [known]).map((v) => [v.name, v.kind]), [['b', 'text'], ['a', 'path']])
})

test('sizes and times as people say them', () => {
  assert.deepEqual([gib(0), gib(1023), gib(1536), gib(8201396224)], ['0 B', '1023 B', '1.5 KiB', '7.6 GiB'])
  assert.deepEqual([uptime(null), uptime(3900), uptime(3542311)], ['unknown', '1 h 5 min', '40 days'])
})
