import assert from 'node:assert/strict'
import { test } from 'node:test'
import { backoff } from '../src/logic/backoff.ts'
import { frame, size, unframe } from '../src/logic/bytes.ts'
import { uuid } from '../src/logic/ids.ts'
import { chosenAtFirst, kindOf, saved } from '../src/logic/imports.ts'
import { through, way } from '../src/logic/jumps.ts'
import { arrow, withModifiers } from '../src/logic/key-bytes.ts'
import { deviceName, readCode } from '../src/logic/pairing.ts'
import { place } from '../src/logic/routes.ts'
import { isDemoServer, lastTest, standing } from '../src/logic/standing.ts'
import { parseTarget } from '../src/logic/target.ts'
import { ago, countdown, lasted, latency, span } from '../src/logic/time.ts'
import type { Connection } from '../src/nouns/connections.ts'

const now = Date.parse('2026-06-01T12:00:00Z')

test('every address is a page, and a stranger is lost', () => {
  const cases: [string, string, string][] = [
    ['/', 'home', ''], ['/pair', 'pair', ''], ['/add/', 'add', ''], ['/connections/0198-a', 'connection', '0198-a'],
    ['/sessions/x1', 'session', 'x1'], ['/connections', 'lost', ''], ['/sessions/a/b', 'lost', ''],
    ['/recordings', 'recordings', ''], ['/recordings/r1', 'recording', 'r1'], ['/sessions/x1/recordings', 'session-recordings', 'x1'],
    ['/connections/c1/recordings/', 'connection-recordings', 'c1'], ['/constructor', 'lost', ''],
    ['/fleet', 'fleet', ''], ['/fleet/r1', 'fleet-run', 'r1'], ['/snippets', 'snippets', ''], ['/settings/models', 'models', ''], ['/settings/notifications', 'notifications', ''], ['/settings/gateways', 'gateways', ''], ['/sessions/a/stats', 'stats', 'a'],
    ['/sessions/abc/ports', 'ports', 'abc'],
    ['/approvals', 'approvals', ''], ['/approvals/a1', 'approval', 'a1'], ['/search', 'search', ''],
    ['/conversations/v1', 'conversation', 'v1'], ['/connections/c1/conversations', 'conversations', 'c1'],
  ]
  for (const [path, name, id] of cases) assert.deepEqual(place(path), { name, id }, path)
})

test('a pasted file is recognised, and jump hosts come along', () => {
  assert.equal(kindOf('Host nas\n  User ann'), 'config')
  assert.equal(kindOf('# mine\n|1|a=|b= ssh-ed25519 AAAAC3\n@revoked * ssh-rsa AAAAB3'), 'known_hosts')
  assert.equal(kindOf('', 'known_hosts.old'), 'known_hosts')
  const row = (name: string, jump: string | null, more: object = {}) =>
    ({ name, label: name, host: name, port: 22, username: 'u', jump, host_key: null, same_as: null, same_as_label: null, implied: false, notes: [], problem: null, ...more })
  const rows = [row('nas', 'b'), row('b', 'a', { implied: true }), row('a', null, { same_as: 'x' }), row('bad', null, { problem: 'no' })]
  assert.deepEqual(chosenAtFirst(rows), ['nas'])
  assert.deepEqual([...saved(rows, ['nas'])], ['nas', 'b'])
  assert.deepEqual([...saved(rows, ['nas', 'a'])], ['nas', 'b', 'a'])
  assert.deepEqual([...saved([row('x', 'y'), row('y', 'x')], ['x'])], ['x', 'y'])
})

test('jump hosts are found both ways, and a ring ends', () => {
  const link = (id: string, jump_connection_id: string | null) => ({ id, label: id, jump_connection_id })
  const all = [link('a', null), link('b', 'a'), link('c', 'b'), link('x', 'y'), link('y', 'x')]
  assert.deepEqual([...through(all, 'a')], ['b', 'c'])
  assert.deepEqual([...through(all, 'x')].sort(), ['x', 'y'])
  assert.deepEqual(way(all, all[2]!).map((one) => one.id), ['a', 'b'])
  assert.deepEqual(way(all, link('n', 'gone')), [])
  assert.equal(way(all, link('n', 'x')).length, 2)
})

test('what people paste into a host field is understood', () => {
  const cases: [string, object][] = [
    ['nas.lan', { host: 'nas.lan' }],
    ['ann@nas.lan', { host: 'nas.lan', username: 'ann' }],
    ['ann@nas.lan:2222', { host: 'nas.lan', username: 'ann', port: 2222 }],
    ['ssh ann@nas.lan', { host: 'nas.lan', username: 'ann' }],
    ['ssh -p 2222 ann@nas.lan', { host: 'nas.lan', username: 'ann', port: 2222 }],
    ['ssh ann@nas.lan -p2222', { host: 'nas.lan', username: 'ann', port: 2222 }],
    ['ssh://ann@nas.lan:22/', { host: 'nas.lan', username: 'ann', port: 22 }],
    ['fe80::1', { host: 'fe80::1' }],
    ['[2001:db8::1]:2200', { host: '2001:db8::1', port: 2200 }],
    ['DOMAIN\\bob@srv', { host: 'srv', username: 'DOMAIN\\bob' }],
  ]
  for (const [text, expected] of cases) assert.deepEqual(parseTarget(text), expected, text)
})

test('waits grow to 15 seconds and never fall under half a step', () => {
  assert.equal(backoff(1, 0), 250)
  assert.equal(backoff(2, 0.999999), 1000)
  assert.equal(backoff(50, 0.999999), 15_000)
  assert.equal(backoff(50, 0), 7_500)
})

test('times read as people say them', () => {
  assert.equal(ago(null, now), 'never')
  assert.equal(ago('2026-06-01T11:59:40Z', now), 'just now')
  assert.equal(ago('2026-06-01T11:15:00Z', now), '45 min ago')
  assert.equal(ago('2026-05-31T11:00:00Z', now), 'yesterday')
  assert.equal(ago('2026-01-05T00:00:00Z', now), 'on 2026-01-05')
  assert.deepEqual([12, 3400, 59_000, 200_000, 120_000].map(lasted), ['12 ms', '3.4 s', '59 s', '3 min 20 s', '2 min'])
  assert.deepEqual([45, 1800, 5400, 86_400].map(span), ['45 s', '30 min', '1 h 30 min', '24 h'])
  assert.deepEqual([null, 0, 0.4, 38].map(latency), ['time unknown', 'under 1 ms', 'under 1 ms', '38 ms'])
  assert.equal(countdown('2026-06-01T12:09:07Z', now), '9:07')
  assert.equal(countdown('2026-06-01T11:00:00Z', now), '0:00')
})

test('a pairing code is found in a fragment, a link and what was typed', () => {
  assert.equal(readCode('#abc'), 'abc')
  assert.equal(readCode('http://box.lan:8022/pair#abc'), 'abc')
  assert.equal(readCode(' ab c '), 'abc')
  assert.equal(readCode(''), '')
  assert.equal(readCode('http://box.lan:8022/pair'), '')
  assert.equal(deviceName('Mozilla/5.0 (Linux; Android 16) AppleWebKit/537.36 Chrome/140 Mobile Safari/537.36'), 'Chrome on Android')
})

test('frames carry their number beyond 32 bits', () => {
  const number = 2 ** 40 + 5
  const back = unframe(frame(number, new Uint8Array([1, 2])).buffer)
  assert.equal(back.number, number)
  assert.deepEqual([...back.bytes], [1, 2])
  assert.deepEqual([812, 4200, 1_100_000].map(size), ['812 B', '4.2 kB', '1.1 MB'])
})

test('sticky keys send what the real keys would', () => {
  assert.equal(withModifiers('c', { ctrl: true, alt: false }), '\x03')
  assert.equal(withModifiers('[', { ctrl: true, alt: false }), '\x1b')
  assert.equal(withModifiers('x', { ctrl: false, alt: true }), '\x1bx')
  assert.equal(withModifiers('é', { ctrl: true, alt: false }), 'é')
  assert.equal(arrow('up', { ctrl: false, alt: false }, false), '\x1b[A')
  assert.equal(arrow('up', { ctrl: false, alt: false }, true), '\x1bOA')
  assert.equal(arrow('left', { ctrl: true, alt: false }, true), '\x1b[1;5D')
})

test('identifiers are version 4 and differ', () => {
  assert.match(uuid(), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  assert.notEqual(uuid(), uuid())
})

test('how a connection stands, and what its last test found', () => {
  const saved: Connection = {
    id: 'c', label: 'nas', host: 'nas.lan', port: 22, username: 'ann', keypair_id: 'k', jump_connection_id: null, host_authority_id: null, state: 'draft',
    host_key_fingerprint: null, host_key_type: null, host_key_pinned_at: null, offered_host_key: null, last_tested_at: null,
    last_test_result: null, last_test_message: null, last_latency_ms: null, created_at: '', updated_at: '', active_session_id: null,
    tier: 'production', judge_people: false,
  }
  const cases: [Partial<Connection>, string, string][] = [
    [{}, 'Draft – not tested yet', 'Stopped to ask about the host key'],
    [{ last_test_result: 'failed', last_test_message: 'No such host.' }, 'Draft – last test failed', 'No such host'],
    [{ state: 'tested', last_test_result: 'ok', last_test_message: 'Logged in.' }, 'Ready', 'Logged in'],
    [{ state: 'tested', last_test_result: 'timeout' }, 'Last test failed', 'timeout'],
    // The message is still that of the test before.
    [{ state: 'tested', last_test_result: 'host_key_mismatch', last_test_message: 'Logged in.' }, 'Last test failed', 'Stopped: the host key had changed'],
  ]
  for (const [change, words, found] of cases) {
    assert.equal(standing({ ...saved, ...change }).words, words)
    assert.equal(lastTest({ ...saved, ...change }), found)
  }
  assert.ok(isDemoServer({ label: 'Demo server', host: '127.0.0.1' }))
  assert.ok(!isDemoServer({ label: 'Demo server', host: 'nas.lan' }))
})
