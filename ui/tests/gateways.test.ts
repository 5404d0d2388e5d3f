import assert from 'node:assert/strict'
import { test } from 'node:test'
import { added, blank, changed, formOf, pairingCommand, standingOf, wantsSecret } from '../src/logic/gateway-words.ts'
import type { Gateway } from '../src/nouns/openclaw-gateways.ts'

const kept: Gateway = {
  id: 'g', label: 'Claw', url: 'ws://127.0.0.1:18789', way: 'direct', connection_id: null, auth: 'token', may_execute: true, why_not_execute: null,
  state: 'ready', pairing: null, problem: null, version: '2026.9.6', device_id: 'd', checked_at: null, created_at: '',
}

test('a new gateway is named by what it is, beside those that are there', () => {
  assert.equal(blank([]).label, 'OpenClaw')
  assert.equal(blank(['OpenClaw', 'OpenClaw 2']).label, 'OpenClaw 3')
})

test('a secret goes by its kind, and a server only where it is the way', () => {
  assert.deepEqual(added({ ...blank([]), connection_id: 'c', secret: ' t ' }), { label: 'OpenClaw', url: 'ws://127.0.0.1:18789', way: 'direct', connection_id: null, token: 't' })
  assert.deepEqual(added({ ...blank([]), way: 'forward', connection_id: 'c', auth: 'none', secret: 'left over' }), { label: 'OpenClaw', url: 'ws://127.0.0.1:18789', way: 'forward', connection_id: 'c' })
})

test('only what was changed is sent; a secret that was not typed stays, and none takes it away', () => {
  const form = formOf(kept)
  assert.deepEqual(changed(kept, form), {})
  assert.deepEqual(changed(kept, { ...form, label: 'Other', auth: 'password', secret: 'p' }), { label: 'Other', password: 'p' })
  assert.deepEqual(changed(kept, { ...form, auth: 'none', secret: 'left over' }), { token: '' })
  assert.deepEqual(changed({ ...kept, auth: 'none' }, { ...form, auth: 'none' }), {})
})

test('another gateway, and another kind of secret, want it typed', () => {
  const form = formOf(kept)
  assert.equal(wantsSecret(kept, form), false)
  assert.equal(wantsSecret(kept, { ...form, url: 'ws://127.0.0.1:18790' }), true)
  assert.equal(wantsSecret(kept, { ...form, auth: 'password' }), true)
  assert.equal(wantsSecret(null, { ...form, auth: 'none' }), false)
  assert.equal(wantsSecret(null, form), true)
})

test('how it stands is said in a sentence, and what lets the box in', () => {
  assert.deepEqual(standingOf(kept), { tone: 'ok', words: 'OpenClaw 2026.9.6 lets this box in.' })
  assert.deepEqual(standingOf({ ...kept, state: 'untested' }), { tone: 'info', words: 'Not tested yet.' })
  assert.equal(standingOf({ ...kept, state: 'pairing' }).tone, 'warn')
  assert.deepEqual(standingOf({ ...kept, state: 'refused', problem: 'No.' }), { tone: 'bad', words: 'No.' })
  assert.equal(pairingCommand({ pairing: { request_id: 'r', command: 'openclaw devices approve r' } }), 'openclaw devices approve r')
  assert.equal(pairingCommand({ pairing: { request_id: null, command: null } }), 'openclaw devices list')
})
